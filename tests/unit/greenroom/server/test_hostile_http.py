"""Hostile HTTP, Twirp and WebSocket input on one server that has to stay well: nobody else is disturbed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livekit.protocol import agent
from livekit.protocol import rtc as messages
from server_fakes import PATIENCE_S, Harness, SignalClient

from greenroom.server import Limits
from greenroom.server.twirp import HTTP_STATUS

_T = TypeVar("_T")
_FUZZ = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)


class Served:
    """A server on a loop of its own thread, with an honest participant in its room."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.harness = self.run(self._start())
        self.honest: SignalClient = self.run(self.harness.join("honest"))

    @staticmethod
    async def _start() -> Harness:
        return await Harness(limits=Limits(api_body_timeout_s=1.0)).__aenter__()

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def assert_well(self) -> None:
        self.run(self.honest.settle())

    def close(self) -> None:
        self.run(self.harness.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.assert_well()
    served.close()


# ---- bytes ----

_LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\n",
        b"GET /rtc?access_token=x HTTP/1.1\r\n",
        b"Host: x\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Content-Type: application/json\r\n",
        b"Upgrade: websocket\r\n",
        b"Connection: Upgrade\r\n",
        b"Sec-WebSocket-Key: x\r\n",
        b"Authorization: Bearer \xff\r\n",
        b"\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\n",
    ]
)
_REQUESTS = st.lists(st.one_of(_LINES, st.binary(max_size=40)), max_size=12).map(b"".join)


async def _throw(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        writer.write_eof()
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@_FUZZ
@given(data=_REQUESTS)
def test_bytes_that_are_hardly_http(served: Served, data: bytes) -> None:
    answer = served.run(_throw(served.harness.server.port, data))
    assert not answer or answer.startswith(b"HTTP/1.")
    assert b" 500 " not in answer.split(b"\r\n", 1)[0]


# ---- Twirp ----

_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
_FIELDS = st.sampled_from(
    [
        *("room", "name", "identity", "names", "metadata", "permission", "attributes", "trackSid", "muted"),
        *("empty_timeout", "max_participants", "agents", "data", "kind", "nonce", "destination_identity"),
        *(
            "method",
            "payload",
            "participant_tracks",
            "dispatch_id",
            "agent_name",
            "deployment",
            "room_preset",
        ),
    ]
)
_BODIES = st.one_of(
    _JSON.map(lambda value: aiohttp.JsonPayload(value)),
    st.dictionaries(_FIELDS, st.one_of(_JSON, st.just("room"), st.just("honest")), max_size=6).map(
        lambda value: aiohttp.JsonPayload(value)
    ),
    st.binary(max_size=200),
)
_METHODS = st.sampled_from(
    [
        *("CreateRoom", "ListRooms", "ListParticipants", "GetParticipant", "MutePublishedTrack"),
        *("UpdateParticipant", "UpdateSubscriptions", "SendData", "UpdateRoomMetadata", "MoveParticipant"),
        *("CreateDispatch", "DeleteDispatch", "ListDispatch", "StartEgress", "ListIngress", "Fly"),
    ]
)
_SERVICES = st.sampled_from(
    ["livekit.RoomService", "livekit.AgentDispatchService", "livekit.Egress", "livekit.Nothing", "x/y"]
)
_TYPES = st.sampled_from(["application/json", "application/protobuf", "text/plain", "application/json;x=\t"])
_EVERY_GRANT = {
    **dict.fromkeys(("room_create", "room_list", "room_admin", "room_record", "ingress_admin"), True),
    "destination_room": "x",
}


async def _call(harness: Harness, service: str, method: str, content_type: str, body: Any) -> tuple[int, Any]:
    headers = {
        "Authorization": "Bearer " + harness.server.token("room", "admin", **_EVERY_GRANT),
        "Content-Type": content_type,
    }
    url = f"{harness.server.http_url}/twirp/{service}/{method}"
    async with harness.http.post(url, data=body, headers=headers) as response:
        is_json = response.content_type == "application/json"
        return response.status, await response.json() if is_json else None


@_FUZZ
@given(service=_SERVICES, method=_METHODS, content_type=_TYPES, body=_BODIES)
def test_calls_of_any_content(
    served: Served, service: str, method: str, content_type: str, body: Any
) -> None:
    status, answer = served.run(_call(served.harness, service, method, content_type, body))
    assert status in {200, *HTTP_STATUS.values()}
    if status != 200 and answer is not None:
        assert HTTP_STATUS[answer["code"]] == status
        assert answer["code"] != "internal"
    served.assert_well()


# ---- WebSockets ----

_FRAMES = st.lists(st.one_of(st.binary(max_size=60), st.text(max_size=20)), max_size=12)


async def _speak(harness: Harness, path: str, frames: list[bytes | str], first: bytes | None) -> None:
    token = harness.server.token("room", "mallory", agent=True)
    url = f"{harness.server.url}{path}access_token={token}"
    async with harness.http.ws_connect(url) as websocket:
        if first is not None:
            await websocket.send_bytes(first)
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            for frame in frames:
                await (websocket.send_str(frame) if isinstance(frame, str) else websocket.send_bytes(frame))


@_FUZZ
@given(frames=_FRAMES)
def test_frames_of_any_content_to_a_room(served: Served, frames: list[bytes | str]) -> None:
    served.run(_speak(served.harness, "/rtc?protocol=16&", frames, None))
    served.assert_well()


@_FUZZ
@given(frames=_FRAMES, registered=st.booleans())
def test_frames_of_any_content_to_the_agents(
    served: Served, frames: list[bytes | str], registered: bool
) -> None:
    register = agent.WorkerMessage(register=agent.RegisterWorkerRequest(agent_name="mallory"))
    first = register.SerializeToString() if registered else None
    served.run(_speak(served.harness, "/agent?", frames, first))
    served.assert_well()


# ---- slowly, and too much ----


async def test_a_head_that_never_ends_is_cut_off() -> None:
    async with Harness(limits=Limits(http_idle_s=0.1)) as harness:
        reader, writer = await asyncio.open_connection("127.0.0.1", harness.server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        writer.close()


async def test_more_requests_than_the_limit_are_refused_and_the_others_served() -> None:
    limits = Limits(requests_in_progress=4, api_body_timeout_s=60)
    async with Harness(limits=limits) as harness:
        honest = await harness.join("honest")
        end = asyncio.Event()
        began = asyncio.Semaphore(0)

        async def stalled() -> AsyncIterator[bytes]:
            yield b"{"
            began.release()
            await end.wait()

        url = f"{harness.server.http_url}/twirp/livekit.RoomService/ListRooms"
        headers = {"Content-Type": "application/json"}

        async def stall() -> int:
            async with harness.http.post(url, data=stalled(), headers=headers) as response:
                return response.status

        slow = [asyncio.create_task(stall()) for _ in range(3)]
        for _ in slow:
            await began.acquire()
        statuses = []
        while 503 not in statuses:  # the three may not have reached the server yet
            async with harness.http.get(harness.server.http_url) as response:
                statuses.append(response.status)
        await honest.settle()
        end.set()
        await asyncio.gather(*slow)
        assert harness.server.counters["refused_too_many_requests"] >= 1
        async with harness.http.get(harness.server.http_url) as response:
            assert response.status == 200


async def test_a_flood_of_messages_is_read_more_slowly() -> None:
    limits = Limits(signalling_rate_per_s=1000.0, signalling_burst=5)
    async with Harness(limits=limits) as harness:
        client, honest = await harness.join("mallory"), await harness.join("honest")
        for number in range(50):
            await client.send(ping_req=messages.Ping(timestamp=number))
        await honest.settle()
        await client.settle()  # all were answered in the end
        assert harness.server.counters["signal_messages_slowed"] > 10


# ---- tokens ----


async def test_a_token_that_is_too_long(harness: Harness) -> None:
    token = harness.server.token("room", "anna", metadata="x" * 300_000)
    url = harness.server.http_url + "/rtc/validate"
    async with harness.http.get(url, params={"access_token": token}) as response:
        assert (response.status, await response.text()) == (401, "invalid authorization token")
    headers = {"Authorization": f"Bearer {token}"}
    async with harness.http.get(url, headers=headers) as response:
        assert response.status == 400


async def test_a_large_token_is_taken(harness: Harness) -> None:
    token = harness.server.token("room", "anna", metadata="x" * 100_000)
    headers = {"Authorization": f"Bearer {token}"}
    async with harness.http.get(harness.server.http_url + "/rtc/validate", headers=headers) as response:
        assert response.status == 200


async def test_a_token_used_again_replaces_only_its_own_session(harness: Harness) -> None:
    honest = await harness.join("honest")
    token = harness.server.token("room", "anna")
    first = await harness.connect(token)
    await first.expect("join")
    second = await harness.connect(token)
    await second.expect("join")
    await first.expect("leave")
    await honest.settle()
    await second.settle()


async def test_an_expired_token_is_refused_by_every_door(harness: Harness) -> None:
    token = harness.server.token("room", "anna", life_s=-3600, agent=True, room_list=True)
    for path in ("/", "/rtc", "/rtc/validate", "/agent", "/twirp/livekit.RoomService/ListRooms"):
        async with harness.http.post(
            harness.server.http_url + path, headers={"Authorization": f"Bearer {token}"}
        ) as response:
            assert response.status == 401
    assert harness.server.counters["refused_401"] == 5

"""A server that misbehaves at any stage: `connect` ends with a ConnectError in time, a room stays or disconnects."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from hostile_tools import random_message
from livekit.protocol import models
from livekit.protocol import rtc as messages
from room_tools import Events, Rooms, within

import greenroom
from greenroom.client.errors import ConnectError
from livekit import rtc

_TIMEOUT_S = 1.0
_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"

Behaviour = Callable[[web.WebSocketResponse], Awaitable[object]]


async def assert_refused(url: str) -> ConnectError:
    """`connect` fails with its own error, about when it was told to give up."""
    room = rtc.Room()
    options = rtc.RoomOptions(connect_timeout=_TIMEOUT_S)
    with pytest.raises(ConnectError) as error:
        await within(room.connect(url, _TOKEN, options), _TIMEOUT_S + 3)
    assert not room.isconnected()
    return error.value


# ---- below the websocket ----

_RAW_ANSWERS = {
    "nothing": b"",
    "noise": random.Random(1).randbytes(2000),
    "half a status": b"HTTP/1.1 10",
    "endless header": b"HTTP/1.1 101 X\r\nA: " + b"a" * 200_000,
    "page": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "wrong upgrade": b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
    "endless refusal": b"HTTP/1.1 500 X\r\n\r\n" + b"x" * 100_000,
    "redirect to itself": b"HTTP/1.1 302 X\r\nLocation: /rtc\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("hang_up", [True, False], ids=["hangs up", "stays"])
@pytest.mark.parametrize("answer", _RAW_ANSWERS.values(), ids=_RAW_ANSWERS.keys())
async def test_what_is_no_websocket_is_refused(answer: bytes, hang_up: bool, nothing_left: None) -> None:
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(1)
            writer.write(answer)
            if not hang_up:
                await over.wait()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        await assert_refused(f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    finally:
        over.set()
        listener.close()
        await listener.wait_closed()


# ---- the first messages ----


@contextlib.asynccontextmanager
async def websocket_server(behaviour: Behaviour) -> AsyncIterator[str]:
    """A server that upgrades and then behaves."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(timeout=0.1)
        await websocket.prepare(request)
        with contextlib.suppress(ConnectionError):
            await behaviour(websocket)
        return websocket

    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def stay(websocket: web.WebSocketResponse) -> None:
    """Read until the client goes."""
    async for _ in websocket:
        pass


def says(*frames: messages.SignalResponse | bytes | str) -> Behaviour:
    async def behave(websocket: web.WebSocketResponse) -> None:
        for frame in frames:
            if isinstance(frame, str):
                await websocket.send_str(frame)
            else:
                await websocket.send_bytes(frame if isinstance(frame, bytes) else frame.SerializeToString())
        await stay(websocket)

    return behave


async def _noise_without_end(websocket: web.WebSocketResponse) -> None:
    generator = random.Random(2)
    while True:
        await websocket.send_bytes(b"\xff" + generator.randbytes(100))
        await asyncio.sleep(0)


_JOIN = messages.SignalResponse(
    join=messages.JoinResponse(
        participant=models.ParticipantInfo(sid="PA_a", identity="a"),
        room=models.Room(sid="RM_a", name="r"),
        subscriber_primary=True,
        fast_publish=True,
    )
)
_TWINS = messages.SignalResponse(
    join=messages.JoinResponse(
        other_participants=[
            models.ParticipantInfo(sid="", identity="", tracks=[models.TrackInfo(type=99)] * 3)
        ]
        * 3,
        ping_interval=-5,
        ping_timeout=-(2**31),
    )
)


def _described(kind: str, sdp: str) -> messages.SignalResponse:
    return messages.SignalResponse(**{kind: messages.SessionDescription(type=kind, sdp=sdp, id=1)})


def _candidate(text: str) -> messages.SignalResponse:
    return messages.SignalResponse(trickle=messages.TrickleRequest(candidateInit=text, target=1))


def _left(reason: int) -> messages.SignalResponse:
    return messages.SignalResponse(leave=messages.LeaveRequest(reason=reason, action=99))


_SDP = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
_BAD_SDP = [
    "",
    "noise \x00",
    _SDP,
    _SDP + "m=audio x\r\n",
    _SDP + "a=ice-ufrag:\r\na=ice-pwd:\r\na=fingerprint:x\r\n",
]
_BAD_CANDIDATES = [
    "",
    "{",
    "[]",
    "5",
    '{"candidate":5}',
    '{"candidate":"x"}',
    json.dumps({"candidate": "9" * 9999}),
]
_AFTER_JOIN = [*(_described(kind, sdp) for kind in ("offer", "answer") for sdp in _BAD_SDP)]
_AFTER_JOIN += [_candidate(text) for text in _BAD_CANDIDATES]

_BEGINNINGS: dict[str, Behaviour] = {
    "silence": stay,
    "hangs up": lambda websocket: websocket.close(),
    "text only": says("{}", "hello"),
    "noise without end": _noise_without_end,
    "huge frame": says(bytes(17 * 1024 * 1024)),
    "not a join": says(messages.SignalResponse(pong=1)),
    "a leave": says(_left(int(models.DisconnectReason.SERVER_SHUTDOWN))),
    "a leave for a reason of the future": says(_left(999)),
    "a join and no media": says(_JOIN),
    "a join of nobody": says(_TWINS),
    "a join and noise": says(_JOIN, b"\xff\xff", "x", b"", *_AFTER_JOIN),
    "a join and a leave": says(_JOIN, _left(999)),
    "a join and a huge frame": says(_JOIN, bytes(17 * 1024 * 1024)),
}


@pytest.mark.parametrize("behaviour", _BEGINNINGS.values(), ids=_BEGINNINGS.keys())
async def test_a_beginning_that_is_none_is_refused(behaviour: Behaviour, nothing_left: None) -> None:
    async with websocket_server(behaviour) as url:
        error = await assert_refused(url)
    assert str(error)


@pytest.mark.parametrize("seed", range(8))
async def test_random_beginnings_are_refused(seed: int, nothing_left: None) -> None:
    generator = random.Random(seed)
    noise = [random_message(messages.SignalResponse, generator) for _ in range(60)]
    first = _JOIN
    if seed % 2:
        join = random_message(messages.JoinResponse, generator, depth=1)
        first = messages.SignalResponse(join=join)
    async with websocket_server(says(first, *noise)) as url:
        await assert_refused(url)


# ---- a room that is connected ----


class Relay:
    """Between a client and a real server: passes everything on, and says what a test wants as the server."""

    def __init__(self, server: greenroom.Server) -> None:
        self._server = server
        self._client: web.WebSocketResponse | None = None

    async def behave(self, request: web.Request) -> web.WebSocketResponse:
        client = web.WebSocketResponse(timeout=0.1, max_msg_size=0)
        await client.prepare(request)
        self._client = client
        headers = {"Authorization": request.headers.get("Authorization", "")}
        url = self._server.http_url + request.path_qs
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(url, headers=headers, max_msg_size=0) as server,
        ):
            ways = [
                asyncio.ensure_future(_pass_on(client, server)),
                asyncio.ensure_future(_pass_on(server, client)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
        return client

    async def say(self, *frames: messages.SignalResponse | bytes | str) -> None:
        assert self._client is not None
        for frame in frames:
            if isinstance(frame, str):
                await self._client.send_str(frame)
            else:
                await self._client.send_bytes(
                    frame if isinstance(frame, bytes) else frame.SerializeToString()
                )


async def _pass_on(source: object, target: object) -> None:
    async for frame in source:  # type: ignore[attr-defined]
        if frame.type is not aiohttp.WSMsgType.BINARY:
            return
        await target.send_bytes(frame.data)  # type: ignore[attr-defined]


@pytest.fixture
async def relay(server: greenroom.Server) -> AsyncIterator[tuple[Relay, str]]:
    relay = Relay(server)
    application = web.Application()
    application.router.add_get("/rtc", relay.behave)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield relay, f"ws://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Victim:
    """A room joined through the relay, and a friend on the real server."""

    def __init__(self, relay: Relay, room: rtc.Room, events: Events, friend: rtc.Room) -> None:
        self.relay, self.room, self.events, self.friend = relay, room, events, friend

    async def hears(self, topic: str) -> None:
        """Data still comes, after everything the relay has said so far."""
        await self.friend.local_participant.publish_data(b"x", topic=topic)
        await self.events.wait("data_received", lambda packet: packet.topic == topic)


@pytest.fixture
async def victim(relay: tuple[Relay, str], rooms: Rooms) -> AsyncIterator[Victim]:
    friend, _ = await rooms.join("friend")
    room = rtc.Room()
    events = Events(room)
    await within(room.connect(relay[1], rooms.token("victim")))
    yield Victim(relay[0], room, events, friend)
    await within(room.disconnect(), 2)
    assert not room.isconnected()


_NOBODY = messages.MuteTrackRequest(sid="TR_none", muted=True)
_ABSURD = [
    messages.SignalResponse(mute=_NOBODY),
    messages.SignalResponse(track_published=messages.TrackPublishedResponse(cid="none")),
    messages.SignalResponse(track_unpublished=messages.TrackUnpublishedResponse(track_sid="TR_none")),
    messages.SignalResponse(track_subscribed=messages.TrackSubscribed(track_sid="TR_none")),
    messages.SignalResponse(request_response=messages.RequestResponse(request_id=5, reason=99)),
    messages.SignalResponse(subscription_response=messages.SubscriptionResponse(track_sid="TR_none", err=99)),
    messages.SignalResponse(update=messages.ParticipantUpdate(participants=[models.ParticipantInfo()] * 50)),
    messages.SignalResponse(
        speakers_changed=messages.SpeakersChanged(speakers=[models.SpeakerInfo(sid="PA_none")])
    ),
    messages.SignalResponse(refresh_token="\x00"),
    messages.SignalResponse(pong=-1),
]


async def test_noise_does_not_disturb_a_room(victim: Victim) -> None:
    await victim.relay.say(b"\xff", "text", b"", *_AFTER_JOIN, *_ABSURD)
    await victim.hears("after")
    assert victim.room.isconnected()
    assert victim.events.of("disconnected") == []


async def test_random_messages_leave_a_room_connected_or_end_it(victim: Victim) -> None:
    generator = random.Random(6)
    for _ in range(300):
        message = random_message(messages.SignalResponse, generator)
        if message.WhichOneof("message") not in ("leave", "reconnect"):
            await victim.relay.say(message)
    await victim.relay.say(_left(int(models.DisconnectReason.ROOM_DELETED)))
    await victim.events.wait("disconnected")


@pytest.mark.parametrize("reason", [0, 5, 999])
async def test_a_leave_for_any_reason_ends_the_room(victim: Victim, reason: int) -> None:
    await victim.relay.say(messages.SignalResponse(leave=messages.LeaveRequest(reason=reason)))
    await victim.events.wait("disconnected")
    assert not victim.room.isconnected()


async def test_a_huge_frame_costs_the_signal_connection(victim: Victim) -> None:
    with contextlib.suppress(ConnectionError):
        await victim.relay.say(bytes(17 * 1024 * 1024))
    ends = ("reconnected", "disconnected")
    await victim.events.until(lambda: bool(victim.events.names(*ends)), " or ".join(ends))
    if victim.room.isconnected():
        await victim.hears("after")

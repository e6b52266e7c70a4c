"""What the embedded server asks of LiveKit's SDKs in the middle of a session: to resume when the way of their media is dead,
and to start anew when what they say contradicts what it knows. They come back, and everything flows again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as messages
from room_tools import BLUE, Events, camera, microphone
from tcp_proxy import TcpProxy
from udp_relay import UdpRelay, server_behind_relay

from livekit import rtc

from .mirrors import SDKS, Seen, again_when_locked_up, mirror, new_room, sdks
from .servers import RoomServer
from .signal_log import signalling_logged

_TONE_HZ = 550.0

pytestmark = pytest.mark.timeout(1600)  # the first run may have to build the peer


@pytest.fixture(autouse=True)
def _all_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A test that fails prints what the server heard and said, beside what the mirrors print."""
    caplog.set_level(logging.DEBUG, "greenroom.server")
    with signalling_logged():
        yield


class Talk:
    """Our SDK and a mirror in one room, the mirror's signal connection behind a proxy."""

    def __init__(self, room: rtc.Room, proxy: TcpProxy, sdk: str) -> None:
        self.room, self.proxy, self.sdk = room, proxy, sdk
        self.events, self._seen = Events(room), Seen(room, sdk)
        self._asked = 0
        self.clients: set[Any] = set()
        """The mirror's addresses, as a relay knows them."""

    async def flows(self) -> None:
        """Sound, picture and data, there and back."""
        await self._seen.mirrored(_TONE_HZ, BLUE)
        self._asked += 1
        question = f"question {self._asked}"
        await self.room.local_participant.publish_data(question, topic="ask")
        await self.events.wait("data_received", lambda p: p.data == f"re: {question}".encode())

    async def is_back(self, count: int = 1) -> None:
        await self.events.wait("data_received", lambda p: p.topic == "back", count=count)

    def departures(self) -> list[str]:
        return self.events.names("participant_disconnected", "track_unsubscribed")


@contextlib.asynccontextmanager
async def talk(server: Any, sdk: str, folder: Path, relay: UdpRelay | None = None) -> AsyncIterator[Talk]:
    room = rtc.Room()
    name = new_room("orders")
    async with TcpProxy(server.url) as proxy, contextlib.AsyncExitStack() as stack:
        await room.connect(server.url, server.token(identity="tester", room=name))
        stack.push_async_callback(room.disconnect)
        talk = Talk(room, proxy, sdk)
        peer = mirror(server, sdk, name, folder / f"{sdk}.log", url=proxy.url)
        with relay.newcomers() if relay is not None else contextlib.nullcontext(talk.clients) as clients:
            await stack.enter_async_context(peer)
            await stack.enter_async_context(microphone(room, _TONE_HZ))
            await stack.enter_async_context(camera(room, BLUE))
            await talk.flows()
        talk.clients.update(clients)
        yield talk


async def _each(talks: list[Talk], step: Callable[[Talk], Awaitable[object]]) -> None:
    """The step of all at once."""
    done = await asyncio.gather(*map(step, talks), return_exceptions=True)
    failed = {talk.sdk: error for talk, error in zip(talks, done, strict=True) if error is not None}
    assert not failed


async def test_a_dead_way_of_media_is_resumed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of all of them at once: everybody waits for the server to notice, while signalling lives. Nobody starts anew, as
    LiveKit's Rust core does when the server's close is right behind its leave (in 46 of 70 cases on livekit-server 1.13.4)."""
    async with server_behind_relay() as (server, relay), contextlib.AsyncExitStack() as stack:
        talks = [await stack.enter_async_context(talk(server, sdk, tmp_path, relay)) for sdk in SDKS]

        async def loses_its_way(talking: Talk) -> None:
            connections = talking.proxy.connections
            relay.block(talking.clients)
            await talking.proxy.reached(connections + 1)
            relay.unblock(talking.clients)

        await _each(talks, loses_its_way)
        assert relay.dropped > 0
        await _each(talks, Talk.is_back)
        asked = [f"the media path of {t.sdk} in room {t.room.name} is failed" in caplog.text for t in talks]
        assert all(asked), caplog.text
        await _each(talks, Talk.flows)
        assert {talking.sdk: talking.departures() for talking in talks} == {sdk: [] for sdk in SDKS}


def _as_a_client_says(request: messages.SignalRequest) -> bytes:
    """In one frame of the websocket protocol, its mask of zeros (RFC 6455, 5.2)."""
    payload = request.SerializeToString()
    assert len(payload) < 126
    return bytes([0x82, 0x80 | len(payload), 0, 0, 0, 0]) + payload


_UNKNOWN_TRACK = messages.TrackPublishedResponse(cid="c", track=models.TrackInfo(sid="TR_nobodyKnows"))
_CONTRADICTION = messages.SignalRequest(sync_state=messages.SyncState(publish_tracks=[_UNKNOWN_TRACK]))


@sdks
@again_when_locked_up
async def test_a_session_that_the_server_ends_is_started_anew(
    embedded: RoomServer, sdk: str, tmp_path: Path
) -> None:
    async with talk(embedded, sdk, tmp_path) as talking:
        talking.proxy.inject(_as_a_client_says(_CONTRADICTION))
        await talking.events.wait("participant_disconnected")
        await talking.is_back()
        await talking.flows()
        assert talking.departures().count("participant_disconnected") == 1

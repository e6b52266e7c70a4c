"""livekit-client in Chromium loses the embedded server and finds it again: its signal connection is cut, the page goes offline,
the way of its media is dead, its session ends. The other side is our SDK."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from room_tools import Ear, Events, microphone, wait_for_picture
from tcp_proxy import TcpProxy
from udp_relay import RELAY_ADDRESS, UdpRelay, server_behind_relay

from livekit import rtc

from .browser import Page
from .browser.rooms import SINGLE, TWO, BrowserRooms, OpenPage, assert_quarters, card
from .servers import RoomServer

_TRACKS = [
    "trackUnsubscribed",
    "trackUnpublished",
    "participantDisconnected",
    "trackPublished",
    "trackSubscribed",
]
_LIFE = ["signalReconnecting", "reconnecting", "reconnected", "disconnected"]
modes = pytest.mark.parametrize("mode", [TWO, SINGLE], ids=["two", "single"])


class Call:
    """A browser behind a proxy, and our SDK beside it; each plays to the other, and both count what they say."""

    page: Page
    clients: set[Any]
    """The page's addresses, as a relay knows them."""
    alice: rtc.Room
    events: Events

    def __init__(self, rooms: BrowserRooms, proxy: TcpProxy) -> None:
        self.rooms, self.proxy = rooms, proxy
        self.since = 0
        self.said = 0

    async def begin(self, mode: dict[str, Any], relay: UdpRelay | None = None) -> None:
        self.alice, self.events = await self.rooms.join("alice")
        with relay.newcomers() if relay is not None else contextlib.nullcontext(set()) as self.clients:
            self.page = await self.rooms.browse("browser", url=self.proxy.url, **mode)
            await self.page.call("publishTone", 600)
            await self.page.call("publishCard", {"width": 320, "height": 180})
            await asyncio.gather(self._hear(), self._see())

    async def settle(self) -> None:
        """Both hear and see each other, and what came before is forgotten."""
        await self.talk()
        self.since = await self.page.call("eventCount")
        self.events.all.clear()

    async def talk(self) -> None:
        """Sound, picture and data, both ways."""
        assert_quarters(await self.page.call("see", "alice"), size=(640, 360))
        assert (await self.page.call("hear", "alice"))["pitch_hz"] == pytest.approx(900, abs=10)
        await asyncio.gather(self._hear(), self._see())
        self.said += 1
        await self.page.call("sendData", f"from browser {self.said}", "talk")
        await self.alice.local_participant.publish_data(f"from alice {self.said}", topic="talk")
        packets = await self.page.call("got", "packets", self.said)
        assert [packet[0] for packet in packets] == [f"from alice {n + 1}" for n in range(self.said)]
        wanted = f"from browser {self.said}".encode()
        await self.events.wait("data_received", lambda packet: packet.data == wanted)

    def _track(self, kind: int) -> Any:
        tracks = self.alice.remote_participants["browser"].track_publications.values()
        return next((p.track for p in tracks if p.kind == kind and p.track is not None), None)

    async def _hear(self) -> None:
        await self.events.until(lambda: self._track(rtc.TrackKind.KIND_AUDIO) is not None, "sound")
        stream = rtc.AudioStream(self._track(rtc.TrackKind.KIND_AUDIO))
        await Ear(stream).wait_for_tone(600)
        await stream.aclose()

    async def _see(self) -> None:
        await self.events.until(lambda: self._track(rtc.TrackKind.KIND_VIDEO) is not None, "picture")
        stream = rtc.VideoStream(self._track(rtc.TrackKind.KIND_VIDEO))
        await wait_for_picture(stream, size=(320, 180))
        await stream.aclose()

    async def happened(self, names: list[str]) -> list[str]:
        return [name for name, *_ in await self.page.call("happened", names, self.since)]

    async def assert_resumed(self) -> None:
        """The same session goes on: no track came or went, on either side."""
        await self.page.call("waitFor", "reconnected", 1, self.since)
        assert await self.happened(_TRACKS) == []
        assert await self.happened(["disconnected"]) == []
        gone = self.events.names("track_unsubscribed", "track_unpublished", "participant_disconnected")
        assert gone == []

    async def assert_smooth(self) -> None:
        """Our picture comes at its rate, and never stands still for a second."""
        await self.page.call("longestGap", "alice")
        picture = await self.page.call("receives", "alice", "camera")
        assert picture["fps"] == pytest.approx(20, rel=0.35), picture
        assert await self.page.call("longestGap", "alice") < 1000

    async def assert_restarted(self) -> None:
        """A new session: the other side saw the tracks go and come."""
        await self.page.call("waitFor", "reconnected", 1, self.since)
        assert await self.happened(["disconnected"]) == []
        await self.events.wait("track_subscribed", count=2)
        assert self.events.of("participant_disconnected")


@pytest.fixture
async def call(embedded: RoomServer, open_page: OpenPage) -> AsyncIterator[Call]:
    async with TcpProxy(embedded.url) as proxy:
        call = Call(BrowserRooms(embedded, open_page), proxy)
        yield call
        await call.rooms.leave()


@modes
async def test_a_cut_signal_connection_is_resumed(call: Call, mode: dict[str, Any]) -> None:
    await call.begin(mode)
    async with microphone(call.alice, 900), card(call.alice):
        await call.settle()
        await call.page.call("longestGap", "alice")
        for _ in range(2):
            call.since = await call.page.call("eventCount")
            call.proxy.cut()
            await call.assert_resumed()
        assert await call.page.call("longestGap", "alice") < 1000, "media goes on meanwhile"
        await call.talk()


@modes
async def test_a_page_goes_offline_and_comes_back(call: Call, mode: dict[str, Any]) -> None:
    await call.begin(mode)
    async with microphone(call.alice, 900), card(call.alice):
        await call.settle()
        call.proxy.refusing = True
        await call.page.offline(True)
        call.proxy.cut()
        await call.page.call("waitForAny", ["signalReconnecting", "reconnecting"], call.since)
        call.proxy.refusing = False
        await call.page.offline(False)
        await call.page.call("waitFor", "reconnected", 1, call.since)
        assert await call.happened(["disconnected"]) == []
        await call.talk()


async def test_a_dead_way_of_media_is_replaced(open_page: OpenPage) -> None:
    """Of a browser in each mode: signalling lives, and nothing else arrives until they resume."""
    async with server_behind_relay() as (server, relay), contextlib.AsyncExitStack() as stack:
        calls = []
        for mode in (TWO, SINGLE):
            proxy = await stack.enter_async_context(TcpProxy(server.url))
            call = Call(BrowserRooms(server, open_page), proxy)
            stack.push_async_callback(call.rooms.leave)
            await call.begin(mode, relay)
            await stack.enter_async_context(microphone(call.alice, 900))
            await stack.enter_async_context(card(call.alice))
            assert await call.page.call("usedPath") == [RELAY_ADDRESS]
            await call.settle()
            calls.append(call)

        async def loses_its_way(call: Call) -> None:
            relay.block(call.clients)
            await call.page.call("waitForAny", ["signalReconnecting", "reconnecting"], call.since)
            relay.unblock(call.clients)

        await asyncio.gather(*map(loses_its_way, calls))
        assert relay.dropped > 0
        await asyncio.gather(*(call.assert_resumed() for call in calls))
        await asyncio.gather(*(call.talk() for call in calls))
        await asyncio.gather(*(call.assert_smooth() for call in calls))


@pytest.mark.parametrize(("mode", "scenario"), [(TWO, "full-reconnect"), (SINGLE, "node-failure")])
async def test_a_session_is_started_anew(call: Call, mode: dict[str, Any], scenario: str) -> None:
    await call.begin(mode)
    async with microphone(call.alice, 900), card(call.alice):
        await call.settle()
        await call.page.call("simulate", scenario)
        await call.assert_restarted()
        await call.talk()

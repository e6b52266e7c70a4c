"""Chromium and our SDK behind a bad network: a relay that loses packets both ways, as its seed says, or a narrow one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from room_tools import Ear, Events, microphone, noise, wait_for_picture, watch
from udp_relay import RELAY_ADDRESS, UdpRelay, server_behind_relay

from livekit import rtc

from .browser.rooms import SINGLE, TWO, BrowserRooms, OpenPage, assert_quarters, card

SEED = 20_251
LOSS = 0.05
SECONDS = 4
FPS = 20
modes = pytest.mark.parametrize("mode", [TWO, SINGLE], ids=["two", "single"])


Behind = tuple[UdpRelay, BrowserRooms]


@pytest.fixture
async def behind(open_page: OpenPage) -> AsyncIterator[Behind]:
    print("seed", SEED)
    async with server_behind_relay(seed=SEED) as (server, relay):
        rooms = BrowserRooms(server, open_page)
        yield relay, rooms
        relay.loss = 0
        await rooms.leave()


@modes
async def test_losses_are_repaired_both_ways(behind: Behind, mode: dict[str, Any]) -> None:
    relay, rooms = behind
    alice, events = await rooms.join("alice")
    page = await rooms.browse("browser", **mode)
    await page.call("publishCard", {"width": 320, "height": 180, "fps": FPS})
    await page.call("publishTone", 600)
    async with microphone(alice, 900), card(alice, frames_per_second=FPS):
        assert_quarters(await page.call("see", "alice"), size=(640, 360))
        await page.call("hear", "alice")
        assert await page.call("usedPath") == [RELAY_ADDRESS]
        relay.loss = LOSS
        await page.call("longestGap", "alice")
        picture, sound, (frames, gap_s) = await asyncio.gather(
            page.call("receives", "alice", "camera", 1000 * SECONDS),
            page.call("receives", "alice", "microphone", 1000 * SECONDS),
            watch_card(events),
        )
        assert relay.lost > 50
        assert picture["nacks"] > 0, picture
        assert picture["repaired"] > 0, picture
        assert picture["fps"] == pytest.approx(FPS, rel=0.35), picture
        assert await page.call("longestGap", "alice") < 1000
        assert sound["level"] == pytest.approx(10_000 / 32_768, rel=0.3), sound
        assert sound["concealed"] < 0.2 * sound["samples"], sound
        assert frames / SECONDS == pytest.approx(FPS, rel=0.35)
        assert gap_s < 1
        track, *_ = await events.wait("track_subscribed", lambda t, *_: t.kind == rtc.TrackKind.KIND_AUDIO)
        stream = rtc.AudioStream(track)
        await Ear(stream).wait_for_tone(600)
        await stream.aclose()


async def watch_card(events: Events) -> tuple[int, float]:
    """Our SDK's side: the frames of the browser's card, and the longest time without one."""
    track, *_ = await events.wait("track_subscribed", lambda t, *_: t.kind == rtc.TrackKind.KIND_VIDEO)
    stream = rtc.VideoStream(track)
    await wait_for_picture(stream)
    seen = await watch(stream, SECONDS)
    await stream.aclose()
    return seen


async def test_a_narrow_link_gets_a_smaller_picture_that_does_not_stand_still(behind: Behind) -> None:
    """Two browsers, one in each mode, have a link each."""
    relay, rooms = behind
    alice, _ = await rooms.join("alice")
    pages = [await rooms.browse("two", **TWO), await rooms.browse("single", **SINGLE)]

    async def see(size: tuple[int, int], frames: int) -> None:
        seen = (page.call("see", "alice", "camera", {"size": size, "frames": frames}) for page in pages)
        assert None not in await asyncio.gather(*seen)

    async with noise(alice, (640, 360)):
        await see((640, 360), frames=60)
        relay.down_bps = 300_000
        await see((320, 180), frames=30)
        for page in pages:
            await page.call("longestGap", "alice")
        await see((320, 180), frames=40)
        for page in pages:
            assert await page.call("longestGap", "alice") < 1000
        relay.down_bps = 0
        await see((640, 360), frames=30)

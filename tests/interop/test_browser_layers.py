"""Simulcast with livekit-client in Chromium on the embedded server: who receives which layer, by setting and by the size of
elements; and layers that nobody watches are paused (dynacast)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
from room_tools import wait_for_picture, within

from livekit import rtc

from .browser import Page
from .browser.devices import CAMERA_FPS, CAMERA_SIZE
from .browser.rooms import SINGLE, TWO, BrowserRooms, OpenPage, card
from .room_program import QUARTERS_RGB
from .servers import RoomServer, embedded_server

# livekit-client's layers of a camera of 540 lines, and ours.
LOW, MEDIUM, HIGH = (320, 180), (640, 360), CAMERA_SIZE
CAMERA = {"resolution": {"width": CAMERA_SIZE[0], "height": CAMERA_SIZE[1]}}


@pytest.fixture(scope="module")
def server() -> Iterator[RoomServer]:
    """It pauses layers soon."""
    with embedded_server(dynacast_pause_delay_s=1) as server:
        yield server


@pytest.fixture
async def rooms(server: RoomServer, open_page: OpenPage) -> AsyncIterator[BrowserRooms]:
    rooms = BrowserRooms(server, open_page)
    yield rooms
    await rooms.leave()


async def assert_switches(page: Page, identity: str, size: tuple[int, int]) -> None:
    """The card comes in that size, and the picture never stands still for a second."""
    seen = await page.call("see", identity, "camera", {"size": size, "frames": 10})
    assert seen is not None, f"no picture of {size}: {await page.call('receives', identity, 'camera', 500)}"
    assert seen["quarters_rgb"] == pytest.approx(np.array(QUARTERS_RGB), abs=15)
    assert await page.call("longestGap", identity) < 1000


async def test_the_quality_that_a_browser_sets_is_what_it_gets(rooms: BrowserRooms) -> None:
    sender = await rooms.browse("sender")
    await sender.call("enable", "camera", True, CAMERA)
    watchers = [await rooms.browse("two", **TWO), await rooms.browse("single", **SINGLE)]
    for watcher in watchers:
        await watcher.call("see", "sender", "camera", {"size": HIGH})
        await watcher.call("longestGap", "sender")
    qualities = (("LOW", LOW), ("HIGH", HIGH), ("MEDIUM", MEDIUM), ("LOW", LOW), ("MEDIUM", MEDIUM))
    for quality, size in qualities:
        for watcher in watchers:
            await watcher.call("setQuality", "sender", "camera", quality)
        await asyncio.gather(*(assert_switches(watcher, "sender", size) for watcher in watchers))
    received = await watchers[0].call("receives", "sender", "camera", 1000)
    assert received["fps"] == pytest.approx(CAMERA_FPS, rel=0.35)


async def test_the_size_of_an_element_chooses_the_layer(rooms: BrowserRooms) -> None:
    alice, _ = await rooms.join("alice")
    watcher = await rooms.browse("watcher", adaptiveStream=True)
    async with card(alice, size=HIGH, simulcast=True, frames_per_second=CAMERA_FPS):
        await watcher.call("show", "alice", "camera", [160, 90])
        await watcher.call("see", "alice", "camera", {"size": LOW})
        await watcher.call("longestGap", "alice")
        for element, size in (((900, 500), HIGH), ((480, 270), MEDIUM), ((100, 60), LOW)):
            await watcher.call("show", "alice", "camera", element)
            await assert_switches(watcher, "alice", size)
        await watcher.call("show", "alice", "camera", None)
        await watcher.call("stopsDecoding", "alice", "camera")
        await watcher.call("show", "alice", "camera", [480, 270])
        assert await watcher.call("see", "alice", "camera", {"size": MEDIUM}) is not None


async def test_layers_that_nobody_watches_are_paused(rooms: BrowserRooms) -> None:
    sender = await rooms.browse("sender", dynacast=True)
    await sender.call("enable", "camera", True, CAMERA)
    one, two = await rooms.browse("one"), await rooms.browse("two", **TWO)
    await one.call("see", "sender", "camera", {"size": HIGH})
    await sender.call("sendsOnly", "camera", ["q", "h", "f"])
    await one.call("setQuality", "sender", "camera", "LOW")
    await two.call("setQuality", "sender", "camera", "MEDIUM")
    await sender.call("sendsOnly", "camera", ["q", "h"])
    await two.call("setSubscribed", "sender", "camera", False)
    await sender.call("sendsOnly", "camera", ["q"])
    await one.call("see", "sender", "camera", {"size": LOW})
    await one.call("longestGap", "sender")
    await one.call("setQuality", "sender", "camera", "HIGH")
    await assert_switches(one, "sender", HIGH)
    await sender.call("sendsOnly", "camera", ["q", "h", "f"])
    await one.call("setSubscribed", "sender", "camera", False)
    await sender.call("sendsOnly", "camera", [])
    await two.call("setSubscribed", "sender", "camera", True)
    assert await two.call("see", "sender", "camera", {"size": MEDIUM}) is not None


async def test_our_sdk_chooses_among_a_browsers_layers_and_pauses_its_own(rooms: BrowserRooms) -> None:
    alice, events = await rooms.join("alice", rtc.RoomOptions(dynacast=True))
    page = await rooms.browse("browser", dynacast=True, **SINGLE)
    await page.call("enable", "camera", True, CAMERA)
    track, publication, _ = await events.wait("track_subscribed")
    video = rtc.VideoStream(track)
    await wait_for_picture(video, size=HIGH)
    publication.set_video_quality(rtc.VideoQuality.VIDEO_QUALITY_LOW)
    await wait_for_picture(video, size=LOW)
    await page.call("sendsOnly", "camera", ["q"])
    publication.set_video_dimensions(*MEDIUM)
    await wait_for_picture(video, size=MEDIUM)
    await page.call("sendsOnly", "camera", ["q", "h"])
    publication.set_enabled(False)
    await page.call("sendsOnly", "camera", [])
    publication.set_enabled(True)
    await wait_for_picture(video, size=MEDIUM)
    await video.aclose()
    async with card(alice, size=HIGH, simulcast=True, frames_per_second=CAMERA_FPS) as own:
        assert await page.call("see", "alice", "camera", {"size": HIGH}) is not None
        await until_sending(own, {"q", "h", "f"})
        await page.call("setQuality", "alice", "camera", "LOW")
        await until_sending(own, {"q"})
        await page.call("longestGap", "alice")
        await page.call("setQuality", "alice", "camera", "HIGH")
        await assert_switches(page, "alice", HIGH)
        await until_sending(own, {"q", "h", "f"})


async def until_sending(track: rtc.LocalVideoTrack, rids: set[str]) -> None:
    """Exactly these layers go out."""

    async def packets_sent() -> dict[str, int]:
        reports = [
            report.outbound_rtp for report in await track.get_stats() if report.HasField("outbound_rtp")
        ]
        return {report.outbound.rid: report.sent.packets_sent for report in reports}

    async def look() -> None:
        before = await packets_sent()
        while True:
            await asyncio.sleep(0.5)
            after = await packets_sent()
            if {rid for rid in after if after[rid] > before[rid]} == rids:
                return
            before = after

    await within(look())

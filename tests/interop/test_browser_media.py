"""Camera, microphone and shared screen of livekit-client in Chromium on the embedded server: over one peer connection and
two, with our SDK and among browsers, judged by Chromium's statistics and by pixels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from room_tools import BLUE, Ear, Events, microphone, wait_for_picture, watch

from livekit import rtc

from .browser import Page
from .browser.devices import CAMERA_FPS, CAMERA_SIZE, MICROPHONE_HZ
from .browser.rooms import (
    SINGLE,
    TWO,
    BrowserRooms,
    OpenPage,
    assert_card,
    assert_painted_quarters,
    assert_quarters,
    card,
)
from .servers import RoomServer

TONE_PEAK = 10_000 / 32_768
"""Of every tone that is played here, of full scale; Chromium's energy is that of peaks."""
CAPTURE = {"resolution": {"width": CAMERA_SIZE[0], "height": CAMERA_SIZE[1]}}
AS_IT_IS = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}
modes = pytest.mark.parametrize("mode", [TWO, SINGLE], ids=["two", "single"])


@pytest.fixture
async def rooms(embedded: RoomServer, open_page: OpenPage) -> AsyncIterator[BrowserRooms]:
    rooms = BrowserRooms(embedded, open_page)
    yield rooms
    await rooms.leave()


async def track_of(events: Events, source: int) -> rtc.RemoteTrack:
    track, *_ = await events.wait("track_subscribed", lambda _, publication, __: publication.source == source)
    return track


async def assert_plays(page: Page, identity: str, *, fps: float, hz: float) -> None:
    """Sound at its pitch and level, a picture at its rate, and nothing that stands still for a second."""
    heard = await page.call("hear", identity)
    assert heard["pitch_hz"] == pytest.approx(hz, abs=10)
    await page.call("longestGap", identity)
    sound, picture = await asyncio.gather(
        page.call("receives", identity, "microphone"), page.call("receives", identity, "camera")
    )
    assert sound["level"] == pytest.approx(TONE_PEAK, rel=0.3), sound
    assert sound["samples"] > 48_000, sound
    assert picture["frames_decoded"] > fps, picture
    assert picture["fps"] == pytest.approx(fps, rel=0.35), picture
    assert picture["freeze_s"] < 1, picture
    assert await page.call("longestGap", identity) < 1000


@modes
async def test_a_browser_and_our_sdk_hear_and_see_each_other(
    rooms: BrowserRooms, mode: dict[str, Any]
) -> None:
    alice, events = await rooms.join("alice")
    page = await rooms.browse("browser", **mode)
    assert await page.call("peerConnections") == (1 if mode is SINGLE else 2)
    await page.call("enable", "microphone", True, AS_IT_IS)
    await page.call("enable", "camera", True, CAPTURE)
    tone = rtc.AudioStream(await track_of(events, rtc.TrackSource.SOURCE_MICROPHONE))
    video = rtc.VideoStream(await track_of(events, rtc.TrackSource.SOURCE_CAMERA))
    await Ear(tone).wait_for_tone(MICROPHONE_HZ)
    frame = await wait_for_picture(video, size=CAMERA_SIZE)
    assert_card(frame)
    frames, longest_pause_s = await watch(video, 2)
    assert frames / 2 == pytest.approx(CAMERA_FPS, rel=0.35)
    assert longest_pause_s < 1
    async with microphone(alice, 1000), card(alice):
        assert_quarters(await page.call("see", "alice"), size=(640, 360))
        await assert_plays(page, "alice", fps=20, hz=1000)
    await tone.aclose()
    await video.aclose()


async def test_three_browsers_hear_and_see_each_other(rooms: BrowserRooms) -> None:
    names = ("anna", "berta", "cleo")
    modes_of_them = (TWO, SINGLE, SINGLE)
    pages = [await rooms.browse(name, **mode) for name, mode in zip(names, modes_of_them, strict=True)]
    for number, page in enumerate(pages):
        await page.call("publishTone", 500 + 200 * number)
        await page.call("publishCard", {"turned": number, "width": 320, "height": 180, "fps": 15})

    async def judge(page: Page, number: int) -> None:
        seen = await page.call("see", names[number])
        assert_painted_quarters(seen, turned=number, size=(320, 180))
        await assert_plays(page, names[number], fps=15, hz=500 + 200 * number)

    await asyncio.gather(*(judge(page, n) for own, page in enumerate(pages) for n in range(3) if n != own))

    async def falls_silent(page: Page) -> None:
        for source in ("microphone", "camera"):
            await page.call("isMuted", "anna", source, True)
        assert (await page.call("hear", "anna", {"loud": False}))["level"] < 0.001
        assert (await page.call("receives", "anna", "camera", 500))["frames_decoded"] == 0

    for source in ("microphone", "camera"):
        await pages[0].call("enable", source, False)
    await asyncio.gather(*map(falls_silent, pages[1:]))
    for source in ("microphone", "camera"):
        await pages[0].call("enable", source)
    await asyncio.gather(*(judge(page, 0) for page in pages[1:]))


async def test_our_screen_is_seen_in_a_browser_beside_our_camera(rooms: BrowserRooms) -> None:
    alice, _ = await rooms.join("alice")
    page = await rooms.browse("browser")
    screen = card(alice, size=(1280, 720), source=rtc.TrackSource.SOURCE_SCREENSHARE)
    async with card(alice), screen:
        assert_quarters(await page.call("see", "alice", "camera"), size=(640, 360))
        assert_quarters(await page.call("see", "alice", "screen_share"), size=(1280, 720))
        picture = await page.call("receives", "alice", "screen_share")
        assert picture["fps"] == pytest.approx(20, rel=0.35), picture
        assert picture["freeze_s"] < 1, picture


async def test_a_shared_screen_is_seen_beside_the_camera(rooms: BrowserRooms) -> None:
    alice, events = await rooms.join("alice")
    sharing = await rooms.browse("sharing", **SINGLE)
    watching = await rooms.browse("watching", **TWO)
    await sharing.call("publishCard")
    await sharing.call("colourPage", "rgb(40, 40, 200)")
    await sharing.call("enable", "screen_share", True, {"audio": True})
    assert_painted_quarters(await watching.call("see", "sharing", "camera"), size=(640, 360))
    shared = await watching.call("see", "sharing", "screen_share")
    assert (shared["width"], shared["height"]) == (1280, 720)
    assert shared["quarters_rgb"] == pytest.approx(np.array([BLUE] * 4), abs=30)
    picture = await watching.call("receives", "sharing", "screen_share")
    assert picture["frames_decoded"] > 5, picture
    assert picture["freeze_s"] < 1, picture
    track = await track_of(events, rtc.TrackSource.SOURCE_SCREENSHARE)
    video = rtc.VideoStream(track)
    await wait_for_picture(video, BLUE, (1280, 720))
    sources = {p.source for p in alice.remote_participants["sharing"].track_publications.values()}
    assert rtc.TrackSource.SOURCE_SCREENSHARE in sources
    start = await watching.call("eventCount")
    await sharing.call("enable", "screen_share", False)
    await watching.call("waitFor", "trackUnpublished", 1, start)
    await events.wait("track_unsubscribed", lambda _, p, __: p.source == rtc.TrackSource.SOURCE_SCREENSHARE)
    await video.aclose()
    assert_painted_quarters(await watching.call("see", "sharing", "camera"), size=(640, 360))


@modes
async def test_muting_is_seen_and_heard_on_the_other_side(rooms: BrowserRooms, mode: dict[str, Any]) -> None:
    _, events = await rooms.join("alice")
    page = await rooms.browse("browser", **mode)
    await page.call("enable", "microphone", True, AS_IT_IS)
    await page.call("enable", "camera", True, CAPTURE)
    tone = rtc.AudioStream(await track_of(events, rtc.TrackSource.SOURCE_MICROPHONE))
    video = rtc.VideoStream(await track_of(events, rtc.TrackSource.SOURCE_CAMERA))
    ear = Ear(tone)
    for count in (2, 4):
        await ear.wait_for_tone(MICROPHONE_HZ)
        await wait_for_picture(video, size=CAMERA_SIZE)
        await page.call("enable", "microphone", False)
        await page.call("enable", "camera", False)
        await events.wait("track_muted", count=count)
        await ear.wait_for_silence()
        await page.call("enable", "microphone")
        await page.call("enable", "camera")
        await events.wait("track_unmuted", count=count)
    await ear.wait_for_tone(MICROPHONE_HZ)
    await wait_for_picture(video, size=CAMERA_SIZE)
    assert events.names("track_unsubscribed", "track_unpublished") == []
    await tone.aclose()
    await video.aclose()


@modes
async def test_our_muting_is_seen_and_heard_in_the_browser(rooms: BrowserRooms, mode: dict[str, Any]) -> None:
    alice, _ = await rooms.join("alice")
    page = await rooms.browse("browser", **mode)
    async with microphone(alice, 1000) as (_, sound), card(alice) as picture:
        await assert_seen_and_heard(page)
        for track, source in ((sound, "microphone"), (picture, "camera")):
            track.mute()
            await page.call("isMuted", "alice", source, True)
        assert (await page.call("hear", "alice", {"loud": False}))["level"] < 0.001
        assert (await page.call("receives", "alice", "camera", 500))["frames_decoded"] == 0
        for track, source in ((sound, "microphone"), (picture, "camera")):
            track.unmute()
            await page.call("isMuted", "alice", source, False)
        await assert_seen_and_heard(page)
    assert await page.call("happened", ["trackUnsubscribed"]) == []


async def assert_seen_and_heard(page: Page) -> None:
    assert_quarters(await page.call("see", "alice"), size=(640, 360))
    assert (await page.call("hear", "alice"))["pitch_hz"] == pytest.approx(1000, abs=10)

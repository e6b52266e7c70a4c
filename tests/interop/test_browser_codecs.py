"""VP9 and AV1 of livekit-client in Chromium, and the backup codec for those who can't receive them: a browser that publishes
one sends VP8 too, once somebody needs it. On the embedded server, and on livekit-server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from room_tools import wait_for_picture, within

from livekit import rtc

from .browser import Page
from .browser.rooms import SINGLE, TWO, BrowserRooms, OpenPage, assert_card, assert_painted_quarters

# No sizes are asked for: on a busy machine Chromium makes what it encodes smaller.
LOW = (320, 180)
CARD = {"fps": 10, "backupCodec": True, "simulcast": True}


@pytest.fixture
async def rooms(request: pytest.FixtureRequest, open_page: OpenPage) -> AsyncIterator[BrowserRooms]:
    rooms = BrowserRooms(request.getfixturevalue(request.param), open_page)
    yield rooms
    await rooms.leave()


async def assert_untroubled(page: Page) -> None:
    troubles = ("reconnecting", "signalReconnecting", "disconnected", "localTrackUnpublished")
    assert await page.call("happened", troubles) == []


@pytest.mark.parametrize("rooms", ["embedded"], indirect=True)
@pytest.mark.parametrize(("codec", "mode"), [("vp9", TWO), ("av1", SINGLE)], ids=["vp9", "av1"])
async def test_browsers_see_what_a_browser_publishes(
    rooms: BrowserRooms, codec: str, mode: dict[str, bool]
) -> None:
    sender = await rooms.browse("sender", **mode)
    watcher = await rooms.browse("watcher", **mode)
    await sender.call("publishCard", {**CARD, "videoCodec": codec})
    assert_painted_quarters(await watcher.call("see", "sender", "camera", {"frames": 10}))
    await watcher.call("longestGap", "sender")
    received = await watcher.call("receives", "sender", "camera", 2000)
    assert received["codec"] == f"video/{codec.upper()}"
    assert received["frames_decoded"] > 0
    assert await watcher.call("longestGap", "sender") < 1000
    await assert_untroubled(sender)


@pytest.mark.parametrize(
    ("rooms", "codec", "single"),
    [
        ("livekit", "vp9", True),
        ("embedded", "vp9", True),
        ("embedded", "vp9", False),
        ("embedded", "av1", True),
    ],
    indirect=["rooms"],
)
async def test_our_sdk_gets_the_backup_codec(
    rooms: BrowserRooms, codec: str, single: bool, request: pytest.FixtureRequest
) -> None:
    sender = await rooms.browse("sender")
    watcher = await rooms.browse("watcher")
    sid = await sender.call("publishCard", {**CARD, "videoCodec": codec})
    await watcher.call("see", "sender", "camera", {})
    us, events = await rooms.join("us", rtc.RoomOptions(single_peer_connection=single))
    track, publication, _ = await events.wait("track_subscribed")
    assert publication.sid == sid
    assert events.of("track_subscription_failed") == []
    video = rtc.VideoStream(track)
    assert_card(await wait_for_picture(video), tolerance=50)
    if "livekit" not in request.node.callspec.id:  # it lets everybody have the backup codec then
        assert (await watcher.call("receives", "sender", "camera", 1000))["codec"] == f"video/{codec.upper()}"
    publication.set_video_quality(rtc.VideoQuality.VIDEO_QUALITY_LOW)
    await wait_for_picture(video, size=LOW)
    await sender.call("enable", "camera", False)
    await events.wait("track_muted")
    await sender.call("enable", "camera", True)
    await events.wait("track_unmuted")
    await wait_for_picture(video, size=LOW)
    await assert_untroubled(sender)
    await sender.call("unpublish", "camera")
    await events.wait("track_unsubscribed")
    assert us.isconnected()
    await within(video.aclose())


@pytest.mark.parametrize("rooms", ["embedded"], indirect=True)
async def test_the_backup_codec_comes_again_after_losses_of_connection(rooms: BrowserRooms) -> None:
    sender = await rooms.browse("sender")
    _, events = await rooms.join("us")
    await sender.call("publishCard", {**CARD, "videoCodec": "vp9"})
    track, *_ = await events.wait("track_subscribed")
    video = rtc.VideoStream(track)
    await wait_for_picture(video)
    since = await sender.call("eventCount")
    await sender.call("simulate", "signal-reconnect")
    await sender.call("waitFor", "reconnected", 1, since)
    assert_card(await wait_for_picture(video), tolerance=50)
    assert await sender.call("happened", ["restarting", "localTrackUnpublished"]) == []
    await within(video.aclose())
    await sender.call("simulate", "full-reconnect")
    track, *_ = await events.wait("track_subscribed", count=2)
    video = rtc.VideoStream(track)
    assert_card(await wait_for_picture(video), tolerance=50)
    assert events.of("track_subscription_failed") == []
    await within(video.aclose())

"""Pictures as they are seen: codecs, sizes, mutes and layers."""

from __future__ import annotations

import pytest
from room_tools import BLUE, GREEN, RED, Rooms, camera, running, show, wait_for_picture, within

from livekit import rtc

CAMERA = rtc.TrackSource.SOURCE_CAMERA


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_the_picture_arrives(rooms: Rooms, codec: str) -> None:
    _, events = await rooms.join("viewer")
    sender, _ = await rooms.join("sender")
    async with camera(sender, BLUE, (480, 270), codec):
        track, publication, _who = await events.wait("track_subscribed")
        assert publication.mime_type.lower() == f"video/{codec.lower()}"
        assert (publication.width, publication.height) == (480, 270)
        stream = rtc.VideoStream(track)
        await wait_for_picture(stream, BLUE, (480, 270))
        await stream.aclose()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_muting_a_picture_stops_it_and_unmuting_resumes_it(rooms: Rooms, codec: str) -> None:
    _, events = await rooms.join("viewer")
    sender, _ = await rooms.join("sender")
    async with camera(sender, GREEN, codec=codec) as (_, track):
        stream = rtc.VideoStream((await events.wait("track_subscribed"))[0])
        await wait_for_picture(stream, GREEN, (320, 240))
        for count in (1, 2):
            track.mute()
            await events.wait("track_muted", count=count)
            track.unmute()
            await events.wait("track_unmuted", count=count)
            await wait_for_picture(stream, GREEN, (320, 240))
        await stream.aclose()


async def test_a_late_joiner_gets_the_picture(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    early, early_events = await rooms.join("early")
    async with camera(sender, RED):
        first = rtc.VideoStream((await early_events.wait("track_subscribed"))[0])
        await wait_for_picture(first, RED)
        for number in range(3):
            _, events = await rooms.join(f"late-{number}")
            stream = rtc.VideoStream((await events.wait("track_subscribed"))[0])
            await wait_for_picture(stream, RED, limit_s=6)
            await stream.aclose()
        await first.aclose()
    assert early.isconnected()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_layers_of_simulcast_can_be_chosen(rooms: Rooms, codec: str) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("viewer")
    async with camera(sender, RED, (1280, 720), codec, simulcast=True):
        track, publication, _who = await events.wait("track_subscribed")
        assert publication.simulcasted
        stream = rtc.VideoStream(track)
        await wait_for_picture(stream, RED, (1280, 720))
        for quality, size in (
            (rtc.VideoQuality.VIDEO_QUALITY_LOW, (320, 180)),
            (rtc.VideoQuality.VIDEO_QUALITY_HIGH, (1280, 720)),
        ):
            publication.set_video_quality(quality)
            await wait_for_picture(stream, RED, size)
        await stream.aclose()


async def test_pictures_may_change_their_size(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("viewer")
    source = rtc.VideoSource(320, 240)
    options = rtc.TrackPublishOptions(source=CAMERA, simulcast=False)
    await within(
        sender.local_participant.publish_track(
            rtc.LocalVideoTrack.create_video_track("card", source), options
        )
    )
    stream = None
    for size, colour in (((320, 240), RED), ((240, 320), BLUE), ((401, 301), GREEN), ((160, 90), RED)):
        async with running(show(source, *size, colour)):
            if stream is None:
                stream = rtc.VideoStream((await events.wait("track_subscribed"))[0])
            frame = await wait_for_picture(stream, colour)
            assert frame.width / frame.height == pytest.approx(size[0] / size[1], rel=0.03)
    assert stream is not None
    await stream.aclose()
    await source.aclose()

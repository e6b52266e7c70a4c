"""Subscribing and unsubscribing, and streams that follow a participant."""

from __future__ import annotations

import asyncio

import pytest
from room_tools import GREEN, RED, Ear, Rooms, camera, microphone, wait_for_picture, within

from livekit import rtc

MICROPHONE = rtc.TrackSource.SOURCE_MICROPHONE
CAMERA = rtc.TrackSource.SOURCE_CAMERA


async def test_unsubscribing_ends_the_stream_and_subscribing_starts_a_new_one(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("viewer")
    async with camera(sender, RED):
        for count in (1, 2, 3):
            track, publication, _who = await events.wait("track_subscribed", count=count)
            stream = rtc.VideoStream(track)
            await wait_for_picture(stream, RED)
            publication.set_subscribed(False)
            await events.wait("track_unsubscribed", count=count)
            assert publication.track is None
            async for _event in stream:
                pass
            await stream.aclose()
            publication.set_subscribed(True)
        await events.wait("track_subscribed", count=4)
    assert "track_unpublished" not in events.names()[: events.names().index("track_subscribed")]


async def test_without_auto_subscribe_nothing_comes_until_asked_for(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("viewer", rtc.RoomOptions(auto_subscribe=False))
    async with camera(sender, RED) as (video, _), microphone(sender) as (audio, _):
        await events.wait("track_published", count=2)
        wanted = (await events.wait("track_published", lambda p, w: p.sid == video.sid))[0]
        assert not wanted.subscribed
        assert wanted.track is None
        wanted.set_subscribed(True)
        track, publication, _who = await events.wait("track_subscribed")
        assert publication is wanted
        stream = rtc.VideoStream(track)
        await wait_for_picture(stream, RED)
        await stream.aclose()
        assert [args[1].sid for args in events.of("track_subscribed")] == [video.sid]
        assert audio.sid != video.sid


async def test_a_stream_follows_a_participant(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    viewer, events = await rooms.join("viewer")
    stream = rtc.AudioStream.from_participant(
        participant=viewer.remote_participants["sender"], track_source=MICROPHONE
    )
    ear = Ear(stream)
    for count, hz in enumerate((600, 1100), 1):
        async with microphone(sender, hz) as (publication, _):
            await ear.wait_for_tone(hz)
            await sender.local_participant.unpublish_track(publication.sid)
            await events.wait("track_unpublished", count=count)
    await sender.disconnect()

    async def drain() -> None:
        async for _event in stream:
            pass

    await within(drain())
    await stream.aclose()


@pytest.mark.parametrize("has_track", [False, True])
async def test_a_stream_that_follows_a_participant_ends_with_the_room(rooms: Rooms, has_track: bool) -> None:
    sender, _ = await rooms.join("sender")
    viewer, events = await rooms.join("viewer")
    stream = rtc.VideoStream.from_participant(
        participant=viewer.remote_participants["sender"], track_source=CAMERA
    )

    async def drain() -> None:
        async for _event in stream:
            pass

    reading = asyncio.ensure_future(drain())
    await asyncio.sleep(0)
    if has_track:
        async with camera(sender):
            await events.wait("track_subscribed")
            await viewer.disconnect()
    else:
        await viewer.disconnect()
    await within(reading)
    await stream.aclose()


async def test_changing_ones_mind_quickly_ends_where_it_should(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("viewer")
    async with camera(sender, GREEN):
        publication = (await events.wait("track_subscribed"))[1]
        for wanted in (False, True, False, True, False, True):
            publication.set_subscribed(wanted)
            await asyncio.sleep(0)
        await events.until(lambda: publication.track is not None, "a track")
        # A subscription that is still being undone must not be what the picture is judged on.
        publication.set_subscribed(False)
        await events.until(lambda: publication.track is None, "no track")
        publication.set_subscribed(True)
        await events.until(lambda: publication.track is not None, "a track")
        stream = rtc.VideoStream(publication.track)
        await wait_for_picture(stream, GREEN)
        await stream.aclose()

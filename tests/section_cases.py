"""Media sections that are used again: cases that hold on every server. `server` is the fixture that makes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from room_tools import (
    GREEN,
    RED,
    Ear,
    Rooms,
    camera,
    flat,
    microphone,
    running,
    show,
    wait_for_picture,
    within,
)

from greenroom.signalling.sdp import parse
from livekit import rtc

pytestmark = pytest.mark.usefixtures("nothing_left")

CYCLES = 50
LOOK_EVERY = 10


@pytest.fixture(params=[True, False], ids=["one-connection", "two-connections"])
def options(request: pytest.FixtureRequest) -> rtc.RoomOptions:
    return rtc.RoomOptions(single_peer_connection=request.param)


@pytest.fixture
async def rooms(nothing_left: None, server: Any) -> AsyncIterator[Rooms]:
    rooms = Rooms(server)
    yield rooms
    await rooms.leave()


def sections(room: rtc.Room) -> tuple[int, int]:
    """How many the descriptions have that we publish with and that we receive with."""
    connections = room._session.connections  # type: ignore[union-attr]
    received, _ = connections.described()
    published = connections.publisher.last_offer
    return tuple(0 if d is None else len(parse(d.sdp).media) for d in (published, received))  # type: ignore[return-value]


async def test_tracks_that_come_and_go_use_the_same_sections(rooms: Rooms, options: rtc.RoomOptions) -> None:
    anna, _ = await rooms.join("anna", options)
    bob, heard = await rooms.join("bob", options)
    source = rtc.VideoSource(320, 240)
    first: list[tuple[int, int]] = []
    async with running(show(source, 320, 240, RED)):
        for number in range(1, CYCLES + 1):
            track = rtc.LocalVideoTrack.create_video_track("card", source)
            publication = await within(anna.local_participant.publish_track(track))
            remote, *_ = await heard.wait("track_subscribed", count=number)
            if number % LOOK_EVERY in (1, 2):
                stream = rtc.VideoStream(remote)
                await wait_for_picture(stream, RED)
                await stream.aclose()
            first = first or [sections(anna), sections(bob)]
            await within(anna.local_participant.unpublish_track(publication.sid))
            await heard.wait("track_unsubscribed", count=number)
    await source.aclose()
    grown = [after - before for then, now in zip(first, [sections(anna), sections(bob)], strict=True)
             for before, after in zip(then, now, strict=True)]  # fmt: skip
    assert max(grown) <= 1, "one more when a track came before the end of the last was negotiated"


async def test_a_section_carries_another_kind_of_picture_the_next_time(
    rooms: Rooms, options: rtc.RoomOptions
) -> None:
    anna, _ = await rooms.join("anna", options)
    _, heard = await rooms.join("bob", options)
    shown = [("VP8", True, RED), ("VP8", False, GREEN), ("H264", False, RED), ("VP8", True, GREEN)]
    for number, (codec, simulcast, colour) in enumerate(shown, 1):
        async with camera(anna, colour, (960, 540), codec, simulcast) as (publication, _track):
            remote, *_ = await heard.wait("track_subscribed", count=number)
            stream = rtc.VideoStream(remote)
            # Which layer comes is the bandwidth estimate's choice; a single one comes as it was sent.
            await wait_for_picture(stream, colour, None if simulcast else (960, 540))
            await stream.aclose()
            await within(anna.local_participant.unpublish_track(publication.sid))
            await heard.wait("track_unsubscribed", count=number)


async def test_sound_goes_on_in_a_section_used_again(rooms: Rooms, options: rtc.RoomOptions) -> None:
    anna, _ = await rooms.join("anna", options)
    _, heard = await rooms.join("bob", options)
    for number, hz in enumerate((600, 900, 1200), 1):
        async with microphone(anna, hz) as (publication, _track):
            remote, *_ = await heard.wait("track_subscribed", count=number)
            stream = rtc.AudioStream(remote)
            await Ear(stream).wait_for_tone(hz)
            await stream.aclose()
            await within(anna.local_participant.unpublish_track(publication.sid))
            await heard.wait("track_unsubscribed", count=number)


async def test_a_track_is_unsubscribed_and_subscribed_again(rooms: Rooms, options: rtc.RoomOptions) -> None:
    anna, _ = await rooms.join("anna", options)
    _, heard = await rooms.join("bob", options)
    async with camera(anna, RED):
        for number in range(1, 4):
            remote, publication, _ = await heard.wait("track_subscribed", count=number)
            stream = rtc.VideoStream(remote)
            await wait_for_picture(stream, RED)
            await stream.aclose()
            publication.set_subscribed(False)
            await heard.wait("track_unsubscribed", count=number)
            publication.set_subscribed(True)


async def test_more_tracks_than_sections_offered_with_the_join(
    rooms: Rooms, options: rtc.RoomOptions
) -> None:
    anna, _ = await rooms.join("anna", options)
    sources = [rtc.VideoSource(64, 64) for _ in range(6)]
    tracks = [rtc.LocalVideoTrack.create_video_track(f"card {n}", s) for n, s in enumerate(sources)]
    before, after = tracks[:5], tracks[5:]
    for track in before:
        await within(anna.local_participant.publish_track(track, rtc.TrackPublishOptions(simulcast=False)))
    _, heard = await rooms.join("bob", options)
    await heard.wait("track_subscribed", count=5)
    for track in after:
        await within(anna.local_participant.publish_track(track, rtc.TrackPublishOptions(simulcast=False)))
    await heard.wait("track_subscribed", count=6)
    subscribed = [args[0] for args in heard.of("track_subscribed")]

    async def look(track: rtc.RemoteVideoTrack) -> None:
        stream = rtc.VideoStream(track)
        await wait_for_picture(stream, GREEN)
        await stream.aclose()

    async def show_all() -> None:
        while True:
            for source in sources:
                source.capture_frame(flat(64, 64, GREEN))
            await asyncio.sleep(0.05)

    async with running(show_all()):
        await asyncio.gather(*(look(track) for track in subscribed))
    for source in sources:
        await source.aclose()

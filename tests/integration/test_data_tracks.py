"""Data tracks through the embedded server, with real connections."""

from __future__ import annotations

import asyncio

import pytest
from room_tools import Events, Rooms, within

from livekit import rtc

pytestmark = pytest.mark.usefixtures("nothing_left")


async def pair(rooms: Rooms) -> tuple[rtc.Room, Events, rtc.Room, Events]:
    publisher, publisher_events = await rooms.join("publisher")
    listener, listener_events = await rooms.join("listener")
    await publisher_events.wait("participant_active")
    return publisher, publisher_events, listener, listener_events


async def subscribed(
    local: rtc.LocalDataTrack, remote: rtc.RemoteDataTrack, **options: int
) -> rtc.DataTrackStream:
    """A stream that receives: the first frames may go before the server knows of the subscription."""
    stream = remote.subscribe(**options)
    first = asyncio.ensure_future(stream.read())
    while not first.done():
        local.try_push(rtc.DataTrackFrame(b"are you there?"))
        await asyncio.wait([first], timeout=0.02)
    return stream


async def read_from(stream: rtc.DataTrackStream, first: bytes) -> rtc.DataTrackFrame:
    """The next frame that begins with `first`."""
    async for frame in stream:
        if frame.payload.startswith(first):
            return frame
    raise AssertionError("the stream ended")


async def test_frames_reach_those_who_subscribed(rooms: Rooms) -> None:
    publisher, _, listener, events = await pair(rooms)
    track = await publisher.local_participant.publish_data_track(name="positions")
    (remote,) = await events.wait("data_track_published")
    assert remote.info == track.info
    assert remote.info.sid.startswith("DTR_")
    assert (remote.info.name, remote.info.uses_e2ee) == ("positions", False)
    assert remote.publisher_identity == "publisher"
    assert listener.remote_participants["publisher"].data_tracks == [remote]

    stream = await subscribed(track, remote)
    second = remote.subscribe(buffer_size=2)
    large = bytes(range(256)) * 400
    track.try_push(rtc.DataTrackFrame(b"tick", user_timestamp=2**63 + 5))
    track.try_push(rtc.DataTrackFrame(large))
    track.try_push(rtc.DataTrackFrame(b"end"))
    assert await within(read_from(stream, b"tick")) == rtc.DataTrackFrame(b"tick", 2**63 + 5)
    assert (await within(read_from(stream, large[:4]))).payload == large
    assert (await within(read_from(stream, b"end"))).user_timestamp is None
    # The other stream keeps two frames, the newest. It gets each frame after the first stream.
    track.try_push(rtc.DataTrackFrame(b"more"))
    await within(read_from(stream, b"more"))
    assert second.dropped_frames >= 1
    assert (await within(second.read())).payload in (large, b"end")
    second.close()
    assert await within(second.read()) is None

    await track.unpublish()
    assert not track.is_published()
    assert await events.wait("data_track_unpublished") == (remote.info.sid,)
    assert not remote.is_published()
    assert await within(stream.read()) is None
    with pytest.raises(rtc.PushFrameError, match="track unpublished"):
        track.try_push(rtc.DataTrackFrame(b"too late"))


async def test_a_track_is_announced_to_those_who_join_later(rooms: Rooms) -> None:
    publisher, _ = await rooms.join("publisher")
    track = await publisher.local_participant.publish_data_track(name="positions")
    listener, events = await rooms.join("listener")
    (remote,) = await events.wait("data_track_published")
    stream = await subscribed(track, remote)
    track.try_push(rtc.DataTrackFrame(b""))
    assert await within(read_from(stream, b"")) is not None
    stream.close()
    # Subscribed anew, it flows anew.
    again = await subscribed(track, remote)
    await publisher.disconnect()
    assert await events.wait("data_track_unpublished") == (remote.info.sid,)
    while await within(again.read()) is not None:
        pass
    assert listener.isconnected()


async def test_refusals_say_why(rooms: Rooms) -> None:
    publisher, _ = await rooms.join("publisher")
    local = publisher.local_participant
    await local.publish_data_track(name="taken")
    with pytest.raises(rtc.participant.PublishDataTrackError, match="Track name already taken"):
        await local.publish_data_track(name="taken")
    with pytest.raises(rtc.participant.PublishDataTrackError, match="Track name invalid"):
        await local.publish_data_track(name="")
    mute, _ = await rooms.join("mute", can_publish_data=False)
    with pytest.raises(rtc.participant.PublishDataTrackError, match="unauthorized"):
        await mute.local_participant.publish_data_track(name="mine")
    track = await local.publish_data_track(name="large")
    with pytest.raises(rtc.PushFrameError, match="larger than"):
        track.try_push(rtc.DataTrackFrame(bytes(3_000_000)))


async def test_more_than_the_connection_takes_is_counted_or_refused(rooms: Rooms) -> None:
    publisher, _ = await rooms.join("publisher")
    local = publisher.local_participant
    track = await local.publish_data_track(name="flood")
    for _ in range(500):
        track.try_push(rtc.DataTrackFrame(bytes(200_000)))
    assert local.dropped_data_track_frames > 0

    def push_many() -> None:
        for _ in range(100_000):
            track.try_push(rtc.DataTrackFrame(b"small"))

    with pytest.raises(rtc.PushFrameError, match="queue full"):
        push_many()
    assert local.dropped_lossy_packets == 0

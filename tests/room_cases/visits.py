"""Joining, what a visit tells the others, and leaving."""

from __future__ import annotations

import asyncio
from typing import Any

from room_tools import Events, Rooms, camera, microphone, within

from livekit import rtc

CAMERA = rtc.TrackSource.SOURCE_CAMERA


async def test_events_of_a_visit_come_in_order(rooms: Rooms) -> None:
    watcher, events = await rooms.join("watcher")
    visitor, visited = await rooms.join("visitor")
    async with microphone(visitor) as (publication, track):
        await events.wait("track_subscribed")
        track.mute()
        await events.wait("track_muted")
        track.unmute()
        await events.wait("track_unmuted")
        await visitor.local_participant.unpublish_track(publication.sid)
        await events.wait("track_unpublished")
    await visitor.disconnect()
    await events.wait("participant_disconnected")
    core = (
        "connection_state_changed", "connected", "participant_connected", "participant_disconnected",
        "track_published", "track_subscribed", "track_muted", "track_unmuted", "track_unsubscribed",
        "track_unpublished", "disconnected",
    )  # fmt: skip
    assert events.names(*core) == [
        "connection_state_changed", "connected", "participant_connected", "track_published",
        "track_subscribed", "track_muted", "track_unmuted", "track_unsubscribed", "track_unpublished",
        "participant_disconnected",
    ]  # fmt: skip
    local = (
        "local_track_published",
        "local_track_subscribed",
        "local_track_unpublished",
        "track_muted",
        "track_unmuted",
    )
    assert [name for name in visited.names(*local) if name != "local_track_subscribed"] == [
        "local_track_published", "track_muted", "track_unmuted", "local_track_unpublished",
    ]  # fmt: skip
    assert watcher.remote_participants == {}
    assert visited.names("connection_state_changed", "disconnected")[-2:] == [
        "connection_state_changed",
        "disconnected",
    ]


async def test_what_exists_at_join_is_there_when_connect_returns(rooms: Rooms) -> None:
    first, _ = await rooms.join("first")
    _, witness = await rooms.join("witness")
    async with microphone(first) as (audio, _), camera(first) as (video, _):
        await witness.wait("track_subscribed", count=2)
        second = rtc.Room()
        events = Events(second)
        await second.connect(rooms.server.url, rooms.token("second"))
        try:
            there = second.remote_participants["first"]
            assert set(there.track_publications) == {audio.sid, video.sid}
            assert there.track_publications[video.sid].source == CAMERA
            assert there.track_publications[video.sid].mime_type.lower() == "video/vp8"
            assert events.names("participant_connected", "track_published", "track_subscribed") == []
            assert second.isconnected()
            assert second.connection_state == rtc.ConnectionState.CONN_CONNECTED
            assert await within(second.sid) == await within(first.sid)
            assert second.name == rooms.name
            await events.wait("track_subscribed", count=2)
            assert "participant_connected" not in events.names()
            assert "track_published" not in events.names()
        finally:
            await second.disconnect()


async def test_disconnected_comes_once_with_the_reason(rooms: Rooms) -> None:
    room, events = await rooms.join("one")
    await asyncio.gather(room.disconnect(), room.disconnect())
    await room.disconnect()
    assert events.of("disconnected") == [(rtc.DisconnectReason.CLIENT_INITIATED,)]
    assert events.of("connection_state_changed")[-1] == (rtc.ConnectionState.CONN_DISCONNECTED,)
    assert not room.isconnected()


async def test_a_room_can_be_joined_again(rooms: Rooms) -> None:
    room, events = await rooms.join("again")
    await room.disconnect()
    await within(room.connect(rooms.server.url, rooms.token("again")))
    await events.wait("connected", count=2)
    other, other_events = await rooms.join("other")
    await within(room.local_participant.publish_data(b"back"))
    await other_events.wait("data_received", lambda packet: packet.data == b"back")
    await room.disconnect()
    assert len(events.of("disconnected")) == 2
    assert other.isconnected()


async def test_the_same_identity_again_puts_the_first_out(rooms: Rooms) -> None:
    watcher, watched = await rooms.join("watcher")
    first, events = await rooms.join("twin")
    sid = first.local_participant.sid
    await watched.wait("participant_connected")
    second, _ = await rooms.join("twin")
    assert await events.wait("disconnected") == (rtc.DisconnectReason.DUPLICATE_IDENTITY,)
    assert not first.isconnected()
    await watched.wait("participant_connected", count=2)
    assert watched.names("participant_connected", "participant_disconnected") == [
        "participant_connected", "participant_disconnected", "participant_connected",
    ]  # fmt: skip
    assert watcher.remote_participants["twin"].sid == second.local_participant.sid != sid
    assert len(events.of("disconnected")) == 1


async def test_leaving_with_everything_running_leaves_nothing(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    viewer, events = await rooms.join("viewer")
    async with microphone(sender), camera(sender):
        await events.wait("track_subscribed", count=2)
        streams = [
            rtc.AudioStream(t) if t.kind == rtc.TrackKind.KIND_AUDIO else rtc.VideoStream(t)
            for t, _p, _w in events.of("track_subscribed")
        ]

        async def read(stream: Any) -> int:
            return len([event async for event in stream])

        readers = [asyncio.ensure_future(read(stream)) for stream in streams]
        await asyncio.gather(viewer.disconnect(), sender.disconnect())
        await within(asyncio.gather(*readers))
        for stream in streams:
            await stream.aclose()

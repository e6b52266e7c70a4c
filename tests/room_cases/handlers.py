"""Handlers of events: when they run, what they may do, and what becomes of those that fail."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from room_tools import RED, Rooms, camera, microphone, within

from livekit import rtc


async def test_state_is_changed_before_the_handler_runs(rooms: Rooms) -> None:
    watcher, events = await rooms.join("watcher")
    seen: dict[str, Any] = {}

    def subscribed(
        track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        known = watcher.remote_participants[who.identity].track_publications[publication.sid]
        seen["subscribed"] = (known.track is track, known.subscribed, track.sid == publication.sid)

    def unsubscribed(track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, who: object) -> None:
        seen["unsubscribed"] = (
            publication.track,
            publication.subscribed,
            isinstance(track, rtc.RemoteAudioTrack),
        )

    def muted(_who: rtc.Participant, publication: rtc.TrackPublication) -> None:
        seen["muted"] = (publication.muted, publication.track.muted)

    def unpublished(publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        seen["unpublished"] = publication.sid in who.track_publications

    def left(who: rtc.RemoteParticipant) -> None:
        seen["left"] = (who.identity in watcher.remote_participants, watcher.isconnected())

    for name, handler in {
        "track_subscribed": subscribed, "track_unsubscribed": unsubscribed, "track_muted": muted,
        "track_unpublished": unpublished, "participant_disconnected": left,
    }.items():  # fmt: skip
        watcher.on(name, handler)  # type: ignore[arg-type]
    visitor, _ = await rooms.join("visitor")
    async with microphone(visitor) as (publication, track):
        await events.wait("track_subscribed")
        track.mute()
        await events.wait("track_muted")
        await visitor.local_participant.unpublish_track(publication.sid)
        await events.wait("track_unpublished")
    await visitor.disconnect()
    await events.wait("participant_disconnected")
    assert seen == {
        "subscribed": (True, True, True),
        "muted": (True, True),
        "unsubscribed": (None, False, True),
        "unpublished": False,
        "left": (False, True),
    }


async def test_a_failing_handler_is_logged_and_stops_nothing(
    rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    room, _ = await rooms.join("one")

    def fails(_who: object) -> None:
        raise RuntimeError("broken handler")

    later: list[str] = []
    room.on("participant_connected", fails)
    room.on("participant_connected", lambda who: later.append(who.identity))
    with caplog.at_level(logging.ERROR):
        _, two_events = await rooms.join("two")
        await rooms.join("three")
        await two_events.wait("participant_connected")
        await within(room.local_participant.publish_data(b"alive"))
        await two_events.wait("data_received")
    # livekit-server may tell of both at once, in any order.
    assert sorted(later) == ["three", "two"]
    assert "participant_connected" in caplog.text
    assert "broken handler" in caplog.text


async def test_a_coroutine_handler_is_refused(rooms: Rooms) -> None:
    room, _ = await rooms.join("one")

    async def handler() -> None: ...

    with pytest.raises(ValueError, match="coroutine"):
        room.on("connected", handler)
    with pytest.raises(ValueError, match="coroutine"):
        room.on("connected")(handler)


async def test_handlers_may_use_the_room(rooms: Rooms) -> None:
    sender, own = await rooms.join("sender")
    viewer, events = await rooms.join("viewer")
    tasks = []

    def refuse(publication: rtc.RemoteTrackPublication, _who: object) -> None:
        publication.set_subscribed(publication.kind == rtc.TrackKind.KIND_VIDEO)

    def answer(packet: rtc.DataPacket) -> None:
        tasks.append(asyncio.ensure_future(viewer.local_participant.publish_data(b"pong " + packet.data)))
        if packet.data == b"3":
            tasks.append(asyncio.ensure_future(viewer.disconnect()))

    viewer.on("track_published", refuse)
    viewer.on("data_received", answer)
    async with microphone(sender), camera(sender, RED):
        await events.wait("track_subscribed", lambda t, p, w: t.kind == rtc.TrackKind.KIND_VIDEO)
        for number in (b"1", b"2", b"3"):
            await within(sender.local_participant.publish_data(number))
        await events.wait("disconnected")
    await within(asyncio.gather(*tasks))
    await own.wait("data_received", count=3)
    assert [args[0].data for args in own.of("data_received")] == [b"pong 1", b"pong 2", b"pong 3"]
    assert len(events.of("disconnected")) == 1

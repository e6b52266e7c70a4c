"""What a server's administrator and other participants cause: every event with its arguments, on any server.

Imported by a test module that has a `server` fixture.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit.protocol import models
from room_cases import rooms as rooms
from room_tools import GREEN, LIMIT_S, Ear, Rooms, camera, microphone, wait_for_picture, within

from greenroom.client.errors import LimitExceededError, NotAllowedError, RoomFullError
from livekit import api, rtc
from livekit.rtc import room_events
from livekit.rtc.participant import PublishDataError

MICROPHONE, CAMERA = rtc.TrackSource.SOURCE_MICROPHONE, rtc.TrackSource.SOURCE_CAMERA
_Permission = models.ParticipantPermission


class Admin:
    """Calls of RoomService on the room of a test."""

    def __init__(self, service: Any, room: str) -> None:
        self._service, self._room = service, room

    async def update(self, identity: str, **changes: Any) -> None:
        request = api.UpdateParticipantRequest(room=self._room, identity=identity, **changes)
        await within(self._service.update_participant(request))

    async def set_metadata(self, metadata: str) -> None:
        request = api.UpdateRoomMetadataRequest(room=self._room, metadata=metadata)
        await within(self._service.update_room_metadata(request))

    async def mute(self, identity: str, track_sid: str) -> None:
        request = api.MuteRoomTrackRequest(
            room=self._room, identity=identity, track_sid=track_sid, muted=True
        )
        await within(self._service.mute_published_track(request))

    async def remove(self, identity: str) -> None:
        request = api.RoomParticipantIdentity(room=self._room, identity=identity)
        await within(self._service.remove_participant(request))

    async def delete(self) -> None:
        await within(self._service.delete_room(api.DeleteRoomRequest(room=self._room)))

    async def create(self, **settings: Any) -> None:
        await within(self._service.create_room(api.CreateRoomRequest(name=self._room, **settings)))

    async def subscribe(self, identity: str, track_sid: str, subscribe: bool) -> None:
        request = api.UpdateSubscriptionsRequest(
            room=self._room, identity=identity, track_sids=[track_sid], subscribe=subscribe
        )
        await within(self._service.update_subscriptions(request))


@pytest.fixture
async def admin(rooms: Rooms) -> AsyncIterator[Admin]:
    server = rooms.server
    async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as client:
        yield Admin(client.room, rooms.name)


async def test_a_participant_becomes_active(rooms: Rooms) -> None:
    _, events = await rooms.join("watcher")
    await rooms.join("other")
    (other,) = await events.wait("participant_active")
    assert other.identity == "other"
    assert other.state == rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
    names = events.names("participant_connected", "participant_active")
    assert names == ["participant_connected", "participant_active"]
    joined_at = other.joined_at
    assert joined_at is not None
    assert abs(datetime.datetime.now(datetime.timezone.utc) - joined_at) < datetime.timedelta(minutes=5)


async def test_own_metadata_name_and_attributes(rooms: Rooms) -> None:
    changer, own = await rooms.join("changer", can_update_own_metadata=True)
    watcher, events = await rooms.join("watcher")
    local = changer.local_participant
    old_name = local.name
    await within(local.set_metadata("m"))
    await within(local.set_name("n"))
    await within(local.set_attributes({"a": "1", "b": "2"}))
    await within(local.set_attributes({"a": "", "b": "3"}))
    remote = watcher.remote_participants["changer"]
    await events.wait("participant_attributes_changed", count=2)
    for happened, who in ((own, local), (events, remote)):
        assert happened.of("participant_metadata_changed") == [(who, "", "m")]
        assert happened.of("participant_name_changed") == [(who, old_name, "n")]
        assert happened.of("participant_attributes_changed") == [
            ({"a": "1", "b": "2"}, who),
            ({"a": "", "b": "3"}, who),
        ]
        assert (who.metadata, who.name, who.attributes) == ("m", "n", {"b": "3"})


async def test_refused_changes_raise_typed_errors(rooms: Rooms) -> None:
    granted, _ = await rooms.join("granted", can_update_own_metadata=True)
    other, events = await rooms.join("other")
    with pytest.raises(NotAllowedError, match="canUpdateOwnMetadata"):
        await within(other.local_participant.set_name("x"))
    with pytest.raises(LimitExceededError, match="name"):
        await within(granted.local_participant.set_name("x" * 300))
    assert events.of("participant_name_changed") == []


async def test_an_administrator_changes_a_participant(rooms: Rooms, admin: Admin) -> None:
    room, own = await rooms.join("changed")
    _, events = await rooms.join("watcher")
    before = room.local_participant.permissions
    await admin.update(
        "changed",
        name="new",
        metadata="meta",
        attributes={"k": "v"},
        permission=_Permission(
            can_subscribe=True, can_publish=True, can_publish_data=True, can_update_metadata=True
        ),
    )
    for happened in (own, events):
        who, permissions = await happened.wait("participant_permissions_changed")
        assert who.identity == "changed"
        assert permissions.can_update_metadata
        assert permissions == who.permissions
        await happened.wait("participant_name_changed", lambda who, old, new: new == "new")
        await happened.wait("participant_metadata_changed", lambda who, old, new: new == "meta")
        await happened.wait("participant_attributes_changed", lambda changed, who: changed == {"k": "v"})
    assert not before.can_update_metadata
    await own.wait("token_refreshed", count=2)
    await within(room.local_participant.set_metadata("mine now"))


async def test_publishing_is_revoked_and_given_back(rooms: Rooms, admin: Admin) -> None:
    room, own = await rooms.join("publisher")
    _, events = await rooms.join("listener")
    async with microphone(room) as (publication, _):
        await events.wait("track_subscribed")
        await admin.update("publisher", permission=_Permission(can_subscribe=True, can_publish_data=True))
        assert (await own.wait("local_track_unpublished"))[0] is publication
        assert room.local_participant.track_publications == {}
        await events.wait("track_unpublished")
        assert events.names("track_unsubscribed", "track_unpublished") == [
            "track_unsubscribed",
            "track_unpublished",
        ]
    await admin.update("publisher", permission=_Permission(can_subscribe=True, can_publish=True))
    await own.wait("participant_permissions_changed", count=2)
    async with microphone(room):
        await events.wait("track_subscribed", count=2)


async def test_receiving_and_data_are_revoked_and_given_back(rooms: Rooms, admin: Admin) -> None:
    publisher, _ = await rooms.join("publisher")
    room, own = await rooms.join("listener")
    async with microphone(publisher):
        await own.wait("track_subscribed")
        await admin.update("listener", permission=_Permission(can_publish=True))
        await own.wait("track_unsubscribed")
        assert not room.local_participant.permissions.can_subscribe
        with pytest.raises(PublishDataError, match="canPublishData"):
            await within(room.local_participant.publish_data("no"))
        everything = _Permission(can_subscribe=True, can_publish=True, can_publish_data=True)
        await admin.update("listener", permission=everything)
        track, *_ = await own.wait("track_subscribed", count=2)
        stream = rtc.AudioStream(track)
        await Ear(stream).wait_for_tone(1000)
        await stream.aclose()
        await within(room.local_participant.publish_data("yes"))
    assert own.names("track_unpublished") == []


@pytest.mark.parametrize("single", [True, False], ids=["one", "two"])
async def test_tracks_of_one_stream_are_told_apart(rooms: Rooms, admin: Admin, single: bool) -> None:
    await admin.create(sync_streams=True)
    publisher, _ = await rooms.join("publisher")
    _, events = await rooms.join("viewer", rtc.RoomOptions(single_peer_connection=single))
    async with microphone(publisher), camera(publisher, GREEN):
        await events.wait("track_subscribed", count=2)
        tracks = {publication.source: track for track, publication, _ in events.of("track_subscribed")}
        sound, picture = rtc.AudioStream(tracks[MICROPHONE]), rtc.VideoStream(tracks[CAMERA])
        await Ear(sound).wait_for_tone(1000)
        await wait_for_picture(picture, GREEN)
        await asyncio.gather(sound.aclose(), picture.aclose())


async def test_room_metadata_and_counts(rooms: Rooms, admin: Admin) -> None:
    room, events = await rooms.join("first")
    await admin.set_metadata("about this room")
    assert await events.wait("room_metadata_changed") == ("", "about this room")
    assert room.metadata == "about this room"
    await events.wait("room_updated")
    async with microphone(room):
        await rooms.join("second")
        await events.until(lambda: (room.num_participants, room.num_publishers) == (2, 1), "the counts")
    age = datetime.datetime.now(datetime.timezone.utc) - room.creation_time
    assert abs(age) < datetime.timedelta(minutes=5)
    assert (room.empty_timeout, room.departure_timeout) == (300.0, 20.0)


async def test_recorders_and_agents_are_what_they_are(rooms: Rooms) -> None:
    room, events = await rooms.join("person")
    await rooms.join("agent", kind="agent")
    await events.wait("participant_connected")
    agent = room.remote_participants["agent"]
    assert agent.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
    assert not room.is_recording
    recorder, _ = await rooms.join("recorder", recorder=True, hidden=True)
    await events.until(lambda: room.is_recording, "recording")
    assert set(room.remote_participants) == {"agent"}
    await recorder.disconnect()
    await events.until(lambda: not room.is_recording, "the end of recording")


async def test_an_administrator_mutes_a_track(rooms: Rooms, admin: Admin) -> None:
    room, own = await rooms.join("talker")
    listener, events = await rooms.join("listener")
    async with microphone(room) as (publication, track):
        await events.wait("track_subscribed")
        await admin.mute("talker", publication.sid)
        assert await own.wait("track_muted") == (room.local_participant, publication)
        assert track.muted
        who, remote = await events.wait("track_muted")
        assert who is listener.remote_participants["talker"]
        assert remote.muted
        track.unmute()
        await events.wait("track_unmuted")


async def test_an_administrator_subscribes_and_unsubscribes_for_somebody(rooms: Rooms, admin: Admin) -> None:
    room, _ = await rooms.join("talker")
    _, events = await rooms.join("listener")
    async with microphone(room) as (publication, _):
        await events.wait("track_subscribed")
        await admin.subscribe("listener", publication.sid, False)
        await events.wait("track_unsubscribed")
        await admin.subscribe("listener", publication.sid, True)
        await events.wait("track_subscribed", count=2)
        assert events.of("track_unpublished") == []


async def test_a_removed_participant_and_a_deleted_room(rooms: Rooms, admin: Admin) -> None:
    _, own = await rooms.join("removed")
    _, events = await rooms.join("other")
    await admin.remove("removed")
    assert await own.wait("disconnected") == (rtc.DisconnectReason.PARTICIPANT_REMOVED,)
    (gone,) = await events.wait("participant_disconnected")
    assert gone.disconnect_reason == rtc.DisconnectReason.PARTICIPANT_REMOVED
    await admin.delete()
    assert await events.wait("disconnected") == (rtc.DisconnectReason.ROOM_DELETED,)
    for happened in (own, events):
        assert len(happened.of("disconnected")) == 1
        assert happened.of("reconnecting") == []


async def test_a_room_has_no_more_than_its_limit(rooms: Rooms, admin: Admin) -> None:
    await admin.create(max_participants=1)
    await rooms.join("first")
    with pytest.raises(RoomFullError):
        await within(rtc.Room().connect(rooms.server.url, rooms.token("second")))
    await rooms.join("agent", kind="agent")  # not counted


async def test_a_publisher_says_who_may_subscribe(rooms: Rooms) -> None:
    publisher, _ = await rooms.join("publisher")
    friend, friendly = await rooms.join("friend")
    stranger, strange = await rooms.join("stranger")
    async with microphone(publisher) as (publication, _):
        await friendly.wait("track_subscribed")
        await strange.wait("track_subscribed")
        permit = rtc.ParticipantTrackPermission(participant_identity="friend", allow_all=True)
        publisher.local_participant.set_track_subscription_permissions(
            allow_all_participants=False, participant_permissions=[permit]
        )
        await strange.wait("track_unsubscribed")
        seen = stranger.remote_participants["publisher"].track_publications[publication.sid]
        assert not seen.subscribed
        assert not seen.subscription_allowed
        assert friend.remote_participants["publisher"].track_publications[publication.sid].subscribed
        publisher.local_participant.set_track_subscription_permissions(allow_all_participants=True)
        await strange.wait("track_subscribed", count=2)
        assert seen.subscription_allowed
        assert friendly.of("track_unsubscribed") == []


async def test_a_publisher_permits_single_tracks_to_later_joiners_too(rooms: Rooms) -> None:
    publisher, _ = await rooms.join("publisher")
    async with microphone(publisher) as (sound, _), camera(publisher) as (picture, _):
        permit = rtc.ParticipantTrackPermission(participant_identity="friend", allowed_track_sids=[sound.sid])
        publisher.local_participant.set_track_subscription_permissions(
            allow_all_participants=False, participant_permissions=[permit]
        )
        friend, friendly = await rooms.join("friend")
        stranger, strange = await rooms.join("stranger")
        await friendly.wait("track_subscribed")
        for publication in stranger.remote_participants["publisher"].track_publications.values():
            publication.set_subscribed(True)
        await within(publisher.local_participant.publish_data("all have been asked"))
        await strange.wait("data_received")
        assert [p.sid for _, p, _ in friendly.of("track_subscribed")] == [sound.sid]
        seen = friend.remote_participants["publisher"].track_publications
        await friendly.until(lambda: not seen[picture.sid].subscription_allowed, "the word on the picture")
        assert seen[sound.sid].subscription_allowed
        publisher.local_participant.set_track_subscription_permissions(allow_all_participants=True)
        await friendly.wait("track_subscribed", count=2)
        await strange.wait("track_subscribed", count=2)


async def test_kinds_and_reasons_are_seen_by_others(rooms: Rooms) -> None:
    _, events = await rooms.join("watcher")
    reasons = {
        "sip": "USER_UNAVAILABLE",
        "ingress": "USER_REJECTED",
        "agent": "AGENT_ERROR",
        "egress": "ROOM_DELETED",
    }
    joined = await asyncio.gather(*(rooms.join(kind, kind=kind) for kind in reasons))
    for kind in reasons:
        (who,) = await events.wait("participant_connected", lambda who, kind=kind: who.identity == kind)
        assert who.kind == rtc.ParticipantKind.Value(f"PARTICIPANT_KIND_{kind.upper()}")
    for (room, _), reason in zip(joined, reasons.values(), strict=True):
        await room.disconnect(reason=rtc.DisconnectReason.Value(reason))
    for kind, reason in reasons.items():
        (who,) = await events.wait("participant_disconnected", lambda who, kind=kind: who.identity == kind)
        # What only a server may say is not taken from a participant.
        told = "CLIENT_INITIATED" if reason == "ROOM_DELETED" else reason
        assert rtc.DisconnectReason.Name(who.disconnect_reason) == told


async def test_a_paused_track_stays_subscribed(rooms: Rooms) -> None:
    publisher, _ = await rooms.join("publisher")
    viewer, events = await rooms.join("viewer")
    async with camera(publisher):
        track, publication, _ = await events.wait("track_subscribed")
        stream = rtc.VideoStream(track)
        await within(anext(stream))
        publication.set_enabled(False)
        await within(_falls_silent(stream))
        assert publication.subscribed
        publication.set_enabled(True)
        await within(anext(stream))
        await stream.aclose()
    assert viewer.isconnected()


async def _falls_silent(stream: rtc.VideoStream) -> None:
    """Return when no picture has come for a second."""
    with contextlib.suppress(asyncio.TimeoutError):
        while True:
            await asyncio.wait_for(anext(stream), 1)


async def test_dimensions_choose_a_layer(rooms: Rooms) -> None:
    publisher, _ = await rooms.join("publisher")
    _, events = await rooms.join("viewer")
    async with camera(publisher, size=(1280, 720), simulcast=True):
        track, publication, _ = await events.wait("track_subscribed")
        stream = rtc.VideoStream(track)
        for wanted, width in (((1200, 700), 1280), ((300, 160), 320)):
            publication.set_video_dimensions(*wanted)
            await within(_width(stream, width))
        await stream.aclose()


async def _width(stream: rtc.VideoStream, width: int) -> None:
    async for event in stream:
        if event.frame.width == width:
            return


async def test_connection_quality_is_told(rooms: Rooms) -> None:
    room, events = await rooms.join("one")
    who, quality = await events.wait("connection_quality_changed")
    assert who is room.local_participant
    assert quality == rtc.ConnectionQuality.QUALITY_EXCELLENT == who.connection_quality


async def test_audio_features_of_an_own_track(rooms: Rooms) -> None:
    publisher, _ = await rooms.join("publisher")
    listener, events = await rooms.join("listener")
    async with microphone(publisher) as (publication, _):
        await events.wait("track_subscribed")
        suppression = 4
        await within(publication.update_audio_features([suppression]))
        seen = listener.remote_participants["publisher"].track_publications[publication.sid]
        await within(publisher.local_participant.publish_data("look"))
        await events.wait("data_received")
        await events.until(lambda: seen.audio_features == [suppression], "the features")


async def test_dimensions_of_an_own_track(rooms: Rooms) -> None:
    publisher, _ = await rooms.join("publisher")
    _, events = await rooms.join("viewer")
    async with camera(publisher) as (publication, _):
        _, seen, _ = await events.wait("track_subscribed")
        seen.set_priority(3)
        await within(publication.update_video_dimensions(160, 90))
        await within(publisher.local_participant.publish_data("look"))
        await events.wait("data_received")
        await events.until(lambda: (seen.width, seen.height) == (160, 90), "the dimensions")


async def test_data_tracks_come_and_go(rooms: Rooms) -> None:
    publisher, _ = await rooms.join("publisher")
    _, events = await rooms.join("listener")
    tracks = [await within(publisher.local_participant.publish_data_track(name=name)) for name in ("a", "b")]
    await events.wait("data_track_published", count=2)
    sids = {remote.info.name: remote.info.sid for (remote,) in events.of("data_track_published")}
    assert sorted(sids) == ["a", "b"]
    await within(tracks[0].unpublish())
    assert await events.wait("data_track_unpublished") == (sids["a"],)
    await publisher.disconnect()
    assert await events.wait("data_track_unpublished", count=2) == (sids["b"],)


async def test_encryption_of_a_participant_is_told(rooms: Rooms) -> None:
    _, events = await rooms.join("watcher")
    secret = rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(shared_key=b"secret"))
    publisher, _ = await rooms.join("publisher", rtc.RoomOptions(encryption=secret))
    async with microphone(publisher):
        who, encrypted = await events.wait("participant_encryption_status_changed")
        assert (who.identity, encrypted, who.is_encrypted) == ("publisher", True, True)


async def test_events_can_be_awaited_and_iterated_over(rooms: Rooms) -> None:
    async with rtc.Room() as room:
        stream = room.events()
        waiting = asyncio.ensure_future(room.wait_for("participant_connected", timeout=LIMIT_S))
        await within(room.connect(rooms.server.url, rooms.token("listener")))
        visitor, _ = await rooms.join("visitor")
        assert (await within(waiting)).identity == "visitor"
        ending = asyncio.ensure_future(room.wait_for("moved"))
        await asyncio.sleep(0)
        await visitor.disconnect()
        await room.wait_for("participant_disconnected", lambda who: who.identity == "visitor", LIMIT_S)
    assert not room.isconnected()
    with pytest.raises(ConnectionError, match="moved"):
        await within(ending)
    events = [event async for event in stream]
    assert isinstance(events[1], room_events.Connected)
    assert isinstance(events[-1], room_events.Disconnected)
    visits = [
        type(e)
        for e in events
        if isinstance(e, (room_events.ParticipantConnected, room_events.ParticipantDisconnected))
    ]
    assert visits == [room_events.ParticipantConnected, room_events.ParticipantDisconnected]

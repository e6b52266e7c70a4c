"""What a token lets its bearer do, and how sessions and rooms end: the same on livekit-server and the embedded server."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf import json_format
from room_tools import Events, within

from livekit import api, rtc
from livekit.rtc.participant import PublishDataError, PublishTrackError

from .servers import API_KEY, API_SECRET, RoomServer

Source = rtc.TrackSource
Observed = dict[str, Any]

_BOTH = pytest.mark.parametrize("server_name", ["livekit", "embedded"])

# ---- the permission matrix ----

GRANTS: dict[str, dict[str, Any]] = {
    "everything": {},
    "nothing": {"can_publish": False, "can_subscribe": False, "can_publish_data": False},
    "no publishing": {"can_publish": False, "can_publish_data": True},
    "no data": {"can_publish_data": False},
    "no subscribing": {"can_subscribe": False},
    "microphone only": {"can_publish_sources": ["microphone"]},
    "screen only": {"can_publish_sources": ["screen_share", "screen_share_audio"]},
    "own metadata": {"can_update_own_metadata": True},
    "hidden": {"hidden": True},
    "recorder": {"recorder": True, "can_publish": False},
}
_SOURCES = {"microphone": Source.SOURCE_MICROPHONE, "screen": Source.SOURCE_SCREENSHARE_AUDIO}


def _token(identity: str, room: str, grants: dict[str, Any], kind: str = "standard") -> str:
    video = api.VideoGrants(room_join=True, room=room, **grants)
    token = api.AccessToken(API_KEY, API_SECRET).with_identity(identity).with_kind(kind)  # type: ignore[arg-type]
    return token.with_grants(video).to_jwt()


@contextlib.asynccontextmanager
async def _joined(server: RoomServer, *tokens: str) -> AsyncIterator[list[tuple[rtc.Room, Events]]]:
    rooms = [rtc.Room() for _ in tokens]
    events = [Events(room) for room in rooms]
    try:
        for room, token in zip(rooms, tokens, strict=True):
            await within(room.connect(server.url, token))
        yield list(zip(rooms, events, strict=True))
    finally:
        await asyncio.gather(*(room.disconnect() for room in rooms))


async def _publish(room: rtc.Room, name: str, source: int) -> str:
    track = rtc.LocalAudioTrack.create_audio_track(name, rtc.AudioSource(48_000, 1))
    try:
        await within(room.local_participant.publish_track(track, rtc.TrackPublishOptions(source=source)))  # type: ignore[arg-type]
    except PublishTrackError:
        return "refused"
    return "published"


async def _observe(server: RoomServer, grants: dict[str, Any]) -> Observed:
    """What somebody with these grants may do in a room with two others."""
    name = f"matrix-{uuid.uuid4().hex[:8]}"
    tokens = [_token("host", name, {}), _token("witness", name, {}), _token("subject", name, grants)]
    seen: Observed = {}
    async with (
        _joined(server, *tokens) as ((host, _), (witness, witnessed), (subject, subjected)),
        api.LiveKitAPI(server.url, API_KEY, API_SECRET) as client,
    ):
        who = api.RoomParticipantIdentity(room=name, identity="subject")
        info = await client.room.get_participant(who)
        seen["permission"] = json_format.MessageToDict(info.permission)
        for what, source in _SOURCES.items():
            seen[what] = await _publish(subject, what, source)

        await _publish(host, "host", Source.SOURCE_MICROPHONE)
        await witnessed.wait("track_subscribed", lambda t, p, who: who.identity == "host")
        if grants.get("can_subscribe", True):
            await subjected.wait("track_subscribed")
        if not grants.get(
            "hidden"
        ):  # livekit-server may tell of those who publish nothing three seconds later
            await witnessed.wait("participant_connected", lambda who: who.identity == "subject")
        with contextlib.suppress(PublishDataError):
            await subject.local_participant.publish_data(b"from the subject", topic="subject")
        if seen["permission"].get("canPublishData"):
            await witnessed.wait("data_received", lambda packet: packet.topic == "subject")
        await _pass_messages(host, subject, witnessed, subjected)

        seen["data"] = [p.data for (p,) in witnessed.of("data_received") if p.topic == "subject"]
        seen["sender"] = [
            p.participant and p.participant.identity
            for (p,) in witnessed.of("data_received")
            if p.topic == "subject"
        ]
        seen["hears"] = sorted(who.identity for _, _, who in subjected.of("track_subscribed"))
        seen["heard"] = sorted(p.name for _, p, _ in witnessed.of("track_subscribed") if p.name != "host")
        seen["visible"] = sorted(witness.remote_participants)
        seen["sees"] = sorted(subject.remote_participants)
        seen["recording"] = witness.is_recording
    return seen


async def _pass_messages(host: rtc.Room, subject: rtc.Room, *receivers: Events) -> None:
    """Everybody has heard what came before this."""
    await host.local_participant.publish_data(b"end", topic="end")
    for events in receivers:
        await events.wait("data_received", lambda packet: packet.topic == "end")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("grants", GRANTS.values(), ids=GRANTS.keys())
async def test_what_a_grant_allows(livekit: RoomServer, embedded: RoomServer, grants: dict[str, Any]) -> None:
    real, ours = await asyncio.gather(_observe(livekit, grants), _observe(embedded, grants))
    assert ours == real


# ---- how sessions end ----


@_BOTH
async def test_a_full_room(server_name: str, request: pytest.FixtureRequest) -> None:
    server: RoomServer = request.getfixturevalue(server_name)
    name = f"full-{server_name}"
    async with api.LiveKitAPI(server.url, API_KEY, API_SECRET) as client:
        await client.room.create_room(api.CreateRoomRequest(name=name, max_participants=1))
        async with _joined(server, _token("anna", name, {}), _token("helper", name, {}, "agent")):
            with pytest.raises(rtc.ConnectError, match="500"):
                await within(rtc.Room().connect(server.url, _token("bob", name, {})))


@_BOTH
async def test_the_same_identity_again(server_name: str, request: pytest.FixtureRequest) -> None:
    server: RoomServer = request.getfixturevalue(server_name)
    name = f"twice-{server_name}"
    token = _token("anna", name, {})
    async with _joined(server, _token("bob", name, {}), token) as ((bob, bobs), (first, firsts)):
        await bobs.wait("participant_connected")
        old_sid = first.local_participant.sid
        async with _joined(server, token) as ((second, _),):
            assert await firsts.wait("disconnected") == (rtc.DisconnectReason.DUPLICATE_IDENTITY,)
            await bobs.wait("participant_connected", count=2)
            assert bob.remote_participants["anna"].sid == second.local_participant.sid != old_sid


@_BOTH
async def test_removed_and_deleted(server_name: str, request: pytest.FixtureRequest) -> None:
    server: RoomServer = request.getfixturevalue(server_name)
    name = f"ended-{server_name}"
    tokens = (_token("anna", name, {}), _token("bob", name, {}))
    async with (
        api.LiveKitAPI(server.url, API_KEY, API_SECRET) as client,
        _joined(server, *tokens) as ((_, annas), (_, bobs)),
    ):
        await client.room.remove_participant(api.RoomParticipantIdentity(room=name, identity="anna"))
        assert await annas.wait("disconnected") == (rtc.DisconnectReason.PARTICIPANT_REMOVED,)
        await bobs.wait("participant_disconnected")
        await client.room.delete_room(api.DeleteRoomRequest(room=name))
        assert await bobs.wait("disconnected") == (rtc.DisconnectReason.ROOM_DELETED,)
        assert list((await client.room.list_rooms(api.ListRoomsRequest(names=[name]))).rooms) == []


@_BOTH
async def test_rooms_close_when_they_are_left(server_name: str, request: pytest.FixtureRequest) -> None:
    server: RoomServer = request.getfixturevalue(server_name)
    left, never_joined, with_agent = (f"{what}-{server_name}" for what in ("left", "empty", "agent"))
    async with api.LiveKitAPI(server.url, API_KEY, API_SECRET) as client:
        for name in (left, with_agent):
            await client.room.create_room(
                api.CreateRoomRequest(name=name, departure_timeout=1, empty_timeout=60)
            )
        await client.room.create_room(api.CreateRoomRequest(name=never_joined, empty_timeout=1))
        async with _joined(server, _token("helper", with_agent, {}, "agent")) as ((_, agents),):
            async with _joined(server, _token("anna", left, {}), _token("anna", with_agent, {})):
                pass
            assert await agents.wait("disconnected") == (rtc.DisconnectReason.ROOM_CLOSED,)

        async def until_gone() -> None:
            request_ = api.ListRoomsRequest(names=[left, never_joined, with_agent])
            while (await client.room.list_rooms(request_)).rooms:
                pass

        await within(until_gone())


@_BOTH
async def test_permission_to_subscribe(server_name: str, request: pytest.FixtureRequest) -> None:
    server: RoomServer = request.getfixturevalue(server_name)
    name = f"allowed-{server_name}"
    tokens = (_token("anna", name, {}), _token("bob", name, {}), _token("carl", name, {}))
    async with _joined(server, *tokens) as ((anna, _), (_, bobs), (_, carls)):
        anna.local_participant.set_track_subscription_permissions(
            allow_all_participants=False,
            participant_permissions=[
                rtc.ParticipantTrackPermission(participant_identity="bob", allow_all=True)
            ],
        )
        await _publish(anna, "mic", Source.SOURCE_MICROPHONE)
        await bobs.wait("track_subscribed")
        await carls.wait("track_published")
        assert carls.of("track_subscribed") == []
        anna.local_participant.set_track_subscription_permissions(allow_all_participants=True)
        await carls.wait("track_subscribed")
        anna.local_participant.set_track_subscription_permissions(
            allow_all_participants=False, participant_permissions=[]
        )
        await asyncio.gather(bobs.wait("track_unsubscribed"), carls.wait("track_unsubscribed"))

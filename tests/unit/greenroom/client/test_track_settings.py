"""How remote tracks are wanted, and changes of own tracks: what the server is asked, and what its refusal raises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from client_fakes import TIMEOUT_S, FakeAudioSource, FakePeers, SignalServer, participant, track
from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom.client import requests
from greenroom.client.errors import (
    LimitExceededError,
    NotAllowedError,
    RequestError,
    RequestTimeoutError,
)
from livekit import rtc

Reason = proto.RequestResponse.Reason
LOW, HIGH = rtc.VideoQuality.VIDEO_QUALITY_LOW, rtc.VideoQuality.VIDEO_QUALITY_HIGH


@pytest.fixture
async def room(server: SignalServer, peers: FakePeers) -> AsyncIterator[rtc.Room]:
    server.join.other_participants.append(
        participant("alice", tracks=[track("TR_v", models.TrackType.VIDEO)])
    )
    room = rtc.Room()
    await room.connect(server.url, "token")
    yield room
    await room.disconnect()


@pytest.fixture
def publication(room: rtc.Room) -> rtc.RemoteTrackPublication:
    return room.remote_participants["alice"].track_publications["TR_v"]


async def test_every_setting_is_sent_with_the_others(
    publication: rtc.RemoteTrackPublication, server: SignalServer
) -> None:
    publication.set_enabled(False)
    publication.set_video_quality(LOW)
    publication.set_video_quality(LOW)
    publication.set_video_fps(15)
    publication.set_enabled(True)
    publication.set_video_dimensions(640, 360)
    publication.set_priority(7)
    publication.set_video_quality(HIGH)
    connection = await server.connection()
    await connection.expect("track_setting", count=7)
    sent = [
        (m.disabled, m.quality, m.width, m.height, m.fps, m.priority)
        for kind, m in connection.received
        if kind == "track_setting"
    ]
    assert sent == [
        (True, HIGH, 0, 0, 0, 0),
        (True, LOW, 0, 0, 0, 0),
        (True, LOW, 0, 0, 15, 0),
        (False, LOW, 0, 0, 15, 0),
        (False, LOW, 640, 360, 15, 0),
        (False, LOW, 640, 360, 15, 7),
        (False, HIGH, 0, 0, 15, 7),
    ]
    assert publication.enabled
    assert (publication.video_quality, publication.video_dimensions) == (HIGH, None)
    assert (publication.video_fps, publication.priority) == (15, 7)
    publication.set_video_fps(0)
    await connection.expect("track_setting", count=8)
    assert connection.received[-1][1].fps > 60, "livekit-server takes 0 for no change"
    assert publication.video_fps is None


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda p: p.set_video_quality(9), "VIDEO_QUALITY_HIGH"),
        (lambda p: p.set_video_dimensions(0, 360), "0x360"),
        (lambda p: p.set_video_fps(-1), "-1"),
        (lambda p: p.set_priority(-1), "-1"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    publication: rtc.RemoteTrackPublication, call: Any, text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        call(publication)


async def test_a_publisher_may_forbid_us_its_track(
    publication: rtc.RemoteTrackPublication, server: SignalServer, room: rtc.Room
) -> None:
    assert publication.subscription_allowed
    connection = await server.connection()
    update = proto.SubscriptionPermissionUpdate(participant_sid="PA_alice", track_sid="TR_v", allowed=False)
    await connection.send(subscription_permission_update=update)
    await connection.send(room_update=proto.RoomUpdate(room=models.Room(sid="RM_room", metadata="x")))
    await room.wait_for("room_updated", timeout=TIMEOUT_S)
    assert not publication.subscription_allowed


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (Reason.NOT_ALLOWED, NotAllowedError),
        (Reason.LIMIT_EXCEEDED, LimitExceededError),
        (Reason.UNCLASSIFIED_ERROR, RequestError),
    ],
)
async def test_a_refused_change_of_own_metadata_is_typed(
    room: rtc.Room, server: SignalServer, reason: Any, error: type[Exception]
) -> None:
    setting = asyncio.ensure_future(room.local_participant.set_metadata("m"))
    connection = await server.connection()
    request = await connection.expect("update_metadata")
    await connection.send(
        request_response=proto.RequestResponse(request_id=request.request_id, reason=reason, message="why")
    )
    with pytest.raises(error, match="why"):
        await asyncio.wait_for(setting, TIMEOUT_S)


async def test_what_is_no_text_is_refused_by_name(room: rtc.Room) -> None:
    local: Any = room.local_participant
    for change, message in (
        (local.set_metadata(b"m"), "metadata is b'm'"),
        (local.set_name(None), "name is None"),
        (local.set_attributes({"mood": 5}), "the attribute 'mood' is 5"),
        (local.set_attributes({5: "x"}), "a key of attributes is 5"),
    ):
        with pytest.raises(TypeError, match=f"{message}: it must be a string"):
            await change


@pytest.fixture
async def own(room: rtc.Room) -> rtc.LocalTrackPublication:
    microphone = rtc.LocalAudioTrack.create_audio_track("mic", FakeAudioSource())
    return await room.local_participant.publish_track(microphone)


async def test_audio_features_are_changed_when_the_server_shows_them(
    room: rtc.Room, own: rtc.LocalTrackPublication, server: SignalServer
) -> None:
    changing = asyncio.ensure_future(own.update_audio_features([4, 3, 4]))
    connection = await server.connection()
    request = await connection.expect("update_audio_track")
    assert (request.track_sid, list(request.features)) == (own.sid, [4, 3])
    assert not changing.done()
    info = track(own.sid, audio_features=[4, 3])
    await connection.update(participant("me", tracks=[info]))
    await asyncio.wait_for(changing, TIMEOUT_S)
    assert own.audio_features == [4, 3]
    await own.update_audio_features([3, 4])  # is so already


async def test_a_refused_change_of_a_track_raises(
    own: rtc.LocalTrackPublication, server: SignalServer
) -> None:
    changing = asyncio.ensure_future(own.update_audio_features([4]))
    connection = await server.connection()
    request = await connection.expect("update_audio_track")
    refusal = proto.RequestResponse(reason=Reason.NOT_FOUND, message="no", update_audio_track=request)
    await connection.send(request_response=refusal)
    with pytest.raises(RequestError, match="NOT_FOUND"):
        await asyncio.wait_for(changing, TIMEOUT_S)


async def test_a_silent_server_is_a_time_out(
    own: rtc.LocalTrackPublication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "REQUEST_TIMEOUT_S", 0.01)
    with pytest.raises(RequestTimeoutError):
        await own.update_audio_features([4])


async def test_only_video_has_dimensions(own: rtc.LocalTrackPublication) -> None:
    with pytest.raises(ValueError, match="no video"):
        await own.update_video_dimensions(640, 360)


async def test_leaving_ends_a_change(room: rtc.Room, own: rtc.LocalTrackPublication) -> None:
    changing = asyncio.ensure_future(own.update_audio_features([4]))
    await asyncio.sleep(0)
    await room.disconnect()
    with pytest.raises(RequestError):
        await asyncio.wait_for(changing, TIMEOUT_S)
    with pytest.raises(RuntimeError, match="not published"):
        await own.update_audio_features([4])


async def test_encryption_is_told_when_all_tracks_have_it(room: rtc.Room, server: SignalServer) -> None:
    told: list[Any] = []
    room.on(
        "participant_encryption_status_changed", lambda who, encrypted: told.append((who.identity, encrypted))
    )
    connection = await server.connection()
    clear = track("TR_v", models.TrackType.VIDEO)
    secret = track("TR_a", encryption=models.Encryption.Type.GCM)
    for tracks in ([clear, secret], [secret], [secret], [clear, secret]):
        await connection.update(participant("alice", tracks=tracks))
    await connection.update(participant("bob", tracks=[secret]), participant("carol"))
    await room.wait_for("participant_connected", lambda who: who.identity == "carol", TIMEOUT_S)
    assert told == [("alice", True), ("alice", False), ("bob", True)]
    assert room.remote_participants["bob"].is_encrypted


async def test_a_permission_must_name_somebody(room: rtc.Room) -> None:
    with pytest.raises(ValueError, match="participant_identity"):
        room.local_participant.set_track_subscription_permissions(
            allow_all_participants=False,
            participant_permissions=[rtc.ParticipantTrackPermission(allow_all=True)],
        )

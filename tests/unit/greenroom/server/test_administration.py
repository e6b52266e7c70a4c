"""What an administrator changes while a session runs."""

from __future__ import annotations

from typing import Any

import jwt
from livekit.protocol import models
from livekit.protocol import rtc as messages
from server_fakes import Harness

from greenroom.server.administration import change_permission, change_room_metadata, mute_track


def _permission(**changes: Any) -> models.ParticipantPermission:
    fields = {"can_subscribe": True, "can_publish": True, "can_publish_data": True, **changes}
    return models.ParticipantPermission(**fields)


async def test_everybody_is_told_of_a_new_permission(harness: Harness) -> None:
    anna = await harness.join("anna")
    bob = await harness.join("bob")

    assert change_permission(anna.participant, _permission(can_publish=False, can_update_metadata=True))

    for who in (anna, bob):
        info = await who.update_of("anna")
        while info.permission.can_publish:
            info = await who.update_of("anna")
        assert info.permission.can_update_metadata
    token = await anna.expect("refresh_token")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["video"]["canPublish"] is False
    assert claims["video"]["canUpdateOwnMetadata"] is True
    assert claims["video"]["room"] == anna.join.room.name


async def test_the_same_permission_is_no_change(harness: Harness) -> None:
    anna = await harness.join("anna")

    assert not change_permission(anna.participant, _permission())


async def test_tracks_of_a_revoked_source_end(harness: Harness) -> None:
    anna = await harness.join("anna")
    bob = await harness.join("bob")
    anna.activate()
    microphone = await anna.publish("m", "audio")
    camera = await anna.publish("c", "video")

    change_permission(anna.participant, _permission(can_publish_sources=[models.TrackSource.MICROPHONE]))

    assert (await anna.expect("track_unpublished")).track_sid == camera
    info = await bob.update_of("anna")
    while len(info.tracks) != 1 or not info.permission.can_publish_sources:
        info = await bob.update_of("anna")
    assert [t.sid for t in info.tracks] == [microphone]


async def test_subscriptions_end_and_return_with_the_permission(harness: Harness) -> None:
    anna = await harness.join("anna")
    bob = await harness.join("bob")
    anna.activate()
    bob.activate()
    await bob.answer(await bob.expect("offer"))
    sid = await anna.publish("m")
    await bob.answer(await bob.expect("offer"))
    await bob.settle()
    assert sid in bob.participant.subscriptions

    change_permission(bob.participant, _permission(can_subscribe=False))
    assert sid not in bob.participant.subscriptions

    change_permission(bob.participant, _permission())
    assert sid in bob.participant.subscriptions


async def test_who_is_hidden_later_is_still_seen_to_leave(harness: Harness) -> None:
    anna = await harness.join("anna")
    bob = await harness.join("bob")
    change_permission(anna.participant, _permission(hidden=True))
    await bob.settle()

    await anna.send(leave=messages.LeaveRequest())

    info = await bob.update_of("anna")
    while info.state != models.ParticipantInfo.DISCONNECTED:
        info = await bob.update_of("anna")


async def test_who_is_shown_later_is_seen_to_come(harness: Harness) -> None:
    anna = await harness.join("anna", hidden=True)
    bob = await harness.join("bob")
    assert list(bob.join.other_participants) == []

    change_permission(anna.participant, _permission())

    assert (await bob.update_of("anna")).state == models.ParticipantInfo.JOINED


async def test_recording_is_told_when_the_permission_begins_it(harness: Harness) -> None:
    anna = await harness.join("anna")
    bob = await harness.join("bob")

    change_permission(bob.participant, _permission(recorder=True))

    update = await anna.expect("room_update")
    while not update.room.active_recording:
        update = await anna.expect("room_update")


async def test_a_track_is_muted_in_its_publishers_place(harness: Harness) -> None:
    anna = await harness.join("anna")
    bob = await harness.join("bob")
    anna.activate()
    sid = await anna.publish("m")

    info = mute_track(anna.participant, sid, True)

    assert info is not None
    assert info.muted
    order = await anna.expect("mute")
    assert (order.sid, order.muted) == (sid, True)
    told = await bob.update_of("anna")
    while not (told.tracks and told.tracks[0].muted):
        told = await bob.update_of("anna")
    assert mute_track(anna.participant, "TR_none", True) is None


async def test_room_metadata_is_told_at_once(harness: Harness) -> None:
    anna = await harness.join("anna")

    change_room_metadata(anna.participant.room, "new")

    update = await anna.expect("room_update")
    while update.room.metadata != "new":
        update = await anna.expect("room_update")


async def test_kind_details_of_the_token_are_shown(harness: Harness) -> None:
    await harness.join("agent", kind="agent", kind_details=["cloud_agent", "unheard_of"])
    bob = await harness.join("bob")

    (agent,) = bob.join.other_participants
    assert agent.kind == models.ParticipantInfo.AGENT
    assert list(agent.kind_details) == [models.ParticipantInfo.CLOUD_AGENT]

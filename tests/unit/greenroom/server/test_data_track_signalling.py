"""Data tracks as clients ask for them and hear of them; their packets are the engine's."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as messages
from server_fakes import Harness, SignalClient

from greenroom.server.administration import change_permission

Reason = messages.RequestResponse.Reason


async def active(harness: Harness, identity: str, **grants: Any) -> SignalClient:
    client = await harness.join(identity, **grants)
    client.activate()
    await client.settle()
    return client


async def publish(client: SignalClient, handle: int = 1, name: str = "positions") -> models.DataTrackInfo:
    request = messages.PublishDataTrackRequest(
        pub_handle=handle, name=name, encryption=models.Encryption.Type.GCM
    )
    await client.send(publish_data_track_request=request)
    return (await client.expect("publish_data_track_response")).info


async def subscribe(client: SignalClient, sid: str, subscribe: bool = True) -> None:
    update = messages.UpdateDataSubscription.Update(track_sid=sid, subscribe=subscribe)
    await client.send(update_data_subscription=messages.UpdateDataSubscription(updates=[update]))


async def handles(client: SignalClient) -> dict[int, tuple[str, str, str]]:
    told = await client.expect("data_track_subscriber_handles")
    return {
        handle: (entry.publisher_identity, entry.publisher_sid, entry.track_sid)
        for handle, entry in told.sub_handles.items()
    }


async def refused(client: SignalClient, **fields: Any) -> tuple[Any, str, int]:
    request = messages.PublishDataTrackRequest(**{"pub_handle": 9, "name": "other", **fields})
    await client.send(publish_data_track_request=request)
    response = await client.expect("request_response")
    return response.reason, response.message, response.publish_data_track.pub_handle


async def test_a_track_is_announced_and_taken_back(harness: Harness) -> None:
    anna, bob = await active(harness, "anna"), await active(harness, "bob")

    info = await publish(anna)

    assert info.sid.startswith("DTR_")
    assert (info.pub_handle, info.name, info.encryption) == (1, "positions", models.Encryption.Type.GCM)
    update = await bob.update_of("anna")
    while not update.data_tracks:
        update = await bob.update_of("anna")
    assert list(update.data_tracks) == [info]
    assert update.is_publisher
    late = await harness.join("late")
    (known,) = (p for p in late.join.other_participants if p.identity == "anna")
    assert list(known.data_tracks) == [info]

    await anna.send(unpublish_data_track_request=messages.UnpublishDataTrackRequest(pub_handle=1))
    assert (await anna.expect("unpublish_data_track_response")).info == info
    assert not (await bob.update_of("anna")).data_tracks
    await anna.send(unpublish_data_track_request=messages.UnpublishDataTrackRequest(pub_handle=1))
    response = await anna.expect("request_response")
    assert (response.reason, response.unpublish_data_track.pub_handle) == (Reason.NOT_FOUND, 1)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"pub_handle": 0}, Reason.INVALID_HANDLE),
        ({"pub_handle": 65_536}, Reason.INVALID_HANDLE),
        ({"name": ""}, Reason.INVALID_NAME),
        ({"name": "x" * 257}, Reason.INVALID_NAME),
        ({"pub_handle": 1}, Reason.DUPLICATE_HANDLE),
        ({"name": "positions"}, Reason.DUPLICATE_NAME),
        ({"frame_encoding": models.DataTrackFrameEncoding(custom="x" * 33)}, Reason.INVALID_REQUEST),
    ],
    ids=str,
)
async def test_what_can_t_be_published_is_refused(
    harness: Harness, fields: dict[str, Any], reason: Any
) -> None:
    anna = await active(harness, "anna")
    await publish(anna)
    assert await refused(anna, **fields) == (reason, await _message(fields), fields.get("pub_handle", 9))


async def _message(fields: dict[str, Any]) -> str:
    if "frame_encoding" in fields:
        return "encoding identifier is empty or exceeds the maximum length"
    if fields.get("pub_handle") == 1:
        return "a data track with same handle already exists"
    if "pub_handle" in fields:
        return "handle should be > 0 AND < 65536"
    if fields["name"] == "positions":
        return "a data track with same name already exists"
    return "name should not be empty and should not exceed 256 characters"


async def test_without_permission_nothing_is_published(harness: Harness) -> None:
    anna = await active(harness, "anna", can_publish_data=False)
    reason, message, _ = await refused(anna)
    assert (reason, message) == (Reason.NOT_ALLOWED, "does not have permission to publish data")


async def test_subscribers_get_the_track_under_a_handle_of_their_own(harness: Harness) -> None:
    anna, bob = await active(harness, "anna"), await active(harness, "bob")
    first, second = await publish(anna), await publish(anna, 2, "other")

    await subscribe(bob, first.sid)
    told = await handles(bob)
    ((handle, entry),) = told.items()
    assert entry == ("anna", anna.sid, first.sid)
    assert anna.publisher.data_tracks == {(1, bob.subscriber.handle): handle}
    await subscribe(bob, second.sid)
    # Always the whole table.
    assert {entry[2] for entry in (await handles(bob)).values()} == {first.sid, second.sid}
    await subscribe(bob, first.sid, False)
    ((other, _),) = (await handles(bob)).items()
    assert anna.publisher.data_tracks == {(2, bob.subscriber.handle): other}

    await anna.send(unpublish_data_track_request=messages.UnpublishDataTrackRequest(pub_handle=2))
    assert await handles(bob) == {}
    assert anna.publisher.data_tracks == {}


async def test_channels_of_both_connections_carry_packets(harness: Harness) -> None:
    anna = await active(harness, "anna")
    assert anna.publisher.data_track_channels == anna.subscriber.data_track_channels == [5]


async def test_a_wish_for_a_track_that_comes_later_is_kept(harness: Harness) -> None:
    anna, bob = await active(harness, "anna"), await active(harness, "bob")
    info = await publish(anna)
    publisher = anna.participant
    publisher.set_subscription_permission(messages.SubscriptionPermission())
    await subscribe(bob, info.sid)
    update = await bob.expect("subscription_permission_update")
    assert (update.participant_sid, update.track_sid, update.allowed) == (anna.sid, info.sid, False)
    assert anna.publisher.data_tracks == {}

    publisher.set_subscription_permission(messages.SubscriptionPermission(all_participants=True))
    assert (await bob.expect("subscription_permission_update")).allowed
    assert len(await handles(bob)) == 1
    assert len(anna.publisher.data_tracks) == 1


async def test_nobody_subscribes_to_its_own_track(harness: Harness) -> None:
    anna = await active(harness, "anna")
    info = await publish(anna)
    await subscribe(anna, info.sid)
    await anna.settle()
    assert "data_track_subscriber_handles" not in anna.kinds()


async def test_asked_for_all_are_subscribed(harness: Harness) -> None:
    anna = await active(harness, "anna")
    info = await publish(anna)
    bob = await harness.join("bob", query={"auto_subscribe_data_track": "1"})
    ((_, entry),) = (await handles(bob)).items()
    assert entry == ("anna", anna.sid, info.sid)


async def test_leaving_ends_tracks_and_subscriptions(harness: Harness) -> None:
    anna, bob = await active(harness, "anna"), await active(harness, "bob")
    mine, other = await publish(anna), await publish(bob)
    await subscribe(bob, mine.sid)
    await handles(bob)
    await subscribe(anna, other.sid)
    await handles(anna)

    await anna.send(leave=messages.LeaveRequest())
    assert await handles(bob) == {}
    assert bob.publisher.data_tracks == {}
    assert list(bob.participant.room.data_tracks) == [other.sid]


async def test_a_permission_that_is_withdrawn_ends_the_tracks(harness: Harness) -> None:
    anna, bob = await active(harness, "anna"), await active(harness, "bob")
    info = await publish(anna)
    await subscribe(bob, info.sid)
    await handles(bob)

    change_permission(anna.participant, models.ParticipantPermission(can_subscribe=True, can_publish=True))
    assert (await anna.expect("unpublish_data_track_response")).info == info
    assert await handles(bob) == {}


async def test_a_resume_tells_the_handles_again_and_checks_what_is_published(harness: Harness) -> None:
    anna, bob = await active(harness, "anna"), await active(harness, "bob")
    info = await publish(anna)
    await subscribe(bob, info.sid)
    before = await handles(bob)
    resumed = await harness.connect(harness.server.token("room", "bob"), reconnect="1", sid=bob.sid)
    resumed.join, resumed.participant = bob.join, bob.participant
    assert await handles(resumed) == before

    known = messages.SyncState(publish_data_tracks=[messages.PublishDataTrackResponse(info=info)])
    await anna.send(sync_state=known)
    await anna.settle()
    unknown = models.DataTrackInfo(sid="DTR_unknown", pub_handle=4)
    state = messages.SyncState(publish_data_tracks=[messages.PublishDataTrackResponse(info=unknown)])
    await anna.send(sync_state=state)
    assert (await anna.expect("leave")).action == messages.LeaveRequest.Action.RECONNECT

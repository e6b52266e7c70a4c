"""Joining: the first messages, other participants, duplicate identities, leaving."""

from __future__ import annotations

import pytest
from aiohttp import WSServerHandshakeError
from livekit.protocol import models
from livekit.protocol import room as room_messages
from livekit.protocol import rtc as messages
from server_fakes import Harness

from greenroom.signalling.sdp import MediaKind, parse

State = models.ParticipantInfo.State
Reason = models.DisconnectReason
Action = messages.LeaveRequest.Action


async def test_join_response_is_complete(harness: Harness) -> None:
    anna = await harness.join("anna", name="Anna", metadata="m", attributes={"a": "1"})

    join = anna.join
    assert join.room.name == "room"
    assert join.room.sid.startswith("RM_")
    assert (join.room.empty_timeout, join.room.departure_timeout) == (300, 20)
    assert join.participant.sid.startswith("PA_")
    assert join.participant.state == State.JOINING
    assert (join.participant.name, join.participant.metadata) == ("Anna", "m")
    assert dict(join.participant.attributes) == {"a": "1"}
    assert join.participant.permission == models.ParticipantPermission(
        can_subscribe=True, can_publish=True, can_publish_data=True
    )
    assert not join.other_participants
    assert join.server_info.version == "1.13.4"
    assert (join.ping_interval, join.ping_timeout) == (5, 15)
    assert join.subscriber_primary
    assert join.fast_publish
    assert len(join.sif_trailer) >= 40
    assert "video/VP8" in [codec.mime for codec in join.enabled_publish_codecs]


async def test_refresh_token_and_first_offer_follow(harness: Harness) -> None:
    anna = await harness.join("anna")

    offer = await anna.expect("offer")

    assert anna.kinds()[:3] == ["join", "refresh_token", "offer"]
    description = parse(offer.sdp)
    assert [(m.kind, m.mid, m.setup) for m in description.media] == [(MediaKind.APPLICATION, "0", "actpass")]
    assert not offer.mid_to_track_id
    assert anna.subscriber.channels == [
        ("_reliable", True, None),
        ("_lossy", False, 0),
        ("_data_track", False, 0),
    ]
    assert anna.subscriber.controlling
    assert not anna.publisher.controlling


async def test_refreshed_token_joins_again(harness: Harness) -> None:
    anna = await harness.join("anna", can_publish=False, name="Anna")
    token = await anna.expect("refresh_token")

    again = await harness.connect(token)

    first = await again.receive()
    assert first.join.participant.name == "Anna"
    assert not first.join.participant.permission.can_publish


async def test_others_are_in_the_join_and_learn_of_it(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()

    bob = await harness.join(
        "bob", query={"client_protocol": "2", "capabilities": "CAP_PACKET_TRAILER,CAP_NEW"}
    )

    (other,) = bob.join.other_participants
    assert (other.identity, other.sid, other.state) == ("anna", anna.sid, State.ACTIVE)
    seen = await anna.update_of("bob")
    assert (seen.sid, seen.state, seen.client_protocol) == (bob.sid, State.JOINED, 2)
    assert list(seen.capabilities) == [models.ClientInfo.Capability.CAP_PACKET_TRAILER]
    bob.activate()
    assert (await anna.update_of("bob")).state == State.ACTIVE


async def test_participant_gets_its_own_updates(harness: Harness) -> None:
    anna = await harness.join("anna")

    assert (await anna.update_of("anna")).state == State.JOINED


async def test_counts_follow_in_a_room_update(harness: Harness) -> None:
    anna = await harness.join("anna")
    await harness.join("agent", kind="agent")

    update = await anna.expect("room_update")

    assert update.room.num_participants == 1


async def test_hidden_participant_is_told_of_itself_only(harness: Harness) -> None:
    anna = await harness.join("anna")
    ghost = await harness.join("ghost", hidden=True)
    bob = await harness.join("bob")

    assert [p.identity for p in bob.join.other_participants] == ["anna"]
    assert (await ghost.update_of("ghost")).permission.hidden
    await anna.update_of("bob")
    told = [p.identity for m in anna.seen if m.HasField("update") for p in m.update.participants]
    assert "ghost" not in told


async def test_room_settings_come_from_the_token(harness: Harness) -> None:
    config = room_messages.RoomConfiguration(
        max_participants=1, metadata="about", empty_timeout=7, departure_timeout=8
    )
    anna = await harness.join("anna", room_config=config)

    room = anna.join.room
    assert (room.max_participants, room.metadata) == (1, "about")
    assert (room.empty_timeout, room.departure_timeout) == (7, 8)


async def test_full_room_refuses_before_the_upgrade(harness: Harness) -> None:
    await harness.join("anna", room_config=room_messages.RoomConfiguration(max_participants=1))

    with pytest.raises(WSServerHandshakeError) as refused:
        await harness.connect(harness.server.token("room", "bob"))

    assert refused.value.status == 500
    assert len(harness.sfu.transports) == 2  # nothing was made for the second


async def test_agents_do_not_count_for_a_full_room(harness: Harness) -> None:
    await harness.join("anna", room_config=room_messages.RoomConfiguration(max_participants=1))

    await harness.join("agent", kind="agent")


async def test_same_identity_replaces_the_session(harness: Harness) -> None:
    bob = await harness.join("bob")
    first = await harness.join("anna")
    await bob.update_of("anna")

    second = await harness.join("anna")

    leave = await first.expect("leave")
    assert (leave.reason, leave.action) == (Reason.DUPLICATE_IDENTITY, Action.DISCONNECT)
    assert await first.closed() == 1000
    assert first.kinds()[-1] == "leave"
    update = await bob.update_of("anna")
    assert (update.sid, update.state) == (second.sid, State.JOINED)
    assert [p.identity for p in second.join.other_participants] == ["bob"]


async def test_old_clients_are_told_of_the_replaced_session(harness: Harness) -> None:
    bob = await harness.join("bob", query={"protocol": "11"})
    first = await harness.join("anna")
    await bob.update_of("anna")

    await harness.join("anna")

    update = await bob.update_of("anna")
    assert (update.sid, update.state) == (first.sid, State.DISCONNECTED)


async def test_leave_is_answered_and_told(harness: Harness) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    await anna.update_of("bob")

    await bob.send(leave=messages.LeaveRequest(reason=Reason.USER_REJECTED, action=Action.DISCONNECT))

    leave = await bob.expect("leave")
    assert (leave.reason, leave.action) == (Reason.USER_REJECTED, Action.DISCONNECT)
    assert await bob.closed() == 1000
    update = await anna.update_of("bob")
    assert (update.state, update.disconnect_reason) == (State.DISCONNECTED, Reason.USER_REJECTED)
    assert not update.tracks
    assert bob.participant.publisher.connection.closed


async def test_lost_signal_before_media_ends_the_session(harness: Harness) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    await anna.update_of("bob")

    await bob.websocket.close()

    update = await anna.update_of("bob")
    assert (update.state, update.disconnect_reason) == (State.DISCONNECTED, Reason.SIGNAL_CLOSE)


async def test_lost_signal_with_media_up_keeps_the_session_until_media_fails(harness: Harness) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    bob.activate()
    while (await anna.update_of("bob")).state != State.ACTIVE:
        pass
    await bob.websocket.close()
    await anna.settle()
    assert not bob.participant.closed

    from greenroom import _engine

    while bob.participant.session is not None:
        await anna.settle()
    bob.subscriber.emit(_engine.FAILED, "no packet for 15 s")

    update = await anna.update_of("bob")
    assert (update.state, update.disconnect_reason) == (State.DISCONNECTED, Reason.CONNECTION_TIMEOUT)


@pytest.mark.parametrize(
    ("protocol", "action", "can_reconnect"), [("17", Action.RECONNECT, False), ("12", 0, True)]
)
async def test_resume_of_an_unknown_session_asks_for_a_new_one(
    harness: Harness, protocol: str, action: int, can_reconnect: bool
) -> None:
    token = harness.server.token("room", "anna")

    client = await harness.connect(token, protocol=protocol, reconnect="1", sid="PA_gone")

    first = await client.receive()
    assert first.leave.reason == Reason.STATE_MISMATCH
    assert (first.leave.action, first.leave.can_reconnect) == (action, can_reconnect)
    assert await client.closed() == 1000


async def test_client_without_subscribe_grant_has_publisher_as_primary(harness: Harness) -> None:
    anna = await harness.join("anna", can_subscribe=False)

    assert not anna.join.subscriber_primary
    anna.publisher.connect()

    while (await anna.update_of("anna")).state != State.ACTIVE:
        pass
    assert "offer" not in anna.kinds()
    assert not anna.subscriber.channels


async def test_session_without_media_is_removed() -> None:
    async with Harness(join_timeout_s=0.02) as harness:
        anna = await harness.join("anna")

        leave = await anna.expect("leave")

        assert (leave.reason, leave.action) == (Reason.JOIN_FAILURE, Action.DISCONNECT)


async def test_room_closes_after_all_left() -> None:
    async with Harness(departure_timeout_s=0) as harness:
        agent = await harness.join("agent", kind="agent")
        anna = await harness.join("anna")

        await anna.send(leave=messages.LeaveRequest())

        leave = await agent.expect("leave")
        assert leave.reason == Reason.ROOM_CLOSED
        assert harness.server.rooms.get("room") is None


async def test_an_agent_that_leaves_an_empty_room_does_not_end_it_early() -> None:
    async with Harness(empty_timeout_s=3600, departure_timeout_s=0) as harness:
        agent = await harness.join("agent", kind="agent")
        await agent.send(leave=messages.LeaveRequest())
        await agent.closed()
        assert harness.server.rooms.get("room") is not None
        anna = await harness.join("anna")
        agent = await harness.join("agent", kind="agent")
        await anna.send(leave=messages.LeaveRequest())
        assert (await agent.expect("leave")).reason == models.DisconnectReason.ROOM_CLOSED
        assert harness.server.rooms.get("room") is None


async def test_pings_are_answered(harness: Harness) -> None:
    anna = await harness.join("anna")

    await anna.send(ping_req=messages.Ping(timestamp=1234, rtt=5))
    await anna.send(ping=99)

    pong = await anna.expect("pong_resp")
    assert pong.last_ping_timestamp == 1234
    assert pong.timestamp > 1_600_000_000_000
    assert await anna.expect("pong") > 1_600_000_000_000

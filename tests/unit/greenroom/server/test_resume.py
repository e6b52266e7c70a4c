"""A lost signal connection is replaced: the session goes on."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from livekit.protocol import models
from livekit.protocol import rtc as messages
from server_fakes import Harness, SignalClient, subscriber_answer

from greenroom import _engine
from greenroom.server.http import HttpApp
from greenroom.server.websocket import Session
from greenroom.signalling.sdp import parse


async def lose_path(harness: Harness) -> SignalClient:
    """Anna, who has joined, and whose media path has died."""
    anna = await harness.join("anna")
    anna.activate()
    anna.subscriber.emit(_engine.ICE_STATE, "failed")
    return anna


async def resume(harness: Harness, client: SignalClient, identity: str) -> SignalClient:
    token = harness.server.token("room", identity)
    resumed = await harness.connect(token, reconnect="1", sid=client.sid)
    resumed.join, resumed.participant = client.join, client.participant
    return resumed


async def test_first_messages_of_a_resume(harness: Harness) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    first_offer = await anna.expect("offer")
    anna.activate()
    await anna.answer(first_offer)
    await anna.settle()
    anna.publisher.receive(1, models.DataPacket(sequence=9, user=models.UserPacket()).SerializeToString())

    resumed = await resume(harness, anna, "anna")

    offer = await resumed.expect("offer")
    assert resumed.kinds() == ["reconnect", "update", "room_update", "refresh_token", "offer"]
    assert resumed.seen[0].reconnect.last_message_seq == 9
    assert resumed.seen[0].reconnect.server_info.version == "1.13.4"
    assert {p.sid for p in resumed.seen[1].update.participants} == {anna.sid, bob.sid}
    assert await anna.closed() == 1000
    assert "leave" not in anna.kinds()
    assert offer.id == first_offer.id + 1
    before, after = (parse(o.sdp).media[0].ice_ufrag for o in (first_offer, offer))
    assert before != after
    answer = subscriber_answer(offer.sdp).replace("a=ice-ufrag:dddd", "a=ice-ufrag:new")
    await resumed.send(answer=messages.SessionDescription(type="answer", sdp=answer, id=offer.id))
    await resumed.settle()
    assert anna.subscriber.remote is not None
    assert anna.subscriber.remote["ice_ufrag"] == "new"
    assert anna.subscriber.restarts == 1


async def test_unanswered_offer_is_made_again(harness: Harness) -> None:
    anna = await harness.join("anna")
    first = await anna.expect("offer")
    anna.activate()

    resumed = await resume(harness, anna, "anna")

    second = await resumed.expect("offer")
    assert parse(second.sdp).media[0].ice_ufrag == parse(first.sdp).media[0].ice_ufrag
    await resumed.answer(second)
    await resumed.settle()
    assert anna.subscriber.remote is not None


async def test_sync_state_that_fits_is_accepted(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()
    await anna.publish("c")
    while not (info := await anna.update_of("anna")).tracks:
        pass
    resumed = await resume(harness, anna, "anna")

    published = messages.TrackPublishedResponse(cid="c", track=info.tracks[0])
    await resumed.send(sync_state=messages.SyncState(publish_tracks=[published]))
    await resumed.settle()

    assert not anna.participant.closed


async def test_sync_state_with_an_unknown_track_asks_for_a_new_session(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()
    resumed = await resume(harness, anna, "anna")

    published = messages.TrackPublishedResponse(cid="c", track=models.TrackInfo(sid="TR_gone"))
    await resumed.send(sync_state=messages.SyncState(publish_tracks=[published]))

    leave = await resumed.expect("leave")
    assert leave.reason == models.DisconnectReason.STATE_MISMATCH
    assert leave.action == messages.LeaveRequest.Action.RECONNECT


@pytest.mark.parametrize("sid", ["PA_other", "PA_gone"])
async def test_another_sid_does_not_resume(harness: Harness, sid: str) -> None:
    anna = await harness.join("anna")
    anna.activate()

    client = await harness.connect(harness.server.token("room", "anna"), reconnect="1", sid=sid)

    assert (await client.receive()).leave.reason == models.DisconnectReason.STATE_MISMATCH
    await anna.settle()


async def test_simulated_node_failure_ends_without_a_leave(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()

    await anna.send(simulate=messages.SimulateScenario(node_failure=True))

    assert await anna.closed() == 1000
    assert "leave" not in anna.kinds()
    again = await resume(harness, anna, "anna")
    assert (await again.receive()).leave.action == messages.LeaveRequest.Action.RECONNECT


async def test_simulated_server_leave_is_final(harness: Harness) -> None:
    anna = await harness.join("anna")

    await anna.send(simulate=messages.SimulateScenario(server_leave=True))

    leave = await anna.expect("leave")
    assert (leave.reason, leave.action) == (
        models.DisconnectReason.SERVER_SHUTDOWN,
        messages.LeaveRequest.Action.DISCONNECT,
    )


async def test_simulated_speaker(harness: Harness) -> None:
    anna = await harness.join("anna")

    await anna.send(simulate=messages.SimulateScenario(speaker_update=0))

    levels = [(await anna.expect("speakers_changed")).speakers[0].active for _ in range(2)]
    assert levels == [True, False]


async def test_dead_media_path_asks_to_resume_and_waits(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.server.participant.RESUME_GRACE_S", 0.05)
    monkeypatch.setattr("greenroom.server.websocket.RETIRE_LIMIT_S", 0.05)
    anna, bob = await harness.join("anna"), await harness.join("bob")
    anna.activate()
    anna.subscriber.emit(_engine.ICE_STATE, "disconnected")
    anna.subscriber.emit(_engine.ICE_STATE, "failed")

    leave = await anna.expect("leave")

    assert leave.action == messages.LeaveRequest.Action.RESUME
    assert await anna.closed() == 1000
    update = await bob.update_of("anna")
    while update.state != models.ParticipantInfo.State.DISCONNECTED:
        update = await bob.update_of("anna")
    assert update.disconnect_reason == models.DisconnectReason.CONNECTION_TIMEOUT


async def test_who_is_asked_to_resume_closes_the_signal_connection_itself(harness: Harness) -> None:
    """Right behind the leave, the server's close makes LiveKit's Rust core start anew."""
    anna = await lose_path(harness)
    await anna.expect("leave")

    resumed = await resume(harness, anna, "anna")
    await resumed.expect("reconnect")
    await resumed.settle()

    assert harness.server.sessions_open == 2


async def test_who_is_asked_to_resume_may_leave_instead(harness: Harness) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    anna.activate()
    anna.subscriber.emit(_engine.ICE_STATE, "failed")
    await anna.expect("leave")

    await anna.send(mute=messages.MuteTrackRequest(sid="TR_unknown"))
    await anna.send(leave=messages.LeaveRequest())

    update = await bob.update_of("anna")
    while update.state != models.ParticipantInfo.State.DISCONNECTED:
        update = await bob.update_of("anna")
    assert update.disconnect_reason == models.DisconnectReason.CLIENT_INITIATED


async def test_an_older_client_whose_media_path_is_dead_loses_its_signal_connection_and_resumes(
    harness: Harness,
) -> None:
    """Protocol 12 and less knows no leave to be followed by a resume; `can_reconnect` would make it start anew."""
    anna = await harness.join("anna", query={"protocol": "12"})
    anna.activate()

    anna.subscriber.emit(_engine.ICE_STATE, "failed")

    assert await anna.closed() == 1000
    assert "leave" not in anna.kinds()
    resumed = await resume(harness, anna, "anna")
    await resumed.expect("reconnect")


async def test_a_client_that_closed_its_path_is_gone_though_its_leave_was_lost(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.server.participant.RESUME_GRACE_S", 0.05)
    anna, bob = await harness.join("anna"), await harness.join("bob")
    anna.activate()

    anna.subscriber.emit(_engine.ICE_STATE, "closed")

    update = await bob.update_of("anna")
    while update.state != models.ParticipantInfo.State.DISCONNECTED:
        update = await bob.update_of("anna")
    assert update.disconnect_reason == models.DisconnectReason.CONNECTION_TIMEOUT


@pytest.mark.parametrize(
    ("reason", "action"), [("CONNECTION_TIMEOUT", "RECONNECT"), ("PARTICIPANT_REMOVED", "DISCONNECT")]
)
async def test_a_session_that_ends_while_its_resume_comes_up(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, reason: str, action: str
) -> None:
    anna = await harness.join("anna")
    upgrade = HttpApp._upgrade

    async def too_late(app: HttpApp, request: web.Request) -> tuple[web.WebSocketResponse, Session]:
        upgraded = await upgrade(app, request)
        anna.participant.room.remove(anna.participant, models.DisconnectReason.Value(reason))
        return upgraded

    monkeypatch.setattr(HttpApp, "_upgrade", too_late)
    resumed = await resume(harness, anna, "anna")

    leave = await resumed.expect("leave")
    assert messages.LeaveRequest.Action.Name(leave.action) == action
    assert await resumed.closed() == 1000
    assert resumed.kinds() == ["leave"]


async def test_after_a_resume_the_media_path_has_time_to_come_back(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.server.participant.RESUME_GRACE_S", 0.5)
    anna = await lose_path(harness)
    resumed = await resume(harness, anna, "anna")
    await resumed.expect("reconnect")

    await asyncio.sleep(0.6)  # longer than the grace time: nothing else tells that nothing happens

    await resumed.settle()
    assert "leave" not in resumed.kinds()


async def test_a_media_path_that_never_comes_back_after_a_resume(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.server.participant.REVIVAL_S", 0.05)
    anna = await lose_path(harness)

    resumed = await resume(harness, anna, "anna")

    leave = await resumed.expect("leave")
    assert leave.action == messages.LeaveRequest.Action.RECONNECT
    assert leave.reason == models.DisconnectReason.CONNECTION_TIMEOUT


async def test_a_signal_connection_that_is_lost_before_the_media_path_is_back(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    anna.activate()
    anna.subscriber.emit(_engine.ICE_STATE, "failed")
    resumed = await resume(harness, anna, "anna")
    await resumed.expect("reconnect")
    monkeypatch.setattr("greenroom.server.participant.RESUME_GRACE_S", 0.05)

    await resumed.websocket.close()

    update = await bob.update_of("anna")
    while update.state != models.ParticipantInfo.State.DISCONNECTED:
        update = await bob.update_of("anna")
    assert update.disconnect_reason == models.DisconnectReason.CONNECTION_TIMEOUT


async def test_revived_media_path_keeps_the_session(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.server.participant.RESUME_GRACE_S", 0.5)
    anna = await lose_path(harness)
    resumed = await resume(harness, anna, "anna")
    await resumed.expect("reconnect")

    anna.subscriber.emit(_engine.ICE_STATE, "connected")

    await asyncio.sleep(0.6)  # longer than the grace time: nothing else tells that nothing happens
    assert not anna.participant.closed
    await resumed.settle()

"""Reconnecting against a scripted server: what it is told, and what users see, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from client_fakes import TIMEOUT_S, Connection, FakeAudioSource, FakePeers, SignalServer, participant, track
from livekit.protocol import models
from livekit.protocol import rtc as proto
from test_session import Recorder

from greenroom import _engine
from greenroom.client import data, outbox, reconnect, reconnector, restart, resume, wishes
from greenroom.client.errors import PublishDataError, PublishTrackError, RequestError
from greenroom.signalling.sdp import parse
from livekit import rtc

Action = proto.LeaveRequest.Action
ANNA = participant("anna", tracks=[track("TR_a")])


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "random_unit", lambda: 0.0)


@pytest.fixture
async def joined(
    server: SignalServer, peers: FakePeers
) -> AsyncIterator[tuple[rtc.Room, Recorder, Connection]]:
    """A room with anna in it, its events, and the server's end of its signal connection."""
    server.join.other_participants.append(ANNA)
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    await recorder.until("connected")
    connection = await server.connection()
    await connection.expect("answer")
    recorder.events.clear()
    yield room, recorder, connection
    await room.disconnect()


Joined = tuple[rtc.Room, Recorder, Connection]


async def lose_signal(connection: Connection) -> None:
    assert connection.request.transport is not None
    connection.request.transport.abort()


def kinds(connection: Connection, wanted: Iterable[str]) -> list[str]:
    return [kind for kind, _ in connection.received if kind in wanted]


async def publish(room: rtc.Room, name: str = "mic") -> rtc.LocalTrackPublication:
    local = rtc.LocalAudioTrack.create_audio_track(name, FakeAudioSource())  # type: ignore[arg-type]
    return await room.local_participant.publish_track(local)


def sent(peers: FakePeers) -> list[tuple[int, bytes]]:
    packets = [models.DataPacket.FromString(d) for label, d in peers.publisher.sent if label == "_reliable"]
    return [(p.sequence, p.user.payload) for p in packets]


# ---- resume ----


async def test_a_lost_signal_connection_is_resumed(
    joined: Joined, server: SignalServer, peers: FakePeers
) -> None:
    room, recorder, connection = joined
    await connection.send(refresh_token="newer")
    await recorder.until("token_refreshed")
    recorder.events.clear()
    await lose_signal(connection)
    await recorder.until("reconnected")
    assert recorder.events == [
        ("connection_state_changed", 2),
        ("reconnecting",),
        ("connection_state_changed", 1),
        ("reconnected",),
    ]
    resumed = await server.connection()
    assert (resumed.request.query["reconnect"], resumed.request.query["sid"]) == ("1", "PA_me")
    assert resumed.request.headers["Authorization"] == "Bearer newer"
    assert len(peers.made) == 2
    assert peers.publisher.restarts == peers.subscriber.restarts == 1
    await resumed.expect("answer")
    order = kinds(resumed, ("sync_state", "offer"))
    assert order[0] == "sync_state"
    assert room.connection_state == rtc.ConnectionState.CONN_CONNECTED


async def test_a_signal_connection_whose_address_is_gone_is_resumed_at_once(
    joined: Joined, server: SignalServer, peers: FakePeers
) -> None:
    _, recorder, connection = joined
    # What others there are says nothing, as long as the one it goes from is there.
    peers.publisher.fire(_engine.ADDRESSES_CHANGED, "192.0.2.1 127.0.0.1")
    await connection.send(refresh_token="newer")
    await recorder.until("token_refreshed")
    assert recorder.events == [("token_refreshed",)]
    peers.publisher.fire(_engine.ADDRESSES_CHANGED, "192.0.2.1")
    await recorder.until("reconnected")
    resumed = await server.connection()
    assert (resumed.request.query["reconnect"], resumed.request.query["sid"]) == ("1", "PA_me")


async def test_the_state_is_reconnecting_until_media_flows_again(
    joined: Joined, server: SignalServer, peers: FakePeers
) -> None:
    room, recorder, connection = joined
    peers.connects = False
    await lose_signal(connection)
    resumed = await server.connection()
    await resumed.expect("answer")
    await resumed.expect("offer")
    assert room.connection_state == rtc.ConnectionState.CONN_RECONNECTING
    assert room.isconnected()
    peers.subscriber.connect()
    assert "reconnected" not in recorder.names()
    await asyncio.wait_for(peers.publisher.restarted(), TIMEOUT_S)
    peers.publisher.connect()
    await recorder.until("reconnected")


async def test_sync_state_tells_what_the_client_has(joined: Joined, server: SignalServer) -> None:
    room, _, connection = joined
    publication = await publish(room)
    room.remote_participants["anna"].track_publications["TR_a"].set_subscribed(False)
    await connection.expect("subscription")
    await lose_signal(connection)
    sync = await (await server.connection()).expect("sync_state")
    assert [(p.track.sid, p.cid != "") for p in sync.publish_tracks] == [(publication.sid, True)]
    assert (list(sync.subscription.track_sids), sync.subscription.subscribe) == (["TR_a"], False)
    assert parse(sync.offer.sdp).media
    assert parse(sync.answer.sdp).media
    assert [(c.label, c.target) for c in sync.data_channels] == [
        ("_reliable", 0),
        ("_lossy", 0),
        ("_data_track", 0),
    ]


async def test_who_is_not_in_the_snapshot_has_left_before_reconnected(
    joined: Joined, server: SignalServer
) -> None:
    room, recorder, connection = joined
    del server.join.other_participants[:]
    server.join.other_participants.append(participant("bob"))
    await lose_signal(connection)
    await recorder.until("reconnected")
    names = recorder.names()
    assert names.index("participant_disconnected") < names.index("reconnected")
    assert ("participant_connected", "bob") in recorder.events
    assert set(room.remote_participants) == {"bob"}


async def test_reliable_data_that_the_server_has_not_seen_is_sent_again(
    joined: Joined, server: SignalServer, peers: FakePeers
) -> None:
    room, recorder, connection = joined
    peers.publisher.unacknowledged = 10_000
    for payload in (b"1", b"2", b"3"):
        await room.local_participant.publish_data(payload)
    server.last_message_seq = 1
    recorder.events.clear()
    await lose_signal(connection)
    await recorder.until("reconnecting")
    late = [asyncio.ensure_future(room.local_participant.publish_data(p)) for p in (b"4", b"5")]
    await recorder.until("reconnected")
    await asyncio.gather(*late)
    assert sent(peers) == [(1, b"1"), (2, b"2"), (3, b"3"), (2, b"2"), (3, b"3"), (4, b"4"), (5, b"5")]


async def test_requests_wait_for_the_resume_and_go_out_in_order(joined: Joined, server: SignalServer) -> None:
    room, recorder, connection = joined
    publication = room.remote_participants["anna"].track_publications["TR_a"]

    def ask() -> None:
        publication.set_subscribed(False)
        publication.set_video_quality(0)
        publication.set_subscribed(True)

    room.on("reconnecting", ask)
    await lose_signal(connection)
    await recorder.until("reconnected")
    resumed = await server.connection()
    await resumed.expect("subscription", count=2)
    wanted = ("sync_state", "subscription", "track_setting")
    assert kinds(resumed, wanted) == ["sync_state", "subscription", "track_setting", "subscription"]


async def test_a_leave_that_asks_to_resume(joined: Joined, server: SignalServer) -> None:
    _, recorder, connection = joined
    await connection.send(leave=proto.LeaveRequest(action=Action.RESUME))
    await recorder.until("reconnected")
    assert (await server.connection()).request.query.get("reconnect") == "1"
    assert recorder.names().count("reconnecting") == 1


async def test_silent_media_restarts_ice_after_a_while(
    joined: Joined, server: SignalServer, peers: FakePeers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconnector, "SILENCE_LIMIT_S", 0.0)
    _, recorder, _ = joined
    peers.subscriber.fire(_engine.ICE_STATE, "disconnected")
    peers.subscriber.fire(_engine.ICE_STATE, "connected")  # in time
    await asyncio.sleep(0.01)
    assert recorder.events == []
    peers.subscriber.fire(_engine.ICE_STATE, "disconnected")
    await recorder.until("reconnected")
    assert peers.subscriber.restarts == 1


# ---- restart ----

RESTARTED = [
    ("track_unpublished", "TR_a", "anna"),
    ("participant_disconnected", "anna"),
    ("connection_state_changed", 2),
    ("reconnecting",),
    ("participant_connected", "anna"),
    ("participant_active", "anna"),
    ("track_published", "TR_a", "anna"),
    ("connection_state_changed", 1),
    ("reconnected",),
]


def rejoin(server: SignalServer) -> None:
    server.join.participant.sid = "PA_me2"


async def test_a_restart_has_new_sids_and_the_same_tracks(
    joined: Joined, server: SignalServer, peers: FakePeers
) -> None:
    room, recorder, connection = joined
    publication = await publish(room)
    old_sid, local = publication.sid, publication.track
    recorder.events.clear()
    rejoin(server)
    await connection.send(leave=proto.LeaveRequest(action=Action.RECONNECT))
    await recorder.until("reconnected")
    assert publication.sid != old_sid
    again = ("local_track_republished", publication.sid, old_sid)
    assert recorder.events == [*RESTARTED[:-2], again, *RESTARTED[-2:]]
    assert publication.track is local
    assert local is not None
    assert local.sid == publication.sid
    assert dict(room.local_participant.track_publications) == {publication.sid: publication}
    assert room.local_participant.sid == "PA_me2"
    assert len(peers.made) == 4
    assert all(peer.closed for peer in peers.made[:2])
    assert "reconnect" not in (await server.connection()).request.query


@pytest.mark.parametrize("which", ["publisher", "subscriber"])
async def test_a_dead_media_connection_needs_a_restart(joined: Joined, peers: FakePeers, which: str) -> None:
    _, recorder, _ = joined
    getattr(peers, which).fire(_engine.FAILED, "no consent")
    await recorder.until("reconnected")
    assert recorder.events == RESTARTED


async def test_a_refused_resume_becomes_a_restart_with_one_reconnecting(
    joined: Joined, server: SignalServer
) -> None:
    _, recorder, connection = joined
    leave = proto.LeaveRequest(action=Action.RECONNECT, reason="STATE_MISMATCH")
    server.resume = [proto.SignalResponse(leave=leave)]
    await lose_signal(connection)
    await recorder.until("reconnected")
    names = recorder.names()
    assert names.count("reconnecting") == names.count("reconnected") == 1
    assert names.index("reconnecting") < names.index("participant_disconnected")


async def test_signalling_lost_while_resuming_becomes_a_restart(
    joined: Joined, server: SignalServer, peers: FakePeers
) -> None:
    _, recorder, connection = joined
    peers.connects = False
    await lose_signal(connection)
    resumed = await server.connection()
    await resumed.expect("answer")
    peers.connects = True
    await lose_signal(resumed)
    await recorder.until("reconnected")
    assert len(peers.made) == 4
    assert recorder.names().count("reconnecting") == 1


async def test_wishes_are_asked_for_again(joined: Joined, server: SignalServer) -> None:
    room, recorder, connection = joined
    publication = room.remote_participants["anna"].track_publications["TR_a"]
    publication.set_subscribed(False)
    await connection.expect("subscription")
    await connection.send(leave=proto.LeaveRequest(action=Action.RECONNECT))
    await recorder.until("reconnected")
    wish = await (await server.connection()).expect("subscription")
    assert (list(wish.track_sids), wish.subscribe) == (["TR_a"], False)


async def test_wishes_without_end_are_forgotten_and_told(
    joined: Joined, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wishes, "MAX_WISHES", 1)
    room, recorder, connection = joined
    room.remote_participants["anna"].track_publications["TR_a"].set_subscribed(False)
    await connection.send(leave=proto.LeaveRequest(action=Action.RECONNECT))
    await recorder.until("reconnected")
    assert (
        "what was asked of remote tracks is forgotten from TR_a on: 0 wishes are kept already" in caplog.text
    )


async def test_subscription_permissions_follow_the_new_sids(joined: Joined, server: SignalServer) -> None:
    room, recorder, connection = joined
    publication = await publish(room)
    permission = rtc.ParticipantTrackPermission(
        participant_identity="anna", allowed_track_sids=[publication.sid]
    )
    room.local_participant.set_track_subscription_permissions(
        allow_all_participants=False, participant_permissions=[permission]
    )
    await connection.expect("subscription_permission")
    await connection.send(leave=proto.LeaveRequest(action=Action.RECONNECT))
    await recorder.until("reconnected")
    repeated = await (await server.connection()).expect("subscription_permission")
    assert list(repeated.track_permissions[0].track_sids) == [publication.sid]


async def test_data_after_a_restart_is_numbered_anew(joined: Joined, peers: FakePeers) -> None:
    room, recorder, connection = joined
    await room.local_participant.publish_data(b"before")
    await connection.send(leave=proto.LeaveRequest(action=Action.RECONNECT))
    await recorder.until("reconnecting")
    await asyncio.gather(*(room.local_participant.publish_data(str(n)) for n in range(3)))
    assert sent(peers) == [(1, b"0"), (2, b"1"), (3, b"2")]
    assert "reconnected" in recorder.names()


async def test_a_restart_whose_channels_do_not_open_is_tried_again(
    joined: Joined, peers: FakePeers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(data, "CHANNEL_TIMEOUT_S", 0.05)
    room, recorder, _ = joined
    await room.local_participant.publish_data(b"before")
    peers.publisher.fire(_engine.ICE_STATE, "disconnected")
    peers.publisher.unacknowledged = 10_000
    await room.local_participant.publish_data(b"into the dead path")
    peers.opens_channels = False
    dead = peers.publisher

    def mend(record: logging.LogRecord) -> bool:
        peers.opens_channels |= "attempt 1 (restart) failed" in record.getMessage()
        return True

    monkeypatch.setattr(logging.getLogger("livekit"), "filters", [mend])
    dead.fire(_engine.FAILED, "no consent")
    await recorder.until("reconnected")
    assert "attempt 1 (restart) failed: the _reliable data channel did not open within 0.05 s" in caplog.text
    assert sent(peers) == [(1, b"into the dead path")]


async def test_a_bug_in_reconnecting_is_logged_and_a_failed_attempt(
    joined: Joined, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Users would wait for ever, otherwise: the attempt runs as a task that nobody awaits."""
    _, recorder, connection = joined

    async def broken(_: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setitem(reconnector._PROCEDURES, reconnect.Mode.RESUME, broken)
    await lose_signal(connection)
    await recorder.until("reconnected")
    (record,) = [r for r in caplog.records if "attempt 1 (resume) failed: 'a bug'" in r.getMessage()]
    assert record.exc_info is not None


async def test_a_track_published_during_a_restart_goes_to_the_new_session(joined: Joined) -> None:
    room, recorder, connection = joined
    await connection.send(leave=proto.LeaveRequest(action=Action.RECONNECT))
    await recorder.until("reconnecting")
    publication = await publish(room)
    assert dict(room.local_participant.track_publications) == {publication.sid: publication}
    assert recorder.names()[-2:] == ["reconnected", "local_track_published"]


async def test_a_publish_under_way_fails_with_the_session(joined: Joined, server: SignalServer) -> None:
    room, recorder, connection = joined
    server.acknowledges_tracks = False
    publishing = asyncio.ensure_future(publish(room))
    await connection.expect("add_track")
    server.acknowledges_tracks = True
    await connection.send(leave=proto.LeaveRequest(action=Action.RECONNECT))
    with pytest.raises(PublishTrackError, match="restarted"):
        await publishing
    await recorder.until("reconnected")
    assert not room.local_participant.track_publications


async def test_a_track_muted_while_restarting_is_announced_muted(
    joined: Joined, server: SignalServer
) -> None:
    room, recorder, connection = joined
    publication = await publish(room)
    local = publication.track
    assert isinstance(local, rtc.LocalAudioTrack)
    room.on("reconnecting", local.mute)
    await connection.send(leave=proto.LeaveRequest(action=Action.RECONNECT))
    await recorder.until("reconnected")
    assert (await (await server.connection()).expect("add_track")).muted
    assert publication.muted


async def test_the_leave_names_another_server(joined: Joined, server: SignalServer) -> None:
    _, recorder, connection = joined
    async with SignalServer() as other:
        other.join.CopyFrom(server.join)
        regions = proto.RegionSettings(regions=[proto.RegionInfo(url=other.url)])
        server.refusal = (503, "going down")
        await connection.send(leave=proto.LeaveRequest(action=Action.RECONNECT, regions=regions))
        await recorder.until("reconnected")
        assert await other.connection()


# ---- the end ----


async def test_a_leave_that_is_final(joined: Joined) -> None:
    _, recorder, connection = joined
    await connection.send(leave=proto.LeaveRequest(reason="PARTICIPANT_REMOVED"))
    assert await recorder.until("disconnected") == ("disconnected", rtc.DisconnectReason.PARTICIPANT_REMOVED)
    assert recorder.names() == ["connection_state_changed", "disconnected"]


async def test_a_final_leave_while_resuming(joined: Joined, server: SignalServer) -> None:
    _, recorder, connection = joined
    server.resume = [proto.SignalResponse(leave=proto.LeaveRequest(reason="DUPLICATE_IDENTITY"))]
    await lose_signal(connection)
    assert await recorder.until("disconnected") == ("disconnected", rtc.DisconnectReason.DUPLICATE_IDENTITY)
    assert recorder.names().count("disconnected") == 1
    assert recorder.names().count("reconnecting") == 1


async def test_a_refused_token_is_final(joined: Joined, server: SignalServer) -> None:
    _, recorder, connection = joined
    server.refusal = (401, "invalid token: token is expired (exp)")
    await lose_signal(connection)
    assert await recorder.until("disconnected") == ("disconnected", rtc.DisconnectReason.JOIN_FAILURE)


async def test_ten_failed_attempts_are_the_end(joined: Joined, server: SignalServer) -> None:
    _, recorder, connection = joined
    tries = 0

    async def count(_: Any) -> None:
        nonlocal tries
        tries += 1

    server.refusal = (500, "no")
    server.on_request = count
    await lose_signal(connection)
    assert await recorder.until("disconnected") == ("disconnected", rtc.DisconnectReason.SIGNAL_CLOSE)
    assert tries == reconnect.ATTEMPTS
    assert recorder.names().count("reconnecting") == 1
    assert recorder.names()[-2:] == ["connection_state_changed", "disconnected"]


async def test_media_that_never_comes_back_is_a_media_failure(
    joined: Joined, peers: FakePeers, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, recorder, connection = joined
    for module in (resume, restart):
        monkeypatch.setattr(module, "MEDIA_TIMEOUT_S", 0.02)
    peers.connects = False
    await lose_signal(connection)
    assert await recorder.until("disconnected") == ("disconnected", rtc.DisconnectReason.MEDIA_FAILURE)


@pytest.mark.parametrize("stuck", ["upgrade", "media"])
async def test_disconnect_while_reconnecting_ends_at_once(
    joined: Joined, server: SignalServer, peers: FakePeers, stuck: str
) -> None:
    room, recorder, connection = joined
    server.stuck_in_upgrade = stuck == "upgrade"
    peers.connects = False
    await lose_signal(connection)
    await recorder.until("reconnecting")
    if stuck == "media":
        await (await server.connection()).expect("answer")
    await asyncio.wait_for(room.disconnect(), 1)
    assert recorder.events[-2:] == [("connection_state_changed", 0), ("disconnected", 1)]
    assert recorder.names().count("disconnected") == 1
    assert all(peer.closed for peer in peers.made)


async def test_what_waits_for_a_session_that_ends_fails(joined: Joined, server: SignalServer) -> None:
    room, recorder, connection = joined
    server.stuck_in_upgrade = True
    await lose_signal(connection)
    await recorder.until("reconnecting")
    data = asyncio.ensure_future(room.local_participant.publish_data(b"x"))
    name = asyncio.ensure_future(room.local_participant.set_name("new"))
    publishing = asyncio.ensure_future(publish(room))
    await asyncio.sleep(0)
    await room.disconnect()
    for waiting, error in ((data, PublishDataError), (publishing, PublishTrackError), (name, RequestError)):
        with pytest.raises(error):
            await waiting


async def test_disconnect_in_the_handler_of_reconnecting(joined: Joined) -> None:
    room, recorder, connection = joined
    leaving: list[asyncio.Future[None]] = []
    room.on("reconnecting", lambda: leaving.append(asyncio.ensure_future(room.disconnect())))
    await lose_signal(connection)
    await recorder.until("disconnected")
    await leaving[0]
    assert "reconnected" not in recorder.names()


# ---- simulation ----


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("SIMULATE_SPEAKER", "speaker_update"),
        ("SIMULATE_NODE_FAILURE", "node_failure"),
        ("SIMULATE_SERVER_LEAVE", "server_leave"),
        ("SIMULATE_MIGRATION", "migration"),
        ("SIMULATE_FORCE_TCP", "switch_candidate_protocol"),
        ("SIMULATE_FORCE_TLS", "switch_candidate_protocol"),
        ("SIMULATE_DISCONNECT_SIGNAL_ON_RESUME", "disconnect_signal_on_resume"),
    ],
)
async def test_simulations_that_the_server_does(joined: Joined, kind: str, field: str) -> None:
    room, _, connection = joined
    await room.simulate_scenario(rtc.room.proto_room.SimulateScenarioKind.Value(kind))
    request = await connection.expect("simulate")
    assert request.WhichOneof("scenario") == field


@pytest.mark.parametrize(
    ("kind", "resumes"), [("SIMULATE_SIGNAL_RECONNECT", True), ("SIMULATE_FULL_RECONNECT", False)]
)
async def test_simulations_on_our_side(
    joined: Joined, server: SignalServer, kind: str, resumes: bool
) -> None:
    room, recorder, _ = joined
    await room.simulate_scenario(rtc.room.proto_room.SimulateScenarioKind.Value(kind))
    await recorder.until("reconnected")
    assert ("reconnect" in (await server.connection()).request.query) is resumes


async def test_simulation_needs_a_room_and_a_known_kind(joined: Joined) -> None:
    with pytest.raises(RuntimeError, match="connected"):
        await rtc.Room().simulate_scenario(0)
    with pytest.raises(ValueError, match="99"):
        await joined[0].simulate_scenario(99)


async def test_requests_while_reconnecting_are_bounded(
    joined: Joined, server: SignalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_QUEUED_REQUESTS", 2)
    room, recorder, connection = joined
    publication = room.remote_participants["anna"].track_publications["TR_a"]
    room.on("reconnecting", lambda: [publication.set_subscribed(bool(n % 2)) for n in range(5)])
    await lose_signal(connection)
    await recorder.until("reconnected")
    resumed = await server.connection()
    await resumed.expect("subscription", count=2)
    assert kinds(resumed, ("subscription",)) == ["subscription"] * 2

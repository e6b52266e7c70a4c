"""Joining: what is there when connect returns, what comes after as events, and how it ends."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from client_fakes import TIMEOUT_S, FakePeers, SignalServer, participant, server_offer, track
from livekit.protocol import models
from livekit.protocol import rtc as proto

from livekit import rtc


class Recorder:
    """All events of a room, in order, with a short form of their arguments."""

    def __init__(self, room: rtc.Room) -> None:
        self.events: list[tuple[Any, ...]] = []
        self._changed = asyncio.Event()
        for name in rtc.room.EventTypes.__args__:  # type: ignore[attr-defined]
            room.on(name, self._handler(name))

    def _handler(self, name: str) -> Any:
        def record(*args: Any) -> None:
            self.events.append(
                (name, *(getattr(a, "identity", None) or getattr(a, "sid", None) or a for a in args))
            )
            self._changed.set()

        return record

    async def until(self, name: str) -> tuple[Any, ...]:
        """The first event of this name, when it has happened."""

        async def wait() -> tuple[Any, ...]:
            while True:
                for event in self.events:
                    if event[0] == name:
                        return event
                self._changed.clear()
                await self._changed.wait()

        return await asyncio.wait_for(wait(), TIMEOUT_S)

    def names(self) -> list[str]:
        return [event[0] for event in self.events]


async def test_who_is_there_at_join_is_in_the_mappings_and_no_event(
    server: SignalServer, peers: FakePeers
) -> None:
    server.join.other_participants.append(
        participant("alice", tracks=[track("TR_a", source=2)], name="Alice")
    )
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    alice = room.remote_participants["alice"]
    assert (alice.sid, alice.name) == ("PA_alice", "Alice")
    publication = alice.track_publications["TR_a"]
    assert (publication.kind, publication.source, publication.track) == (
        rtc.TrackKind.KIND_AUDIO,
        rtc.TrackSource.SOURCE_MICROPHONE,
        None,
    )
    assert room.isconnected()
    assert await room.sid == "RM_room"
    assert repr(room) == "rtc.Room(sid=RM_room, name=room, metadata=, connection_state=CONN_CONNECTED)"
    await recorder.until("connected")
    assert recorder.names() == ["connection_state_changed", "connected"]
    await room.disconnect()


async def test_what_happens_while_connecting_is_an_event_after_connect(
    server: SignalServer, peers: FakePeers
) -> None:
    server.first = [
        proto.SignalResponse(join=server.join),
        proto.SignalResponse(
            update=proto.ParticipantUpdate(participants=[participant("bob", tracks=[track("TR_b")])])
        ),
        proto.SignalResponse(offer=server_offer(("audio", "PA_bob", "TR_b", 7))),
    ]
    room = rtc.Room()
    await room.connect(server.url, "token")
    assert room.remote_participants == {}
    recorder = Recorder(room)
    await recorder.until("track_subscribed")
    assert recorder.events == [
        ("connection_state_changed", 1),
        ("connected",),
        ("participant_connected", "bob"),
        ("participant_active", "bob"),
        ("track_published", "TR_b", "bob"),
        ("track_subscribed", "TR_b", "TR_b", "bob"),
    ]
    assert isinstance(room.remote_participants["bob"].track_publications["TR_b"].track, rtc.RemoteAudioTrack)
    await room.disconnect()


async def test_media_before_its_publication_waits_for_it(server: SignalServer, peers: FakePeers) -> None:
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    connection = await server.connection()
    await connection.send(offer=server_offer(("video", "PA_bob", "TR_v", 9), offer_id=2))
    await connection.expect("answer", count=2)
    assert "track_subscribed" not in recorder.names()
    await connection.update(participant("bob", tracks=[track("TR_v", models.TrackType.VIDEO)]))
    assert await recorder.until("track_subscribed") == ("track_subscribed", "TR_v", "TR_v", "bob")
    await room.disconnect()


@pytest.mark.parametrize(
    ("mime_types", "taken"), [(["video/VP9"], False), (["video/VP9", "video/VP8"], True)]
)
async def test_a_track_in_a_codec_that_is_not_ours_is_not_subscribed(
    server: SignalServer, peers: FakePeers, mime_types: list[str], taken: bool
) -> None:
    """Servers offer all codecs in its section, and find out from the answer that its own is not among ours."""
    info = track("TR_v", models.TrackType.VIDEO)
    info.mime_type = mime_types[0]
    info.codecs.extend(models.SimulcastCodecInfo(mime_type=mime_type) for mime_type in mime_types)
    server.join.other_participants.append(participant("bob", tracks=[info]))
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    connection = await server.connection()
    await connection.send(offer=server_offer(("video", "PA_bob", "TR_v", 9), offer_id=2))
    failure = proto.SubscriptionResponse(track_sid="TR_v", err=models.SubscriptionError.SE_CODEC_UNSUPPORTED)
    await connection.send(subscription_response=failure)
    assert await recorder.until("track_subscription_failed") == (
        "track_subscription_failed", "bob", "TR_v", "SE_CODEC_UNSUPPORTED",
    )  # fmt: skip
    assert ("track_subscribed" in recorder.names()) is taken
    await room.disconnect()


async def test_a_resubscribed_track_keeps_its_object_on_new_ssrcs(
    server: SignalServer, peers: FakePeers
) -> None:
    server.join.other_participants.append(participant("bob", tracks=[track("TR_b")]))
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    connection = await server.connection()
    await connection.send(offer=server_offer(("audio", "PA_bob", "TR_b", 7), offer_id=2))
    await recorder.until("track_subscribed")
    the_track = room.remote_participants["bob"].track_publications["TR_b"].track
    assert the_track is not None
    changes: list[Any] = []
    the_track._state.followers.append(lambda state: changes.append(state.receiver))
    await connection.send(offer=server_offer(("audio", "PA_bob", "TR_b", 8), offer_id=3))
    await connection.expect("answer", count=3)
    assert changes == [the_track._receiver]
    assert recorder.names().count("track_subscribed") == 1
    await room.disconnect()


async def test_unsubscribe_takes_the_track_off_before_the_event(
    server: SignalServer, peers: FakePeers
) -> None:
    server.join.other_participants.append(participant("bob", tracks=[track("TR_b")]))
    room = rtc.Room()
    recorder = Recorder(room)
    seen: list[tuple[Any, ...]] = []
    room.on("track_unsubscribed", lambda t, p, who: seen.append((t.sid, p.track, p.subscribed, who.identity)))
    await room.connect(server.url, "token")
    connection = await server.connection()
    await connection.send(offer=server_offer(("audio", "PA_bob", "TR_b", 7), offer_id=2))
    await recorder.until("track_subscribed")
    room.remote_participants["bob"].track_publications["TR_b"].set_subscribed(False)
    wish = await connection.expect("subscription")
    assert (list(wish.track_sids), wish.subscribe) == (["TR_b"], False)
    assert wish.participant_tracks[0].participant_sid == "PA_bob"
    await connection.send(offer=server_offer(("audio", "", "", 0), offer_id=3))
    await recorder.until("track_unsubscribed")
    assert seen == [("TR_b", None, False, "bob")]
    await room.disconnect()


async def test_events_of_one_update_come_in_order_after_the_state(
    server: SignalServer, peers: FakePeers
) -> None:
    server.join.other_participants.append(
        participant("bob", tracks=[track("TR_1"), track("TR_2")], attributes={"a": "1", "b": "2"})
    )
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    connection = await server.connection()
    await connection.update(
        participant(
            "bob",
            version=1,
            name="Bob",
            metadata="m",
            attributes={"a": "9"},
            permission=models.ParticipantPermission(can_publish=True),
            tracks=[track("TR_2", muted=True), track("TR_3")],
        )
    )
    await recorder.until("track_muted")
    assert [e for e in recorder.events[2:] if e[0] != "participant_permissions_changed"] == [
        ("participant_name_changed", "bob", "", "Bob"),
        ("participant_metadata_changed", "bob", "", "m"),
        ("participant_attributes_changed", {"a": "9", "b": ""}, "bob"),
        ("track_unpublished", "TR_1", "bob"),
        ("track_muted", "bob", "TR_2"),
        ("track_published", "TR_3", "bob"),
    ]
    bob = room.remote_participants["bob"]
    assert bob.permissions.can_publish
    await connection.update(participant("bob", version=0, name="stale"))
    await connection.update(
        participant("bob", version=2, state=models.ParticipantInfo.DISCONNECTED, disconnect_reason=1)
    )
    await recorder.until("participant_disconnected")
    assert recorder.names()[-3:] == ["track_unpublished", "track_unpublished", "participant_disconnected"]
    assert (bob.name, bob.disconnect_reason, room.remote_participants) == ("Bob", 1, {})
    await room.disconnect()


async def test_the_same_identity_with_a_new_sid_is_a_leave_and_a_join(
    server: SignalServer, peers: FakePeers
) -> None:
    server.join.other_participants.append(
        participant("bob", sid="PA_old", joined_at=10, tracks=[track("TR_1")])
    )
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    connection = await server.connection()
    await connection.update(participant("bob", sid="PA_new", joined_at=20))
    await recorder.until("participant_connected")
    await connection.update(
        participant("bob", sid="PA_old", joined_at=10, state=models.ParticipantInfo.DISCONNECTED)
    )
    await connection.update(participant("carol", state=models.ParticipantInfo.DISCONNECTED))
    await connection.update(participant("dave"))
    await recorder.until("participant_active")
    assert room.remote_participants["bob"].sid == "PA_new"
    assert recorder.names()[2:5] == ["track_unpublished", "participant_disconnected", "participant_connected"]
    await room.disconnect()


async def test_an_event_caused_by_a_handler_waits_for_the_other_handlers(
    server: SignalServer, peers: FakePeers
) -> None:
    room = rtc.Room()
    order: list[str] = []

    def first(*_: Any) -> None:
        room._session.emit("room_updated")  # type: ignore[union-attr]
        order.append("first")

    room.on("connected", first)
    room.on("connected", lambda: order.append("second"))
    done = asyncio.Event()
    room.on("room_updated", lambda: (order.append("nested"), done.set()))
    await room.connect(server.url, "token")
    await asyncio.wait_for(done.wait(), TIMEOUT_S)
    assert order == ["first", "second", "nested"]
    await room.disconnect()


async def test_garbage_from_the_server_is_skipped(server: SignalServer, peers: FakePeers) -> None:
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    connection = await server.connection()
    await connection.websocket.send_bytes(b"\xff\xff\xff")
    await connection.websocket.send_bytes(b"")
    await connection.websocket.send_str("{}")
    await connection.send(offer=proto.SessionDescription(type="offer", sdp="nonsense", id=5))
    await connection.send(answer=proto.SessionDescription(type="answer", sdp="nonsense", id=99))
    await connection.send(trickle=proto.TrickleRequest(candidateInit="{"))
    await connection.send(trickle=proto.TrickleRequest(candidateInit="[]"))
    await connection.update(participant("bob"))
    await recorder.until("participant_connected")
    assert room.isconnected()
    await room.disconnect()


async def test_candidates_without_end_are_skipped_and_told_once(
    server: SignalServer, peers: FakePeers, caplog: pytest.LogCaptureFixture
) -> None:
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    connection = await server.connection()
    for port in range(1000, 1300):
        candidate = f"candidate:1 1 udp 1 127.0.0.1 {port} typ host"
        await connection.send(
            trickle=proto.TrickleRequest(
                target=proto.SignalTarget.SUBSCRIBER, candidateInit=json.dumps({"candidate": candidate})
            )
        )
    await connection.update(participant("bob"))
    await recorder.until("participant_connected")
    assert len(peers.subscriber.candidates) == 256
    told = [r.getMessage() for r in caplog.records if "candidates" in r.getMessage()]
    assert told == ["subscriber: the server has more than 256 candidates; the rest is skipped"]
    await room.disconnect()


async def test_leave_ends_once_with_the_servers_reason(server: SignalServer, peers: FakePeers) -> None:
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    connection = await server.connection()
    await connection.send(leave=proto.LeaveRequest(reason=models.DisconnectReason.ROOM_DELETED))
    await connection.websocket.close()
    assert await recorder.until("disconnected") == ("disconnected", rtc.DisconnectReason.ROOM_DELETED)
    peers.publisher.closed = True
    await room.disconnect()
    assert recorder.names().count("disconnected") == 1
    assert not room.isconnected()


async def test_disconnect_says_leave_and_is_quick(server: SignalServer, peers: FakePeers) -> None:
    room = rtc.Room()
    recorder = Recorder(room)
    await room.disconnect()
    await room.connect(server.url, "token")
    connection = await server.connection()
    begun = time.monotonic()
    await room.disconnect()
    assert time.monotonic() - begun < 1
    leave = await connection.expect("leave")
    assert (leave.reason, leave.action) == (
        models.DisconnectReason.CLIENT_INITIATED,
        proto.LeaveRequest.DISCONNECT,
    )
    await asyncio.wait_for(connection.closed.wait(), TIMEOUT_S)
    assert recorder.events[-2:] == [("connection_state_changed", 0), ("disconnected", 1)]
    await room.disconnect()
    assert recorder.names().count("disconnected") == 1
    with pytest.raises(rtc.room.ConnectError):
        await room.connect("ftp://x", "token")
    await room.connect(server.url, "token")
    assert room.isconnected()
    await room.disconnect()


async def test_query_and_token_are_those_of_the_protocol(server: SignalServer, peers: FakePeers) -> None:
    room = rtc.Room()
    await room.connect(
        server.url.replace("ws:", "http:") + "/", "the-token", rtc.RoomOptions(auto_subscribe=False)
    )
    request = (await server.connection()).request
    assert request.headers["Authorization"] == "Bearer the-token"
    assert {k: request.query[k] for k in ("sdk", "protocol", "auto_subscribe")} == {
        "sdk": "python",
        "protocol": "16",
        "auto_subscribe": "0",
    }
    await room.disconnect()


async def test_a_refreshed_token_is_kept(server: SignalServer, peers: FakePeers) -> None:
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    await (await server.connection()).send(refresh_token="newer")
    await recorder.until("token_refreshed")
    assert room._session is not None
    assert room._session.token == "newer"
    await room.disconnect()


async def test_speakers_are_deltas_and_the_event_has_all_loudest_first(
    server: SignalServer, peers: FakePeers
) -> None:
    server.join.other_participants.extend([participant("a"), participant("b")])
    room = rtc.Room()
    heard: list[list[str]] = []
    room.on("active_speakers_changed", lambda speakers: heard.append([s.identity for s in speakers]))
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    connection = await server.connection()
    for speakers in (
        [models.SpeakerInfo(sid="PA_a", level=0.2, active=True)],
        [
            models.SpeakerInfo(sid="PA_b", level=0.5, active=True),
            models.SpeakerInfo(sid="PA_gone", active=True),
        ],
        [models.SpeakerInfo(sid="PA_a", level=0, active=False)],
    ):
        await connection.send(speakers_changed=proto.SpeakersChanged(speakers=speakers))
    await connection.send(
        connection_quality=proto.ConnectionQualityUpdate(
            updates=[
                proto.ConnectionQualityInfo(participant_sid="PA_b", quality=models.ConnectionQuality.LOST)
            ]
        )
    )
    await recorder.until("connection_quality_changed")
    assert heard == [["a"], ["b", "a"], ["b"]]
    assert room.remote_participants["b"].connection_quality is rtc.ConnectionQuality.QUALITY_LOST
    await room.disconnect()


async def test_a_late_room_sid_resolves_it(server: SignalServer, peers: FakePeers) -> None:
    server.join.room.sid = ""
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    assert "sid=unknown" in repr(room)
    waiting = asyncio.ensure_future(_sid(room))
    await (await server.connection()).send(
        room_update=proto.RoomUpdate(room=models.Room(sid="RM_late", name="room", metadata="new"))
    )
    assert await asyncio.wait_for(waiting, TIMEOUT_S) == "RM_late"
    assert recorder.names()[-2:] == ["room_metadata_changed", "room_updated"]
    assert room.metadata == "new"
    await room.disconnect()


async def _sid(room: rtc.Room) -> str:
    return await room.sid

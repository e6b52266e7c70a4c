"""Data packets: order, sequence numbers, limits and back-pressure out; kinds, senders and repeats in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from client_fakes import TIMEOUT_S, FakePeers, SignalServer, participant, server_answer
from livekit.protocol import models

from greenroom import _engine
from greenroom.client.errors import PublishDataError
from livekit import rtc


def sent(peers: FakePeers) -> list[tuple[str, models.DataPacket]]:
    return [(label, models.DataPacket.FromString(data)) for label, data in peers.publisher.sent]


@pytest.fixture
async def room(server: SignalServer, peers: FakePeers) -> Any:
    server.join.other_participants.append(participant("bob"))
    room = rtc.Room()
    await room.connect(server.url, "token")
    yield room
    await room.disconnect()


async def test_reliable_packets_are_numbered_from_one_and_lossy_ones_are_not(
    room: rtc.Room, peers: FakePeers
) -> None:
    me = room.local_participant
    await me.publish_data(b"a", topic="t", destination_identities=["bob"])
    await me.publish_data("ü", reliable=False)
    await me.publish_data(b"c")
    packets = sent(peers)
    assert [(label, p.sequence, p.user.payload, p.user.topic) for label, p in packets] == [
        ("_reliable", 1, b"a", "t"),
        ("_lossy", 0, "ü".encode(), ""),
        ("_reliable", 2, b"c", ""),
    ]
    assert list(packets[0][1].destination_identities) == ["bob"]


async def test_a_full_channel_holds_callers_back_in_order(room: rtc.Room, peers: FakePeers) -> None:
    me = room.local_participant
    await me.publish_data(b"0")
    peers.publisher.full = True
    calls = [asyncio.ensure_future(me.publish_data(bytes([i]))) for i in range(1, 4)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(sent(peers)) == 1
    peers.publisher.full = False
    late = asyncio.ensure_future(me.publish_data(b"\x04"))
    peers.publisher.fire(_engine.CHANNEL_WRITABLE, 1)
    await asyncio.wait_for(asyncio.gather(*calls, late), TIMEOUT_S)
    assert [(p.sequence, p.user.payload) for _, p in sent(peers)] == [
        (1, b"0"),
        (2, b"\x01"),
        (3, b"\x02"),
        (4, b"\x03"),
        (5, b"\x04"),
    ]


async def test_messages_of_one_turn_go_together(room: rtc.Room, peers: FakePeers) -> None:
    me, peer = room.local_participant, peers.publisher
    await me.publish_data(b"the channel opens")
    await asyncio.sleep(0)
    held = []
    for size in (10, 10, 10, 20_000, 10):
        await me.publish_data(bytes(size))
        held.append(peer.held)
    assert held == [0, 1, 2, 0, 1], "the first goes at once, and so does much"
    await asyncio.sleep(0)
    assert peer.held == 0


async def test_a_cancelled_send_leaves_no_gap(room: rtc.Room, peers: FakePeers) -> None:
    me = room.local_participant
    peers.publisher.full = True
    first, second = (asyncio.ensure_future(me.publish_data(b"x")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    peers.publisher.full = False
    peers.publisher.fire(_engine.CHANNEL_WRITABLE, 1)
    await asyncio.wait_for(second, TIMEOUT_S)
    assert [p.sequence for _, p in sent(peers)] == [1]


async def test_too_large_a_packet_says_size_and_limit(room: rtc.Room, peers: FakePeers) -> None:
    await room.local_participant.publish_data(bytes(63_900))
    with pytest.raises(PublishDataError, match=r"packet of 640\d\d bytes exceeds .* 64000 bytes"):
        await room.local_participant.publish_data(bytes(64_000))


async def test_sending_after_the_end_is_an_error_and_waiting_calls_end(
    room: rtc.Room, peers: FakePeers
) -> None:
    peers.publisher.full = True
    waiting = asyncio.ensure_future(room.local_participant.publish_data(b"x"))
    await asyncio.sleep(0)
    await room.disconnect()
    with pytest.raises(PublishDataError, match="gone"):
        await asyncio.wait_for(waiting, TIMEOUT_S)
    with pytest.raises(PublishDataError, match="not connected"):
        await room.local_participant.publish_data(b"x")


async def test_the_first_send_negotiates_when_nothing_else_did(
    server: SignalServer, peers: FakePeers
) -> None:
    server.join.fast_publish = False
    room = rtc.Room()
    await room.connect(server.url, "token")
    assert peers.publisher.remote is None
    await asyncio.wait_for(room.local_participant.publish_data(b"x"), TIMEOUT_S)
    assert [label for label, _ in sent(peers)] == ["_reliable"]
    assert server_answer(await (await server.connection()).expect("offer")).id == 1
    await room.disconnect()


def _packet(payload: bytes, **fields: Any) -> bytes:
    user = models.UserPacket(payload=payload, topic="t")
    return models.DataPacket(user=user, **fields).SerializeToString()


async def test_arriving_packets_become_events_with_the_public_kind(room: rtc.Room, peers: FakePeers) -> None:
    got: list[rtc.DataPacket] = []
    room.on("data_received", got.append)
    await asyncio.sleep(0)
    subscriber = peers.subscriber
    for channel, label in ((10, "_reliable"), (11, "_lossy"), (12, "other")):
        subscriber.fire(_engine.CHANNEL_OPEN, (channel, label))
    bob = {"participant_identity": "bob", "participant_sid": "PA_bob"}
    subscriber.fire(_engine.CHANNEL_MESSAGE, (10, _packet(b"1", sequence=1, **bob)))
    subscriber.fire(_engine.CHANNEL_MESSAGE, (10, _packet(b"1", sequence=1, **bob)))
    subscriber.fire(_engine.CHANNEL_MESSAGE, (10, b"\xff\xff"))
    subscriber.fire(_engine.CHANNEL_MESSAGE, (11, _packet(b"2", **bob)))
    subscriber.fire(_engine.CHANNEL_MESSAGE, (11, _packet(b"2", **bob)))
    subscriber.fire(_engine.CHANNEL_MESSAGE, (12, _packet(b"3", **bob)))
    subscriber.fire(_engine.CHANNEL_MESSAGE, (10, _packet(b"4")))
    subscriber.fire(_engine.CHANNEL_MESSAGE, (10, _packet(b"4")))
    who = room.remote_participants["bob"]
    assert [(p.data, p.kind, p.participant, p.topic) for p in got] == [
        (b"1", rtc.DataPacketKind.KIND_RELIABLE, who, "t"),
        (b"2", rtc.DataPacketKind.KIND_LOSSY, who, "t"),
        (b"2", rtc.DataPacketKind.KIND_LOSSY, who, "t"),
        (b"4", rtc.DataPacketKind.KIND_RELIABLE, None, "t"),
        (b"4", rtc.DataPacketKind.KIND_RELIABLE, None, "t"),
    ]


async def test_tones_and_transcriptions_arrive(room: rtc.Room, peers: FakePeers) -> None:
    got: list[Any] = []
    room.on("sip_dtmf_received", got.append)
    room.on("transcription_received", lambda *args: got.append(args))
    await asyncio.sleep(0)
    peers.subscriber.fire(_engine.CHANNEL_OPEN, (10, "_reliable"))
    tone = models.DataPacket(participant_identity="bob", sip_dtmf=models.SipDTMF(code=1, digit="1"))
    words = models.Transcription(transcribed_participant_identity="bob", track_id="TR_x")
    words.segments.add(id="s", text="hi", start_time=1, end_time=2, final=True, language="en")
    peers.subscriber.fire(_engine.CHANNEL_MESSAGE, (10, tone.SerializeToString()))
    peers.subscriber.fire(
        _engine.CHANNEL_MESSAGE, (10, models.DataPacket(transcription=words).SerializeToString())
    )
    bob = room.remote_participants["bob"]
    assert got == [
        rtc.SipDTMF(1, "1", bob),
        ([rtc.TranscriptionSegment("s", "hi", 1, 2, "en", True)], bob, None),
    ]

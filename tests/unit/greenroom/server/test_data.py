"""Where data packets go, and what is changed on their way."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models
from server_fakes import Harness, SignalClient
from test_subscribing import published

from greenroom import _engine

RELIABLE, LOSSY = 1, 3
Kind = models.DataPacket.Kind


async def active(harness: Harness, identity: str, **grants: Any) -> SignalClient:
    client = await harness.join(identity, **grants)
    client.activate()
    return client


def user(payload: bytes = b"hello", *, to: list[str] | None = None, **fields: Any) -> models.DataPacket:
    return models.DataPacket(
        user=models.UserPacket(payload=payload), destination_identities=to or [], **fields
    )


def send(client: SignalClient, packet: models.DataPacket | bytes, channel: int = RELIABLE) -> None:
    client.publisher.receive(channel, packet if isinstance(packet, bytes) else packet.SerializeToString())


def received(client: SignalClient, channel: int = RELIABLE) -> list[models.DataPacket]:
    return [models.DataPacket.FromString(data) for data in client.subscriber.sent[channel]]


async def test_packet_reaches_all_others_under_the_senders_name(harness: Harness) -> None:
    anna, bob, carl = [await active(harness, name) for name in ("anna", "bob", "carl")]

    send(anna, user(participant_identity="somebody", participant_sid="PA_else", kind=Kind.LOSSY))

    for receiver in (bob, carl):
        (packet,) = received(receiver)
        assert packet.user.payload == b"hello"
        assert (packet.participant_identity, packet.participant_sid) == ("anna", anna.sid)
        assert packet.kind == Kind.RELIABLE
    assert received(anna) == []


async def test_lossy_channel_decides_the_kind(harness: Harness) -> None:
    anna, bob = await active(harness, "anna"), await active(harness, "bob")

    send(anna, user(), LOSSY)

    assert [p.kind for p in received(bob, LOSSY)] == [Kind.LOSSY]
    assert received(bob) == []


@pytest.mark.parametrize(
    ("to", "reached"),
    [
        (["bob"], {"bob"}),
        (["bob", "carl"], {"bob", "carl"}),
        (["nobody"], set()),
        (["anna"], set()),
        (["anna", "bob"], {"bob"}),
        ([], {"bob", "carl"}),
    ],
    ids=str,
)
async def test_destinations(harness: Harness, to: list[str], reached: set[str]) -> None:
    anna, bob, carl = [await active(harness, name) for name in ("anna", "bob", "carl")]

    send(anna, user(to=to))

    assert {c.join.participant.identity for c in (anna, bob, carl) if received(c)} == reached


async def test_destinations_inside_a_user_packet(harness: Harness) -> None:
    anna, bob, carl = [await active(harness, name) for name in ("anna", "bob", "carl")]
    inner = models.DataPacket(user=models.UserPacket(payload=b"x", destination_identities=["bob"]))

    send(anna, inner)

    assert list(received(bob)[0].destination_identities) == ["bob"]
    assert received(carl) == []


@pytest.mark.parametrize(
    "grants", [{"can_publish_data": False}, {"can_publish": False, "can_publish_data": None}], ids=str
)
async def test_without_the_grant_data_is_dropped(harness: Harness, grants: dict[str, Any]) -> None:
    anna, bob = await active(harness, "anna", **grants), await active(harness, "bob")

    send(anna, user())

    assert received(bob) == []


async def test_without_subscribe_grant_data_still_flows(harness: Harness) -> None:
    anna = await active(harness, "anna")
    bob = await active(harness, "bob", can_subscribe=False)

    send(anna, user())
    send(bob, user())

    # Without a subscriber connection, data comes down on the channels that the client made.
    assert len(bob.publisher.sent[RELIABLE]) == 1
    assert len(received(anna)) == 1


async def test_hidden_sender_has_no_name(harness: Harness) -> None:
    ghost, bob = await active(harness, "ghost", hidden=True), await active(harness, "bob")

    send(ghost, user())
    send(bob, user())

    assert received(bob)[0].participant_identity == ""
    assert len(received(ghost)) == 1


async def test_unknown_fields_survive(harness: Harness) -> None:
    anna, bob = await active(harness, "anna"), await active(harness, "bob")
    unknown_kind = bytes.fromhex("da3e03616263")  # field 1003, "abc"
    inner = bytes.fromhex("120a12020102") + unknown_kind  # a user packet with an unknown field in it
    assert len(inner) == 12

    send(anna, unknown_kind)
    send(anna, inner)

    assert unknown_kind in bob.subscriber.sent[RELIABLE][0]
    assert unknown_kind in bob.subscriber.sent[RELIABLE][1]


def transcription() -> models.DataPacket:
    return models.DataPacket(transcription=models.Transcription(track_id="TR_x"))


def chat(identity: str = "") -> models.DataPacket:
    return models.DataPacket(chat_message=models.ChatMessage(message="m"), participant_identity=identity)


def text_stream(identity: str = "") -> models.DataPacket:
    header = models.DataStream.Header(stream_id="s", text_header=models.DataStream.TextHeader())
    return models.DataPacket(stream_header=header, participant_identity=identity)


def byte_stream(identity: str = "") -> models.DataPacket:
    header = models.DataStream.Header(stream_id="s", byte_header=models.DataStream.ByteHeader())
    return models.DataPacket(stream_header=header, participant_identity=identity)


RULES = {
    "transcription of a user": ({}, transcription(), None),
    "transcription of an agent": ({"kind": "agent"}, transcription(), "anna"),
    "transcription with the agent grant": ({"agent": True}, transcription(), "anna"),
    "chat of a user": ({}, chat("zoe"), "anna"),
    "chat of an agent for another": ({"kind": "agent"}, chat("zoe"), "zoe"),
    "text of a user": ({}, text_stream("zoe"), "anna"),
    "text of an agent for another": ({"kind": "agent"}, text_stream("zoe"), "zoe"),
    "bytes of an agent for another": ({"kind": "agent"}, byte_stream("zoe"), "anna"),
    "rpc request": ({}, models.DataPacket(rpc_request=models.RpcRequest(id="1", method="m")), "anna"),
    "rpc ack": ({}, models.DataPacket(rpc_ack=models.RpcAck(request_id="1")), "anna"),
    "dtmf": ({}, models.DataPacket(sip_dtmf=models.SipDTMF(code=1, digit="1")), "anna"),
    "encrypted": ({}, models.DataPacket(encrypted_packet=models.EncryptedPacket(iv=b"1")), "anna"),
}


@pytest.mark.parametrize(("grants", "packet", "identity"), RULES.values(), ids=RULES.keys())
async def test_rules_by_kind(
    harness: Harness, grants: dict[str, Any], packet: models.DataPacket, identity: str | None
) -> None:
    anna, bob = await active(harness, "anna", **grants), await active(harness, "bob")

    send(anna, packet)

    assert [p.participant_identity for p in received(bob)] == ([] if identity is None else [identity])
    for got in received(bob):
        generated = got.chat_message.generated or got.stream_header.text_header.generated
        assert generated == (identity == "zoe")


async def test_metrics_reach_those_that_may_have_them_and_are_subscribed(harness: Harness) -> None:
    allowed = {"can_subscribe_metrics": True}
    bob, carl = await active(harness, "bob", **allowed), await active(harness, "carl")
    dora = await harness.join("dora", query={"auto_subscribe": "0"}, **allowed)
    dora.activate()
    anna, _ = await published(harness)
    await bob.settle()
    packet = models.DataPacket(sequence=1, participant_identity="zoe", destination_identities=["carl"])
    packet.metrics.str_data.append("own label")

    send(anna, packet)
    send(bob, packet)  # publishes nothing: nobody can be subscribed

    (got,) = received(bob)
    assert (got.participant_identity, got.participant_sid) == ("anna", anna.sid)
    assert got.metrics == packet.metrics
    assert received(carl) == received(dora) == received(anna) == []


async def test_repeated_sequence_is_dropped(harness: Harness) -> None:
    anna, bob = await active(harness, "anna"), await active(harness, "bob")

    for sequence in (1, 2, 2, 1, 0, 0, 5):
        send(anna, user(sequence=sequence))

    assert [p.sequence for p in received(bob)] == [1, 2, 0, 0, 5]


async def test_sequence_is_not_looked_at_on_the_lossy_channel(harness: Harness) -> None:
    anna, bob = await active(harness, "anna"), await active(harness, "bob")

    for _ in range(2):
        send(anna, user(sequence=1), LOSSY)

    assert len(received(bob, LOSSY)) == 2


async def test_repeated_nonce_is_dropped(harness: Harness) -> None:
    anna, bob, carl = [await active(harness, name) for name in ("anna", "bob", "carl")]
    for sender in (anna, bob):
        for nonce in (b"0123456789abcdef", b"short", b"\0" * 16):
            send(sender, models.DataPacket(user=models.UserPacket(payload=b"x", nonce=nonce)))

    assert [p.user.nonce for p in received(carl)] == [b"0123456789abcdef", b"short", b"short"]


async def test_joiner_gets_what_it_missed_in_order(harness: Harness) -> None:
    anna = await active(harness, "anna")
    send(anna, user(b"before", sequence=1))
    bob = await harness.join("bob")
    send(anna, user(b"while joining", sequence=2))
    send(anna, user(b"for another", sequence=3, to=["carl"]))
    send(anna, user(b"unsequenced"))
    send(anna, user(b"lossy"), LOSSY)

    bob.activate()
    send(anna, user(b"after", sequence=4))

    assert [p.user.payload for p in received(bob)] == [b"while joining", b"after"]
    assert received(bob, LOSSY) == []


async def test_joiner_whose_channels_open_late_gets_everything_up_to_the_limit() -> None:
    from greenroom.server import Limits

    async with Harness(limits=Limits(replay_bytes=4000)) as harness:
        anna, bob = await active(harness, "anna"), await harness.join("bob")
        for number in range(1, 41):
            send(anna, user(b"%100d" % number, sequence=number))
        bob.activate()
        send(anna, user(b"after", sequence=41))

        sequences = [packet.sequence for packet in received(bob)]
        assert sequences == list(range(sequences[0], 42))
        assert 10 < len(sequences) < 30
        assert harness.server.counters["data_dropped_joining"] == sequences[0] - 1


async def test_slow_receiver_gets_all_in_order(harness: Harness) -> None:
    anna, bob, carl = [await active(harness, name) for name in ("anna", "bob", "carl")]
    bob.subscriber.full = True
    for number in range(5):
        send(anna, user(bytes([number])))
    assert len(received(carl)) == 5

    bob.subscriber.full = False
    bob.subscriber.emit(_engine.CHANNEL_WRITABLE, RELIABLE)
    send(anna, user(b"\5"))

    assert [p.user.payload for p in received(bob)] == [bytes([n]) for n in range(6)]


async def test_a_sender_that_its_receiver_does_not_keep_up_with_may_not_send_on(harness: Harness) -> None:
    anna, bob = await active(harness, "anna"), await active(harness, "bob")
    bob.subscriber.full = True
    while not anna.publisher.windows:
        send(anna, user(b"x" * 10_000))
    assert anna.publisher.windows == [0]

    bob.subscriber.full = False
    bob.subscriber.emit(_engine.CHANNEL_WRITABLE, RELIABLE)

    assert anna.publisher.windows[-1] > 0
    messages, size = anna.publisher.released
    assert size > 10_000 * messages > 100_000


async def test_backlog_of_a_stalled_receiver_is_bounded() -> None:
    from greenroom.server import Limits

    async with Harness(limits=Limits(data_backlog_bytes=10_000)) as harness:
        anna, bob = await active(harness, "anna"), await active(harness, "bob")
        bob.subscriber.full = True

        for _ in range(100):
            send(anna, user(b"x" * 1000))

        assert 85 < harness.server.counters["data_dropped_receiver_slow"] < 95


@pytest.mark.parametrize(
    ("message", "counter"),
    [
        (b"\xff\xff\xff", "data_dropped_malformed"),
        (b"\x12\x05abc", "data_dropped_malformed"),
        (b"x" * 70_000, "data_dropped_oversize"),
    ],
    ids=["rubbish", "truncated", "oversize"],
)
async def test_bad_packets_cost_only_themselves(harness: Harness, message: bytes, counter: str) -> None:
    anna, bob = await active(harness, "anna"), await active(harness, "bob")

    send(anna, message)
    send(anna, user())

    assert harness.server.counters[counter] == 1
    assert len(received(bob)) == 1


async def test_other_labels_are_ignored(harness: Harness) -> None:
    anna, bob = await harness.join("anna"), await active(harness, "bob")
    anna.publisher.open("_data_track", "chat")

    send(anna, user(), RELIABLE)
    send(anna, user(), LOSSY)

    assert not any(bob.subscriber.sent.values())

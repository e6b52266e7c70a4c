"""Replay and de-duplication for any course of events, against the simplest models of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models

from greenroom.client.data import DataReceiver
from greenroom.client.publisher import LOSSY, RELIABLE
from greenroom.client.replay import ReplayBuffer

_OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 70_000)),
        st.tuples(st.just("acknowledge"), st.floats(0, 1)),
    ),
    max_size=60,
)


@given(_OPERATIONS, st.data())
def test_what_is_not_acknowledged_is_kept_in_order(operations: list[Any], data: st.DataObject) -> None:
    buffer = ReplayBuffer()
    sizes: list[int] = []
    acknowledged = 0
    """How many of the oldest packets have got through."""
    for operation, amount in operations:
        if operation == "add":
            sizes.append(amount)
            buffer.add(len(sizes), bytes(amount))
        else:
            acknowledged += int((len(sizes) - acknowledged) * amount)
            buffer.trim(sum(sizes[acknowledged:]))
    last_seen = data.draw(st.integers(acknowledged, len(sizes)))
    assert [len(packet) for packet in buffer.after(last_seen)] == sizes[last_seen:]
    # Nothing unacknowledged is missing, and its size is told right.
    kept = buffer.after(0)
    assert [len(packet) for packet in kept][len(kept) - len(sizes[acknowledged:]) :] == sizes[acknowledged:]
    assert buffer.size_bytes == sum(map(len, kept))
    assert len(buffer.take()) == len(kept)
    assert (len(buffer), buffer.size_bytes) == (0, 0)


def _receiver(delivered: list[tuple[str, int]]) -> DataReceiver:
    session: Any = SimpleNamespace(state=SimpleNamespace(participant=lambda **_: None))
    receiver = DataReceiver(session)
    receiver.handlers = {
        "chat_message": lambda packet, _: delivered.append(
            (packet.participant_sid, packet.chat_message.timestamp)
        )
    }
    return receiver


@given(st.lists(st.tuples(st.sampled_from(["PA_a", "PA_b"]), st.integers(1, 12)), max_size=60))
async def test_each_reliable_packet_arrives_once_and_in_order(arrivals: list[tuple[str, int]]) -> None:
    """After resumes a server may send again what was received, from any point."""
    delivered: list[tuple[str, int]] = []
    receiver = _receiver(delivered)
    for sid, sequence in arrivals:
        packet = models.DataPacket(
            participant_sid=sid, sequence=sequence, chat_message=models.ChatMessage(timestamp=sequence)
        )
        receiver.take(RELIABLE, packet.SerializeToString())
    for sid in ("PA_a", "PA_b"):
        expected, highest = [], 0
        for other, sequence in arrivals:
            if other == sid and sequence > highest:
                expected.append(sequence)
                highest = sequence
        assert [sequence for other, sequence in delivered if other == sid] == expected


@given(st.lists(st.integers(0, 5), max_size=20))
async def test_lossy_and_unnumbered_packets_are_never_taken_for_repeats(sequences: list[int]) -> None:
    delivered: list[tuple[str, int]] = []
    receiver = _receiver(delivered)
    for sequence in sequences:
        packet = models.DataPacket(participant_sid="PA_a", chat_message=models.ChatMessage())
        receiver.take(RELIABLE, packet.SerializeToString())
        packet.sequence = sequence
        receiver.take(LOSSY, packet.SerializeToString())
    assert len(delivered) == 2 * len(sequences)

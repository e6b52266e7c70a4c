"""Data messages of any content: taken, or skipped, never an error."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models

from greenroom.client.data import DataReceiver
from greenroom.client.early_data import EarlyData
from greenroom.client.encryption import Encryption
from greenroom.client.options import EncryptionOptions
from greenroom.client.publisher import LOSSY, RELIABLE
from greenroom.client.state import ParticipantState

_PACKETS = [
    models.DataPacket(
        sequence=5,
        participant_sid="PA_a",
        participant_identity="a",
        user=models.UserPacket(payload=b"abc", topic="t"),
    ),
    models.DataPacket(sip_dtmf=models.SipDTMF(code=1, digit="1")),
    models.DataPacket(
        transcription=models.Transcription(
            track_id="TR_x", segments=[models.TranscriptionSegment(id="i", text="t")]
        )
    ),
    models.DataPacket(chat_message=models.ChatMessage(id="i", message="m")),
    models.DataPacket(rpc_request=models.RpcRequest(id="i", method="m", payload="p")),
    models.DataPacket(stream_header=models.DataStream.Header(stream_id="s", total_length=3)),
    models.DataPacket(
        participant_identity="a",
        encrypted_packet=models.EncryptedPacket(iv=b"i" * 12, encrypted_value=b"c" * 40),
    ),
]


class _Facade:
    def __getattr__(self, name: str) -> Any:
        return lambda *values: (name, *values)


def _receiver(emitted: list[tuple[Any, ...]]) -> DataReceiver:
    known = ParticipantState(models.ParticipantInfo(sid="PA_a", identity="a"), facade="Alice")
    state = SimpleNamespace(participant=lambda identity="", sid="": known if identity == "a" else None)
    session: Any = SimpleNamespace(state=state, facade=_Facade(), emit=lambda *event: emitted.append(event))
    session.encryption = Encryption(session, EncryptionOptions(shared_key=b"key", derivation="hkdf"))
    never = SimpleNamespace(cancel=lambda: None)
    return DataReceiver(session, EarlyData(lambda _delay_s, _function: never))


@given(st.data())
async def test_damaged_packets_are_taken_or_skipped(data: st.DataObject) -> None:
    emitted: list[tuple[Any, ...]] = []
    receiver = _receiver(emitted)
    for _ in range(data.draw(st.integers(1, 5))):
        packet = bytearray(data.draw(st.sampled_from(_PACKETS)).SerializeToString())
        for _ in range(data.draw(st.integers(0, 4))):
            packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
        label = data.draw(st.sampled_from([RELIABLE, LOSSY, "", "other"]))
        before = len(emitted)
        receiver.take(label, bytes(packet[: data.draw(st.integers(0, len(packet)))]))
        assert len(emitted) <= before + (label in (RELIABLE, LOSSY))


@given(st.binary(max_size=300))
async def test_noise_is_skipped_or_taken(noise: bytes) -> None:
    emitted: list[tuple[Any, ...]] = []
    _receiver(emitted).take(LOSSY, noise)
    assert len(emitted) <= 1


async def test_a_whole_packet_is_taken() -> None:
    emitted: list[tuple[Any, ...]] = []
    _receiver(emitted).take(RELIABLE, _PACKETS[0].SerializeToString())
    assert emitted == [("data_received", ("make_data_packet", b"abc", True, "Alice", "t"))]

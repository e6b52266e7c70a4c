"""Encrypted data packets that wait for a key: in order, in bounds, and none holds up those behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit.protocol import models
from test_data_track_encryption import Side

from greenroom.client import data_encryption, encryption
from greenroom.client.data_encryption import DataDecryptor


class Receiving:
    """Bob's end; alice has ratcheted her key, which is derived on another thread."""

    def __init__(self) -> None:
        self.alice, self.bob = Side("alice", shared_key=b"key"), Side("bob", shared_key=b"key")
        self.alice.encryption.keys.ratchet_key(None, 0)
        self.decryptor = DataDecryptor(self.bob)  # type: ignore[arg-type]
        self.payloads: list[bytes] = []

    def take(self, payload: bytes, sender: str = "alice") -> None:
        inner = models.EncryptedPacketPayload(user=models.UserPacket(payload=payload))
        iv, key_index, sealed = self.alice.encryption.keys.seal_data(sender, inner.SerializeToString())
        packet = models.DataPacket(
            participant_identity=sender,
            encrypted_packet=models.EncryptedPacket(iv=iv, key_index=key_index, encrypted_value=sealed),
        )
        self.decryptor.take(packet, True, self._deliver)

    def _deliver(self, packet: models.DataPacket, _: bool) -> None:
        if packet.user.payload == b"poison":
            raise ValueError("a handler failed")
        self.payloads.append(packet.user.payload)

    async def settle(self) -> None:
        await asyncio.wait_for(asyncio.gather(*self.decryptor._tasks), 5)


async def test_packets_behind_one_whose_key_is_searched_keep_their_order() -> None:
    receiving = Receiving()
    for number in range(5):
        receiving.take(bytes([number]))
    assert receiving.payloads == []
    await receiving.settle()
    assert receiving.payloads == [bytes([number]) for number in range(5)]
    assert (receiving.decryptor._waiting, receiving.decryptor._waiting_bytes) == ({}, 0)


async def test_a_packet_whose_handling_fails_does_not_hold_up_its_sender(
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiving = Receiving()
    for payload in (b"poison", b"next"):
        receiving.take(payload)
    await receiving.settle()
    receiving.take(b"later")
    assert receiving.payloads == [b"next", b"later"]
    assert "handling a data packet of 'alice' failed; it is skipped" in caplog.text


async def test_what_waits_of_all_senders_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(data_encryption, "MAX_WAITING_BYTES", 3000)
    receiving = Receiving()
    receiving.take(b"1")
    receiving.take(b"2")
    receiving.take(b"3")
    receiving.take(b"1", "mallory")
    dropped = [record.getMessage() for record in caplog.records]
    assert len(dropped) == 2
    assert dropped[0].startswith("dropped data of 'alice': 2 packets wait for its key, and 2")
    assert dropped[1].startswith("dropped data of 'mallory': 0 packets wait for its key, and 2")
    await receiving.settle()
    assert receiving.payloads == [b"1", b"2"]
    receiving.take(b"4")
    assert receiving.payloads[-1] == b"4"


async def test_closing_drops_what_waits() -> None:
    receiving = Receiving()
    receiving.take(b"1")
    receiving.take(b"2")
    tasks: list[Any] = list(receiving.decryptor._tasks)
    receiving.decryptor.close()
    await asyncio.wait(tasks)
    assert receiving.payloads == []
    assert (receiving.decryptor._waiting, receiving.decryptor._waiting_bytes) == ({}, 0)


def test_failures_of_strangers_are_remembered_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "_MAX_DATA_STATES", 3)
    side = Side("bob", shared_key=b"key")
    error = encryption.SearchError("no")
    for number in range(5):
        assert side.encryption.data_failed(f"stranger{number}", error)
    assert not side.encryption.data_failed("stranger4", error)
    assert list(side.encryption._data_states) == ["stranger2", "stranger3", "stranger4"]

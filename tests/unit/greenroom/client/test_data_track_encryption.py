"""Frames of data tracks that are encrypted, decrypted or dropped, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.protocol import models

from greenroom import _engine
from greenroom.client.data_encryption import DataDecryptor
from greenroom.client.data_track_encryption import DataTrackCipher
from greenroom.client.encryption import Encryption
from greenroom.client.errors import PushFrameError
from greenroom.client.options import EncryptionOptions
from greenroom.signalling.event_port import LoopEventPort
from livekit import rtc

OK = rtc.EncryptionState.OK
ENCRYPTION_FAILED = rtc.EncryptionState.ENCRYPTION_FAILED
DECRYPTION_FAILED = rtc.EncryptionState.DECRYPTION_FAILED
MISSING_KEY = rtc.EncryptionState.MISSING_KEY
INTERNAL_ERROR = rtc.EncryptionState.INTERNAL_ERROR


class Side:
    """A session's encryption."""

    def __init__(self, identity: str, **options: Any) -> None:
        self.closed = False
        self.gate = SimpleNamespace(pass_through=lambda function, *arguments: function(*arguments))
        self.state = SimpleNamespace(
            local=SimpleNamespace(identity=identity),
            participant=lambda *, identity: SimpleNamespace(facade=identity),
        )
        self.events: list[tuple[Any, ...]] = []
        # With PBKDF2 keys are derived on other threads.
        chosen = EncryptionOptions(ratchet_window_size=2, **options)
        self.encryption = Encryption(self, chosen if options else None)  # type: ignore[arg-type]
        self.cipher = DataTrackCipher(self)  # type: ignore[arg-type]

    def emit(self, event: str, *arguments: Any) -> None:
        assert event == "e2ee_state_changed"
        self.events.append(arguments)

    def told(self) -> list[tuple[Any, ...]]:
        told, self.events = self.events, []
        return told

    async def open(self, frame: tuple[bytes, int, bytes], sender: str = "alice") -> bytes | None:
        payload, key_index, iv = frame
        return await self.cipher.open(sender, payload, (key_index, iv))


def no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any, function: Callable[[], Any]) -> Any:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", refuse)


def test_tracks_are_announced_as_the_room_encrypts() -> None:
    gcm, none = models.Encryption.Type.GCM, models.Encryption.Type.NONE
    side = Side("alice", shared_key=b"key")
    assert side.cipher.announced_type == gcm
    side.encryption.set_enabled(False)
    assert side.cipher.announced_type == none
    assert Side("alice", shared_key=b"key", data=False).cipher.announced_type == gcm
    assert Side("alice").cipher.announced_type == none


@pytest.mark.parametrize("data", [True, False], ids=["encryption", "e2ee"])
async def test_a_frame_goes_from_one_to_the_other(data: bool) -> None:
    alice, bob = Side("alice", shared_key=b"key"), Side("bob", shared_key=b"key", data=data)
    sealed, key_index, iv = alice.cipher.seal(b"frame")
    assert (len(sealed), key_index, len(iv)) == (5 + 16, 0, 12)
    assert b"frame" not in sealed
    assert await bob.open((sealed, key_index, iv)) == b"frame"
    alice.encryption.keys.set_key(None, b"second", 1)
    bob.encryption.keys.set_key(None, b"second", 1)
    assert alice.cipher.seal(b"")[1] == 1
    assert await bob.open(alice.cipher.seal(b"")) == b""
    assert bob.told() == []


async def test_without_a_key_nothing_is_pushed() -> None:
    with pytest.raises(PushFrameError, match="can't be encrypted for 'alice': there is no key at index 0"):
        Side("alice", shared_key=None).cipher.seal(b"frame")


async def test_what_does_not_open_is_told_once_until_it_does() -> None:
    alice, bob = Side("alice", shared_key=b"key"), Side("bob", shared_key=None)
    frame = alice.cipher.seal(b"frame")
    assert [await bob.open(frame) for _ in range(3)] == [None] * 3
    assert bob.told() == [("alice", MISSING_KEY)]
    bob.encryption.keys.set_key("alice", b"wrong", 0)
    assert [await bob.open(frame) for _ in range(3)] == [None] * 3
    assert bob.told() == [("alice", DECRYPTION_FAILED)]
    bob.encryption.keys.set_key("alice", b"key", 0)
    assert [await bob.open(frame) for _ in range(3)] == [b"frame"] * 3
    assert bob.told() == [("alice", OK)]
    # A server put it there: no participant sends such a frame.
    assert await bob.cipher.open("alice", b"frame", None) is None
    assert bob.told() == [("alice", DECRYPTION_FAILED)]
    bob.encryption.participant_left("alice")
    assert await bob.open(frame) == b"frame"
    assert bob.told() == []


async def test_a_room_without_encryption_opens_nothing(caplog: pytest.LogCaptureFixture) -> None:
    eve = Side("eve")
    frame = Side("alice", shared_key=b"key").cipher.seal(b"frame")
    assert [await eve.open(frame) for _ in range(3)] == [None] * 3
    assert eve.told() == []
    assert [record.message for record in caplog.records if "no encryption" in record.message] == [
        "dropped frames of a data track of 'alice': this room has no encryption; give RoomOptions.encryption the key"
    ]


async def test_a_ratcheted_sender_is_followed_without_losing_the_frame() -> None:
    alice, bob = Side("alice", shared_key=b"key"), Side("bob", shared_key=b"key")
    alice.encryption.keys.ratchet_key(None, 0)
    assert await bob.open(alice.cipher.seal(b"frame")) == b"frame"
    assert bob.told() == []


async def test_a_search_that_can_not_run_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = Side("alice", shared_key=b"key"), Side("bob", shared_key=b"key")
    alice.encryption.keys.ratchet_key(None, 0)
    with monkeypatch.context() as patch:
        no_thread(patch)
        assert await bob.open(alice.cipher.seal(b"frame")) is None
        assert bob.told() == [("alice", INTERNAL_ERROR)]
    assert await bob.open(alice.cipher.seal(b"frame")) == b"frame"
    assert bob.told() == [("alice", OK)]


async def test_packets_are_told_of_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = Side("alice", shared_key=b"key"), Side("bob", shared_key=b"key")
    alice.encryption.keys.ratchet_key(None, 0)
    iv, key_index, sealed = alice.encryption.keys.seal_data(
        "alice", models.EncryptedPacketPayload(user=models.UserPacket(payload=b"hi")).SerializeToString()
    )
    packet = models.DataPacket(
        participant_identity="alice",
        encrypted_packet=models.EncryptedPacket(iv=iv, key_index=key_index, encrypted_value=sealed),
    )
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    decryptor = DataDecryptor(bob)  # type: ignore[arg-type]

    def take() -> None:
        copy = models.DataPacket()
        copy.CopyFrom(packet)
        decryptor.take(copy, True, lambda packet, _: arrived.put_nowait(packet.user.payload))

    with monkeypatch.context() as patch:
        no_thread(patch)
        take()
        await asyncio.gather(*decryptor._tasks)
    assert bob.told() == [("alice", INTERNAL_ERROR)]
    # The sender's later packets do not wait for ever.
    take()
    assert await asyncio.wait_for(arrived.get(), 5) == b"hi"
    assert bob.told() == [("alice", OK)]


@pytest.mark.parametrize("state", [ENCRYPTION_FAILED, MISSING_KEY, INTERNAL_ERROR])
async def test_what_the_engine_says_of_a_track_is_told(state: int) -> None:
    alice = Side("alice", shared_key=b"key")
    cryptor = alice.encryption.for_sending("TR_1")
    assert cryptor is not None
    port = LoopEventPort.of(asyncio.get_running_loop())
    port._callbacks[cryptor.handle](_engine.ENCRYPTION_STATE, state)
    assert alice.told() == [("alice", state)]
    alice.encryption.close()

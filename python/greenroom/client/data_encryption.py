"""End-to-end encryption of data packets (LiveKit's `EncryptedPacket`)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from livekit.protocol import models

from greenroom import _engine

from .encryption import Encryption
from .errors import PublishDataError

if TYPE_CHECKING:
    from .session import Session

_logger = logging.getLogger("livekit")

ENCRYPTED = "encrypted_packet"
ENCRYPTABLE = frozenset(
    field.name
    for field in models.EncryptedPacketPayload.DESCRIPTOR.fields
    if field.name in models.DataPacket.DESCRIPTOR.fields_by_name
)
"""Kinds of packets that are encrypted; the others always go in the clear."""
MAX_WAITING = 1024
"""Packets of one sender that wait for its key; further ones are dropped."""
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Of all senders together; further packets are dropped."""
_PACKET_OVERHEAD_BYTES = 1024

Deliver = Callable[[models.DataPacket, bool], None]


def seal(encryption: Encryption, packet: models.DataPacket) -> None:
    """Encrypt the packet in place when the room's data is encrypted. PublishDataError without a key."""
    kind = packet.WhichOneof("value") or ""
    if not encryption.encrypts_data or kind not in ENCRYPTABLE:
        return
    payload = models.EncryptedPacketPayload()
    getattr(payload, kind).CopyFrom(getattr(packet, kind))
    identity = packet.participant_identity
    try:
        iv, key_index, sealed = encryption.keys.seal_data(identity, payload.SerializeToString())
    except _engine.EngineError as error:
        raise PublishDataError(f"data can't be encrypted for {identity!r}: {error}") from error
    packet.encrypted_packet.CopyFrom(
        models.EncryptedPacket(
            encryption_type=models.Encryption.Type.GCM,
            iv=iv,
            key_index=key_index,
            encrypted_value=sealed,
        )
    )


class DataDecryptor:
    """Decrypts what arrives, in order per sender: while the keys that a sender may have ratcheted to are derived, its
    later packets wait."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: dict[str, deque[tuple[models.DataPacket, bool]]] = {}
        self._waiting_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, packet: models.DataPacket, reliable: bool, deliver: Deliver) -> None:
        """`deliver` gets the decrypted packet, now or in a moment; nothing when it can't be decrypted."""
        encryption = self._session.encryption
        identity = self._sender(packet)
        if encryption.options is None:
            _logger.warning("skipped an encrypted data packet of %r: this room has no encryption", identity)
            return
        waiting = self._waiting.get(identity)
        if waiting is not None:
            self._hold(waiting, identity, packet, reliable)
        elif not self._open(identity, packet, reliable, deliver):
            waiting = deque()
            if self._hold(waiting, identity, packet, reliable):
                self._waiting[identity] = waiting
                task = asyncio.ensure_future(self._search(identity, waiting, deliver))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _hold(
        self,
        waiting: deque[tuple[models.DataPacket, bool]],
        identity: str,
        packet: models.DataPacket,
        reliable: bool,
    ) -> bool:
        if len(waiting) >= MAX_WAITING or self._waiting_bytes + _cost(packet) > MAX_WAITING_BYTES:
            _logger.warning(
                "dropped data of %r: %d packets wait for its key, and %d bytes for all keys",
                *(identity, len(waiting), self._waiting_bytes),
            )
            return False
        waiting.append((packet, reliable))
        self._waiting_bytes += _cost(packet)
        return True

    def close(self) -> None:
        """What waits is dropped."""
        for waiting in self._waiting.values():
            waiting.clear()
        self._waiting.clear()
        self._waiting_bytes = 0
        for task in self._tasks:
            task.cancel()

    def _sender(self, packet: models.DataPacket) -> str:
        if packet.participant_identity:
            return packet.participant_identity
        sender = self._session.state.participant(sid=packet.participant_sid)
        return "" if sender is None else sender.identity

    def _open(self, identity: str, packet: models.DataPacket, reliable: bool, deliver: Deliver) -> bool:
        """False when a key has to be searched for first."""
        sealed = packet.encrypted_packet
        try:
            plain = self._session.encryption.keys.open_data(
                identity, sealed.iv, sealed.key_index, sealed.encrypted_value, search=False
            )
        except _engine.EngineError as error:
            self._failed(identity, error)
            return True
        if plain is None:
            return False
        self._session.encryption.data_opened(identity)
        _deliver(identity, packet, plain, reliable, deliver)
        return True

    def _failed(self, identity: str, error: _engine.EngineError) -> None:
        self._session.encryption.data_failed(identity, error)
        _logger.warning("skipped a data packet of %r that can't be decrypted: %s", identity, error)

    async def _search(
        self, identity: str, waiting: deque[tuple[models.DataPacket, bool]], deliver: Deliver
    ) -> None:
        while waiting:
            packet, reliable = waiting.popleft()
            self._waiting_bytes -= _cost(packet)
            try:
                if not self._open(identity, packet, reliable, deliver):
                    await self._open_searching(identity, packet, reliable, deliver)
            except Exception:
                # The next packets must not wait for ever behind this one.
                _logger.exception("handling a data packet of %r failed; it is skipped", identity)
        if self._waiting.get(identity) is waiting:
            del self._waiting[identity]

    async def _open_searching(
        self, identity: str, packet: models.DataPacket, reliable: bool, deliver: Deliver
    ) -> None:
        encryption, sealed = self._session.encryption, packet.encrypted_packet
        try:
            plain = await encryption.search_key(identity, sealed.iv, sealed.key_index, sealed.encrypted_value)
        except _engine.EngineError as error:
            self._failed(identity, error)
            return
        if plain is not None and not self._session.closed:
            encryption.data_opened(identity)
            _deliver(identity, packet, plain, reliable, deliver)


def _cost(packet: models.DataPacket) -> int:
    return len(packet.encrypted_packet.encrypted_value) + _PACKET_OVERHEAD_BYTES


def _deliver(
    identity: str, packet: models.DataPacket, plain: bytes, reliable: bool, deliver: Deliver
) -> None:
    payload = models.EncryptedPacketPayload()
    try:
        payload.ParseFromString(plain)
    except DecodeError as error:
        _logger.warning("skipped a data packet of %r: what was encrypted is no payload: %s", identity, error)
        return
    kind = payload.WhichOneof("value") or ""
    if kind not in ENCRYPTABLE:
        return
    getattr(packet, kind).CopyFrom(getattr(payload, kind))
    deliver(packet, reliable)

"""End-to-end encryption of data tracks: each frame whole, before it is cut into packets."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from livekit.protocol import models

from greenroom import _engine

from .errors import PushFrameError

if TYPE_CHECKING:
    from .encryption import Encryption
    from .session import Session

_logger = logging.getLogger("livekit")


class FrameCipher(Protocol):
    """What data tracks need of it."""

    @property
    def announced_type(self) -> int:
        """`models.Encryption.Type` of the tracks that are published now."""

    def seal(self, payload: bytes) -> tuple[bytes, int, bytes]:
        """(ciphertext and tag, key index, IV of 12 bytes) of a frame of ours. PushFrameError when there is no key."""

    async def open(self, identity: str, payload: bytes, encryption: tuple[int, bytes] | None) -> bytes | None:
        """The frame of a track of `identity` that is announced as encrypted; `encryption` is (key index, IV). None
        when it can't be decrypted."""


class DataTrackCipher:
    """With the keys that data packets take: of the sender's identity, the one that was set last. The official SDK
    encrypts data tracks, as media, where `e2ee` leaves packets clear, and so do we. A track stays encrypted when
    encryption is switched off after it was published: it was announced so."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def _encryption(self) -> Encryption:
        return self._session.encryption

    @property
    def announced_type(self) -> int:
        encryption = self._encryption
        encrypts = encryption.options is not None and encryption.enabled
        return models.Encryption.Type.GCM if encrypts else models.Encryption.Type.NONE

    def seal(self, payload: bytes) -> tuple[bytes, int, bytes]:
        identity = self._session.state.local.identity
        try:
            iv, key_index, sealed = self._encryption.keys.seal_data(identity, payload)
        except _engine.EngineError as error:
            raise PushFrameError(
                f"Failed to publish frame: it can't be encrypted for {identity!r}: {error}"
            ) from error
        return sealed, key_index, iv

    async def open(self, identity: str, payload: bytes, encryption: tuple[int, bytes] | None) -> bytes | None:
        try:
            if encryption is None:
                raise _engine.EngineError("it is not encrypted, and its track is")
            plain = await self._open(identity, payload, *encryption)
        except _engine.EngineError as error:
            if self._encryption.data_failed(identity, error):
                _logger.warning("dropped frames of a data track of %r: %s", identity, error)
            return None
        if plain is not None:
            self._encryption.data_opened(identity)
        return plain

    async def _open(self, identity: str, payload: bytes, key_index: int, iv: bytes) -> bytes | None:
        encryption = self._encryption
        if encryption.options is None:
            raise _engine.EngineError("this room has no encryption; give RoomOptions.encryption the key")
        plain = encryption.keys.open_data(identity, iv, key_index, payload, search=False)
        if plain is None:
            plain = await encryption.search_key(identity, iv, key_index, payload)
        return plain

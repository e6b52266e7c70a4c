"""End-to-end encryption of a session's media: its keys, and a cryptor for each track that is sent or received.

A track that comes from somebody else is played only when it can be decrypted: in a room with encryption a clear track
stays silent, as does an encrypted one in a room without.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from livekit.protocol import models

from greenroom import _engine
from greenroom.signalling.event_port import LoopEventPort

from .options import EncryptionOptions

if TYPE_CHECKING:
    from .session import Session
    from .state import PublicationState

_logger = logging.getLogger("livekit")

_NONE = models.Encryption.Type.NONE
# As livekit.rtc.EncryptionState.
_OK, _DECRYPTION_FAILED, _MISSING_KEY, _INTERNAL_ERROR = 1, 3, 4, 6

_MAX_DATA_STATES = 10_000
"""Senders need not be participants; the oldest is forgotten."""

CryptorKey = tuple[str, str]
"""Participant's identity and track's SID."""


class SearchError(_engine.EngineError):
    """Decrypting was not possible here, whatever the key."""


@dataclass(eq=False)
class _Entry:
    cryptor: _engine.FrameCryptor
    port: LoopEventPort
    is_local: bool


class Encryption:
    """Of one session, and of the sessions that take its place when it is restarted."""

    def __init__(self, session: Session, options: EncryptionOptions | None) -> None:
        self._session = session
        self.options = options
        self.enabled = options is not None
        self.server_trailer = b""
        """Ends the frames that the server makes itself."""
        self.keys = _key_provider(options)
        self._entries: dict[CryptorKey, _Entry] = {}
        self._data_states: dict[str, int] = {}
        """Of participants whose data can't be decrypted, why."""

    async def prepare(self) -> None:
        """Have the shared key derived, so that not even the first frame has to wait for it."""
        if self.options is not None and self.options.shared_key is not None:
            await asyncio.get_running_loop().run_in_executor(None, self.keys.finish_derivations)

    @property
    def announced_type(self) -> int:
        """What our tracks are announced with: `models.Encryption.Type`."""
        return _NONE if self.options is None else self.options.encryption_type

    @property
    def encrypts_data(self) -> bool:
        return self.options is not None and self.options.data and self.enabled

    # ---- data ----

    async def search_key(self, identity: str, iv: bytes, key_index: int, data: bytes) -> bytes | None:
        """Decrypt what `KeyProvider.open_data` has no derived key for: on another thread, the keys that the sender
        may have ratcheted to are derived. EngineError when none fits, or no thread is to be had."""
        search = partial(self.keys.open_data, identity, iv, key_index, data, search=True)
        try:
            return await asyncio.get_running_loop().run_in_executor(None, search)
        except RuntimeError as error:
            raise SearchError(f"the key can't be searched for: {error}") from error

    def data_failed(self, identity: str, error: _engine.EngineError) -> bool:
        """A packet, or a frame of a data track, was dropped. Told when it is news: True then."""
        if isinstance(error, SearchError):
            state = _INTERNAL_ERROR
        else:
            state = _MISSING_KEY if str(error).startswith("there is no key") else _DECRYPTION_FAILED
        if self._data_states.get(identity) == state:
            return False
        if len(self._data_states) >= _MAX_DATA_STATES:
            del self._data_states[next(iter(self._data_states))]
        self._data_states[identity] = state
        if self.options is not None:
            self._session.gate.pass_through(self._state_changed, identity, state)
        return True

    def data_opened(self, identity: str) -> None:
        """It works. Told only after a failure."""
        if self._data_states.pop(identity, None) is not None:
            self._session.gate.pass_through(self._state_changed, identity, _OK)

    def participant_left(self, identity: str) -> None:
        self._data_states.pop(identity, None)

    # ---- what users change ----

    def set_enabled(self, enabled: bool) -> None:
        self.enabled = enabled
        for entry in self._entries.values():
            entry.cryptor.set_enabled(enabled)

    def cryptor(self, key: CryptorKey) -> _engine.FrameCryptor | None:
        entry = self._entries.get(key)
        return None if entry is None else entry.cryptor

    def cryptors(self) -> dict[CryptorKey, _engine.FrameCryptor]:
        return {key: entry.cryptor for key, entry in self._entries.items()}

    # ---- tracks ----

    def for_sending(self, track_sid: str, previous_sid: str = "") -> _engine.FrameCryptor | None:
        """The cryptor of a track of ours; None sends it in the clear. `previous_sid`: as what it was published
        before, if it was; its settings go on."""
        if self.options is None:
            return None
        identity = self._session.state.local.identity
        previous = self.cryptor((identity, previous_sid))
        cryptor = self._make((identity, track_sid), is_local=True)
        if previous is not None:
            cryptor.set_enabled(previous.enabled)
            cryptor.set_key_index(previous.key_index)
            if previous_sid != track_sid:
                self.forget(identity, previous_sid)
        return cryptor

    def protect(self, publication: PublicationState, receiver: _engine.Receiver) -> None:
        """Before anything listens to `receiver`: decrypt what arrives of this track."""
        if self.options is None:
            if publication.info.encryption != _NONE:
                _logger.warning(
                    "track %s of %r is encrypted and can't be played: give RoomOptions.encryption the key",
                    publication.sid,
                    publication.participant.identity,
                )
                receiver.set_cryptor(self._without_keys(publication))
            return
        key = (publication.participant.identity, publication.sid)
        cryptor = self.cryptor(key) or self._make(key, is_local=False)
        receiver.set_cryptor(cryptor)

    def _without_keys(self, publication: PublicationState) -> _engine.FrameCryptor:
        port = LoopEventPort.of(asyncio.get_running_loop())
        identity = publication.participant.identity
        # Nobody registers for what it reports: it lets nothing through but the server's blank frames.
        return _engine.FrameCryptor(port.port, self.keys, identity, server_trailer=self.server_trailer)

    def _make(self, key: CryptorKey, *, is_local: bool) -> _engine.FrameCryptor:
        identity, track_sid = key
        self.forget(identity, track_sid)
        port = LoopEventPort.of(asyncio.get_running_loop())
        trailer = b"" if is_local else self.server_trailer
        cryptor = _engine.FrameCryptor(port.port, self.keys, identity, server_trailer=trailer)
        cryptor.set_enabled(self.enabled)
        port.register(
            cryptor.handle,
            lambda _, state: self._session.gate.pass_through(self._state_changed, identity, state),
        )
        self._entries[key] = _Entry(cryptor, port, is_local)
        return cryptor

    def forget(self, identity: str, track_sid: str) -> None:
        """The track is no longer sent or received. Harmless twice."""
        entry = self._entries.pop((identity, track_sid), None)
        if entry is not None:
            entry.port.unregister(entry.cryptor.handle)

    def close(self) -> None:
        for identity, track_sid in list(self._entries):
            self.forget(identity, track_sid)

    def _state_changed(self, identity: str, state: int) -> None:
        participant = self._session.state.participant(identity=identity)
        if participant is not None and not self._session.closed:
            self._session.emit("e2ee_state_changed", participant.facade, state)


def _key_provider(options: EncryptionOptions | None) -> _engine.KeyProvider:
    options = options or EncryptionOptions()
    tolerance: Any = options.failure_tolerance if options.failure_tolerance >= 0 else None
    keys = _engine.KeyProvider(
        shared=options.shared_key is not None,
        ratchet_salt=options.ratchet_salt,
        ratchet_window_size=options.ratchet_window_size,
        failure_tolerance=tolerance,
        key_ring_size=options.key_ring_size,
        derivation=options.derivation,
    )
    if options.shared_key is not None:
        keys.set_key(None, options.shared_key, 0)
    return keys

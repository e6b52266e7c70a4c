"""End-to-end encryption: what is asked for at `Room.connect`, and the keys and cryptors of a connected room.

Media is encrypted with AES-128-GCM, frame by frame, bit-compatible with LiveKit's other clients; see docs/encryption.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ._proto.e2ee_pb2 import EncryptionType, KeyDerivationFunction

if TYPE_CHECKING:
    from greenroom.client.encryption import Encryption
    from greenroom.client.options import EncryptionOptions

DEFAULT_RATCHET_SALT = b"LKFrameEncryptionKey"
DEFAULT_RATCHET_WINDOW_SIZE = 16
DEFAULT_FAILURE_TOLERANCE = -1
DEFAULT_KEY_RING_SIZE = 16

_DERIVATIONS = {KeyDerivationFunction.PBKDF2: "pbkdf2", KeyDerivationFunction.HKDF: "hkdf"}


@dataclass
class KeyProviderOptions:
    """`shared_key`: one key for everybody, at index 0; None: one per participant, by `KeyProvider.set_key`.

    `ratchet_salt`: salt of every derivation. `ratchet_window_size`: how many ratchet steps of a sender a receiver follows
    by itself (0: none). `failure_tolerance`: how many frames in a row a key may fail to decrypt before it is given up
    until a new one is set (-1: any number). `key_ring_size`: keys per participant, 1 to 256. `key_derivation_function`:
    PBKDF2 for passphrases, HKDF for random keys. Everybody in a room has to use the same.
    """

    shared_key: bytes | None = field(default=None, repr=False)
    ratchet_salt: bytes = DEFAULT_RATCHET_SALT
    ratchet_window_size: int = DEFAULT_RATCHET_WINDOW_SIZE
    failure_tolerance: int = DEFAULT_FAILURE_TOLERANCE
    key_ring_size: int = DEFAULT_KEY_RING_SIZE
    key_derivation_function: KeyDerivationFunction.ValueType = KeyDerivationFunction.PBKDF2


@dataclass
class E2EEOptions:
    """`encryption_type`: what tracks are announced with; the cipher is the same. NONE: no encryption."""

    key_provider_options: KeyProviderOptions = field(default_factory=KeyProviderOptions)
    encryption_type: EncryptionType.ValueType = EncryptionType.GCM


class KeyProvider:
    """The keys of a room. An index is a place in a participant's key ring, and goes round at its size; each encrypted
    frame says which index its key is at."""

    def __init__(self, room_handle: Encryption, options: KeyProviderOptions) -> None:
        self._keys = room_handle.keys
        self._options = options

    @property
    def options(self) -> KeyProviderOptions:
        return self._options

    def set_shared_key(self, key: bytes, key_index: int) -> None:
        """Use `key` for everybody at this index from now on. RuntimeError when the room has a key per participant."""
        if self._options.shared_key is None:
            raise RuntimeError(
                "this room has a key per participant: use set_key, or connect with KeyProviderOptions(shared_key=...)"
            )
        self._keys.set_key(None, key, _index(key_index))

    def export_shared_key(self, key_index: int) -> bytes:
        """The key at this index, ratcheted if it was; empty when there is none."""
        return self._keys.export_key(None, _index(key_index)) or b""

    def ratchet_shared_key(self, key_index: int) -> bytes:
        """Step everybody's key at this index forward; the new key, empty when there is none. Others follow by
        themselves (`ratchet_window_size`). With PBKDF2 it takes some 40 ms."""
        return self._keys.ratchet_key(None, _index(key_index)) or b""

    def set_key(self, participant_identity: str, key: bytes, key_index: int) -> None:
        """Use `key` for what this participant sends at this index from now on."""
        self._keys.set_key(participant_identity, key, _index(key_index))

    def export_key(self, participant_identity: str, key_index: int) -> bytes:
        """The participant's key at this index, ratcheted if it was; empty when there is none."""
        return self._keys.export_key(participant_identity, _index(key_index)) or b""

    def ratchet_key(self, participant_identity: str, key_index: int) -> bytes:
        """Step the participant's key at this index forward; the new key, empty when there is none."""
        return self._keys.ratchet_key(participant_identity, _index(key_index)) or b""

    def __repr__(self) -> str:
        return f"rtc.KeyProvider(shared={self._options.shared_key is not None})"


class FrameCryptor:
    """Encryption of one track, ours or somebody's that we receive."""

    def __init__(
        self,
        room_handle: Encryption,
        participant_identity: str,
        track_sid: str,
        key_index: int,
        enabled: bool,
    ) -> None:
        self._encryption = room_handle
        self._participant_identity = participant_identity
        self._track_sid = track_sid
        self._key_index = key_index
        self._enabled = enabled

    @property
    def participant_identity(self) -> str:
        return self._participant_identity

    @property
    def track_sid(self) -> str:
        return self._track_sid

    @property
    def key_index(self) -> int:
        """Of the key that our frames are encrypted with; those that arrive say theirs."""
        return self._key_index

    @property
    def enabled(self) -> bool:
        return self._enabled

    def set_enabled(self, enabled: bool) -> None:
        """Switched off, our frames go out in the clear, and clear frames of others are played."""
        self._enabled = enabled
        cryptor = self._encryption.cryptor((self._participant_identity, self._track_sid))
        if cryptor is not None:
            cryptor.set_enabled(enabled)

    def set_key_index(self, key_index: int) -> None:
        """Encrypt with the key at this index from now on."""
        self._key_index = _index(key_index)
        cryptor = self._encryption.cryptor((self._participant_identity, self._track_sid))
        if cryptor is not None:
            cryptor.set_key_index(key_index)

    def __repr__(self) -> str:
        return (
            f"rtc.FrameCryptor(participant_identity={self.participant_identity}, track_sid={self.track_sid}, "
            f"key_index={self.key_index}, enabled={self.enabled})"
        )


class E2EEManager:
    """Encryption of one room: `Room.e2ee_manager`."""

    def __init__(self, room_handle: Encryption | None, options: E2EEOptions | None) -> None:
        self.options = options
        active = room_handle is not None and room_handle.options is not None
        self._encryption = room_handle if active else None
        self._key_provider = (
            None
            if self._encryption is None or options is None
            else KeyProvider(self._encryption, options.key_provider_options)
        )

    @property
    def key_provider(self) -> KeyProvider | None:
        """None in a room without encryption."""
        return self._key_provider

    @property
    def enabled(self) -> bool:
        return self._encryption is not None and self._encryption.enabled

    def set_enabled(self, enabled: bool) -> None:
        """Switch the encryption of all tracks, and of data, on or off. RuntimeError when a room that was connected
        without encryption is to encrypt."""
        if self._encryption is not None:
            self._encryption.set_enabled(enabled)
        elif enabled:
            raise RuntimeError(
                "this room has no encryption to switch on: connect with RoomOptions(encryption=E2EEOptions(...))"
            )

    def __repr__(self) -> str:
        return f"rtc.E2EEManager(enabled={self.enabled})"

    def frame_cryptors(self) -> list[FrameCryptor]:
        """One for each track that is published or subscribed to, as they are now."""
        if self._encryption is None:
            return []
        return [
            FrameCryptor(self._encryption, identity, track_sid, cryptor.key_index, cryptor.enabled)
            for (identity, track_sid), cryptor in self._encryption.cryptors().items()
        ]


def _index(key_index: int) -> int:
    if not 0 <= key_index < 2**31:
        raise ValueError(f"key_index is {key_index}; give 0 or more")
    return key_index


def encryption_options(encryption: E2EEOptions | None, e2ee: E2EEOptions | None) -> EncryptionOptions | None:
    """What the session is given: `encryption` (media and data), or else `e2ee` (all but packets). ValueError for an option
    that makes no sense."""
    from greenroom.client.options import EncryptionOptions

    options = encryption or e2ee
    if options is None or options.encryption_type == EncryptionType.NONE:
        return None
    keys = options.key_provider_options
    derivation = _DERIVATIONS.get(keys.key_derivation_function)
    if derivation is None:
        raise ValueError(f"key_derivation_function is {keys.key_derivation_function}; use PBKDF2 or HKDF")
    if keys.ratchet_window_size < 0:
        raise ValueError(f"ratchet_window_size is {keys.ratchet_window_size}; give 0 or more")
    return EncryptionOptions(
        encryption_type=int(options.encryption_type),
        data=encryption is not None,
        shared_key=keys.shared_key,
        ratchet_salt=keys.ratchet_salt,
        ratchet_window_size=keys.ratchet_window_size,
        failure_tolerance=keys.failure_tolerance,
        key_ring_size=keys.key_ring_size,
        derivation=derivation,
    )

"""End-to-end encryption: its options. Frames can't be encrypted yet; a room that is asked to refuses to
connect."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._proto.e2ee_pb2 import EncryptionType, KeyDerivationFunction

DEFAULT_RATCHET_SALT = b"LKFrameEncryptionKey"
DEFAULT_RATCHET_WINDOW_SIZE = 16
DEFAULT_FAILURE_TOLERANCE = -1
DEFAULT_KEY_RING_SIZE = 16


@dataclass
class KeyProviderOptions:
    """`shared_key` None: one key per participant. `failure_tolerance` -1: never give up on a key."""

    shared_key: bytes | None = None
    ratchet_salt: bytes = DEFAULT_RATCHET_SALT
    ratchet_window_size: int = DEFAULT_RATCHET_WINDOW_SIZE
    failure_tolerance: int = DEFAULT_FAILURE_TOLERANCE
    key_ring_size: int = DEFAULT_KEY_RING_SIZE
    key_derivation_function: KeyDerivationFunction.ValueType = KeyDerivationFunction.PBKDF2


@dataclass
class E2EEOptions:
    key_provider_options: KeyProviderOptions = field(default_factory=KeyProviderOptions)
    encryption_type: EncryptionType.ValueType = EncryptionType.GCM


class E2EEManager:
    """What a room's encryption is set to. `enabled` is False: this version sends and receives in the
    clear only."""

    def __init__(self, options: E2EEOptions | None) -> None:
        self._options = options

    @property
    def options(self) -> E2EEOptions | None:
        return self._options

    @property
    def enabled(self) -> bool:
        return False

    def set_enabled(self, enabled: bool) -> None:
        """NotImplementedError when switched on."""
        if enabled:
            raise NotImplementedError(
                "end-to-end encryption can't be switched on: this version can't encrypt frames yet; "
                "media goes in the clear"
            )

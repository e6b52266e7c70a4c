from collections.abc import Iterable, Mapping, MutableMapping
from typing import Final, TypeAlias

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer
from google.protobuf.message import Message

from ._enum import EnumType as _EnumType

DESCRIPTOR: FileDescriptor

class EncryptionType(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    NONE: Final = 0
    GCM: Final = 1
    CUSTOM: Final = 2
NONE: Final = 0
GCM: Final = 1
CUSTOM: Final = 2

class KeyDerivationFunction(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    PBKDF2: Final = 0
    HKDF: Final = 1
PBKDF2: Final = 0
HKDF: Final = 1

class EncryptionState(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    NEW: Final = 0
    OK: Final = 1
    ENCRYPTION_FAILED: Final = 2
    DECRYPTION_FAILED: Final = 3
    MISSING_KEY: Final = 4
    KEY_RATCHETED: Final = 5
    INTERNAL_ERROR: Final = 6
NEW: Final = 0
OK: Final = 1
ENCRYPTION_FAILED: Final = 2
DECRYPTION_FAILED: Final = 3
MISSING_KEY: Final = 4
KEY_RATCHETED: Final = 5
INTERNAL_ERROR: Final = 6

class KeyProviderOptions(Message):
    shared_key: bytes
    ratchet_window_size: int
    ratchet_salt: bytes
    failure_tolerance: int
    key_ring_size: int
    key_derivation_function: KeyDerivationFunction.ValueType
    def __init__(self, *, shared_key: bytes | None = None, ratchet_window_size: int | None = None, ratchet_salt: bytes | None = None, failure_tolerance: int | None = None, key_ring_size: int | None = None, key_derivation_function: KeyDerivationFunction.ValueType | None = None) -> None: ...

class E2eeOptions(Message):
    encryption_type: EncryptionType.ValueType
    @property
    def key_provider_options(self) -> KeyProviderOptions: ...
    def __init__(self, *, encryption_type: EncryptionType.ValueType | None = None, key_provider_options: KeyProviderOptions | None = None) -> None: ...

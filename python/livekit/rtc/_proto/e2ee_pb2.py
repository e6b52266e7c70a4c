"""Encryption."""

from ._build import build

build(
    globals(),
    "e2ee",
    """
enum EncryptionType: NONE=0 GCM=1 CUSTOM=2
enum KeyDerivationFunction: PBKDF2=0 HKDF=1
enum EncryptionState: NEW=0 OK=1 ENCRYPTION_FAILED=2 DECRYPTION_FAILED=3 MISSING_KEY=4 KEY_RATCHETED=5 INTERNAL_ERROR=6
message KeyProviderOptions: shared_key=1 bytes; ratchet_window_size=2 int32; ratchet_salt=3 bytes; failure_tolerance=4 int32; key_ring_size=5 int32; key_derivation_function=6 KeyDerivationFunction
message E2eeOptions: encryption_type=1 EncryptionType; key_provider_options=2 KeyProviderOptions
""",
)

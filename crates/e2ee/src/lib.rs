//! End-to-end encryption of media frames and data packets, as LiveKit's SDKs do it.
//!
//! ```text
//! KeyProvider ── a KeyRing per participant ── Keys (material, AES key, the keys ratcheted from it)
//!      │                    ▲
//!      └ seal_data,         │ by key index
//!        open_data     FrameCryptor ── seal, open ── frame.rs: layout, clear bytes, AAD, NAL escaping
//! ```
//!
//! An encrypted frame is `clear | ciphertext and tag | IV | 0x0c | key index`: AES-128-GCM, 16 bytes of tag, 12 of
//! IV. The clear bytes are what a forwarding server needs to see, and are authenticated. There is no RFC; the layout
//! is that of livekit-client's worker and of the frame cryptor in LiveKit's libwebrtc, and the vectors in `tests/`
//! come from both.
//!
//! Sans-IO: no threads. What takes long (deriving keys) is handed to a [`Runner`].
#![forbid(unsafe_code)]

mod annex_b;
mod clear_bytes;
mod data;
mod derivation;
mod error;
mod frame;
mod frame_cryptor;
mod key_provider;
mod key_ring;
mod keys;
mod secret;
mod server_frames;
mod state;
#[cfg(test)]
mod vectors;

pub use clear_bytes::FrameCodec;
pub use data::SealedData;
pub use derivation::Derivation;
pub use error::{CryptError, Result};
pub use frame_cryptor::{FrameCryptor, OnState};
pub use key_provider::{KeyOwner, KeyProvider, KeyProviderOptions, Runner};
pub use state::EncryptionState;

//! Secure RTP (RFC 3711) with AES-GCM (RFC 7714) and AES-CM with HMAC-SHA1, keyed by DTLS (RFC 5764).

mod cipher;
mod context;
#[cfg(any(test, fuzzing))]
mod copies;
mod key_derivation;
mod receiver;
mod replay;
mod sender;

pub(crate) use cipher::MAX_OVERHEAD_BYTES;
pub(crate) use context::from_keying_material;
pub(crate) use key_derivation::Profile;
pub(crate) use receiver::{Receiver, Refused};
pub(crate) use sender::Sender;

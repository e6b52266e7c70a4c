//! Secure RTP (RFC 3711) with AES-GCM (RFC 7714) and AES-CM with HMAC-SHA1, keyed by DTLS (RFC 5764).

mod cipher;
mod context;
mod key_derivation;
mod replay;

pub(crate) use context::{Receiver, Refused, Sender, from_keying_material};
pub(crate) use key_derivation::Profile;

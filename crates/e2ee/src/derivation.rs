//! From key material to keys.

use std::num::NonZeroU32;

use aws_lc_rs::{hkdf, pbkdf2};

use crate::secret::Secret;

const PBKDF2_ITERATIONS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
/// livekit-client gives WebCrypto an info of this many zero bytes.
const HKDF_INFO: [u8; 128] = [0; 128];

/// How keys are derived from material (SHA-256 in both).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Derivation {
    /// RFC 8018, 100,000 iterations: about 20 ms. For passphrases.
    #[default]
    Pbkdf2,
    /// RFC 5869: microseconds. For material that is random already.
    Hkdf,
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Derivation {
    /// `length` bytes (at most 32) from `material`.
    pub(crate) fn derive(self, material: &Secret, salt: &[u8], length: usize) -> Secret {
        let mut derived = Secret::new(vec![0; length]);
        match self {
            Derivation::Pbkdf2 => {
                let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
                pbkdf2::derive(
                    algorithm,
                    PBKDF2_ITERATIONS,
                    salt,
                    material.bytes(),
                    derived.bytes_mut(),
                );
            }
            Derivation::Hkdf => {
                let key = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(material.bytes());
                key.expand(&[&HKDF_INFO], Length(length))
                    .and_then(|output| output.fill(derived.bytes_mut()))
                    .expect("a length of 16 or 32 is allowed");
            }
        }
        derived
    }
}

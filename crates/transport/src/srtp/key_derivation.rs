//! From the keying material of DTLS to the session keys of SRTP (RFC 3711 section 4.3).

use aws_lc_rs::cipher::{AES_128, AES_256, Algorithm, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

use super::cipher::{AeadCipher, Cipher, CounterCipher};
use crate::error::{Result, TransportError};

/// The length of the authentication key of HMAC-SHA1, in bytes.
const AUTHENTICATION_KEY_BYTES: usize = 20;

/// The protection profiles that DTLS may agree on (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Aes128CmHmacSha1With80Bits,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl Profile {
    pub(crate) fn from_dtls(profile: dimpl::SrtpProfile) -> Option<Profile> {
        match profile {
            dimpl::SrtpProfile::AES128_CM_SHA1_80 => Some(Profile::Aes128CmHmacSha1With80Bits),
            dimpl::SrtpProfile::AEAD_AES_128_GCM => Some(Profile::AeadAes128Gcm),
            dimpl::SrtpProfile::AEAD_AES_256_GCM => Some(Profile::AeadAes256Gcm),
            _ => None,
        }
    }

    fn key_bytes(self) -> usize {
        match self {
            Profile::Aes128CmHmacSha1With80Bits | Profile::AeadAes128Gcm => 16,
            Profile::AeadAes256Gcm => 32,
        }
    }

    fn salt_bytes(self) -> usize {
        match self {
            Profile::Aes128CmHmacSha1With80Bits => 14,
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 12,
        }
    }

    fn block_cipher(self) -> &'static Algorithm {
        if self.key_bytes() == 32 {
            &AES_256
        } else {
            &AES_128
        }
    }
}

/// The master key and salt of one direction.
pub(crate) struct MasterKey<'a> {
    profile: Profile,
    key: &'a [u8],
    salt: &'a [u8],
}

/// Which of the two protocols a session key is for; the number is the first of its three labels.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Rtp = 0,
    Rtcp = 3,
}

impl<'a> MasterKey<'a> {
    /// Cuts the keying material of RFC 5764 section 4.2 into the keys of the DTLS client and server.
    pub(crate) fn split(profile: Profile, material: &'a [u8]) -> Result<(MasterKey<'a>, MasterKey<'a>)> {
        let (key_bytes, salt_bytes) = (profile.key_bytes(), profile.salt_bytes());
        if material.len() < 2 * (key_bytes + salt_bytes) {
            return Err(TransportError::Crypto {
                operation: "key import",
            });
        }
        let (keys, salts) = material.split_at(2 * key_bytes);
        let (client_key, server_key) = keys.split_at(key_bytes);
        let (client_salt, rest) = salts.split_at(salt_bytes);
        let client = MasterKey {
            profile,
            key: client_key,
            salt: client_salt,
        };
        let server = MasterKey {
            profile,
            key: server_key,
            salt: &rest[..salt_bytes],
        };
        Ok((client, server))
    }

    /// Derives the cipher of one protocol.
    pub(crate) fn cipher(&self, purpose: Purpose) -> Result<Cipher> {
        let first_label = purpose as u8;
        let mut key = vec![0; self.profile.key_bytes()];
        let mut salt = vec![0; self.profile.salt_bytes()];
        self.derive(first_label, &mut key)?;
        self.derive(first_label + 2, &mut salt)?;
        if self.profile != Profile::Aes128CmHmacSha1With80Bits {
            return Ok(Cipher::Aead(AeadCipher::new(&key, &salt)?));
        }
        let mut authentication_key = [0; AUTHENTICATION_KEY_BYTES];
        self.derive(first_label + 1, &mut authentication_key)?;
        Ok(Cipher::Counter(Box::new(CounterCipher::new(
            &key,
            &salt,
            &authentication_key,
        )?)))
    }

    /// The pseudo-random function: AES in counter mode over zeros, with the label mixed into the salt.
    fn derive(&self, label: u8, output: &mut [u8]) -> Result<()> {
        let refuse = |_| TransportError::Crypto {
            operation: "key derivation",
        };
        // The salt is left-aligned in 112 bits; the label is the first of the 7 bytes of the key id.
        let mut counter = [0u8; 16];
        counter[..self.salt.len()].copy_from_slice(self.salt);
        counter[7] ^= label;
        let key = UnboundCipherKey::new(self.profile.block_cipher(), self.key).map_err(refuse)?;
        let key = EncryptingKey::ctr(key).map_err(refuse)?;
        output.fill(0);
        let context = EncryptionContext::Iv128(FixedLength::from(counter));
        key.less_safe_encrypt(output, context).map_err(refuse)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
            .collect()
    }

    #[test]
    fn derivation_matches_rfc_3711_appendix_b_3() {
        let key = bytes("E1F97A0D3E018BE0D64FA32C06DE4139");
        let salt = bytes("0EC675AD498AFEEBB6960B3AABE6");
        let master = MasterKey {
            profile: Profile::Aes128CmHmacSha1With80Bits,
            key: &key,
            salt: &salt,
        };
        let vectors = [
            (0, "C61E7A93744F39EE10734AFE3FF7A087"),
            (2, "30CBBC08863D8C85D49DB34A9AE1"),
            (1, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"),
        ];
        for (label, expected) in vectors {
            let mut output = vec![0; expected.len() / 2];
            master.derive(label, &mut output).expect("derivation");
            assert_eq!(output, bytes(expected), "label {label}");
        }
    }

    #[test]
    fn keying_material_is_cut_in_the_order_of_rfc_5764() {
        let material: Vec<u8> = (0..60).collect();
        let (client, server) =
            MasterKey::split(Profile::Aes128CmHmacSha1With80Bits, &material).expect("split");
        assert_eq!(client.key, &material[0..16]);
        assert_eq!(server.key, &material[16..32]);
        assert_eq!(client.salt, &material[32..46]);
        assert_eq!(server.salt, &material[46..60]);
        assert!(MasterKey::split(Profile::AeadAes256Gcm, &material).is_err());
    }
}

//! Data packets: the same keys, no clear bytes, and the IV beside the ciphertext (LiveKit's `EncryptedPacket`).

use crate::keys::{self, IV_BYTES};
use crate::{CryptError, KeyProvider, Result};

/// What an `EncryptedPacket` carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedData {
    pub iv: [u8; IV_BYTES],
    pub key_index: u8,
    /// Ciphertext and tag.
    pub sealed: Vec<u8>,
}

impl KeyProvider {
    /// Encrypt with the key that `identity` was given last. Waits for a key that is being derived.
    pub fn seal_data(&self, identity: &str, plain: Vec<u8>) -> Result<SealedData> {
        let ring = self.ring(identity);
        let key_index = ring.latest_index();
        let key = ring
            .get(key_index)
            .ok_or(CryptError::MissingKey { index: key_index })?;
        let iv = rand::random();
        let mut sealed = plain;
        keys::seal(key.cipher(), iv, &[], &mut sealed)?;
        Ok(SealedData {
            iv,
            key_index,
            sealed,
        })
    }

    /// Decrypt what `identity` sent. Waits for a key that is being derived. `search`: also derive the keys that the
    /// sender may have ratcheted to, which takes a second when none of them fits; else only those known are tried.
    pub fn open_data(
        &self,
        identity: &str,
        iv: &[u8],
        key_index: u8,
        sealed: &[u8],
        search: bool,
    ) -> Result<Vec<u8>> {
        let bytes = sealed.len();
        let iv: [u8; IV_BYTES] = iv.try_into().map_err(|_| CryptError::NotSealed { bytes })?;
        let ring = self.ring(identity);
        let first = ring.usable(key_index)?;
        let mut keys = first.clone();
        for step in 0..=self.ratchet_window() {
            let mut plain = sealed.to_vec();
            if let Some(length) = keys::open(keys.cipher(), iv, &[], &mut plain) {
                plain.truncate(length);
                if step > 0 {
                    ring.replace(key_index, &first, &keys);
                }
                return Ok(plain);
            }
            if step == self.ratchet_window() {
                break;
            }
            let next = match search {
                true => keys.ratchet().clone(),
                false => match keys.ready_ratchet() {
                    Some(next) => next.clone(),
                    None => return Err(CryptError::KeyNotReady { index: key_index }),
                },
            };
            keys = next;
        }
        Err(CryptError::WrongKey { index: key_index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Derivation, KeyOwner, KeyProviderOptions};
    use std::sync::Arc;

    fn provider(shared: bool) -> Arc<KeyProvider> {
        let options = KeyProviderOptions {
            shared,
            derivation: Derivation::Hkdf,
            ratchet_window: 3,
            ..KeyProviderOptions::default()
        };
        KeyProvider::new(options, Arc::new(|work| work())).unwrap()
    }

    fn open(provider: &KeyProvider, from: &str, data: &SealedData) -> Result<Vec<u8>> {
        provider.open_data(from, &data.iv, data.key_index, &data.sealed, true)
    }

    #[test]
    fn data_goes_from_one_to_the_other() {
        let (alice, bob) = (provider(false), provider(false));
        alice.set_key(KeyOwner::Participant("alice"), b"key".to_vec(), 5);
        bob.set_key(KeyOwner::Participant("alice"), b"key".to_vec(), 5);
        let sealed = alice.seal_data("alice", b"hello".to_vec()).unwrap();
        assert_eq!((sealed.key_index, sealed.sealed.len()), (5, 5 + 16));
        assert_eq!(open(&bob, "alice", &sealed).unwrap(), b"hello");
        assert_eq!(
            open(&bob, "carol", &sealed),
            Err(CryptError::MissingKey { index: 5 })
        );
        assert_eq!(
            alice.seal_data("bob", vec![]),
            Err(CryptError::MissingKey { index: 0 })
        );
    }

    #[test]
    fn a_ratcheted_sender_is_followed_as_far_as_the_window() {
        let (alice, bob) = (provider(true), provider(true));
        for side in [&alice, &bob] {
            side.set_key(KeyOwner::Shared, b"key".to_vec(), 0);
        }
        for _ in 0..3 {
            alice.ratchet_key(KeyOwner::Shared, 0);
        }
        let sealed = alice.seal_data("alice", b"hello".to_vec()).unwrap();
        assert_eq!(open(&bob, "alice", &sealed).unwrap(), b"hello");
        assert_eq!(
            bob.export_key(KeyOwner::Participant("alice"), 0),
            alice.export_key(KeyOwner::Shared, 0)
        );
        for _ in 0..4 {
            alice.ratchet_key(KeyOwner::Shared, 0);
        }
        let sealed = alice.seal_data("alice", b"hello".to_vec()).unwrap();
        assert_eq!(
            open(&bob, "alice", &sealed),
            Err(CryptError::WrongKey { index: 0 })
        );
    }

    #[test]
    fn garbage_is_refused() {
        let provider = provider(true);
        provider.set_key(KeyOwner::Shared, b"key".to_vec(), 0);
        let wrong = Err(CryptError::WrongKey { index: 0 });
        assert_eq!(provider.open_data("a", &[0; 12], 0, b"", true), wrong);
        assert_eq!(provider.open_data("a", &[0; 12], 0, &[7; 100], true), wrong);
        assert_eq!(
            provider.open_data("a", &[0; 11], 0, &[7; 100], true),
            Err(CryptError::NotSealed { bytes: 100 })
        );
    }
}

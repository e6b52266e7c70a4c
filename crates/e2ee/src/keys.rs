//! One key of a ring: its material, the AES key derived from it, and the keys that ratcheting leads to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::derivation::Derivation;
use crate::secret::Secret;
use crate::{CryptError, Result};

pub(crate) const IV_BYTES: usize = 12;
pub(crate) const TAG_BYTES: usize = 16;
const AES_KEY_BYTES: usize = 16;
const RATCHETED_MATERIAL_BYTES: usize = 32;

/// How keys are derived; the same for all keys of a provider.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub derivation: Derivation,
    pub salt: Vec<u8>,
}

/// Deriving takes long with PBKDF2, so each step happens once, when it is first asked for or ahead on a [`crate::Runner`].
pub(crate) struct Keys {
    recipe: Arc<Recipe>,
    material: Secret,
    cipher: OnceLock<LessSafeKey>,
    ratcheted: OnceLock<Arc<Keys>>,
    /// Work on it, or on the keys that follow, is on its way.
    busy: AtomicBool,
}

/// The right to work on a key; given back when dropped, also when the work never ran.
pub(crate) struct Work(Arc<Keys>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    pub fn new(recipe: Arc<Recipe>, material: Vec<u8>) -> Arc<Self> {
        Self::from_secret(recipe, Secret::new(material))
    }

    fn from_secret(recipe: Arc<Recipe>, material: Secret) -> Arc<Self> {
        Arc::new(Self {
            recipe,
            material,
            cipher: OnceLock::new(),
            ratcheted: OnceLock::new(),
            busy: AtomicBool::new(false),
        })
    }

    pub fn material(&self) -> &[u8] {
        self.material.bytes()
    }

    /// Derives it when nobody has yet.
    pub fn cipher(&self) -> &LessSafeKey {
        self.cipher.get_or_init(|| {
            let key = self
                .recipe
                .derivation
                .derive(&self.material, &self.recipe.salt, AES_KEY_BYTES);
            let key = UnboundKey::new(&AES_128_GCM, key.bytes()).expect("16 bytes are a key");
            LessSafeKey::new(key)
        })
    }

    /// None while it is not derived.
    pub fn ready_cipher(&self) -> Option<&LessSafeKey> {
        match self.recipe.derivation {
            Derivation::Pbkdf2 => self.cipher.get(),
            Derivation::Hkdf => Some(self.cipher()),
        }
    }

    /// The next key of the ratchet; derives it when nobody has yet.
    pub fn ratchet(&self) -> &Arc<Keys> {
        self.ratcheted.get_or_init(|| {
            let recipe = &self.recipe;
            let material = recipe
                .derivation
                .derive(&self.material, &recipe.salt, RATCHETED_MATERIAL_BYTES);
            Keys::from_secret(recipe.clone(), material)
        })
    }

    /// None while it, or its cipher, is not derived.
    pub fn ready_ratchet(&self) -> Option<&Arc<Keys>> {
        match self.recipe.derivation {
            Derivation::Pbkdf2 => self.ratcheted.get().filter(|keys| keys.cipher.get().is_some()),
            Derivation::Hkdf => Some(self.ratchet()),
        }
    }

    /// None while somebody else works on it.
    pub fn begin_work(self: &Arc<Self>) -> Option<Work> {
        (!self.busy.swap(true, Ordering::AcqRel)).then(|| Work(self.clone()))
    }
}

/// Encrypt in place and append the tag.
pub(crate) fn seal(key: &LessSafeKey, iv: [u8; IV_BYTES], aad: &[u8], buffer: &mut Vec<u8>) -> Result<()> {
    let bytes = buffer.len();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(iv), Aad::from(aad), buffer)
        .map_err(|_| CryptError::Cipher { bytes })
}

/// Decrypt ciphertext and tag in place; the length of the plaintext, or None when the key does not fit.
pub(crate) fn open(key: &LessSafeKey, iv: [u8; IV_BYTES], aad: &[u8], sealed: &mut [u8]) -> Option<usize> {
    let opened = key.open_in_place(Nonce::assume_unique_for_key(iv), Aad::from(aad), sealed);
    opened.ok().map(|plain| plain.len())
}

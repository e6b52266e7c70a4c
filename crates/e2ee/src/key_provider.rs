//! The keys of a room: one for everybody, or one per participant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::key_ring::KeyRing;
use crate::keys::{Keys, Recipe};
use crate::{CryptError, Derivation, Result};

/// Runs what takes long, some time soon, on any thread but the caller's.
pub type Runner = Arc<dyn Fn(Box<dyn FnOnce() + Send>) + Send + Sync>;

/// The key index is one byte of a frame.
const MAX_RING_SIZE: u32 = 256;

#[derive(Debug, Clone)]
pub struct KeyProviderOptions {
    /// One key for everybody: each participant's ring starts as a copy of it.
    pub shared: bool,
    pub ratchet_salt: Vec<u8>,
    /// How many steps a receiver looks ahead for a key that was ratcheted; 0: none.
    pub ratchet_window: u32,
    /// How many failures in a row a key survives; None: any number.
    pub failure_tolerance: Option<u32>,
    /// 1..=256.
    pub ring_size: u32,
    pub derivation: Derivation,
}

impl Default for KeyProviderOptions {
    fn default() -> Self {
        Self {
            shared: true,
            ratchet_salt: b"LKFrameEncryptionKey".to_vec(),
            ratchet_window: 16,
            failure_tolerance: None,
            ring_size: 16,
            derivation: Derivation::Pbkdf2,
        }
    }
}

/// Whose key is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOwner<'a> {
    /// Everybody's.
    Shared,
    Participant(&'a str),
}

struct Rings {
    shared: KeyRing,
    participants: HashMap<String, Arc<KeyRing>>,
}

/// Keys are derived on the runner as soon as they are set; who needs one earlier waits for it or skips a frame.
pub struct KeyProvider {
    rings: Mutex<Rings>,
    options: KeyProviderOptions,
    recipe: Arc<Recipe>,
    runner: Runner,
}

impl std::fmt::Debug for KeyProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyProvider(..)")
    }
}

impl KeyProvider {
    pub fn new(options: KeyProviderOptions, runner: Runner) -> Result<Arc<Self>> {
        if !(1..=MAX_RING_SIZE).contains(&options.ring_size) {
            return Err(CryptError::Option {
                name: "key_ring_size",
                value: options.ring_size.into(),
                allowed: "1 to 256",
            });
        }
        let shared = KeyRing::new(options.ring_size as usize, options.failure_tolerance);
        let recipe = Recipe {
            derivation: options.derivation,
            salt: options.ratchet_salt.clone(),
        };
        Ok(Arc::new(Self {
            rings: Mutex::new(Rings {
                shared,
                participants: HashMap::new(),
            }),
            options,
            recipe: Arc::new(recipe),
            runner,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ratchet_window(&self) -> u32 {
        self.options.ratchet_window
    }

    /// Run this in the background, unless something runs for `keys` already.
    pub(crate) fn work_on(&self, keys: &Arc<Keys>, work: impl FnOnce() + Send + 'static) {
        if let Some(begun) = keys.begin_work() {
            (self.runner)(Box::new(move || {
                work();
                drop(begun);
            }));
        }
    }

    /// Have the cipher ready soon.
    pub(crate) fn derive(&self, keys: &Arc<Keys>) {
        let derived = keys.clone();
        self.work_on(keys, move || {
            derived.cipher();
        });
    }

    /// The keys of one participant; made when there are none.
    pub(crate) fn ring(&self, identity: &str) -> Arc<KeyRing> {
        let mut rings = self.lock();
        if let Some(ring) = rings.participants.get(identity) {
            return ring.clone();
        }
        let ring = Arc::new(if self.options.shared {
            rings.shared.fork()
        } else {
            KeyRing::new(self.options.ring_size as usize, self.options.failure_tolerance)
        });
        rings.participants.insert(identity.into(), ring.clone());
        ring
    }

    /// Use this material at `index` (modulo the ring's size) from now on.
    pub fn set_key(&self, owner: KeyOwner<'_>, material: Vec<u8>, index: u32) {
        let keys = Keys::new(self.recipe.clone(), material);
        self.install(owner, &keys, index);
        self.derive(&keys);
    }

    fn install(&self, owner: KeyOwner<'_>, keys: &Arc<Keys>, index: u32) {
        match owner {
            KeyOwner::Participant(identity) => {
                let ring = self.ring(identity);
                ring.set(ring.slot_of(index), keys.clone());
            }
            KeyOwner::Shared => {
                let rings = self.lock();
                let slot = rings.shared.slot_of(index);
                rings.shared.set(slot, keys.clone());
                for ring in rings.participants.values() {
                    ring.set(slot, keys.clone());
                }
            }
        }
    }

    fn keys_at(&self, owner: KeyOwner<'_>, index: u32) -> Option<Arc<Keys>> {
        match owner {
            KeyOwner::Shared => {
                let rings = self.lock();
                rings.shared.get(rings.shared.slot_of(index))
            }
            KeyOwner::Participant(identity) => {
                let ring = self.ring(identity);
                ring.get(ring.slot_of(index))
            }
        }
    }

    /// The material at `index`, ratcheted if it was.
    pub fn export_key(&self, owner: KeyOwner<'_>, index: u32) -> Option<Vec<u8>> {
        self.keys_at(owner, index).map(|keys| keys.material().to_vec())
    }

    /// Step the key at `index` forward; the new material. Takes as long as a derivation.
    pub fn ratchet_key(&self, owner: KeyOwner<'_>, index: u32) -> Option<Vec<u8>> {
        let keys = self.keys_at(owner, index)?;
        let next = keys.ratchet().clone();
        // Derived before it is in use, so that no frame is skipped.
        next.cipher();
        self.install(owner, &next, index);
        Some(next.material().to_vec())
    }

    /// Wait until every key that was set is derived.
    pub fn finish_derivations(&self) {
        let rings = self.lock();
        let all: Vec<Arc<Keys>> = std::iter::once(&rings.shared)
            .chain(rings.participants.values().map(Arc::as_ref))
            .flat_map(|ring| (0..=u8::MAX).filter_map(|slot| ring.get(slot)))
            .collect();
        drop(rings);
        for keys in all {
            keys.cipher();
        }
    }
}

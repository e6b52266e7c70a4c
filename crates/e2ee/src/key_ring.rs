//! The keys of one participant, by index.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::keys::Keys;
use crate::{CryptError, Result};

#[derive(Clone, Default)]
struct Slot {
    keys: Option<Arc<Keys>>,
    /// In a row.
    failures: u32,
    invalid: bool,
}

#[derive(Clone)]
struct State {
    slots: Vec<Slot>,
    latest_index: u8,
}

/// Shared by the cryptors of a participant's tracks. Locked for moments only: deriving happens outside.
pub(crate) struct KeyRing {
    state: Mutex<State>,
    /// None: a key is never given up.
    failure_tolerance: Option<u32>,
}

impl KeyRing {
    pub fn new(size: usize, failure_tolerance: Option<u32>) -> Self {
        Self {
            state: Mutex::new(State {
                slots: vec![Slot::default(); size],
                latest_index: 0,
            }),
            failure_tolerance,
        }
    }

    /// The same keys, with a life of their own from here.
    pub fn fork(&self) -> Self {
        Self {
            state: Mutex::new(self.lock().clone()),
            failure_tolerance: self.failure_tolerance,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot of an index that a user gave.
    pub fn slot_of(&self, index: u32) -> u8 {
        (index as usize % self.lock().slots.len()) as u8
    }

    pub fn set(&self, slot: u8, keys: Arc<Keys>) {
        let mut state = self.lock();
        state.latest_index = slot;
        if let Some(slot) = state.slots.get_mut(usize::from(slot)) {
            *slot = Slot {
                keys: Some(keys),
                ..Slot::default()
            };
        }
    }

    /// Put `new` where `old` is, unless something else is there by now.
    pub fn replace(&self, slot: u8, old: &Arc<Keys>, new: &Arc<Keys>) -> bool {
        let mut state = self.lock();
        let Some(slot) = state.slots.get_mut(usize::from(slot)) else {
            return false;
        };
        if !slot.keys.as_ref().is_some_and(|keys| Arc::ptr_eq(keys, old)) {
            return false;
        }
        *slot = Slot {
            keys: Some(new.clone()),
            ..Slot::default()
        };
        true
    }

    /// Whatever is there, however often it failed.
    pub fn get(&self, slot: u8) -> Option<Arc<Keys>> {
        self.lock().slots.get(usize::from(slot))?.keys.clone()
    }

    /// The keys to open with.
    pub fn usable(&self, index: u8) -> Result<Arc<Keys>> {
        let state = self.lock();
        let slot = state.slots.get(usize::from(index));
        let slot = slot.ok_or(CryptError::MissingKey { index })?;
        match &slot.keys {
            Some(_) if slot.invalid => Err(CryptError::InvalidKey { index }),
            Some(keys) => Ok(keys.clone()),
            None => Err(CryptError::MissingKey { index }),
        }
    }

    /// The index set last.
    pub fn latest_index(&self) -> u8 {
        self.lock().latest_index
    }

    pub fn succeeded(&self, slot: u8) {
        if let Some(slot) = self.lock().slots.get_mut(usize::from(slot)) {
            slot.failures = 0;
        }
    }

    /// `keys` did not open something. A slot that fails more often than tolerated is given up until it is set again.
    pub fn failed(&self, slot: u8, keys: &Arc<Keys>) {
        let Some(tolerance) = self.failure_tolerance else {
            return;
        };
        if let Some(slot) = self.lock().slots.get_mut(usize::from(slot))
            && slot.keys.as_ref().is_some_and(|there| Arc::ptr_eq(there, keys))
        {
            slot.failures = slot.failures.saturating_add(1);
            slot.invalid = slot.failures > tolerance;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Derivation;
    use crate::keys::Recipe;

    fn some_keys() -> Arc<Keys> {
        let recipe = Recipe {
            derivation: Derivation::Hkdf,
            salt: vec![],
        };
        Keys::new(Arc::new(recipe), b"material".to_vec())
    }

    #[test]
    fn indices_go_round_when_set_and_not_when_received() {
        let ring = KeyRing::new(16, None);
        assert_eq!(ring.slot_of(19), 3);
        ring.set(3, some_keys());
        assert!(ring.usable(3).is_ok());
        assert_eq!(ring.usable(19).err(), Some(CryptError::MissingKey { index: 19 }));
        assert_eq!(ring.usable(4).err(), Some(CryptError::MissingKey { index: 4 }));
        assert_eq!(ring.latest_index(), 3);
    }

    #[test]
    fn a_key_that_fails_too_often_is_given_up_until_a_new_one_is_set() {
        let ring = KeyRing::new(16, Some(2));
        let keys = some_keys();
        ring.set(0, keys.clone());
        ring.failed(0, &keys);
        ring.failed(0, &keys);
        ring.succeeded(0);
        for _ in 0..2 {
            ring.failed(0, &keys);
            assert!(ring.usable(0).is_ok());
        }
        ring.failed(0, &keys);
        assert_eq!(ring.usable(0).err(), Some(CryptError::InvalidKey { index: 0 }));
        assert!(ring.get(0).is_some(), "it can still be exported");
        ring.set(0, some_keys());
        assert!(ring.usable(0).is_ok());
        ring.failed(0, &keys);
        assert!(ring.usable(0).is_ok(), "failures of the key before do not count");
    }

    #[test]
    fn without_a_tolerance_a_key_is_never_given_up() {
        let ring = KeyRing::new(16, None);
        let keys = some_keys();
        ring.set(0, keys.clone());
        for _ in 0..1_000 {
            ring.failed(0, &keys);
        }
        assert!(ring.usable(0).is_ok());
    }

    #[test]
    fn a_fork_has_the_keys_and_its_own_failures() {
        let ring = KeyRing::new(16, Some(0));
        let keys = some_keys();
        ring.set(1, keys.clone());
        let fork = ring.fork();
        fork.failed(1, &keys);
        assert!(fork.usable(1).is_err() && ring.usable(1).is_ok());
    }

    #[test]
    fn a_key_is_replaced_only_where_it_was() {
        let ring = KeyRing::new(16, None);
        let (old, new) = (some_keys(), some_keys());
        ring.set(1, old.clone());
        assert!(ring.replace(1, &old, &new));
        assert!(!ring.replace(1, &old, &new));
        assert!(!ring.replace(200, &old, &new));
    }
}

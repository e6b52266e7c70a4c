//! Numbers that name transports and tracks, and a map keyed by them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Names a transport, an up track or a down track. The caller chooses it and never reuses one.
pub type Handle = u64;

/// A map keyed by a number that we (or a bound SSRC) supply, with one multiplication as its hash.
pub type HandleMap<V> = HashMap<u64, V, BuildHasherDefault<HandleHasher>>;

/// Multiplicative hashing of one integer.
#[derive(Default)]
pub struct HandleHasher(u64);

impl Hasher for HandleHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

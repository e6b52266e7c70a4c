//! Encrypts or decrypts the frames of one track, and tells when that begins or stops to work.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::LessSafeKey;

use crate::frame::{self, SealedFrame};
use crate::key_provider::KeyProvider;
use crate::key_ring::KeyRing;
use crate::keys::{IV_BYTES, Keys};
use crate::{CryptError, EncryptionState, FrameCodec, Result, server_frames};

/// Hears of each change of state, on the thread that caused it. Must be quick.
pub type OnState = Box<dyn Fn(EncryptionState) + Send + Sync>;

/// One per track and direction. Its owner may use it from several threads.
pub struct FrameCryptor {
    provider: Arc<KeyProvider>,
    ring: Arc<KeyRing>,
    enabled: AtomicBool,
    key_index: AtomicU8,
    state: Mutex<EncryptionState>,
    on_state: OnState,
    server_trailer: Vec<u8>,
    /// Frames sent so far, by SSRC.
    sent: Mutex<HashMap<u32, u32>>,
}

impl std::fmt::Debug for FrameCryptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FrameCryptor(..)")
    }
}

impl FrameCryptor {
    /// For a track of `identity`, with its keys. `server_trailer` marks the server's blank frames; empty: there are
    /// none.
    pub fn new(
        provider: &Arc<KeyProvider>,
        identity: &str,
        server_trailer: Vec<u8>,
        on_state: OnState,
    ) -> Arc<Self> {
        Arc::new(Self {
            provider: provider.clone(),
            ring: provider.ring(identity),
            enabled: AtomicBool::new(true),
            key_index: AtomicU8::new(0),
            state: Mutex::new(EncryptionState::New),
            on_state,
            server_trailer,
            sent: Mutex::default(),
        })
    }

    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Acquire)
    }

    /// Switched off, frames pass as they are.
    pub fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Release);
    }

    /// Of the key to encrypt with.
    pub fn key_index(&self) -> u8 {
        self.key_index.load(Ordering::Acquire)
    }

    /// Modulo the ring's size.
    pub fn set_key_index(&self, index: u32) {
        self.key_index.store(self.ring.slot_of(index), Ordering::Release);
    }

    pub fn state(&self) -> EncryptionState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, state: EncryptionState) {
        let mut known = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != state {
            *known = state;
            // Under the lock, so that two threads tell in the order that the state has.
            (self.on_state)(state);
        }
    }

    /// Packets do not wait for a derivation.
    fn cipher<'a>(&self, keys: &'a Arc<Keys>, index: u8) -> Result<&'a LessSafeKey> {
        keys.ready_cipher().ok_or_else(|| {
            self.provider.derive(keys);
            CryptError::KeyNotReady { index }
        })
    }

    // ---- sending ----

    /// The frame to send instead, or None when nothing may be sent: never the plain frame by mistake.
    pub fn seal(&self, codec: FrameCodec, ssrc: u32, rtp_time: u32, frame: Vec<u8>) -> Option<Vec<u8>> {
        // Empty frames are silence under DTX.
        if frame.is_empty() || !self.is_enabled() {
            return Some(frame);
        }
        match self.try_seal(codec, ssrc, rtp_time, &frame) {
            Ok(sealed) => {
                self.tell(EncryptionState::Ok);
                Some(sealed)
            }
            Err(CryptError::KeyNotReady { .. }) => None,
            Err(CryptError::MissingKey { .. }) => {
                self.tell(EncryptionState::MissingKey);
                None
            }
            Err(_) => {
                self.tell(EncryptionState::EncryptionFailed);
                None
            }
        }
    }

    fn try_seal(&self, codec: FrameCodec, ssrc: u32, rtp_time: u32, frame: &[u8]) -> Result<Vec<u8>> {
        let index = self.key_index();
        let keys = self.ring.get(index).ok_or(CryptError::MissingKey { index })?;
        let key = self.cipher(&keys, index)?;
        frame::seal(key, index, self.next_iv(ssrc, rtp_time), codec, frame)
    }

    /// SSRC, RTP time, and RTP time less the number of frames sent: what LiveKit's SDKs do. SSRCs are random, which
    /// keeps participants with the same key apart.
    fn next_iv(&self, ssrc: u32, rtp_time: u32) -> [u8; IV_BYTES] {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sent.entry(ssrc).or_insert_with(|| rand::random::<u32>() % 0xFFFF);
        let third = rtp_time.wrapping_sub(*count % 0xFFFF);
        *count = count.wrapping_add(1);
        let mut iv = [0; IV_BYTES];
        for (bytes, word) in iv.chunks_exact_mut(4).zip([ssrc, rtp_time, third]) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        iv
    }

    // ---- receiving ----

    /// The frame to decode instead, or None when there is nothing to decode.
    pub fn open(self: &Arc<Self>, codec: FrameCodec, frame: &[u8]) -> Option<Vec<u8>> {
        if frame.is_empty() {
            return Some(vec![]);
        }
        if !self.is_enabled() {
            return passes_unopened(codec, frame).then(|| frame.to_vec());
        }
        if let Some(payload) = server_frames::without_trailer(frame, &self.server_trailer) {
            return server_frames::is_blank(payload).then(|| payload.to_vec());
        }
        match self.try_open(codec, frame) {
            Ok(plain) => {
                self.tell(EncryptionState::Ok);
                Some(plain)
            }
            Err(error) => {
                self.tell_failure(&error);
                None
            }
        }
    }

    fn tell_failure(&self, error: &CryptError) {
        match error {
            CryptError::KeyNotReady { .. } | CryptError::InvalidKey { .. } => {}
            CryptError::MissingKey { .. } => self.tell(EncryptionState::MissingKey),
            _ => self.tell(EncryptionState::DecryptionFailed),
        }
    }

    fn try_open(self: &Arc<Self>, codec: FrameCodec, frame: &[u8]) -> Result<Vec<u8>> {
        let sealed = SealedFrame::parse(codec, frame)?;
        let index = sealed.key_index;
        let keys = self.ring.usable(index)?;
        if let Some(plain) = sealed.open(self.cipher(&keys, index)?) {
            self.ring.succeeded(index);
            return Ok(plain);
        }
        self.try_ratcheted(sealed, keys)
    }

    /// The sender may have ratcheted: try the keys that follow, as far as they are derived, and have the others
    /// derived on the runner.
    fn try_ratcheted(self: &Arc<Self>, sealed: SealedFrame, first: Arc<Keys>) -> Result<Vec<u8>> {
        let index = sealed.key_index;
        let mut keys = first.clone();
        for _ in 0..self.provider.ratchet_window() {
            let Some(next) = keys.ready_ratchet() else {
                return self.search(sealed, first);
            };
            if let Some(plain) = next.ready_cipher().and_then(|key| sealed.open(key)) {
                self.follow_ratchet(index, &first, next);
                return Ok(plain);
            }
            keys = next.clone();
        }
        self.ring.failed(index, &first);
        Err(CryptError::WrongKey { index })
    }

    fn follow_ratchet(&self, index: u8, first: &Arc<Keys>, found: &Arc<Keys>) {
        if self.ring.replace(index, first, found) {
            self.tell(EncryptionState::KeyRatcheted);
        }
    }

    /// Derive the keys that follow `first`, once; frames are skipped meanwhile.
    fn search(self: &Arc<Self>, sealed: SealedFrame, first: Arc<Keys>) -> Result<Vec<u8>> {
        let index = sealed.key_index;
        let (cryptor, keys) = (self.clone(), first.clone());
        self.provider.work_on(&first, move || {
            if let Some(found) = cryptor.search_now(&sealed, &keys) {
                cryptor.follow_ratchet(index, &keys, &found);
            } else {
                cryptor.ring.failed(index, &keys);
                cryptor.tell(EncryptionState::DecryptionFailed);
            }
        });
        Err(CryptError::KeyNotReady { index })
    }

    fn search_now(&self, sealed: &SealedFrame, first: &Arc<Keys>) -> Option<Arc<Keys>> {
        let mut keys = first.clone();
        for _ in 0..self.provider.ratchet_window() {
            // A new key may have been set meanwhile: these are of no use then.
            if !self
                .ring
                .get(sealed.key_index)
                .is_some_and(|now| Arc::ptr_eq(&now, first))
            {
                return None;
            }
            let next = keys.ratchet().clone();
            if sealed.open(next.cipher()).is_some() {
                return Some(next);
            }
            keys = next;
        }
        None
    }
}

/// With decryption switched off: what looks encrypted would be noise.
fn passes_unopened(codec: FrameCodec, frame: &[u8]) -> bool {
    !SealedFrame::parse(codec, frame).is_ok_and(|sealed| sealed.has_usual_iv())
}

//! What the users of a cryptor see: states, keys that change, frames that must not pass.

use std::sync::{Arc, Mutex};

use greenroom_e2ee::{
    Derivation, EncryptionState, FrameCodec, FrameCryptor, KeyOwner, KeyProvider, KeyProviderOptions,
};

const FRAME: &[u8] = b"\x78 a frame of sound that nobody else may hear";
const TRAILER: &[u8] = b"trailer of the server";

type Work = Box<dyn FnOnce() + Send>;

/// One side of a call.
struct Side {
    provider: Arc<KeyProvider>,
    waiting: Arc<Mutex<Vec<Work>>>,
    cryptor: Arc<FrameCryptor>,
    states: Arc<Mutex<Vec<EncryptionState>>>,
}

fn options() -> KeyProviderOptions {
    KeyProviderOptions {
        derivation: Derivation::Hkdf,
        ratchet_window: 4,
        ..KeyProviderOptions::default()
    }
}

impl Side {
    fn new(options: KeyProviderOptions) -> Self {
        let waiting: Arc<Mutex<Vec<Work>>> = Arc::default();
        let queue = waiting.clone();
        let runner = Arc::new(move |work| queue.lock().unwrap().push(work));
        let provider = KeyProvider::new(options, runner).unwrap();
        let states: Arc<Mutex<Vec<EncryptionState>>> = Arc::default();
        let told = states.clone();
        let on_state = Box::new(move |state| told.lock().unwrap().push(state));
        let cryptor = FrameCryptor::new(&provider, "alice", TRAILER.to_vec(), on_state);
        Self {
            provider,
            waiting,
            cryptor,
            states,
        }
    }

    fn with_key(material: &[u8]) -> Self {
        let side = Self::new(options());
        side.set(material, 0);
        side
    }

    fn set(&self, material: &[u8], index: u32) {
        self.provider.set_key(KeyOwner::Shared, material.to_vec(), index);
    }

    /// Do what was left for the background.
    fn work(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        waiting.into_iter().for_each(|work| work());
    }

    fn seal(&self) -> Option<Vec<u8>> {
        self.cryptor.seal(FrameCodec::Audio, 7, 960, FRAME.to_vec())
    }

    fn open(&self, frame: &[u8]) -> Option<Vec<u8>> {
        self.cryptor.open(FrameCodec::Audio, frame)
    }

    fn told(&self) -> Vec<EncryptionState> {
        std::mem::take(&mut *self.states.lock().unwrap())
    }
}

#[test]
fn frames_pass_from_one_to_the_other_and_each_says_so_once() {
    let (alice, bob) = (Side::with_key(b"key"), Side::with_key(b"key"));
    for _ in 0..3 {
        let sealed = alice.seal().unwrap();
        assert!(
            !sealed
                .windows(6)
                .any(|part| FRAME.windows(6).any(|plain| plain == part))
        );
        assert_eq!(bob.open(&sealed).unwrap(), FRAME);
    }
    assert_eq!(alice.told(), [EncryptionState::Ok]);
    assert_eq!(bob.told(), [EncryptionState::Ok]);
    assert_eq!(bob.cryptor.state(), EncryptionState::Ok);
}

#[test]
fn no_two_frames_look_alike() {
    let alice = Side::with_key(b"key");
    let mut seen: Vec<Vec<u8>> = (0..100).map(|_| alice.seal().unwrap()).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 100);
}

#[test]
fn without_a_key_nothing_is_sent() {
    let alice = Side::new(options());
    assert_eq!(alice.seal(), None);
    assert_eq!(alice.told(), [EncryptionState::MissingKey]);
    alice.set(b"key", 0);
    assert!(alice.seal().is_some());
    assert_eq!(alice.told(), [EncryptionState::Ok]);
}

#[test]
fn a_wrong_key_is_told_and_the_right_one_mends_it() {
    let (alice, bob) = (Side::with_key(b"key"), Side::with_key(b"wrong"));
    for _ in 0..20 {
        assert_eq!(bob.open(&alice.seal().unwrap()), None);
    }
    assert_eq!(bob.told(), [EncryptionState::DecryptionFailed]);
    bob.set(b"key", 0);
    assert_eq!(bob.open(&alice.seal().unwrap()).unwrap(), FRAME);
    assert_eq!(bob.told(), [EncryptionState::Ok]);
}

#[test]
fn a_missing_key_is_told_apart_from_a_wrong_one() {
    let (alice, bob) = (Side::with_key(b"key"), Side::new(options()));
    assert_eq!(bob.open(&alice.seal().unwrap()), None);
    assert_eq!(bob.told(), [EncryptionState::MissingKey]);
}

#[test]
fn plain_frames_do_not_pass() {
    let bob = Side::with_key(b"key");
    for plain in [FRAME, b"\x78", b"\xF8\xFF\xFE"] {
        assert_eq!(bob.open(plain), None);
    }
    assert_eq!(bob.told(), [EncryptionState::DecryptionFailed]);
}

#[test]
fn a_changed_byte_anywhere_is_noticed() {
    let (alice, bob) = (Side::with_key(b"key"), Side::with_key(b"key"));
    let sealed = alice.seal().unwrap();
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert_eq!(bob.open(&changed), None, "byte {at}");
    }
    assert_eq!(bob.open(&sealed).unwrap(), FRAME);
}

#[test]
fn the_key_index_can_change_in_the_middle() {
    let (alice, bob) = (Side::with_key(b"first"), Side::with_key(b"first"));
    alice.set(b"second", 19);
    bob.set(b"second", 3);
    assert_eq!(
        alice.seal().unwrap().last(),
        Some(&0),
        "not before it is asked for"
    );
    alice.cryptor.set_key_index(19);
    let sealed = alice.seal().unwrap();
    assert_eq!(sealed.last(), Some(&3), "indices go round");
    assert_eq!(bob.open(&sealed).unwrap(), FRAME);
}

#[test]
fn empty_frames_pass_as_they_are() {
    let alice = Side::with_key(b"key");
    assert_eq!(
        alice.cryptor.seal(FrameCodec::Audio, 7, 960, vec![]),
        Some(vec![])
    );
    assert_eq!(alice.open(&[]), Some(vec![]));
}

#[test]
fn switched_off_plain_frames_pass_and_encrypted_ones_do_not() {
    let (alice, bob) = (Side::with_key(b"key"), Side::with_key(b"key"));
    let sealed = alice.seal().unwrap();
    alice.cryptor.set_enabled(false);
    bob.cryptor.set_enabled(false);
    assert_eq!(alice.seal().unwrap(), FRAME);
    assert_eq!(bob.open(FRAME).unwrap(), FRAME);
    assert_eq!(bob.open(&sealed), None, "it would be noise");
    bob.cryptor.set_enabled(true);
    assert_eq!(bob.open(&sealed).unwrap(), FRAME);
}

#[test]
fn a_ratcheted_sender_is_followed() {
    let (alice, bob) = (Side::with_key(b"key"), Side::with_key(b"key"));
    assert!(bob.open(&alice.seal().unwrap()).is_some());
    for _ in 0..4 {
        alice.provider.ratchet_key(KeyOwner::Shared, 0).unwrap();
    }
    assert_eq!(bob.open(&alice.seal().unwrap()).unwrap(), FRAME);
    assert_eq!(bob.open(&alice.seal().unwrap()).unwrap(), FRAME);
    assert_eq!(
        bob.told(),
        [
            EncryptionState::Ok,
            EncryptionState::KeyRatcheted,
            EncryptionState::Ok
        ]
    );
    let bobs = bob.provider.export_key(KeyOwner::Participant("alice"), 0);
    assert_eq!(bobs, alice.provider.export_key(KeyOwner::Shared, 0));
    assert_eq!(
        bob.provider.export_key(KeyOwner::Shared, 0).unwrap(),
        b"key",
        "only alice ratcheted"
    );
}

#[test]
fn a_sender_beyond_the_window_is_not_followed_and_can_come_back() {
    let (alice, bob) = (Side::with_key(b"key"), Side::with_key(b"key"));
    let early = alice.seal().unwrap();
    for _ in 0..5 {
        alice.provider.ratchet_key(KeyOwner::Shared, 0).unwrap();
    }
    assert_eq!(bob.open(&alice.seal().unwrap()), None);
    assert_eq!(bob.told(), [EncryptionState::DecryptionFailed]);
    assert_eq!(bob.open(&early).unwrap(), FRAME, "the key is what it was");
}

#[test]
fn slow_derivations_happen_in_the_background() {
    let slow = KeyProviderOptions {
        derivation: Derivation::Pbkdf2,
        ratchet_window: 2,
        ..options()
    };
    let (alice, bob) = (Side::new(slow.clone()), Side::new(slow));
    alice.set(b"key", 0);
    bob.set(b"key", 0);
    assert_eq!(alice.seal(), None, "not derived yet");
    assert_eq!(alice.told(), [], "which is nothing to tell");
    alice.work();
    bob.work();
    assert_eq!(bob.open(&alice.seal().unwrap()).unwrap(), FRAME);
    bob.told();

    alice.provider.ratchet_key(KeyOwner::Shared, 0).unwrap();
    let sealed = alice.seal().unwrap();
    assert_eq!(bob.open(&sealed), None);
    assert_eq!(bob.open(&sealed), None);
    assert_eq!(bob.waiting.lock().unwrap().len(), 1, "one search at a time");
    bob.work();
    assert_eq!(bob.told(), [EncryptionState::KeyRatcheted]);
    assert_eq!(bob.open(&sealed).unwrap(), FRAME);

    bob.set(b"wrong", 0);
    bob.work();
    bob.told();
    assert_eq!(bob.open(&sealed), None);
    bob.work();
    assert_eq!(bob.told(), [EncryptionState::DecryptionFailed]);
    assert_eq!(bob.open(&sealed), None);
    assert!(
        bob.waiting.lock().unwrap().is_empty(),
        "a search that found nothing is not repeated"
    );
}

#[test]
fn work_that_was_thrown_away_is_asked_for_again() {
    let alice = Side::new(KeyProviderOptions::default());
    alice.set(b"key", 0);
    alice.waiting.lock().unwrap().clear();
    assert_eq!(alice.seal(), None);
    alice.work();
    assert!(alice.seal().is_some());
}

#[test]
fn a_key_that_fails_more_often_than_tolerated_is_given_up_until_it_is_set_again() {
    let alice = Side::with_key(b"key");
    let bob = Side::new(KeyProviderOptions {
        failure_tolerance: Some(2),
        ratchet_window: 0,
        ..options()
    });
    bob.set(b"key", 0);
    let sealed = alice.seal().unwrap();
    let mut broken = sealed.clone();
    broken[10] ^= 1;
    for _ in 0..3 {
        assert_eq!(bob.open(&broken), None);
    }
    assert_eq!(bob.open(&sealed), None);
    assert_eq!(bob.told(), [EncryptionState::DecryptionFailed]);
    bob.set(b"key", 0);
    assert_eq!(bob.open(&sealed).unwrap(), FRAME);
}

#[test]
fn blank_frames_of_the_server_pass_and_nothing_else_with_its_trailer() {
    let bob = Side::with_key(b"key");
    let mut silence = vec![0xF8, 0xFF, 0xFE];
    silence.resize(80, 0);
    assert_eq!(bob.open(&[&silence, TRAILER].concat()).unwrap(), silence);
    assert_eq!(bob.open(&[FRAME, TRAILER].concat()), None);
    assert_eq!(
        bob.open(&silence),
        None,
        "without the trailer it is a plain frame"
    );
}

#[test]
fn keys_are_never_shown() {
    let side = Side::with_key(b"hunter2");
    let shown = format!("{:?} {:?}", side.provider, options());
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117"));
}

#[test]
fn a_ring_of_an_impossible_size_is_refused() {
    for size in [0, 257] {
        let options = KeyProviderOptions {
            ring_size: size,
            ..options()
        };
        let error = KeyProvider::new(options, Arc::new(|work| work())).unwrap_err();
        assert!(error.to_string().contains(&size.to_string()));
    }
}

//! Frames and data that somebody without the key made up, or changed.
#![no_main]

use std::sync::{Arc, LazyLock};

use greenroom_e2ee::{Derivation, FrameCodec, FrameCryptor, KeyOwner, KeyProvider, KeyProviderOptions};
use libfuzzer_sys::fuzz_target;

const CODECS: [FrameCodec; 6] = [
    FrameCodec::Audio,
    FrameCodec::Vp8,
    FrameCodec::Vp9,
    FrameCodec::Av1,
    FrameCodec::H264,
    FrameCodec::H265,
];

static PROVIDER: LazyLock<Arc<KeyProvider>> = LazyLock::new(|| {
    let options = KeyProviderOptions {
        derivation: Derivation::Hkdf,
        ratchet_window: 2,
        ..KeyProviderOptions::default()
    };
    let provider = KeyProvider::new(options, Arc::new(|work| work())).expect("options");
    provider.set_key(KeyOwner::Shared, b"fuzz".to_vec(), 0);
    provider
});

fuzz_target!(|bytes: &[u8]| {
    let Some((first, frame)) = bytes.split_first() else {
        return;
    };
    let codec = CODECS[usize::from(*first) % CODECS.len()];
    let cryptor = FrameCryptor::new(&PROVIDER, "fuzz", b"trailer".to_vec(), Box::new(|_| {}));
    cryptor.set_enabled(first & 0x80 == 0);
    let _ = cryptor.open(codec, frame);
    let (iv, data) = frame.split_at(frame.len().min(12));
    let _ = PROVIDER.open_data("fuzz", iv, first & 3, data, false);

    cryptor.set_enabled(true);
    let sealed = cryptor.seal(codec, 1, 2, frame.to_vec()).expect("there is a key");
    let opened = cryptor.open(codec, &sealed);
    // Without a slice, what begins an encrypted NAL unit may look like one; no VP8 frame is shorter than its head.
    let is_annex_b = matches!(codec, FrameCodec::H264 | FrameCodec::H265);
    let no_frame = codec == FrameCodec::Vp8 && frame.len() < 10;
    assert!(is_annex_b || no_frame || opened.is_some_and(|opened| opened == frame));
});

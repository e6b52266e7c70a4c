//! VP8 payload descriptors: read, rewritten, read again.
#![no_main]

use greenroom_sfu::vp8_descriptor::{Vp8Descriptor, Vp8Indices};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(descriptor) = Vp8Descriptor::parse(bytes) else {
        return;
    };
    assert!(descriptor.length <= bytes.len());
    let indices = Vp8Indices {
        picture_id: descriptor.picture_id.unwrap_or(0),
        tl0_picture_index: descriptor.tl0_picture_index.unwrap_or(0),
        key_index: descriptor.key_index.unwrap_or(0),
    };
    let mut out = Vec::new();
    descriptor.write(&indices, &mut out);
    assert_eq!(Vp8Descriptor::parse(&out), Some(descriptor));
});

//! Redundant audio.
#![no_main]

use greenroom_sfu::red::primary_block;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((payload_type, block)) = primary_block(bytes) {
        assert!(payload_type < 128 && block.len() < bytes.len());
        assert!(bytes.ends_with(block), "the primary block is the last");
    }
});

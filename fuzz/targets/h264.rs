//! Access units into the H264 decoder.
#![no_main]

use greenroom_fuzz::Input;
use greenroom_media::video::{Codec, create_decoder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = create_decoder(Codec::H264).expect("decoder");
    let mut input = Input::new(bytes);
    while !input.is_empty() {
        if let Ok(Some(picture)) = decoder.decode(input.packet(16)) {
            assert!(picture.width() > 0 && picture.height() > 0);
        }
    }
});

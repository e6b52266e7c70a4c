//! Frames into the VP8 decoder.
#![no_main]

use greenroom_fuzz::Input;
use greenroom_media::video::{Codec, create_decoder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = create_decoder(Codec::Vp8).expect("decoder");
    let mut input = Input::new(bytes);
    while !input.is_empty() {
        let mut frame = input.packet(16).to_vec();
        // Pictures of up to 511 x 511: what the time goes into is the bitstream.
        if frame.len() > 9 && frame[0] & 1 == 0 {
            frame[7] &= 1;
            frame[9] &= 1;
        }
        if let Ok(Some(picture)) = decoder.decode(&frame) {
            assert!(picture.width() > 0 && picture.height() > 0);
        }
    }
});

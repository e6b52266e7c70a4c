//! Frames of silence that close what a muted publisher was saying.

use crate::parameters::Codec;

/// How many follow a mute: one second.
pub const FRAMES_AFTER_MUTE: u32 = 50;
/// 20 ms.
pub const FRAME_MS: u32 = 20;

const OPUS: [u8; 80] = {
    let mut frame = [0; 80];
    (frame[0], frame[1], frame[2]) = (0xF8, 0xFF, 0xFE);
    frame
};
const PCMU: [u8; 160] = [0xFF; 160];
const PCMA: [u8; 160] = [0xD5; 160];

/// Appends one frame of silence. False for a codec that has none. `red_primary` is the payload type inside RED.
pub fn write_frame(codec: Codec, red_primary: u8, out: &mut Vec<u8>) -> bool {
    let frame: &[u8] = match codec {
        Codec::Opus => &OPUS,
        Codec::Red => {
            out.push(red_primary & 0x7F);
            &OPUS
        }
        Codec::Pcmu => &PCMU,
        Codec::Pcma => &PCMA,
        _ => return false,
    };
    out.extend_from_slice(frame);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_codecs_have_silence() {
        let cases = [
            (Codec::Opus, 80, 0xF8),
            (Codec::Red, 81, 111),
            (Codec::Pcmu, 160, 0xFF),
            (Codec::Pcma, 160, 0xD5),
            (Codec::Vp8, 0, 0),
        ];
        for (codec, length, first) in cases {
            let mut out = Vec::new();
            assert_eq!(write_frame(codec, 111, &mut out), length > 0);
            assert_eq!(
                (out.len(), out.first().copied().unwrap_or(0)),
                (length, first),
                "{codec:?}"
            );
        }
    }
}

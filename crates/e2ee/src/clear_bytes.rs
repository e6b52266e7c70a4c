//! Which bytes at the head of a frame stay clear, so that servers can forward it: none of them tells what is in it.

use crate::annex_b;

/// What a frame is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameCodec {
    /// Opus, and any other sound.
    Audio,
    Vp8,
    Vp9,
    /// livekit-client refuses to encrypt AV1; the native SDKs leave no byte clear.
    Av1,
    H264,
    H265,
}

const AUDIO: usize = 1;
const VP8_KEY_FRAME: usize = 10;
const VP8_DELTA_FRAME: usize = 3;
/// Of the first slice: the NAL unit's header, or its first byte and the one after.
const OF_SLICE: usize = 2;

/// The head of a frame.
pub(crate) struct Head {
    pub bytes: usize,
    /// What follows is escaped, and start codes are written with four bytes.
    pub is_annex_b: bool,
}

impl FrameCodec {
    pub(crate) fn head(self, frame: &[u8]) -> Head {
        let (bytes, is_annex_b) = match self {
            FrameCodec::Audio => (AUDIO, false),
            FrameCodec::Vp8 => (vp8(frame), false),
            FrameCodec::Vp9 | FrameCodec::Av1 => (0, false),
            FrameCodec::H264 | FrameCodec::H265 => match self.first_slice(frame) {
                Some(slice) => (slice + OF_SLICE, true),
                // No picture is without a slice; livekit-client falls back to this as well.
                None => (VP8_DELTA_FRAME, false),
            },
        };
        Head {
            bytes: bytes.min(frame.len()),
            is_annex_b,
        }
    }

    fn first_slice(self, frame: &[u8]) -> Option<usize> {
        let mut unit = annex_b::next_unit(frame, 0);
        while let Some(start) = unit {
            if self.is_slice(frame[start]) {
                return Some(start);
            }
            unit = annex_b::next_unit(frame, start);
        }
        None
    }

    fn is_slice(self, header: u8) -> bool {
        match self {
            // ITU-T H.264 table 7-1: coded slices of other and of IDR pictures.
            FrameCodec::H264 => matches!(header & 0x1F, 1 | 5),
            // ITU-T H.265 table 7-1: TRAIL_N to RASL_R, BLA_W_LP to CRA_NUT.
            FrameCodec::H265 => matches!(header >> 1 & 0x3F, 0..=9 | 16..=21),
            _ => false,
        }
    }

    /// Access unit delimiters: str0m does not send them, so they can't be authenticated.
    pub(crate) fn is_dropped_by_packetiser(self, header: u8) -> bool {
        self == FrameCodec::H264 && header & 0x1F == 9
    }
}

/// RFC 6386 section 9.1: the lowest bit of the first byte is 0 in key frames.
fn vp8(frame: &[u8]) -> usize {
    match frame.first() {
        Some(first) if first & 1 == 0 => VP8_KEY_FRAME,
        _ => VP8_DELTA_FRAME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_reaches_into_the_first_slice() {
        let cases: [(FrameCodec, &[u8], usize); 12] = [
            (FrameCodec::Audio, &[0x78, 1, 2], 1),
            (FrameCodec::Audio, &[], 0),
            (FrameCodec::Vp8, &[0x10; 20], 10),
            (FrameCodec::Vp8, &[0x11; 20], 3),
            (FrameCodec::Vp8, &[0x10; 4], 4),
            (FrameCodec::Vp9, &[1; 20], 0),
            (FrameCodec::Av1, &[1; 20], 0),
            (FrameCodec::H264, &[0, 0, 0, 1, 0x65, 0x88, 1, 2, 3], 6),
            (FrameCodec::H264, &[0, 0, 1, 0x67, 9, 0, 0, 1, 0x41, 0x9A, 1], 10),
            (FrameCodec::H264, &[0, 0, 1, 0x67, 9, 9], 3),
            (
                FrameCodec::H265,
                &[0, 0, 0, 1, 0x40, 1, 0, 0, 0, 1, 0x26, 1, 7, 7],
                12,
            ),
            (FrameCodec::H265, &[0, 0, 0, 1, 0x02], 5),
        ];
        for (codec, frame, expected) in cases {
            assert_eq!(codec.head(frame).bytes, expected, "{codec:?} {frame:02X?}");
        }
    }
}

//! Does this packet begin a key frame? Only bytes that stay clear under end-to-end encryption are read.

use crate::parameters::Codec;
use crate::vp8_descriptor::Vp8Descriptor;

type Detector = fn(&[u8]) -> Option<bool>;

const DETECTORS: &[(Codec, Detector)] = &[
    (Codec::Vp8, vp8),
    (Codec::H264, h264),
    (Codec::Vp9, vp9),
    (Codec::H265, h265),
    (Codec::Av1, av1),
];

/// Whether the RTP payload begins a key frame. A codec that is not known here: always true, so that it passes.
pub fn is_key_frame_start(codec: Codec, payload: &[u8]) -> bool {
    let found = DETECTORS.iter().find(|(known, _)| *known == codec);
    found.is_none_or(|(_, detect)| detect(payload).unwrap_or(false))
}

/// Width and height, when the payload begins a VP8 key frame that is not encrypted.
pub fn vp8_dimensions(payload: &[u8]) -> Option<(u16, u16)> {
    let frame = payload.get(Vp8Descriptor::parse(payload)?.length..)?;
    if frame.get(3..6)? != [0x9D, 0x01, 0x2A] {
        return None;
    }
    let side = |at: usize| Some(u16::from_le_bytes([*frame.get(at)?, *frame.get(at + 1)?]) & 0x3FFF);
    Some((side(6)?, side(8)?))
}

fn vp8(payload: &[u8]) -> Option<bool> {
    let descriptor = Vp8Descriptor::parse(payload)?;
    Some(descriptor.starts_frame() && payload.get(descriptor.length)? & 1 == 0)
}

/// RFC 6184: an SPS or IDR slice, alone, in a STAP-A or as the start of an FU-A.
fn h264(payload: &[u8]) -> Option<bool> {
    let is_key = |nal: u8| matches!(nal & 0x1F, 5 | 7);
    match payload.first()? & 0x1F {
        24 => {
            let mut rest = &payload[1..];
            while rest.len() > 2 {
                let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                if is_key(rest[2]) {
                    return Some(true);
                }
                rest = rest.get(2 + length..)?;
            }
            Some(false)
        }
        28 => {
            let header = *payload.get(1)?;
            Some(header & 0x80 != 0 && is_key(header))
        }
        _ => Some(is_key(payload[0])),
    }
}

/// RFC 9628: the start of a frame without inter-picture prediction, in the lowest spatial layer.
fn vp9(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    let (has_id, predicted, has_layers, flexible, begins) = (
        first & 0x80 != 0,
        first & 0x40 != 0,
        first & 0x20 != 0,
        first & 0x10 != 0,
        first & 0x08 != 0,
    );
    if predicted || !begins {
        return Some(false);
    }
    let mut at = 1;
    if has_id {
        at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    let _ = flexible;
    Some(!has_layers || payload.get(at)? >> 1 & 7 == 0)
}

/// RFC 7798: an IRAP slice or parameter set, alone, aggregated or as the start of a fragment.
fn h265(payload: &[u8]) -> Option<bool> {
    let kind = |byte: u8| byte >> 1 & 0x3F;
    let is_key = |kind: u8| matches!(kind, 16..=21 | 32..=34);
    let first = kind(*payload.first()?);
    match first {
        48 => Some(is_key(kind(*payload.get(4)?))),
        49 => {
            let header = *payload.get(2)?;
            Some(header & 0x80 != 0 && is_key(header & 0x3F))
        }
        _ => Some(is_key(first)),
    }
}

/// The aggregation header's N bit: the first packet of a coded video sequence.
fn av1(payload: &[u8]) -> Option<bool> {
    Some(payload.first()? & 0x88 == 0x08)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_frames_are_detected() {
        let cases: &[(Codec, &[u8], bool)] = &[
            (Codec::Vp8, &[0x10, 0x00], true),
            (Codec::Vp8, &[0x10, 0x01], false),
            (Codec::Vp8, &[0x00, 0x00], false),
            (Codec::Vp8, &[0x90, 0x80, 0x81, 0x01, 0x00], true),
            (Codec::Vp8, &[0x10], false),
            (Codec::Vp8, &[], false),
            (Codec::H264, &[0x67, 1], true),
            (Codec::H264, &[0x65], true),
            (Codec::H264, &[0x41], false),
            (Codec::H264, &[0x18, 0, 1, 0x09, 0, 2, 0x67, 0], true),
            (Codec::H264, &[0x18, 0, 1, 0x09, 0, 2, 0x41, 0], false),
            (Codec::H264, &[0x18, 255, 255, 0x09], false),
            (Codec::H264, &[0x7C, 0x85], true),
            (Codec::H264, &[0x7C, 0x05], false),
            (Codec::Vp9, &[0x08, 0], true),
            (Codec::Vp9, &[0xA8, 0x81, 0x00, 0x02], false),
            (Codec::Vp9, &[0xA8, 0x81, 0x00, 0x00], true),
            (Codec::Vp9, &[0x48], false),
            (Codec::H265, &[0x26, 1], true),
            (Codec::H265, &[0x02, 1], false),
            (Codec::H265, &[0x62, 1, 0x93], true),
            (Codec::Av1, &[0x18], true),
            (Codec::Av1, &[0x10], false),
            (Codec::Opus, &[0], true),
        ];
        for (codec, payload, expected) in cases {
            assert_eq!(
                is_key_frame_start(*codec, payload),
                *expected,
                "{codec:?} {payload:x?}"
            );
        }
    }

    #[test]
    fn vp8_key_frames_say_their_size() {
        let payload = [0x10, 0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xB4, 0x00];
        assert_eq!(vp8_dimensions(&payload), Some((320, 180)));
        assert_eq!(vp8_dimensions(&payload[..9]), None);
    }
}

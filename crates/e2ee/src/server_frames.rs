//! Blank frames that a server puts into an encrypted track, as when its publisher is muted: clear, and marked by a
//! trailer that the join response told.
//!
//! Only these few payloads are let through: otherwise a server could show what it likes. They are the ones of
//! livekit-server (`pkg/sfu/downtrack.go`).

const OPUS_SILENCE: [u8; 80] = {
    let mut frame = [0; 80];
    (frame[0], frame[1], frame[2]) = (0xF8, 0xFF, 0xFE);
    frame
};
const VP8_8X8: [u8; 31] = [
    0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x08, 0x00, 0x08, 0x00, 0x00, 0x47, 0x08, 0x85, 0x85, 0x88, 0x85,
    0x84, 0x88, 0x02, 0x02, 0x00, 0x0C, 0x0D, 0x60, 0x00, 0xFE, 0xFF, 0xAB, 0x50, 0x80,
];
const H264_2X2: [&[u8]; 3] = [
    &[
        0x67, 0x42, 0xC0, 0x1F, 0x0F, 0xD9, 0x1F, 0x88, 0x88, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00,
        0x03, 0x00, 0xC8, 0x3C, 0x60, 0xC9, 0x20,
    ],
    &[0x68, 0x87, 0xCB, 0x83, 0xCB, 0x20],
    &[0x65, 0x88, 0x84, 0x0A, 0xF2, 0x62, 0x80, 0x00, 0xA7, 0xBE],
];

/// What the server put in: None when the frame does not end with its trailer.
pub(crate) fn without_trailer<'a>(frame: &'a [u8], trailer: &[u8]) -> Option<&'a [u8]> {
    if trailer.is_empty() {
        return None;
    }
    frame.strip_suffix(trailer)
}

/// Whether it is one of the blank frames, with NAL units behind start codes or bare.
pub(crate) fn is_blank(payload: &[u8]) -> bool {
    payload == OPUS_SILENCE || payload == VP8_8X8 || H264_2X2.contains(&payload) || is_h264_2x2(payload)
}

fn is_h264_2x2(payload: &[u8]) -> bool {
    let mut rest = payload;
    for unit in H264_2X2 {
        let Some(after) = rest
            .strip_prefix(&[0, 0, 0, 1])
            .and_then(|rest| rest.strip_prefix(unit))
        else {
            return false;
        };
        rest = after;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest;

    fn sha256(data: &[u8]) -> String {
        let hash = digest::digest(&digest::SHA256, data);
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_blank_frames_are_those_that_livekit_client_knows() {
        let expected = [
            "aad8d31fc56b2802ca500e58c2fb9d0b29ad71bb7cb52cd6530251eade188988",
            "ef0161653d8b2b23aad46624b420af1d03ce48950e9fc85718028f91b50f9219",
            "f0a0e09647d891d6d50aa898bce7108090375d0d55e50a2bb21147afee558e44",
            "61d9665eed71b6d424ae9539330a3bdd5cb386d4d781c808219a6e36750493a7",
            "faffc26b68a2fc09096fa20f3351e706398b6f838a7500c8063472c2e476e90d",
        ];
        let frames: [&[u8]; 5] = [&OPUS_SILENCE, &VP8_8X8, H264_2X2[0], H264_2X2[1], H264_2X2[2]];
        assert_eq!(frames.map(sha256), expected.map(String::from));
        assert!(frames.into_iter().all(is_blank));
        let access_unit: Vec<u8> = H264_2X2
            .into_iter()
            .flat_map(|unit| [&[0, 0, 0, 1], unit].concat())
            .collect();
        assert!(is_blank(&access_unit) && !is_blank(&access_unit[..30]) && !is_blank(b""));
    }

    #[test]
    fn an_empty_trailer_marks_nothing() {
        assert_eq!(without_trailer(b"frame", b""), None);
        assert_eq!(without_trailer(b"frameXY", b"XY"), Some(&b"frame"[..]));
        assert_eq!(without_trailer(b"frame", b"XY"), None);
    }
}

//! Opus (RFC 6716) at 48 kHz on the bundled libopus.

mod decoder;
mod encoder;
mod ffi;

pub use decoder::OpusDecoder;
pub use encoder::{OpusEncoder, OpusEncoderConfig};

use super::AudioError;

/// Longest Opus packet in samples per channel at 48 kHz: 120 ms (RFC 6716 section 2.1.4).
pub const MAX_PACKET_SAMPLES: usize = 5_760;
/// Longest payload accepted: 48 frames of 1,275 bytes cannot occur in 120 ms; six 20 ms frames and framing can.
pub const MAX_PACKET_BYTES: usize = 7_700;

/// Samples per channel at 48 kHz that a payload decodes to, from its framing alone.
pub fn packet_samples(payload: &[u8]) -> Result<usize, AudioError> {
    ffi::packet_samples(payload).map_err(|code| error("packet inspection", code))
}

/// Whether a payload carries in-band redundancy for the packet before it.
pub(super) fn packet_has_fec(payload: &[u8]) -> bool {
    ffi::packet_has_fec(payload)
}

/// Reasons as libopus numbers them (`opus_defines.h`).
const REASONS: [&str; 8] = [
    "no error",
    "an argument is out of range",
    "the buffer is too small",
    "internal error",
    "the packet is corrupted",
    "the request is not implemented",
    "the state is invalid",
    "out of memory",
];

fn error(operation: &'static str, code: i32) -> AudioError {
    let reason = REASONS
        .get(code.unsigned_abs() as usize)
        .copied()
        .unwrap_or("unknown error");
    AudioError::Opus {
        operation,
        code,
        reason,
    }
}

//! What can go wrong with pictures and codecs.

use super::{BufferType, Codec};

/// Shorthand of this module.
pub type Result<T> = std::result::Result<T, VideoError>;

/// Each variant names what failed, the value, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VideoError {
    #[error(
        "a picture of {width}x{height} is outside {minimum}x{minimum} to {maximum}x{maximum}; pick a size within"
    )]
    Size {
        width: u32,
        height: u32,
        minimum: u32,
        maximum: u32,
    },
    #[error("a {buffer_type:?} picture of {width}x{height} needs {needed} bytes, the buffer has {actual}")]
    BufferTooSmall {
        buffer_type: BufferType,
        width: u32,
        height: u32,
        needed: usize,
        actual: usize,
    },
    #[error("{0} is no video buffer type; use 0 (RGBA) to 10 (NV12)")]
    UnknownBufferType(u32),
    #[error("a rotation of {0} degrees is not possible; use 0, 90, 180 or 270")]
    Rotation(u32),
    #[error("{value} is no valid {name} for a video encoder; it must be above 0")]
    Setting { name: &'static str, value: String },
    #[error("{codec:?} {operation} failed with code {code} ({detail})")]
    Codec {
        codec: Codec,
        operation: &'static str,
        code: i64,
        detail: String,
    },
    #[error("colour conversion failed: {0}; report this as a bug")]
    Conversion(String),
    /// The stream can't be decoded on from here.
    #[error("{codec:?} can't decode a frame of {length} bytes ({detail}); ask the sender for a key frame")]
    Decode {
        codec: Codec,
        length: usize,
        detail: String,
    },
    #[error(
        "a decoded picture of {width}x{height} is above the limit of {limit_pixels} pixels; it is refused to bound memory"
    )]
    DecodedTooLarge {
        width: u32,
        height: u32,
        limit_pixels: usize,
    },
}

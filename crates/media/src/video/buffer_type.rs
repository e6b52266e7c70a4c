//! The pixel layouts a caller may hand in or ask for.

use super::frame::{MAXIMUM_DIMENSION, check_size};
use super::{Result, VideoError};

/// Layout of a picture in one buffer without padding between rows.
/// The numbers are those of `livekit.rtc.VideoBufferType`; the letters give the order of bytes in memory as that SDK has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum BufferType {
    Rgba = 0,
    Abgr = 1,
    Argb = 2,
    Bgra = 3,
    Rgb24 = 4,
    /// Planes Y, U, V; chroma halved both ways, rounded up.
    I420 = 5,
    /// I420 followed by a full-size alpha plane.
    I420A = 6,
    /// Chroma halved across only.
    I422 = 7,
    /// Full-size chroma.
    I444 = 8,
    /// As I420, 10 bits in 16-bit little-endian words.
    I010 = 9,
    /// Plane Y, then U and V interleaved, halved both ways.
    Nv12 = 10,
}

const ALL: [BufferType; 11] = [
    BufferType::Rgba,
    BufferType::Abgr,
    BufferType::Argb,
    BufferType::Bgra,
    BufferType::Rgb24,
    BufferType::I420,
    BufferType::I420A,
    BufferType::I422,
    BufferType::I444,
    BufferType::I010,
    BufferType::Nv12,
];

impl BufferType {
    /// Every layout, by number.
    pub const fn all() -> &'static [BufferType; 11] {
        &ALL
    }

    /// Whether a pixel's channels lie side by side.
    pub const fn is_packed(self) -> bool {
        (self as u32) <= BufferType::Rgb24 as u32
    }

    /// Bytes of one picture; `width` and `height` must have been checked.
    pub(crate) fn size_of(self, width: usize, height: usize) -> usize {
        let pixels = width * height;
        let chroma_width = width.div_ceil(2);
        let chroma = chroma_width * height.div_ceil(2);
        match self {
            BufferType::Rgba | BufferType::Abgr | BufferType::Argb | BufferType::Bgra => 4 * pixels,
            BufferType::Rgb24 | BufferType::I444 => 3 * pixels,
            BufferType::I420 | BufferType::Nv12 => pixels + 2 * chroma,
            BufferType::I420A => 2 * pixels + 2 * chroma,
            BufferType::I422 => pixels + 2 * chroma_width * height,
            BufferType::I010 => 2 * (pixels + 2 * chroma),
        }
    }

    /// Check a buffer against a size in pixels; returns the bytes that count.
    pub(crate) fn check(self, data: &[u8], width: u32, height: u32) -> Result<&[u8]> {
        let needed = buffer_size(width, height, self)?;
        data.get(..needed).ok_or(VideoError::BufferTooSmall {
            buffer_type: self,
            width,
            height,
            needed,
            actual: data.len(),
        })
    }
}

impl TryFrom<u32> for BufferType {
    type Error = VideoError;

    fn try_from(number: u32) -> Result<Self> {
        ALL.get(number as usize)
            .copied()
            .ok_or(VideoError::UnknownBufferType(number))
    }
}

/// Bytes of a picture of this size (1 to 16384 each way) and layout.
pub fn buffer_size(width: u32, height: u32, buffer_type: BufferType) -> Result<usize> {
    check_size(width, height, 1, MAXIMUM_DIMENSION)?;
    Ok(buffer_type.size_of(width as usize, height as usize))
}

//! The one picture layout everything inside works on.

use std::sync::Arc;

use super::{BufferType, Result, VideoError};

/// Largest width and height of any picture, in pixels.
pub const MAXIMUM_DIMENSION: u32 = 16_384;

pub(crate) fn check_size(width: u32, height: u32, minimum: u32, maximum: u32) -> Result<()> {
    let within = minimum..=maximum;
    if within.contains(&width) && within.contains(&height) {
        return Ok(());
    }
    Err(VideoError::Size {
        width,
        height,
        minimum,
        maximum,
    })
}

/// A picture in planes Y, U, V of 8 bits (BT.601 limited range), chroma halved both ways and rounded up, rows without padding.
/// Cloning shares the pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct I420Frame {
    width: u32,
    height: u32,
    data: Arc<Vec<u8>>,
}

impl I420Frame {
    /// Take over a buffer holding the three planes one after the other. Surplus bytes are cut off.
    pub fn from_vec(mut data: Vec<u8>, width: u32, height: u32) -> Result<Self> {
        let needed = BufferType::I420.check(&data, width, height)?.len();
        data.truncate(needed);
        Ok(Self {
            width,
            height,
            data: Arc::new(data),
        })
    }

    /// Copy planes whose rows are `stride` bytes apart.
    pub fn from_planes(width: u32, height: u32, planes: [(&[u8], usize); 3]) -> Result<Self> {
        check_size(width, height, 1, MAXIMUM_DIMENSION)?;
        let (chroma_width, chroma_height) = (width.div_ceil(2) as usize, height.div_ceil(2) as usize);
        let sizes = [
            (width as usize, height as usize),
            (chroma_width, chroma_height),
            (chroma_width, chroma_height),
        ];
        let mut data = Vec::with_capacity(BufferType::I420.size_of(width as usize, height as usize));
        for ((plane, stride), (row_length, rows)) in planes.into_iter().zip(sizes) {
            let needed = stride
                .checked_mul(rows - 1)
                .map_or(usize::MAX, |before| before.saturating_add(row_length));
            if stride < row_length || plane.len() < needed {
                return Err(VideoError::BufferTooSmall {
                    buffer_type: BufferType::I420,
                    width,
                    height,
                    needed,
                    actual: plane.len(),
                });
            }
            if stride == row_length {
                data.extend_from_slice(&plane[..needed]);
            } else {
                plane
                    .chunks(stride)
                    .take(rows)
                    .for_each(|row| data.extend_from_slice(&row[..row_length]));
            }
        }
        Ok(Self {
            width,
            height,
            data: Arc::new(data),
        })
    }

    /// A black picture.
    pub fn black(width: u32, height: u32) -> Result<Self> {
        check_size(width, height, 1, MAXIMUM_DIMENSION)?;
        let pixels = width as usize * height as usize;
        let mut data = vec![16; pixels];
        data.resize(BufferType::I420.size_of(width as usize, height as usize), 128);
        Ok(Self {
            width,
            height,
            data: Arc::new(data),
        })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Width of U and V in pixels, and the bytes between their rows.
    pub fn chroma_width(&self) -> u32 {
        self.width.div_ceil(2)
    }

    /// Height of U and V in pixels.
    pub fn chroma_height(&self) -> u32 {
        self.height.div_ceil(2)
    }

    fn luma_length(&self) -> usize {
        self.width as usize * self.height as usize
    }

    fn chroma_length(&self) -> usize {
        self.chroma_width() as usize * self.chroma_height() as usize
    }

    /// Luma, rows `width` bytes apart.
    pub fn y(&self) -> &[u8] {
        &self.data[..self.luma_length()]
    }

    /// Blue chroma, rows `chroma_width` bytes apart.
    pub fn u(&self) -> &[u8] {
        let start = self.luma_length();
        &self.data[start..start + self.chroma_length()]
    }

    /// Red chroma, rows `chroma_width` bytes apart.
    pub fn v(&self) -> &[u8] {
        &self.data[self.luma_length() + self.chroma_length()..]
    }

    /// The whole picture as one I420 buffer.
    pub fn as_bytes(&self) -> &[u8] {
        &self.data
    }

    /// The whole picture as one I420 buffer, without a copy when no clone of the frame lives.
    pub fn into_vec(self) -> Vec<u8> {
        Arc::unwrap_or_clone(self.data)
    }
}

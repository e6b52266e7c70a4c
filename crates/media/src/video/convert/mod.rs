//! Conversion between all pixel layouts.
//!
//! Colours are BT.601 limited range; luma below black counts as black. Chroma is averaged when it is halved and repeated when it is doubled.
//! A layout without alpha becomes opaque (255); I010 drops or gains two zero bits.

mod color;
mod packed;
mod planar;

use super::{BufferType, I420Frame, Result};
use planar::{Planar, PlanarMut, Subsampling};

/// Convert a picture without row padding between any two layouts. `data` may be longer than needed; the result is exactly
/// [`buffer_size`](super::buffer_size) long. `flip_y` turns the result upside down.
pub fn convert(
    data: &[u8],
    width: u32,
    height: u32,
    from: BufferType,
    to: BufferType,
    flip_y: bool,
) -> Result<Vec<u8>> {
    let data = from.check(data, width, height)?;
    let size = Size {
        width: width as usize,
        height: height as usize,
    };
    if flip_y && from.is_packed() {
        // Before the conversion, so that chroma is averaged over the rows that lie together afterwards.
        let mut flipped = data.to_vec();
        planar::flip(&mut flipped, size, from);
        return convert(&flipped, width, height, from, to, false);
    }
    let mut out = if from == to {
        data.to_vec()
    } else {
        match (from.is_packed(), to.is_packed()) {
            (true, true) => packed::convert(data, from, to),
            (true, false) => packed_to_planar(data, size, from, to)?,
            (false, true) => planar_to_packed(data, size, from, to)?,
            (false, false) => planar_to_planar(data, size, from, to),
        }
    };
    if flip_y {
        planar::flip(&mut out, size, to);
    }
    Ok(out)
}

/// Make an [`I420Frame`] of a picture in any layout.
pub fn to_i420(data: &[u8], width: u32, height: u32, from: BufferType) -> Result<I420Frame> {
    I420Frame::from_vec(
        convert(data, width, height, from, BufferType::I420, false)?,
        width,
        height,
    )
}

/// A picture of half the width and height of an even-sized one, each pixel the mean of four.
pub(super) fn halve(frame: &I420Frame) -> Result<I420Frame> {
    let size = Size {
        width: frame.width() as usize,
        height: frame.height() as usize,
    };
    let half = Size {
        width: size.width / 2,
        height: size.height / 2,
    };
    let source = Planar::split(frame.as_bytes(), size, Subsampling::Both);
    let mut out = vec![0; BufferType::I420.size_of(half.width, half.height)];
    let target = PlanarMut::split(&mut out, half, Subsampling::Both);
    planar::resample(source.y, size, target.y, half);
    planar::resample(source.u, source.chroma, target.u, target.chroma);
    planar::resample(source.v, source.chroma, target.v, target.chroma);
    I420Frame::from_vec(out, frame.width() / 2, frame.height() / 2)
}

/// The pixels of a frame in any layout.
pub fn from_i420(frame: &I420Frame, to: BufferType, flip_y: bool) -> Result<Vec<u8>> {
    convert(
        frame.as_bytes(),
        frame.width(),
        frame.height(),
        BufferType::I420,
        to,
        flip_y,
    )
}

#[derive(Clone, Copy)]
pub(super) struct Size {
    pub width: usize,
    pub height: usize,
}

impl Size {
    fn pixels(self) -> usize {
        self.width * self.height
    }
}

fn subsampling_of(layout: BufferType) -> Subsampling {
    match layout {
        BufferType::I422 => Subsampling::Across,
        BufferType::I444 => Subsampling::None,
        _ => Subsampling::Both,
    }
}

fn packed_to_planar(data: &[u8], size: Size, from: BufferType, to: BufferType) -> Result<Vec<u8>> {
    let rgb = packed::as_color_input(data, from);
    let mut out = vec![0; to.size_of(size.width, size.height)];
    match to {
        BufferType::Nv12 => color::to_nv12(&rgb, size, &mut out)?,
        BufferType::I010 => {
            let mut narrow = vec![0; BufferType::I420.size_of(size.width, size.height)];
            color::to_planar(
                &rgb,
                size,
                &mut PlanarMut::split(&mut narrow, size, Subsampling::Both),
            )?;
            planar::widen(&narrow, &mut out);
        }
        _ => {
            let mut planes = PlanarMut::split(&mut out, size, subsampling_of(to));
            color::to_planar(&rgb, size, &mut planes)?;
            if to == BufferType::I420A {
                packed::copy_alpha(data, from, planes.rest);
            }
        }
    }
    Ok(out)
}

fn planar_to_packed(data: &[u8], size: Size, from: BufferType, to: BufferType) -> Result<Vec<u8>> {
    let mut out = vec![0; to.size_of(size.width, size.height)];
    let order = packed::color_output_order(to);
    match from {
        BufferType::Nv12 => color::from_nv12(data, size, order, &mut out)?,
        BufferType::I010 => {
            let narrow = planar::narrow(data);
            color::from_planar(
                &Planar::split(&narrow, size, Subsampling::Both),
                size,
                order,
                &mut out,
            )?;
        }
        _ => {
            let planes = Planar::split(data, size, subsampling_of(from));
            color::from_planar(&planes, size, order, &mut out)?;
        }
    }
    packed::finish_color_output(&mut out, to);
    if from == BufferType::I420A {
        packed::set_alpha(&mut out, to, &data[data.len() - size.pixels()..]);
    }
    Ok(out)
}

fn planar_to_planar(data: &[u8], size: Size, from: BufferType, to: BufferType) -> Vec<u8> {
    let source = planar::to_eight_bit_planes(data, size, from);
    let planes = Planar::split(&source, size, subsampling_of(from));
    let mut out = vec![0; to.size_of(size.width, size.height)];
    match to {
        BufferType::Nv12 | BufferType::I010 => {
            let mut middle = vec![0; BufferType::I420.size_of(size.width, size.height)];
            planes.resample_into(&mut PlanarMut::split(&mut middle, size, Subsampling::Both));
            if to == BufferType::I010 {
                planar::widen(&middle, &mut out);
            } else {
                planar::interleave(&middle, size, &mut out);
            }
        }
        _ => {
            let mut target = PlanarMut::split(&mut out, size, subsampling_of(to));
            planes.resample_into(&mut target);
            target.rest.fill(255);
        }
    }
    out
}

//! Layouts with a plane per channel: views, chroma sampling, word width, interleaving, flipping.

use std::borrow::Cow;

use super::{BufferType, Size};

/// How chroma relates to luma.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Subsampling {
    /// Halved both ways, rounded up.
    Both,
    /// Halved across, rounded up.
    Across,
    None,
}

impl Subsampling {
    pub fn chroma(self, size: Size) -> Size {
        match self {
            Subsampling::Both => Size {
                width: size.width.div_ceil(2),
                height: size.height.div_ceil(2),
            },
            Subsampling::Across => Size {
                width: size.width.div_ceil(2),
                height: size.height,
            },
            Subsampling::None => size,
        }
    }
}

pub struct Planar<'a> {
    pub y: &'a [u8],
    pub u: &'a [u8],
    pub v: &'a [u8],
    pub chroma: Size,
    pub subsampling: Subsampling,
}

impl<'a> Planar<'a> {
    /// The three planes at the start of `data`.
    pub fn split(data: &'a [u8], size: Size, subsampling: Subsampling) -> Self {
        let chroma = subsampling.chroma(size);
        let (y, rest) = data.split_at(size.pixels());
        let (u, rest) = rest.split_at(chroma.pixels());
        Self {
            y,
            u,
            v: &rest[..chroma.pixels()],
            chroma,
            subsampling,
        }
    }

    /// Copy luma and bring chroma to the target's sampling.
    pub fn resample_into(&self, target: &mut PlanarMut<'_>) {
        target.y.copy_from_slice(self.y);
        resample(self.u, self.chroma, target.u, target.chroma);
        resample(self.v, self.chroma, target.v, target.chroma);
    }
}

pub struct PlanarMut<'a> {
    pub y: &'a mut [u8],
    pub u: &'a mut [u8],
    pub v: &'a mut [u8],
    /// What follows the three planes (alpha of I420A).
    pub rest: &'a mut [u8],
    pub chroma: Size,
    pub subsampling: Subsampling,
}

impl<'a> PlanarMut<'a> {
    pub fn split(data: &'a mut [u8], size: Size, subsampling: Subsampling) -> Self {
        let chroma = subsampling.chroma(size);
        let (y, rest) = data.split_at_mut(size.pixels());
        let (u, rest) = rest.split_at_mut(chroma.pixels());
        let (v, rest) = rest.split_at_mut(chroma.pixels());
        Self {
            y,
            u,
            v,
            rest,
            chroma,
            subsampling,
        }
    }
}

/// Each way the target is as large as the source, half of it (rounded up) or the double it was halved from.
pub fn resample(source: &[u8], from: Size, target: &mut [u8], to: Size) {
    for (row, target_row) in target.chunks_exact_mut(to.width).enumerate() {
        let (first, second) = source_rows(row, from.height, to.height);
        let first = &source[first * from.width..][..from.width];
        let second = &source[second * from.width..][..from.width];
        if to.width < from.width {
            halve_row(first, second, target_row);
        } else if to.width > from.width {
            double_row(first, target_row);
        } else {
            average_row(first, second, target_row);
        }
    }
}

/// The one or two source rows that make up a target row.
fn source_rows(row: usize, from_height: usize, to_height: usize) -> (usize, usize) {
    if to_height < from_height {
        (2 * row, (2 * row + 1).min(from_height - 1))
    } else if to_height > from_height {
        (row / 2, row / 2)
    } else {
        (row, row)
    }
}

fn average_row(first: &[u8], second: &[u8], target: &mut [u8]) {
    for ((out, a), b) in target.iter_mut().zip(first).zip(second) {
        *out = (u16::from(*a) + u16::from(*b)).div_ceil(2) as u8;
    }
}

fn halve_row(first: &[u8], second: &[u8], target: &mut [u8]) {
    let average = |a: [u8; 2], b: [u8; 2]| {
        let sum = u16::from(a[0]) + u16::from(a[1]) + u16::from(b[0]) + u16::from(b[1]);
        ((sum + 2) / 4) as u8
    };
    let ((first_pairs, first_rest), (second_pairs, second_rest)) =
        (first.as_chunks::<2>(), second.as_chunks::<2>());
    for (out, (a, b)) in target.iter_mut().zip(first_pairs.iter().zip(second_pairs)) {
        *out = average(*a, *b);
    }
    // The last column of an odd width stands for itself.
    if let ([a], [b], Some(out)) = (first_rest, second_rest, target.last_mut()) {
        *out = average([*a, *a], [*b, *b]);
    }
}

fn double_row(source: &[u8], target: &mut [u8]) {
    for (pair, value) in target.chunks_mut(2).zip(source) {
        pair.fill(*value);
    }
}

/// 8-bit words to 10 bits, little-endian.
pub fn widen(narrow: &[u8], wide: &mut [u8]) {
    for (word, value) in wide.chunks_exact_mut(2).zip(narrow) {
        word.copy_from_slice(&(u16::from(*value) << 2).to_le_bytes());
    }
}

/// 10-bit little-endian words to 8 bits; values above 1023 count as 1023.
pub fn narrow(wide: &[u8]) -> Vec<u8> {
    wide.chunks_exact(2)
        .map(|word| (u16::from_le_bytes([word[0], word[1]]).min(1023) >> 2) as u8)
        .collect()
}

/// I420 to NV12.
pub fn interleave(planes: &[u8], size: Size, out: &mut [u8]) {
    let planes = Planar::split(planes, size, Subsampling::Both);
    let (luma, chroma) = out.split_at_mut(size.pixels());
    luma.copy_from_slice(planes.y);
    for (pair, (u, v)) in chroma.chunks_exact_mut(2).zip(planes.u.iter().zip(planes.v)) {
        pair[0] = *u;
        pair[1] = *v;
    }
}

fn deinterleave(data: &[u8], size: Size) -> Vec<u8> {
    let mut out = vec![0; data.len()];
    let planes = PlanarMut::split(&mut out, size, Subsampling::Both);
    let (luma, chroma) = data.split_at(size.pixels());
    planes.y.copy_from_slice(luma);
    // One plane at a time vectorises, both at once do not.
    let (pairs, _) = chroma.as_chunks::<2>();
    planes.u.iter_mut().zip(pairs).for_each(|(u, pair)| *u = pair[0]);
    planes.v.iter_mut().zip(pairs).for_each(|(v, pair)| *v = pair[1]);
    out
}

/// Separate 8-bit planes in the layout's own chroma sampling; no copy where they are so already.
pub fn to_eight_bit_planes(data: &[u8], size: Size, layout: BufferType) -> Cow<'_, [u8]> {
    match layout {
        BufferType::Nv12 => Cow::Owned(deinterleave(data, size)),
        BufferType::I010 => Cow::Owned(narrow(data)),
        _ => Cow::Borrowed(data),
    }
}

/// Turn every plane upside down.
pub fn flip(data: &mut [u8], size: Size, layout: BufferType) {
    let half = Subsampling::Both.chroma(size);
    let chroma = super::subsampling_of(layout).chroma(size);
    // Bytes of a row and number of rows of each plane.
    let planes: &[(usize, usize)] = match layout {
        BufferType::Rgb24 => &[(3 * size.width, size.height)],
        BufferType::I010 => &[
            (2 * size.width, size.height),
            (2 * half.width, half.height),
            (2 * half.width, half.height),
        ],
        BufferType::Nv12 => &[(size.width, size.height), (2 * half.width, half.height)],
        BufferType::I420 | BufferType::I420A | BufferType::I422 | BufferType::I444 => &[
            (size.width, size.height),
            (chroma.width, chroma.height),
            (chroma.width, chroma.height),
            (size.width, size.height),
        ],
        _ => &[(4 * size.width, size.height)],
    };
    let mut rest = data;
    for (row_length, rows) in planes {
        if rest.is_empty() {
            return;
        }
        let (plane, after) = rest.split_at_mut(row_length * rows);
        flip_plane(plane, *row_length);
        rest = after;
    }
}

fn flip_plane(plane: &mut [u8], row_length: usize) {
    let rows = plane.len() / row_length;
    let (top, bottom) = plane.split_at_mut((rows / 2) * row_length);
    let mirrored = bottom.chunks_exact_mut(row_length).rev();
    for (above, below) in top.chunks_exact_mut(row_length).zip(mirrored) {
        above.swap_with_slice(below);
    }
}

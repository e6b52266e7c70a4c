//! Layouts whose channels lie side by side: only bytes move.

use std::borrow::Cow;

use super::BufferType;
use super::color::{ChannelOrder, ColorInput};

/// Position of red, green, blue and alpha in a pixel of four bytes.
fn channel_positions(layout: BufferType) -> [usize; 4] {
    match layout {
        BufferType::Abgr => [3, 2, 1, 0],
        BufferType::Argb => [1, 2, 3, 0],
        BufferType::Bgra => [2, 1, 0, 3],
        _ => [0, 1, 2, 3],
    }
}

/// Between two packed layouts that differ.
pub fn convert(data: &[u8], from: BufferType, to: BufferType) -> Vec<u8> {
    match (from, to) {
        (BufferType::Rgb24, _) => expand(data, channel_positions(to)),
        (_, BufferType::Rgb24) => shrink(data, channel_positions(from)),
        _ => {
            let mut out = data.to_vec();
            permute(&mut out, from, to);
            out
        }
    }
}

fn expand(data: &[u8], to: [usize; 4]) -> Vec<u8> {
    let mut out = vec![255; data.len() / 3 * 4];
    for (pixel, rgb) in out.chunks_exact_mut(4).zip(data.chunks_exact(3)) {
        pixel[to[0]] = rgb[0];
        pixel[to[1]] = rgb[1];
        pixel[to[2]] = rgb[2];
    }
    out
}

fn shrink(data: &[u8], from: [usize; 4]) -> Vec<u8> {
    let mut out = vec![0; data.len() / 4 * 3];
    for (rgb, pixel) in out.chunks_exact_mut(3).zip(data.chunks_exact(4)) {
        rgb[0] = pixel[from[0]];
        rgb[1] = pixel[from[1]];
        rgb[2] = pixel[from[2]];
    }
    out
}

/// Reorder pixels of four bytes in place, as whole words so that the loops vectorise.
fn permute(data: &mut [u8], from: BufferType, to: BufferType) {
    use BufferType::{Abgr, Argb, Bgra, Rgba};
    match (from, to) {
        (Rgba, Abgr) | (Abgr, Rgba) | (Argb, Bgra) | (Bgra, Argb) => each_word(data, u32::swap_bytes),
        // Words are little-endian: a left rotation moves bytes to higher positions.
        (Rgba, Argb) | (Bgra, Abgr) => each_word(data, |word| word.rotate_left(8)),
        (Argb, Rgba) | (Abgr, Bgra) => each_word(data, |word| word.rotate_right(8)),
        (Rgba, Bgra) | (Bgra, Rgba) => each_word(data, |word| {
            (word & 0xff00_ff00) | ((word & 0xff) << 16) | ((word >> 16) & 0xff)
        }),
        (Abgr, Argb) | (Argb, Abgr) => each_word(data, |word| {
            (word & 0x00ff_00ff) | ((word & 0xff00) << 16) | ((word >> 16) & 0xff00)
        }),
        _ => {}
    }
}

fn each_word(data: &mut [u8], change: impl Fn(u32) -> u32) {
    let (words, _) = data.as_chunks_mut::<4>();
    for word in words {
        *word = change(u32::from_le_bytes(*word)).to_le_bytes();
    }
}

/// The colour arithmetic knows RGB, RGBA and BGRA; the others are reordered first.
pub fn as_color_input(data: &[u8], from: BufferType) -> ColorInput<'_> {
    match from {
        BufferType::Rgba | BufferType::Bgra | BufferType::Rgb24 => ColorInput {
            data: Cow::Borrowed(data),
            order: color_output_order(from),
        },
        _ => ColorInput {
            data: Cow::Owned(convert(data, from, BufferType::Rgba)),
            order: ChannelOrder::Rgba,
        },
    }
}

/// What to let the colour arithmetic write before [`finish_color_output`].
pub fn color_output_order(to: BufferType) -> ChannelOrder {
    match to {
        BufferType::Bgra => ChannelOrder::Bgra,
        BufferType::Rgb24 => ChannelOrder::Rgb,
        _ => ChannelOrder::Rgba,
    }
}

/// Reorder what was written in [`color_output_order`].
pub fn finish_color_output(out: &mut [u8], to: BufferType) {
    if matches!(to, BufferType::Abgr | BufferType::Argb) {
        permute(out, BufferType::Rgba, to);
    }
}

/// Copy the alpha channel of a packed picture into a plane; opaque when it has none.
pub fn copy_alpha(data: &[u8], from: BufferType, plane: &mut [u8]) {
    if from == BufferType::Rgb24 {
        plane.fill(255);
        return;
    }
    let position = channel_positions(from)[3];
    for (alpha, pixel) in plane.iter_mut().zip(data.chunks_exact(4)) {
        *alpha = pixel[position];
    }
}

/// Set the alpha channel of a packed picture from a plane.
pub fn set_alpha(out: &mut [u8], to: BufferType, plane: &[u8]) {
    if to == BufferType::Rgb24 {
        return;
    }
    let position = channel_positions(to)[3];
    for (pixel, alpha) in out.chunks_exact_mut(4).zip(plane) {
        pixel[position] = *alpha;
    }
}

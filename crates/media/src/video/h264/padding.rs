//! H.264 pictures in 4:2:0 have even sides, and openh264 wants at least 16 pixels each way.

use std::borrow::Cow;

use crate::video::{I420Frame, Result};

const SMALLEST_SIDE: u32 = 16;

/// The size a picture is coded in.
pub fn coded_size(width: u32, height: u32) -> (u32, u32) {
    let side = |length: u32| length.next_multiple_of(2).max(SMALLEST_SIDE);
    (side(width), side(height))
}

/// Repeat the last column and row until the picture has the coded size; no copy when it has.
pub fn pad(frame: &I420Frame, coded: (u32, u32)) -> Result<Cow<'_, I420Frame>> {
    if coded == (frame.width(), frame.height()) {
        return Ok(Cow::Borrowed(frame));
    }
    let (chroma_width, coded_chroma) = (frame.chroma_width(), (coded.0.div_ceil(2), coded.1.div_ceil(2)));
    let mut out = Vec::new();
    pad_plane(frame.y(), frame.width(), coded, &mut out);
    pad_plane(frame.u(), chroma_width, coded_chroma, &mut out);
    pad_plane(frame.v(), chroma_width, coded_chroma, &mut out);
    I420Frame::from_vec(out, coded.0, coded.1).map(Cow::Owned)
}

fn pad_plane(plane: &[u8], width: u32, coded: (u32, u32), out: &mut Vec<u8>) {
    let rows = plane.chunks_exact(width as usize);
    let Some(last) = rows.clone().last() else {
        return;
    };
    for row in rows.chain(std::iter::repeat(last)).take(coded.1 as usize) {
        out.extend_from_slice(row);
        let edge = row.last().copied().unwrap_or_default();
        out.resize(out.len() + coded.0 as usize - row.len(), edge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_become_even_and_large_enough() {
        assert_eq!(coded_size(2, 2), (16, 16));
        assert_eq!(coded_size(321, 240), (322, 240));
        assert_eq!(coded_size(4095, 17), (4096, 18));
    }

    #[test]
    fn edges_are_repeated() {
        let frame = I420Frame::from_vec((0..27).collect(), 5, 3).unwrap();
        let padded = pad(&frame, (6, 4)).unwrap().into_owned();
        assert_eq!(padded.y()[..6], [0, 1, 2, 3, 4, 4]);
        assert_eq!(padded.y()[18..], [10, 11, 12, 13, 14, 14]);
        assert_eq!(padded.u(), frame.u());
    }
}

//! Channel conversion.

/// Appends `pcm` to `out` with another channel count: stereo to mono is the mean, mono to stereo a copy.
///
/// A trailing partial frame is ignored.
pub fn remix(pcm: &[i16], channels: usize, out_channels: usize, out: &mut Vec<i16>) {
    match (channels, out_channels) {
        (2, 1) => out.extend(pcm.chunks_exact(2).map(|frame| mean(frame[0], frame[1]))),
        (1, 2) => out.extend(pcm.iter().flat_map(|&sample| [sample, sample])),
        _ => out.extend_from_slice(&pcm[..pcm.len() - pcm.len() % channels.max(1)]),
    }
}

fn mean(left: i16, right: i16) -> i16 {
    ((i32::from(left) + i32::from(right)) >> 1) as i16
}

#[cfg(test)]
mod tests {
    use super::remix;

    #[test]
    fn channels_are_copied_or_averaged() {
        let cases: [(&[i16], usize, usize, &[i16]); 4] = [
            (&[1, 3, -32768, -32768], 2, 1, &[2, -32768]),
            (&[5, 6], 1, 2, &[5, 5, 6, 6]),
            (&[5, 6], 1, 1, &[5, 6]),
            (&[5, 6, 7], 2, 2, &[5, 6]),
        ];
        for (pcm, channels, out_channels, expected) in cases {
            let mut out = Vec::new();
            remix(pcm, channels, out_channels, &mut out);
            assert_eq!(out, expected);
        }
    }
}

//! Audio level as the RTP header extension carries it (RFC 6464).

const SILENT_DBOV: u8 = 127;

/// Level of a block in -dBov: 0 is full scale, 127 is silence (RFC 6464 section 3). Any channel count.
pub fn level_dbov(pcm: &[i16]) -> u8 {
    let energy: f64 = pcm
        .iter()
        .map(|&sample| f64::from(sample) * f64::from(sample))
        .sum();
    if energy == 0.0 {
        return SILENT_DBOV;
    }
    let root_mean_square = (energy / pcm.len() as f64).sqrt();
    let level = -20.0 * (root_mean_square / 32_768.0).log10();
    level.round().clamp(0.0, f64::from(SILENT_DBOV)) as u8
}

#[cfg(test)]
mod tests {
    use super::level_dbov;

    #[test]
    fn level_follows_the_root_mean_square() {
        let cases: [(&[i16], u8); 5] = [
            (&[], 127),
            (&[0; 480], 127),
            (&[i16::MIN; 480], 0),
            (&[3_277; 480], 20),
            (&[1; 480], 90),
        ];
        for (pcm, expected) in cases {
            assert_eq!(level_dbov(pcm), expected, "first sample {:?}", pcm.first());
        }
    }
}

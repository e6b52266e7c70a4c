//! H264 and H265 byte streams (ITU-T H.264 annex B): finding NAL units, and keeping start codes out of ciphertext.

const START_CODE: [u8; 4] = [0, 0, 0, 1];
const EMULATION_PREVENTION: u8 = 3;

/// Where the next NAL unit's header byte is, at or after `from`: behind the next `00 00 01`.
pub(crate) fn next_unit(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(&third) = data.get(at + 2) {
        match third {
            0 => at += 1,
            1 if data[at] == 0 && data[at + 1] == 0 => return Some(at + 3).filter(|&unit| unit < data.len()),
            // No start code can begin at this byte or the two before.
            _ => at += 3,
        }
    }
    None
}

/// Writes `data`, cut anywhere behind a start code, as a receiver will see it: depacketisers write every start code
/// with four bytes and no zeros before it, and some packetisers leave out what `skipped` says, by header byte.
pub(crate) fn write_normalised(data: &[u8], skipped: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    let mut unit = next_unit(data, 0);
    while let Some(start) = unit {
        unit = next_unit(data, start);
        let end = match unit {
            Some(next) => data[..next - 3].len() - trailing_zeros(&data[start..next - 3]),
            None => data.len(),
        };
        if !skipped(data[start]) {
            out.extend_from_slice(&START_CODE);
            out.extend_from_slice(&data[start..end]);
        }
    }
}

fn trailing_zeros(data: &[u8]) -> usize {
    data.iter().rev().take_while(|byte| **byte == 0).count()
}

/// Appends `data` with an `03` before each byte up to 3 that follows two zeros (H.264 section 7.4.1).
pub(crate) fn escape(data: &[u8], out: &mut Vec<u8>) {
    let (mut from, mut at) = (0, 0);
    // `at` is where two zeros may begin; ciphertext has few, so most steps are over two bytes.
    while at + 2 < data.len() {
        if data[at + 1] != 0 {
            at += 2;
        } else if data[at] != 0 {
            at += 1;
        } else if data[at + 2] > EMULATION_PREVENTION {
            at += 3;
        } else {
            out.extend_from_slice(&data[from..at + 2]);
            out.push(EMULATION_PREVENTION);
            at += 2;
            from = at;
        }
    }
    out.extend_from_slice(&data[from..]);
}

/// Appends `data` without the `03`s that [`escape`] put in.
pub(crate) fn unescape(data: &[u8], out: &mut Vec<u8>) {
    let (mut from, mut at) = (0, 0);
    while at + 2 < data.len() {
        if data[at + 2] > EMULATION_PREVENTION {
            at += 3;
        } else if data[at] == 0 && data[at + 1] == 0 && data[at + 2] == EMULATION_PREVENTION {
            out.extend_from_slice(&data[from..at + 2]);
            at += 3;
            from = at;
        } else {
            at += 1;
        }
    }
    out.extend_from_slice(&data[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    fn escaped(data: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        escape(data, &mut out);
        out
    }

    fn unescaped(data: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        unescape(data, &mut out);
        out
    }

    #[test]
    fn bytes_that_look_like_start_codes_are_escaped() {
        let cases: [(&[u8], &[u8]); 9] = [
            (&[], &[]),
            (&[0, 0], &[0, 0]),
            (&[0, 0, 4], &[0, 0, 4]),
            (&[0, 0, 1], &[0, 0, 3, 1]),
            (&[9, 0, 0, 3, 9], &[9, 0, 0, 3, 3, 9]),
            (&[0, 0, 0, 0], &[0, 0, 3, 0, 0]),
            (&[0, 0, 0, 0, 0], &[0, 0, 3, 0, 0, 3, 0]),
            (&[0, 1, 0, 0, 2, 0, 0, 0], &[0, 1, 0, 0, 3, 2, 0, 0, 3, 0]),
            (&[0, 0, 4, 0, 0, 0], &[0, 0, 4, 0, 0, 3, 0]),
        ];
        for (plain, expected) in cases {
            assert_eq!(escaped(plain), expected, "{plain:?}");
            assert_eq!(unescaped(expected), plain);
        }
    }

    #[test]
    fn escaping_hides_every_start_code_and_can_be_undone() {
        let seed = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..2_000 {
            let length = random.random_range(0..60);
            let data: Vec<u8> = (0..length).map(|_| random.random_range(0..5)).collect();
            let hidden = escaped(&data);
            assert_eq!(hidden, escaped_byte_by_byte(&data));
            assert_eq!(unescaped(&hidden), data);
            assert!(
                hidden
                    .windows(3)
                    .all(|three| !(three[0] == 0 && three[1] == 0 && three[2] < 3))
            );
        }
    }

    /// The definition, one byte at a time.
    fn escaped_byte_by_byte(data: &[u8]) -> Vec<u8> {
        let (mut out, mut zeros) = (vec![], 0);
        for &byte in data {
            if byte <= 3 && zeros >= 2 {
                out.push(3);
                zeros = 0;
            }
            out.push(byte);
            zeros = if byte == 0 { zeros + 1 } else { 0 };
        }
        out
    }

    #[test]
    fn units_are_found_behind_start_codes_of_three_and_four_bytes() {
        let data = [0, 0, 1, 0x67, 5, 0, 0, 0, 1, 0x68, 0, 0, 1];
        assert_eq!(next_unit(&data, 0), Some(3));
        assert_eq!(next_unit(&data, 3), Some(9));
        assert_eq!(next_unit(&data, 9), None, "nothing is behind the last one");
        assert_eq!(next_unit(&[], 0), None);
    }

    #[test]
    fn headers_are_written_as_receivers_rebuild_them() {
        let header = [
            0, 0, 1, 0x09, 0xF0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 0, 0, 1, 0x65, 0x88,
        ];
        let mut out = vec![];
        write_normalised(&header, |unit| unit & 0x1F == 9, &mut out);
        assert_eq!(
            out,
            [
                0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 0x88
            ]
        );
    }
}

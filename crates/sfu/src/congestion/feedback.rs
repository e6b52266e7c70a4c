//! Reads transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1).

use crate::rtp_header::read_u16;

const TICK_US: i64 = 250;
const REFERENCE_US: i64 = 64_000;
/// The reference time has 24 bits.
const REFERENCE_MODULUS: i64 = 1 << 24;

/// Reads messages of one peer, whose clock is followed over its wraps.
#[derive(Debug, Default)]
pub struct FeedbackReader {
    /// Of the last message, extended.
    reference: Option<i64>,
}

impl FeedbackReader {
    /// Calls `each` with every number that the message (what follows the two SSRCs) tells of and its arrival on the
    /// peer's clock in microseconds, None for a packet that is missing. False when it was malformed; what came before
    /// counts.
    pub fn read(&mut self, body: &[u8], mut each: impl FnMut(u16, Option<i64>)) -> bool {
        self.parse(body, &mut each).is_some()
    }

    fn parse(&mut self, body: &[u8], each: &mut impl FnMut(u16, Option<i64>)) -> Option<()> {
        let (base, count) = (read_u16(body, 0)?, usize::from(read_u16(body, 2)?));
        let reference = body.get(4..7)?;
        let reference = reference
            .iter()
            .fold(0i64, |sum, byte| sum << 8 | i64::from(*byte));
        let mut clock_us = self.extend(reference) * REFERENCE_US;
        let chunks_end = chunks_length(body, count)?;
        let mut deltas = body.get(chunks_end..)?;
        let mut number = base;
        let mut at = 8;
        let mut left = count;
        while left > 0 {
            let chunk = read_u16(body, at)?;
            at += 2;
            let taken = left.min(symbols_in(chunk));
            for index in 0..taken {
                let arrival = match symbol_of(chunk, index) {
                    0 => None,
                    1 => {
                        let (delta, rest) = deltas.split_first()?;
                        deltas = rest;
                        clock_us += i64::from(*delta) * TICK_US;
                        Some(clock_us)
                    }
                    _ => {
                        let delta = read_u16(deltas, 0)? as i16;
                        deltas = &deltas[2..];
                        clock_us += i64::from(delta) * TICK_US;
                        Some(clock_us)
                    }
                };
                each(number, arrival);
                number = number.wrapping_add(1);
            }
            left -= taken;
        }
        Some(())
    }

    fn extend(&mut self, reference: i64) -> i64 {
        let Some(last) = self.reference else {
            self.reference = Some(reference);
            return reference;
        };
        let mut step = (reference - last).rem_euclid(REFERENCE_MODULUS);
        if step >= REFERENCE_MODULUS / 2 {
            step -= REFERENCE_MODULUS;
        }
        self.reference = Some(last + step);
        last + step
    }
}

/// How many packets a chunk tells of (the last one may tell of more than there are).
fn symbols_in(chunk: u16) -> usize {
    match (chunk & 0x8000, chunk & 0x4000) {
        (0, _) => usize::from(chunk & 0x1FFF),
        (_, 0) => 14,
        _ => 7,
    }
}

/// 0 missing, 1 small delta, 2 large delta; 3 is reserved and taken for missing.
fn symbol_of(chunk: u16, index: usize) -> u16 {
    let symbol = match (chunk & 0x8000, chunk & 0x4000) {
        (0, _) => chunk >> 13 & 3,
        (_, 0) => chunk >> (13 - index) & 1,
        _ => chunk >> (12 - 2 * index) & 3,
    };
    if symbol == 3 { 0 } else { symbol }
}

/// Where the chunks of a message end and the deltas begin.
fn chunks_length(body: &[u8], count: usize) -> Option<usize> {
    let (mut at, mut left) = (8, count);
    while left > 0 {
        let symbols = symbols_in(read_u16(body, at)?);
        if symbols == 0 {
            return None;
        }
        left = left.saturating_sub(symbols);
        at += 2;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twcc::FeedbackGenerator;
    use std::time::{Duration, Instant};

    /// What comes out of messages about packets that arrived at these times; the others are missing.
    fn round_trip(arrivals: &[(u16, u64)]) -> Vec<(u16, Option<i64>)> {
        let epoch = Instant::now();
        let mut generator = FeedbackGenerator::new(epoch);
        for (number, micros) in arrivals {
            generator.record(epoch + Duration::from_micros(*micros), *number, false);
        }
        let (mut reader, mut found) = (FeedbackReader::default(), Vec::new());
        generator.collect(epoch + Duration::from_secs(100), |body| {
            assert!(reader.read(body, |number, arrival| found.push((number, arrival))));
        });
        found
    }

    #[test]
    fn what_is_generated_is_read() {
        let cases: &[&[(u16, u64)]] = &[
            &[(5, 0)],
            &[
                (65_534, 1_000),
                (65_535, 2_250),
                (0, 2_500),
                (2, 90_000),
                (9, 91_000),
            ],
            &[(1, 500_000), (3, 400_000), (4, 1_600_000)],
        ];
        for arrivals in cases {
            let found = round_trip(arrivals);
            let arrived: Vec<(u16, u64)> = found
                .iter()
                .filter_map(|(number, at)| Some((*number, (*at)? as u64)))
                .collect();
            assert_eq!(arrived, *arrivals);
            let span = arrivals[arrivals.len() - 1].0.wrapping_sub(arrivals[0].0) as usize + 1;
            assert_eq!(found.len(), span, "missing ones are told of");
        }
        let many: Vec<(u16, u64)> = (0..300)
            .filter(|n| n % 7 != 3)
            .map(|n| (n, u64::from(n) * 4_000))
            .collect();
        assert_eq!(
            round_trip(&many).iter().filter(|found| found.1.is_none()).count(),
            43
        );
    }

    #[test]
    fn the_reference_time_wraps() {
        let message = |reference: u32| {
            let mut body = vec![0, 1, 0, 1];
            body.extend_from_slice(&(reference << 8).to_be_bytes());
            body.extend_from_slice(&[0x20, 0x01, 4]);
            body
        };
        let (mut reader, mut found) = (FeedbackReader::default(), Vec::new());
        for reference in [0xFF_FFFF, 0, 0xFF_FFFE] {
            assert!(reader.read(&message(reference), |_, arrival| found.extend(arrival)));
        }
        assert_eq!([found[1] - found[0], found[2] - found[1]], [64_000, -128_000]);
    }

    #[test]
    fn malformed_messages_are_refused() {
        let cases: &[&[u8]] = &[
            &[],
            &[0, 1, 0, 1, 0, 0, 0],
            &[0, 1, 0, 1, 0, 0, 0, 0],
            &[0, 1, 0, 1, 0, 0, 0, 0, 0x20, 0x01],
            &[0, 1, 0xFF, 0xFF, 0, 0, 0, 0, 0x20, 0x00, 0x20, 0x00],
            &[0, 1, 0, 1, 0, 0, 0, 0, 0x40, 0x01, 1],
        ];
        for body in cases {
            assert!(!FeedbackReader::default().read(body, |_, _| {}), "{body:?}");
        }
    }
}

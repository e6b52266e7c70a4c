//! 16-bit sequence numbers made 64-bit (RFC 3550 appendix A.1).

/// A jump forward beyond this is taken as a restart of the source once the next packet confirms it.
const MAX_DROPOUT: i64 = 3_000;
/// A step back beyond this is likewise.
const MAX_MISORDER: i64 = 1_000;

/// What a sequence number turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extended {
    /// The first ever, or the first after a restart of the source (state kept about the old one is void).
    First(u64),
    /// Ahead of all before it.
    Newer(u64),
    /// Behind the highest: late, resent or a duplicate.
    Older(u64),
    /// An implausible jump: dropped unless the next packet follows it.
    Suspicious,
}

/// Extends the sequence numbers of one source.
#[derive(Debug, Default, Clone)]
pub struct ExtendedSequence {
    highest: Option<u64>,
    /// The number that would confirm a restart.
    expected_after_jump: Option<u16>,
}

impl ExtendedSequence {
    /// Takes the number of the next packet. The first gets 65,536 added, so that late packets before it have
    /// a place.
    pub fn extend(&mut self, number: u16) -> Extended {
        let Some(highest) = self.highest else {
            return self.restart(number);
        };
        let step = i64::from(number.wrapping_sub(highest as u16) as i16);
        if (-MAX_MISORDER..=MAX_DROPOUT).contains(&step) {
            self.expected_after_jump = None;
            let extended = highest.saturating_add_signed(step);
            if step <= 0 {
                return Extended::Older(extended);
            }
            self.highest = Some(extended);
            return Extended::Newer(extended);
        }
        if self.expected_after_jump == Some(number) {
            return self.restart(number);
        }
        self.expected_after_jump = Some(number.wrapping_add(1));
        Extended::Suspicious
    }

    /// The highest so far.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }

    fn restart(&mut self, number: u16) -> Extended {
        self.expected_after_jump = None;
        let extended = 65_536 + u64::from(number);
        self.highest = Some(extended);
        Extended::First(extended)
    }
}

#[cfg(test)]
mod tests {
    use super::Extended::{First, Newer, Older, Suspicious};
    use super::*;

    #[test]
    fn numbers_are_extended() {
        let base = 65_536;
        let cases: &[&[(u16, Extended)]] = &[
            &[
                (10, First(base + 10)),
                (11, Newer(base + 11)),
                (13, Newer(base + 13)),
                (12, Older(base + 12)),
            ],
            &[
                (65_535, First(base + 65_535)),
                (0, Newer(2 * base)),
                (65_534, Older(base + 65_534)),
            ],
            &[(0, First(base)), (65_535, Older(base - 1)), (0, Older(base))],
            &[
                (5, First(base + 5)),
                (20_000, Suspicious),
                (6, Newer(base + 6)),
                (20_001, Suspicious),
            ],
            &[
                (5, First(base + 5)),
                (20_000, Suspicious),
                (20_001, First(base + 20_001)),
            ],
        ];
        for steps in cases {
            let mut sequence = ExtendedSequence::default();
            for (number, expected) in *steps {
                assert_eq!(sequence.extend(*number), *expected, "{number} in {steps:?}");
            }
        }
    }
}

//! The replay window of one source (RFC 3711 section 3.3.2).

const WORDS: usize = 16;

/// How far behind the newest packet one may arrive: retransmissions without a stream of their own do.
pub(crate) const WINDOW_PACKETS: u64 = WORDS as u64 * 64;

/// Which of the last [`WINDOW_PACKETS`] packet indices have been seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReplayWindow {
    highest: Option<u64>,
    /// Bit `index % WINDOW_PACKETS` is set when the packet was seen.
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// The highest index seen, the reference of the rollover estimate.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Whether a packet with this index may be accepted.
    pub(crate) fn admits(&self, index: u64) -> bool {
        match self.highest {
            Some(highest) if index <= highest => highest - index < WINDOW_PACKETS && !self.is_set(index),
            _ => true,
        }
    }

    /// Records an authenticated packet that [`ReplayWindow::admits`].
    pub(crate) fn record(&mut self, index: u64) {
        match self.highest {
            None => self.highest = Some(index),
            Some(highest) if index > highest => {
                self.forget(highest + 1, index);
                self.highest = Some(index);
            }
            Some(_) => {}
        }
        self.seen[Self::word(index)] |= 1 << (index % 64);
    }

    fn forget(&mut self, from: u64, to: u64) {
        if to - from >= WINDOW_PACKETS {
            self.seen = [0; WORDS];
            return;
        }
        for index in from..=to {
            self.seen[Self::word(index)] &= !(1 << (index % 64));
        }
    }

    fn is_set(&self, index: u64) -> bool {
        self.seen[Self::word(index)] & (1 << (index % 64)) != 0
    }

    fn word(index: u64) -> usize {
        (index / 64) as usize % WORDS
    }
}

/// The 48-bit packet index that a 16-bit sequence number most likely means (RFC 3711 appendix A).
pub(crate) fn estimate_index(highest: Option<u64>, sequence_number: u16) -> u64 {
    const CYCLE: u64 = 1 << 16;
    let Some(highest) = highest else {
        return u64::from(sequence_number);
    };
    let same_cycle = (highest & !(CYCLE - 1)) | u64::from(sequence_number);
    if same_cycle + CYCLE / 2 < highest {
        same_cycle + CYCLE
    } else if same_cycle > highest + CYCLE / 2 && same_cycle >= CYCLE {
        same_cycle - CYCLE
    } else {
        same_cycle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_and_old_packets_are_refused() {
        let mut window = ReplayWindow::default();
        for index in [5, 7, 6, 2000] {
            assert!(window.admits(index));
            window.record(index);
            assert!(!window.admits(index), "{index} twice");
        }
        assert!(!window.admits(2000 - WINDOW_PACKETS));
        assert!(window.admits(2000 - WINDOW_PACKETS + 1));
        assert!(window.admits(2001));
    }

    #[test]
    fn every_index_of_a_long_run_is_admitted_once() {
        let mut window = ReplayWindow::default();
        for index in 0..10_000 {
            assert!(window.admits(index));
            window.record(index);
            assert!(!window.admits(index));
        }
    }

    #[test]
    fn sequence_numbers_are_extended_over_rollovers() {
        let cases = [
            (None, 65_000, 65_000),
            (Some(65_535), 0, 65_536),
            (Some(65_536), 65_535, 65_535),
            (Some(10), 65_535, 65_535),
            (Some(3 * 65_536 + 5), 65_000, 2 * 65_536 + 65_000),
            (Some(3 * 65_536 + 65_000), 5, 4 * 65_536 + 5),
            (Some(70_000), 4_500, 70_036),
        ];
        for (highest, sequence_number, expected) in cases {
            assert_eq!(
                estimate_index(highest, sequence_number),
                expected,
                "{highest:?} {sequence_number}"
            );
        }
    }
}

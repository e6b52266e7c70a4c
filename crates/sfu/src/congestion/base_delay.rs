//! How long a packet takes when there is no queue: the least that was seen lately.

const SLOTS: usize = 10;
const SLOT_US: i64 = 1_000_000;

/// The least one-way delay of the last ten seconds. Clocks of both ends are not aligned, so it has an unknown offset,
/// which may drift: what is older counts no more.
#[derive(Debug, Default)]
pub struct BaseDelay {
    slots: [Option<i64>; SLOTS],
    /// The number of the newest slot, counted in seconds of sending.
    newest: i64,
}

impl BaseDelay {
    /// A packet that was sent then took so long. Gives how much longer that is than the base, in microseconds.
    pub fn queueing_us(&mut self, sent_at_us: i64, delay_us: i64) -> i64 {
        let slot = sent_at_us.div_euclid(SLOT_US);
        if slot > self.newest {
            let passed = (slot - self.newest).min(SLOTS as i64);
            for number in slot - passed + 1..=slot {
                self.slots[number.rem_euclid(SLOTS as i64) as usize] = None;
            }
            self.newest = slot;
        }
        // A packet from before is measured by the newest slot too: the difference does not matter.
        let least = &mut self.slots[self.newest.rem_euclid(SLOTS as i64) as usize];
        *least = Some(least.map_or(delay_us, |before| before.min(delay_us)));
        let base = self.slots.iter().flatten().min().copied().unwrap_or(delay_us);
        delay_us - base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_ten_seconds_counts() {
        let mut base = BaseDelay::default();
        // (sent at, delay, queueing)
        let cases = [
            (0, -5_000, 0),
            (100, -2_000, 3_000),
            (1_000, -6_000, 0),
            (9_000, -1_000, 5_000),
            (10_500, -1_000, 5_000),
            (11_500, -1_000, 0),
            (60_000, 40_000, 0),
            (59_000, 41_000, 1_000),
        ];
        for (at_ms, delay, expected) in cases {
            assert_eq!(base.queueing_us(at_ms * 1_000, delay), expected, "{at_ms} ms");
        }
    }
}

//! Which packets to ask the publisher for again, and when (generic NACK, RFC 4585 section 6.2.1).
//!
//! In: gaps in the extended sequence numbers, packets that came after all, the round trip, and time. Out: the numbers
//! to put into one NACK, and the next deadline. Each missing packet waits a little for reordering, is asked for once a
//! round trip with the pause growing each time, and is given up after a few tries.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const MAX_OUTSTANDING: usize = 100;
const MAX_TRIES: u8 = 5;
/// How long a packet may be out of order before it counts as lost.
const FIRST_INTERVAL: Duration = Duration::from_millis(20);
const MAX_INTERVAL: Duration = Duration::from_millis(400);
const BACKOFF: f64 = 1.25;
const DEFAULT_ROUND_TRIP: Duration = Duration::from_millis(70);

#[derive(Debug)]
struct Missing {
    sequence: u64,
    tries: u8,
    next_at: Instant,
}

/// The missing packets of one layer.
#[derive(Debug, Default)]
pub struct NackGenerator {
    missing: VecDeque<Missing>,
    round_trip: Option<Duration>,
}

impl NackGenerator {
    /// The packets `from..to` did not come although `to` did. Of too many the oldest are given up.
    pub fn add_gap(&mut self, from: u64, to: u64, now: Instant) {
        for sequence in from.max(to.saturating_sub(MAX_OUTSTANDING as u64))..to {
            if self.missing.len() == MAX_OUTSTANDING {
                self.missing.pop_front();
            }
            self.missing.push_back(Missing {
                sequence,
                tries: 0,
                next_at: now + FIRST_INTERVAL,
            });
        }
    }

    /// The packet came after all. True when it was missing.
    pub fn received(&mut self, sequence: u64) -> bool {
        let Ok(index) = self
            .missing
            .binary_search_by_key(&sequence, |missing| missing.sequence)
        else {
            return false;
        };
        self.missing.remove(index);
        true
    }

    /// The sequence numbers to ask for now, ascending.
    pub fn collect(&mut self, now: Instant, out: &mut Vec<u16>) {
        let base = self.round_trip.unwrap_or(DEFAULT_ROUND_TRIP).max(FIRST_INTERVAL);
        self.missing
            .retain(|missing| missing.tries < MAX_TRIES || missing.next_at > now);
        for missing in self.missing.iter_mut().filter(|missing| missing.next_at <= now) {
            out.push(missing.sequence as u16);
            let interval = base
                .mul_f64(BACKOFF.powi(i32::from(missing.tries)))
                .min(MAX_INTERVAL);
            missing.tries += 1;
            missing.next_at = now + interval;
        }
    }

    /// When `collect` is wanted.
    pub fn deadline(&self) -> Option<Instant> {
        self.missing.iter().map(|missing| missing.next_at).min()
    }

    /// The measured round trip to the publisher.
    pub fn set_round_trip(&mut self, round_trip: Option<Duration>) {
        self.round_trip = round_trip;
    }

    /// Forget everything (the source restarted).
    pub fn clear(&mut self) {
        self.missing.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(generator: &mut NackGenerator, now: Instant) -> Vec<u16> {
        let mut out = Vec::new();
        generator.collect(now, &mut out);
        out
    }

    #[test]
    fn each_packet_is_asked_for_five_times_with_growing_pauses() {
        let start = Instant::now();
        let mut generator = NackGenerator::default();
        generator.set_round_trip(Some(Duration::from_millis(40)));
        generator.add_gap(65_535, 65_537, start);
        assert!(ask(&mut generator, start).is_empty(), "may be reordered");
        let mut at = Vec::new();
        while let Some(deadline) = generator.deadline() {
            let asked = ask(&mut generator, deadline);
            if !asked.is_empty() {
                assert_eq!(asked, [65_535, 0]);
                at.push((deadline - start).as_millis());
            }
        }
        assert_eq!(at, [20, 60, 110, 172, 250]);
    }

    #[test]
    fn what_arrives_is_not_asked_for() {
        let start = Instant::now();
        let mut generator = NackGenerator::default();
        generator.add_gap(5, 8, start);
        assert!(generator.received(6));
        assert!(!generator.received(6));
        assert!(!generator.received(9));
        assert_eq!(ask(&mut generator, start + FIRST_INTERVAL), [5, 7]);
    }

    #[test]
    fn the_oldest_are_given_up() {
        let start = Instant::now();
        let mut generator = NackGenerator::default();
        generator.add_gap(0, 60, start);
        generator.add_gap(61, 5_000, start);
        let asked = ask(&mut generator, start + FIRST_INTERVAL);
        assert_eq!(
            (asked.len(), asked[0], asked[99]),
            (MAX_OUTSTANDING, 4_900, 4_999)
        );
    }
}

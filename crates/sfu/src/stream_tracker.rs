//! Whether a layer flows: publishers stop layers without saying so.

use std::time::{Duration, Instant};

const CYCLE: Duration = Duration::from_secs(1);

/// Watches one layer. The first packet makes it present; a cycle with too few packets makes it absent; it then
/// takes some good cycles to be present again.
#[derive(Debug)]
pub struct StreamTracker {
    packets_required: u32,
    cycles_to_return: u32,
    cycle_ends_at: Option<Instant>,
    packets: u32,
    good_cycles: u32,
    present: bool,
}

impl StreamTracker {
    /// Higher layers need more packets and more patience: their return makes everybody switch.
    pub fn new(spatial_layer: usize) -> StreamTracker {
        let (packets_required, cycles_to_return) = if spatial_layer == 0 { (1, 2) } else { (2, 4) };
        StreamTracker {
            packets_required,
            cycles_to_return,
            cycle_ends_at: None,
            packets: 0,
            good_cycles: 0,
            present: false,
        }
    }

    /// A packet of the layer came. True when presence changed.
    pub fn packet(&mut self, now: Instant) -> bool {
        self.packets += 1;
        if self.cycle_ends_at.is_some() {
            return false;
        }
        self.cycle_ends_at = Some(now + CYCLE);
        self.present = true;
        true
    }

    /// Time passes. True when presence changed.
    pub fn tick(&mut self, now: Instant) -> bool {
        let Some(ends_at) = self.cycle_ends_at.filter(|ends_at| *ends_at <= now) else {
            return false;
        };
        self.cycle_ends_at = Some(if ends_at + CYCLE > now {
            ends_at + CYCLE
        } else {
            now + CYCLE
        });
        let good = self.packets >= self.packets_required;
        self.packets = 0;
        self.good_cycles = if good {
            self.good_cycles.saturating_add(1)
        } else {
            0
        };
        let before = self.present;
        self.present = if self.present {
            good
        } else {
            self.good_cycles >= self.cycles_to_return
        };
        self.present != before
    }

    /// The layer was asked for: if it is absent, its next packet makes it present.
    pub fn expect(&mut self) {
        if !self.present {
            self.cycle_ends_at = None;
            self.packets = 0;
            self.good_cycles = 0;
        }
    }

    /// Whether the layer flows.
    pub fn is_present(&self) -> bool {
        self.present
    }

    /// When `tick` is wanted; None before the first packet.
    pub fn deadline(&self) -> Option<Instant> {
        self.cycle_ends_at
    }

    /// The publisher is muted: its silence says nothing, so a new cycle begins without judgement.
    pub fn hold(&mut self, now: Instant) {
        if self.cycle_ends_at.is_some_and(|ends_at| ends_at <= now) {
            self.cycle_ends_at = Some(now + CYCLE);
            self.packets = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_follows_packets() {
        // Packets per cycle, and presence at its end.
        let cases: &[(usize, &[(u32, bool)])] = &[
            (0, &[(1, true), (1, true), (0, false), (1, false), (1, true)]),
            (
                2,
                &[
                    (5, true),
                    (1, false),
                    (2, false),
                    (2, false),
                    (2, false),
                    (2, true),
                ],
            ),
            (1, &[(5, true), (0, false), (9, false), (0, false), (9, false)]),
        ];
        for (layer, cycles) in cases {
            let start = Instant::now();
            let mut tracker = StreamTracker::new(*layer);
            assert!(!tracker.is_present());
            for (index, (packets, expected)) in cycles.iter().enumerate() {
                let at = start + CYCLE * index as u32;
                for _ in 0..*packets {
                    tracker.packet(at);
                }
                tracker.tick(at + CYCLE);
                assert_eq!(tracker.is_present(), *expected, "layer {layer}, cycle {index}");
            }
        }
    }

    #[test]
    fn an_expected_layer_is_back_with_its_first_packet() {
        let start = Instant::now();
        let mut tracker = StreamTracker::new(2);
        tracker.packet(start);
        tracker.expect();
        assert!(tracker.is_present());
        tracker.tick(start + CYCLE);
        assert!(!tracker.is_present());
        tracker.expect();
        assert_eq!((tracker.is_present(), tracker.deadline()), (false, None));
        assert!(tracker.packet(start + CYCLE * 9));
        assert!(tracker.is_present());
    }

    #[test]
    fn a_held_layer_stays_as_it_was() {
        let start = Instant::now();
        let mut tracker = StreamTracker::new(0);
        tracker.packet(start);
        for cycle in 1..10 {
            tracker.hold(start + CYCLE * cycle);
            assert_eq!(tracker.deadline(), Some(start + CYCLE * (cycle + 1)));
            assert!(tracker.is_present());
        }
        assert!(tracker.tick(start + CYCLE * 10));
        assert!(!tracker.is_present());
    }
}

//! Who speaks: smoothed loudness from RFC 6464 levels.

use std::time::{Duration, Instant};

/// -dBov; a packet as loud as this or louder is active.
const ACTIVE_LEVEL: u8 = 35;
const MIN_ACTIVE_SHARE: f64 = 0.4;
const WINDOW_MS: f64 = 400.0;
const SMOOTHING: f64 = 2.0 / 3.0;
/// Without packets for this long the level is 0.
const STALE_AFTER: Duration = Duration::from_millis(800);

/// The level of one audio track.
#[derive(Debug, Default)]
pub struct AudioLevel {
    highest_timestamp: Option<u32>,
    observed_ms: f64,
    active_ms: f64,
    loudest: u8,
    smoothed: f64,
    last_packet_at: Option<Instant>,
}

impl AudioLevel {
    /// A packet with this level (0 loud ..= 127 silent).
    pub fn observe(&mut self, now: Instant, level: u8, timestamp: u32, clock_rate_hz: u32) {
        self.last_packet_at = Some(now);
        let Some(highest) = self.highest_timestamp else {
            self.highest_timestamp = Some(timestamp);
            self.loudest = 127;
            return;
        };
        let step = timestamp.wrapping_sub(highest) as i32;
        if step <= 0 {
            return;
        }
        self.highest_timestamp = Some(timestamp);
        let duration_ms = f64::from(step) * 1_000.0 / f64::from(clock_rate_hz.max(1));
        self.observed_ms += duration_ms;
        if level <= ACTIVE_LEVEL {
            self.active_ms += duration_ms;
            self.loudest = self.loudest.min(level);
        }
        if self.observed_ms >= WINDOW_MS {
            self.finish_window();
        }
    }

    fn finish_window(&mut self) {
        if self.active_ms >= MIN_ACTIVE_SHARE * WINDOW_MS {
            let adjusted = f64::from(self.loudest) - 20.0 * (self.active_ms / WINDOW_MS).log10();
            let linear = 10f64.powf(-adjusted / 20.0);
            self.smoothed += (linear - self.smoothed) * SMOOTHING;
        } else {
            self.smoothed = 0.0;
        }
        self.observed_ms = 0.0;
        self.active_ms = 0.0;
        self.loudest = 127;
    }

    /// (0..=1 linear, whether that is speech).
    pub fn level(&self, now: Instant) -> (f64, bool) {
        let fresh = self
            .last_packet_at
            .is_some_and(|at| now.saturating_duration_since(at) <= STALE_AFTER);
        let level = if fresh { self.smoothed.min(1.0) } else { 0.0 };
        (level, level >= 10f64.powf(-f64::from(ACTIVE_LEVEL) / 20.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(levels: impl Iterator<Item = u8>) -> (f64, bool) {
        let start = Instant::now();
        let mut meter = AudioLevel::default();
        let mut now = start;
        for (index, level) in levels.enumerate() {
            now = start + Duration::from_millis(20 * index as u64);
            meter.observe(now, level, u32::MAX - 900 + 960 * index as u32, 48_000);
        }
        assert_eq!(
            meter.level(now + STALE_AFTER + Duration::from_millis(1)),
            (0.0, false),
            "stale"
        );
        meter.level(now)
    }

    #[test]
    fn loud_for_long_enough_is_speech() {
        let cases: &[(u8, u8, usize, bool)] = &[
            (10, 10, 45, true),
            (127, 127, 45, false),
            (36, 36, 45, false),
            (20, 127, 45, true),
            (10, 10, 15, false),
        ];
        for (even, odd, packets, expected) in cases {
            let levels = (0..*packets).map(|index| if index % 2 == 0 { *even } else { *odd });
            assert_eq!(after(levels).1, *expected, "{even} {odd} {packets}");
        }
    }

    #[test]
    fn the_level_is_linear_and_smoothed() {
        let (level, _) = after((0..21).map(|_| 20));
        assert!((level - 0.1 * SMOOTHING).abs() < 0.01, "{level}");
        let (level, _) = after((0..200).map(|_| 20));
        assert!((level - 0.1).abs() < 0.01, "{level}");
    }
}

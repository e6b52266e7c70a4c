//! The round trip and the timeout that follows from it (RFC 9260 section 6.3).

use std::time::{Duration, Instant};

/// For how long the shortest round trip is believed.
const MINIMUM_LIFETIME: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(crate) struct RoundTrip {
    smoothed: Option<Duration>,
    variation: Duration,
    timeout: Duration,
    bounds: (Duration, Duration),
    /// The shortest of this period and of the last.
    shortest: [Option<Duration>; 2],
    period_end: Option<Instant>,
}

impl RoundTrip {
    pub(crate) fn new(initial: Duration, minimum: Duration, maximum: Duration) -> RoundTrip {
        RoundTrip {
            smoothed: None,
            variation: Duration::ZERO,
            timeout: initial,
            bounds: (minimum, maximum.max(minimum)),
            shortest: [None; 2],
            period_end: None,
        }
    }

    pub(crate) fn measured(&mut self, sample: Duration, now: Instant) {
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.variation = sample / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
        let timeout = self.smoothed.unwrap_or(sample) + self.variation * 4;
        self.timeout = timeout.clamp(self.bounds.0, self.bounds.1);
        if self.period_end.is_none_or(|end| end <= now) {
            self.period_end = Some(now + MINIMUM_LIFETIME);
            self.shortest = [None, self.shortest[0]];
        }
        self.shortest[0] = Some(self.shortest[0].map_or(sample, |shortest| shortest.min(sample)));
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn back_off(&mut self) {
        self.timeout = (self.timeout * 2).min(self.bounds.1);
    }

    /// The shortest of late.
    pub(crate) fn shortest(&self) -> Option<Duration> {
        self.shortest.iter().flatten().min().copied()
    }

    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_timeout_follows_the_path_within_its_bounds() {
        let mut round_trip = RoundTrip::new(500 * MS, 300 * MS, 2000 * MS);
        let now = Instant::now();
        assert_eq!(round_trip.timeout(), 500 * MS);
        round_trip.measured(10 * MS, now);
        assert_eq!(round_trip.timeout(), 300 * MS);
        round_trip.back_off();
        assert_eq!(round_trip.timeout(), 600 * MS);
        for _ in 0..5 {
            round_trip.back_off();
        }
        assert_eq!(round_trip.timeout(), 2000 * MS);
        for _ in 0..50 {
            round_trip.measured(400 * MS, now);
        }
        assert!(round_trip.timeout() < 500 * MS);
    }

    #[test]
    fn the_shortest_is_forgotten_after_a_while() {
        let mut round_trip = RoundTrip::new(500 * MS, 300 * MS, 2000 * MS);
        let start = Instant::now();
        round_trip.measured(5 * MS, start);
        round_trip.measured(50 * MS, start + MINIMUM_LIFETIME);
        assert_eq!(round_trip.shortest(), Some(5 * MS));
        round_trip.measured(60 * MS, start + 2 * MINIMUM_LIFETIME);
        assert_eq!(round_trip.shortest(), Some(50 * MS));
    }
}

//! RTP time of pictures: 90 kHz, following the caller's capture times where they make sense.

use std::time::{Duration, Instant};

/// A caller's clock that strays further than this from ours between two frames is not believed for that step.
const BELIEVABLE_STRAY: Duration = Duration::from_secs(1);

/// Maps capture times to growing RTP times.
#[derive(Debug)]
pub(crate) struct RtpClock {
    base: u64,
    elapsed_us: u64,
    last: Option<(i64, Instant)>,
}

impl RtpClock {
    /// `base`: the random RTP time of the first frame.
    pub fn new(base: u32) -> Self {
        Self {
            base: u64::from(base),
            elapsed_us: 0,
            last: None,
        }
    }

    /// RTP time of a frame captured at `timestamp_us` by the caller's clock, handed in at `now`.
    /// Always grows; not wrapped to 32 bits.
    pub fn stamp(&mut self, timestamp_us: i64, now: Instant) -> u64 {
        if let Some((last_timestamp_us, last_now)) = self.last {
            let own = now.saturating_duration_since(last_now);
            let said = timestamp_us
                .checked_sub(last_timestamp_us)
                .and_then(|delta| u64::try_from(delta).ok());
            let step = said
                .map(Duration::from_micros)
                .filter(|said| !said.is_zero() && said.abs_diff(own) < BELIEVABLE_STRAY);
            // 12 us is the smallest step that moves a 90 kHz clock.
            self.elapsed_us += (step.unwrap_or(own).as_micros() as u64).max(12);
        }
        self.last = Some((timestamp_us, now));
        self.base + self.elapsed_us * 9 / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_callers_clock_without_drift() {
        let start = Instant::now();
        let mut clock = RtpClock::new(1000);
        assert_eq!(clock.stamp(5_000_000, start), 1000);
        let mut last = 0;
        for frame in 1..=300 {
            last = clock.stamp(
                5_000_000 + frame * 33_333,
                start + Duration::from_micros(33_000) * frame as u32,
            );
        }
        assert_eq!(last, 1000 + 300 * 33_333 * 9 / 100);
    }

    #[test]
    fn falls_back_to_arrival_for_clocks_that_stand_still_or_jump() {
        let start = Instant::now();
        let mut clock = RtpClock::new(0);
        clock.stamp(0, start);
        assert_eq!(clock.stamp(0, start + Duration::from_millis(100)), 9000);
        assert_eq!(clock.stamp(-5, start + Duration::from_millis(200)), 18_000);
        assert_eq!(clock.stamp(i64::MAX, start + Duration::from_millis(300)), 27_000);
        assert!(clock.stamp(i64::MIN, start + Duration::from_millis(300)) > 27_000);
    }
}

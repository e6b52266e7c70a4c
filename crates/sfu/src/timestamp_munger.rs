//! RTP timestamps for one subscriber, continuous over layer switches and pauses.

use std::time::{Duration, Instant};

const RESUME_BEHIND_AFTER_MUTE_S: f64 = 0.2;
const RESUME_BEHIND_S: f64 = 2.0;
const SWITCH_BEHIND_S: f64 = 0.05;
/// A switch is refused this often for a timestamp that lies back; then the clock on the wall decides.
const MAX_REFUSALS: u8 = 3;

/// Why the source of timestamps changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// From one layer to another while media flows.
    Layer,
    /// Media flows again after the publisher had muted.
    AfterMute,
    /// Media flows again after something else.
    AfterPause,
}

/// Maps the timestamps of the source.
#[derive(Debug)]
pub struct TimestampMunger {
    clock_rate_hz: u32,
    offset: u32,
    last: Option<(u32, Instant)>,
    refusals: u8,
}

impl TimestampMunger {
    /// For a codec clock of this rate.
    pub fn new(clock_rate_hz: u32) -> TimestampMunger {
        TimestampMunger {
            clock_rate_hz: clock_rate_hz.max(1),
            offset: 0,
            last: None,
            refusals: 0,
        }
    }

    /// Another codec clock.
    pub fn set_clock_rate(&mut self, clock_rate_hz: u32) {
        self.clock_rate_hz = clock_rate_hz.max(1);
    }

    /// The output of a timestamp of the current source.
    pub fn translate(&self, input: u32) -> u32 {
        input.wrapping_sub(self.offset)
    }

    /// The newest packet went out with this timestamp.
    pub fn sent(&mut self, output: u32, now: Instant) {
        if self
            .last
            .is_none_or(|(last, _)| output.wrapping_sub(last) as i32 > 0)
        {
            self.last = Some((output, now));
        }
    }

    /// The last timestamp sent and when.
    pub fn last(&self) -> Option<(u32, Instant)> {
        self.last
    }

    /// Begins a new source at `input`. `reference` is where the publisher's clock puts it in output time, when
    /// that is known. False: refused, drop the packet and wait for the next key frame.
    pub fn switch(&mut self, input: u32, reference: Option<u32>, change: Change, now: Instant) -> bool {
        let Some((last, sent_at)) = self.last else {
            self.offset = 0;
            return true;
        };
        let elapsed = now.saturating_duration_since(sent_at);
        let expected = last.wrapping_add(self.ticks(elapsed));
        let seconds_behind = |output: u32, mark: u32| {
            f64::from(mark.wrapping_sub(output) as i32) / f64::from(self.clock_rate_hz)
        };
        let wanted = match (reference, change) {
            (None, _) => expected,
            (Some(reference), Change::Layer) => {
                let behind = seconds_behind(reference, last) > SWITCH_BEHIND_S;
                if behind && self.refusals < MAX_REFUSALS {
                    self.refusals += 1;
                    return false;
                }
                if behind { expected } else { reference }
            }
            (Some(reference), _) => {
                let limit = if change == Change::AfterMute {
                    RESUME_BEHIND_AFTER_MUTE_S
                } else {
                    RESUME_BEHIND_S
                };
                if seconds_behind(reference, expected) > limit {
                    expected
                } else {
                    reference
                }
            }
        };
        let forward = wanted.wrapping_sub(last) as i32 > 0;
        self.offset = input.wrapping_sub(if forward { wanted } else { last.wrapping_add(1) });
        self.refusals = 0;
        true
    }

    /// A timestamp for a packet of our own making, one frame after the last.
    pub fn inject(&mut self, step: u32, now: Instant) -> Option<u32> {
        let output = self.last?.0.wrapping_add(step);
        self.last = Some((output, now));
        Some(output)
    }

    fn ticks(&self, elapsed: Duration) -> u32 {
        (elapsed.as_secs_f64() * f64::from(self.clock_rate_hz)) as u64 as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_source_passes_unchanged() {
        let mut munger = TimestampMunger::new(1_000);
        assert!(munger.switch(77, None, Change::Layer, Instant::now()));
        assert_eq!(munger.translate(80), 80);
    }

    #[test]
    fn switches_follow_the_clocks() {
        // With a clock of 1 kHz: last output 10,000, sent one second ago.
        let cases: &[(Change, Option<u32>, Option<u32>)] = &[
            (Change::Layer, None, Some(11_000)),
            (Change::Layer, Some(10_990), Some(10_990)),
            (Change::Layer, Some(12_000), Some(12_000)),
            (Change::Layer, Some(9_960), Some(10_001)),
            (Change::Layer, Some(9_900), None),
            (Change::AfterMute, Some(10_900), Some(10_900)),
            (Change::AfterMute, Some(10_500), Some(11_000)),
            (Change::AfterPause, Some(10_500), Some(10_500)),
            (Change::AfterPause, Some(8_000), Some(11_000)),
            (Change::AfterPause, Some(9_500), Some(10_001)),
        ];
        for (change, reference, expected) in cases {
            let start = Instant::now();
            let mut munger = TimestampMunger::new(1_000);
            munger.sent(10_000, start);
            let switched = munger.switch(500, *reference, *change, start + Duration::from_secs(1));
            let output = switched.then(|| munger.translate(500));
            assert_eq!(output, *expected, "{change:?} {reference:?}");
        }
    }

    #[test]
    fn refusals_end() {
        let start = Instant::now();
        let mut munger = TimestampMunger::new(1_000);
        munger.sent(10_000, start);
        let answers: Vec<bool> = (0..4)
            .map(|_| munger.switch(5, Some(0), Change::Layer, start))
            .collect();
        assert_eq!(answers, [false, false, false, true]);
    }
}

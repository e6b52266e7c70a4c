//! How long a subscriber is asked to hold video back before it plays it: the playout-delay header extension, on packets until
//! one that carried it is known to have arrived. The delay follows the jitter that the subscriber reports, between the limits
//! of the room. The figures are livekit-server's.

use std::time::{Duration, Instant};

const MOST_MS: u32 = 10 * 0xFFF;
const USUAL_MAX_MS: u32 = 10_000;
const JITTER_FACTOR: u32 = 10;
/// So that sound stays in time with it.
const MAX_CHANGE_MS_PER_S: u32 = 80;

/// What a room asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutDelayLimits {
    /// The least delay, and the first.
    pub min_ms: u32,
    /// The greatest; 0 with a least one: the usual.
    pub max_ms: u32,
    /// False for screens, whose bursts look like jitter.
    pub follows_jitter: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Changed,
    /// Since this packet.
    Sending(u16),
    Arrived,
}

/// Of one down track.
#[derive(Debug)]
pub struct PlayoutDelay {
    limits: PlayoutDelayLimits,
    current_ms: u32,
    state: State,
    changed_at: Option<Instant>,
}

impl PlayoutDelay {
    /// Begins with the least delay.
    pub fn new(limits: PlayoutDelayLimits) -> PlayoutDelay {
        let max_ms = match limits {
            PlayoutDelayLimits {
                min_ms: 1..,
                max_ms: 0,
                ..
            } => USUAL_MAX_MS,
            _ => limits.max_ms,
        };
        let max_ms = max_ms.min(MOST_MS);
        let min_ms = limits.min_ms.min(max_ms);
        PlayoutDelay {
            limits: PlayoutDelayLimits {
                min_ms,
                max_ms,
                ..limits
            },
            current_ms: min_ms,
            state: State::Changed,
            changed_at: None,
        }
    }

    /// A packet of this number goes out now; `value` is for it.
    pub fn sending(&mut self, now: Instant, sequence: u16) {
        if self.state == State::Changed {
            self.state = State::Sending(sequence);
            self.changed_at = Some(now);
        }
    }

    /// The value of the extension: two times 12 bits, in units of 10 ms. None when it has arrived.
    pub fn value(&self) -> Option<[u8; 3]> {
        if self.state == State::Arrived {
            return None;
        }
        let (min, max) = (self.current_ms / 10, self.limits.max_ms / 10);
        Some([(min >> 4) as u8, (min << 4) as u8 | (max >> 8) as u8, max as u8])
    }

    /// The subscriber reports the highest number that it has received, and its jitter.
    pub fn reported(&mut self, now: Instant, highest: u16, jitter: Duration) {
        if let State::Sending(since) = self.state
            && highest.wrapping_sub(since) < 0x8000
        {
            self.state = State::Arrived;
        }
        if self.limits.follows_jitter {
            self.follow(now, jitter.as_millis().min(u128::from(MOST_MS)) as u32);
        }
    }

    fn follow(&mut self, now: Instant, jitter_ms: u32) {
        let elapsed = self.changed_at.map_or(Duration::ZERO, |at| {
            now.saturating_duration_since(at).min(Duration::from_secs(1))
        });
        let step_ms = (f64::from(MAX_CHANGE_MS_PER_S) * elapsed.as_secs_f64()) as u32;
        let target_ms = (jitter_ms * JITTER_FACTOR)
            .clamp(self.current_ms.saturating_sub(step_ms), self.current_ms + step_ms)
            .clamp(self.limits.min_ms, self.limits.max_ms);
        if target_ms != self.current_ms {
            self.current_ms = target_ms;
            self.state = State::Changed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(min_ms: u32, max_ms: u32, follows_jitter: bool) -> PlayoutDelay {
        PlayoutDelay::new(PlayoutDelayLimits {
            min_ms,
            max_ms,
            follows_jitter,
        })
    }

    #[test]
    fn limits_are_written_in_tens_of_milliseconds() {
        for (min_ms, max_ms, expected) in [
            (100, 2_000, [0x00, 0xA0, 0xC8]),
            (0, 400, [0x00, 0x00, 0x28]),
            (100, 0, [0x00, 0xA3, 0xE8]),
            (50_000, 60_000, [0xFF, 0xFF, 0xFF]),
            (500, 200, [0x01, 0x40, 0x14]),
            (0, 0, [0, 0, 0]),
        ] {
            assert_eq!(
                delay(min_ms, max_ms, false).value(),
                Some(expected),
                "{min_ms} {max_ms}"
            );
        }
    }

    #[test]
    fn it_is_sent_until_it_has_arrived() {
        let now = Instant::now();
        let mut delay = delay(100, 200, false);
        delay.sending(now, 65_534);
        delay.sending(now, 65_535);
        delay.reported(now, 65_533, Duration::ZERO);
        assert!(delay.value().is_some());
        delay.reported(now, 3, Duration::ZERO);
        assert_eq!(delay.value(), None);
        delay.sending(now, 4);
        assert_eq!(delay.value(), None);
    }

    #[test]
    fn it_follows_jitter_slowly_and_within_the_limits() {
        let mut now = Instant::now();
        let mut delay = delay(100, 300, true);
        delay.sending(now, 1);
        let mut seen = Vec::new();
        for jitter_ms in [5, 20, 25, 50, 90, 0, 0, 0] {
            now += Duration::from_secs(1);
            delay.reported(now, 2, Duration::from_millis(jitter_ms));
            seen.push(delay.current_ms);
            delay.sending(now, 3);
        }
        assert_eq!(seen, [100, 180, 250, 300, 300, 220, 140, 100]);
        assert!(delay.value().is_some());
    }
}

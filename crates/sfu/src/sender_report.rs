//! The publisher's clock, and the sender reports that pass it on to subscribers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What the last sender report of a layer said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SenderClock {
    /// 32.32 seconds on the publisher's clock.
    pub ntp_time: u64,
    /// The same instant in RTP time.
    pub rtp_time: u32,
    /// When the report came.
    pub received_at: Instant,
}

impl SenderClock {
    /// The report's clock extrapolated to `now`: (NTP, RTP).
    pub fn at(&self, now: Instant, clock_rate_hz: u32) -> (u64, u32) {
        let elapsed = now.saturating_duration_since(self.received_at);
        let ntp = self.ntp_time.wrapping_add(ntp_duration(elapsed));
        let ticks = (elapsed.as_secs_f64() * f64::from(clock_rate_hz)) as u64;
        (ntp, self.rtp_time.wrapping_add(ticks as u32))
    }

    /// The RTP time that this layer's clock shows when `other`'s clock shows `rtp_time`.
    pub fn translate(&self, other: &SenderClock, rtp_time: u32, clock_rate_hz: u32) -> u32 {
        let rate = i128::from(clock_rate_hz);
        let since_other = i128::from(rtp_time.wrapping_sub(other.rtp_time) as i32);
        let between = i128::from(other.ntp_time.wrapping_sub(self.ntp_time) as i64);
        let ticks = (between * rate) >> 32;
        self.rtp_time.wrapping_add((since_other + ticks) as u32)
    }
}

/// A duration in 32.32 fixed point.
pub fn ntp_duration(duration: Duration) -> u64 {
    (duration.as_secs() << 32) | ((u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000)
}

/// The sender reports lately sent to one subscriber, for measuring the round trip (RFC 3550 section 6.4.1).
#[derive(Debug, Default)]
pub struct SentReports(VecDeque<(u32, Instant)>);

impl SentReports {
    /// A report with this NTP time was sent. The last four are kept.
    pub fn sent(&mut self, ntp_time: u64, now: Instant) {
        if self.0.len() == 4 {
            self.0.pop_front();
        }
        self.0.push_back(((ntp_time >> 16) as u32, now));
    }

    /// The round trip according to a report block about the stream.
    pub fn round_trip(&self, last_sender_report: u32, delay: u32, now: Instant) -> Option<Duration> {
        let (_, sent_at) = self.0.iter().find(|(middle, _)| *middle == last_sender_report)?;
        let held = Duration::from_secs_f64(f64::from(delay) / 65_536.0);
        now.saturating_duration_since(*sent_at).checked_sub(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_extrapolated() {
        let start = Instant::now();
        let clock = SenderClock {
            ntp_time: 5 << 32,
            rtp_time: u32::MAX,
            received_at: start,
        };
        let (ntp, rtp) = clock.at(start + Duration::from_millis(1_500), 90_000);
        assert_eq!((ntp, rtp), ((6 << 32) + (1 << 31), 134_999));
    }

    #[test]
    fn layers_are_aligned_through_the_publishers_clock() {
        let start = Instant::now();
        let low = SenderClock {
            ntp_time: 10 << 32,
            rtp_time: 1_000,
            received_at: start,
        };
        let cases = [
            (10 << 32, 500, 590, 1_090),
            (11 << 32, 500, 500, 91_000),
            (9 << 32, 4_294_967_290, 4, 1_000 - 90_000u32.wrapping_sub(10)),
        ];
        for (ntp_time, rtp_time, packet, expected) in cases {
            let high = SenderClock {
                ntp_time,
                rtp_time,
                received_at: start,
            };
            assert_eq!(low.translate(&high, packet, 90_000), expected);
        }
    }

    #[test]
    fn the_round_trip_leaves_out_the_peers_delay() {
        let start = Instant::now();
        let mut reports = SentReports::default();
        for second in 0..6 {
            reports.sent(second << 32, start + Duration::from_secs(second));
        }
        let now = start + Duration::from_millis(5_150);
        assert_eq!(
            reports
                .round_trip(5 << 16, 65_536 / 10, now)
                .map(|rtt| rtt.as_millis()),
            Some(50)
        );
        assert_eq!(reports.round_trip(1 << 16, 0, now), None, "forgotten");
        assert_eq!(reports.round_trip(5 << 16, u32::MAX, now), None, "nonsense");
    }
}

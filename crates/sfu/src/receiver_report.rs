//! Reception statistics of one SSRC and the report blocks made of them (RFC 3550 sections 6.4, A.3, A.8).

use std::time::Instant;

use crate::rtcp::ReportBlock;
use crate::sender_report::SenderClock;

/// A sender report further from its packets than this is not believed.
const MAX_REPORT_DEVIATION_S: f64 = 30.0;

/// What was received, lost and how evenly it came.
#[derive(Debug, Clone)]
pub struct ReceptionStatistics {
    clock_rate_hz: u32,
    base: u64,
    highest: u64,
    /// Packets, duplicates not counted.
    pub received: u64,
    expected_prior: u64,
    received_prior: u64,
    jitter: f64,
    last_transit: Option<(Instant, u32)>,
}

impl ReceptionStatistics {
    /// For a stream whose first packet had this extended sequence number.
    pub fn new(clock_rate_hz: u32, first: u64) -> ReceptionStatistics {
        ReceptionStatistics {
            clock_rate_hz: clock_rate_hz.max(1),
            base: first,
            highest: first,
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            jitter: 0.0,
            last_transit: None,
        }
    }

    /// Counts one packet. Late and resent ones do not touch the jitter.
    pub fn record(&mut self, now: Instant, sequence: u64, timestamp: u32) {
        self.received += 1;
        self.base = self.base.min(sequence);
        if sequence < self.highest {
            return;
        }
        self.highest = sequence;
        if let Some((before, old_timestamp)) = self.last_transit {
            let elapsed = now.saturating_duration_since(before).as_secs_f64() * f64::from(self.clock_rate_hz);
            let stepped = f64::from(timestamp.wrapping_sub(old_timestamp) as i32);
            self.jitter += ((elapsed - stepped).abs() - self.jitter) / 16.0;
        }
        self.last_transit = Some((now, timestamp));
    }

    /// Whether a sender report's RTP time fits the packets: near where the clock is now, or stood at the last packet.
    pub fn is_plausible(&self, now: Instant, rtp_time: u32) -> bool {
        let Some((at, timestamp)) = self.last_transit else {
            return false;
        };
        let elapsed = now.saturating_duration_since(at).as_secs_f64() * f64::from(self.clock_rate_hz);
        let step = f64::from(rtp_time.wrapping_sub(timestamp) as i32);
        let limit = MAX_REPORT_DEVIATION_S * f64::from(self.clock_rate_hz);
        step.abs() <= limit || (step - elapsed).abs() <= limit
    }

    /// How many packets are missing; resent ones that arrived are not.
    pub fn lost(&self) -> i64 {
        (self.highest - self.base + 1) as i64 - self.received as i64
    }

    /// In seconds.
    pub fn jitter_s(&self) -> f64 {
        self.jitter / f64::from(self.clock_rate_hz)
    }

    /// The block for the next report; the fraction counts from the block before.
    pub fn report(&mut self, now: Instant, ssrc: u32, clock: Option<&SenderClock>) -> ReportBlock {
        let expected = self.highest - self.base + 1;
        let expected_interval = expected.saturating_sub(self.expected_prior);
        let received_interval = self.received.saturating_sub(self.received_prior);
        self.expected_prior = expected;
        self.received_prior = self.received;
        let lost_interval = expected_interval.saturating_sub(received_interval);
        let fraction = (lost_interval * 256)
            .checked_div(expected_interval)
            .unwrap_or(0)
            .min(255);
        let (last, delay) = clock.map_or((0, 0), |clock| {
            let since = now.saturating_duration_since(clock.received_at).as_secs_f64();
            ((clock.ntp_time >> 16) as u32, (since * 65_536.0) as u32)
        });
        ReportBlock {
            ssrc,
            fraction_lost: fraction as u8,
            cumulative_lost: self.lost().clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest_sequence: self.highest.wrapping_sub(65_536) as u32,
            jitter: self.jitter as u32,
            last_sender_report: last,
            delay_since_last_sender_report: delay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn loss_is_counted_per_interval_and_in_total() {
        let start = Instant::now();
        let mut statistics = ReceptionStatistics::new(8_000, 65_536 + 100);
        for sequence in [100, 101, 103] {
            statistics.record(start, 65_536 + sequence, 0);
        }
        let clock = SenderClock {
            ntp_time: 0x0001_0002_0003_0004,
            rtp_time: 0,
            received_at: start,
        };
        let block = statistics.report(start + Duration::from_millis(500), 7, Some(&clock));
        assert_eq!(
            (block.fraction_lost, block.cumulative_lost, block.highest_sequence),
            (64, 1, 103)
        );
        assert_eq!(
            (block.last_sender_report, block.delay_since_last_sender_report),
            (0x0002_0003, 32_768)
        );
        statistics.record(start, 65_536 + 102, 0);
        statistics.record(start, 65_536 + 104, 0);
        let block = statistics.report(start, 7, None);
        assert_eq!(
            (
                block.fraction_lost,
                block.cumulative_lost,
                block.last_sender_report
            ),
            (0, 0, 0)
        );
    }

    #[test]
    fn jitter_follows_uneven_arrival() {
        let start = Instant::now();
        let run = |uneven_ms: u64| {
            let mut statistics = ReceptionStatistics::new(48_000, 65_536);
            for index in 0..200u64 {
                let at = start + Duration::from_millis(index * 20 + (index % 2) * uneven_ms);
                statistics.record(at, 65_536 + index, index as u32 * 960);
            }
            statistics.jitter_s()
        };
        assert!(run(0) < 1e-6);
        assert!((run(10) - 0.010).abs() < 0.001);
    }

    #[test]
    fn reports_far_from_the_packets_are_not_believed() {
        let start = Instant::now();
        let mut statistics = ReceptionStatistics::new(1_000, 65_536);
        assert!(!statistics.is_plausible(start, 5), "no packet yet");
        statistics.record(start, 65_536, 1_000_000);
        let later = start + Duration::from_secs(300);
        let cases = [
            (1_000_000, true),
            (1_300_000, true),
            (1_299_000, true),
            (0, false),
            (1_150_000, false),
        ];
        for (rtp_time, expected) in cases {
            assert_eq!(statistics.is_plausible(later, rtp_time), expected, "{rtp_time}");
        }
    }
}

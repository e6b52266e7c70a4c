//! The estimate of peers that make one themselves (REMB), for want of anything better.

use std::time::{Duration, Instant};

use super::probe::Prober;

/// What is sent is measured over this at least.
const SHORTEST_SAMPLE: Duration = Duration::from_millis(400);

/// Follows what the peer says, once it says that it can't take what is sent.
#[derive(Debug, Default)]
pub struct RembEstimate {
    estimate_bps: Option<u64>,
    prober: Prober,
    /// The counter of sent bytes at some time.
    sample: Option<(Instant, u64)>,
    sending_bps: u64,
}

impl RembEstimate {
    /// The peer thinks that it can take so much; `sent_bytes` counts what it was sent. True when the estimate changed.
    /// What the peer says depends on what it gets, so a low value says nothing while little is sent.
    pub fn heard(&mut self, now: Instant, bitrate_bps: u64, sent_bytes: u64) -> bool {
        if !self.measure(now, sent_bytes) {
            return false;
        }
        let too_much = bitrate_bps < self.sending_bps - self.sending_bps / 20;
        let before = self.estimate_bps;
        if too_much {
            self.estimate_bps = Some(bitrate_bps);
            self.prober.congested(now);
        } else if let Some(before) = before {
            self.estimate_bps = Some(before.max(bitrate_bps));
            if self.prober.goal_bps().is_some_and(|goal| bitrate_bps >= goal) {
                self.prober.succeeded(now);
            }
        }
        self.estimate_bps != before
    }

    fn measure(&mut self, now: Instant, sent_bytes: u64) -> bool {
        let Some((at, before)) = self.sample else {
            self.sample = Some((now, sent_bytes));
            return false;
        };
        let elapsed = now.saturating_duration_since(at);
        if elapsed >= SHORTEST_SAMPLE {
            self.sending_bps = ((sent_bytes - before) as f64 * 8.0 / elapsed.as_secs_f64()) as u64;
            self.sample = Some((now, sent_bytes));
        }
        elapsed >= SHORTEST_SAMPLE
    }

    /// None while nothing is known to be scarce.
    pub fn estimate_bps(&self) -> Option<u64> {
        self.estimate_bps
    }

    /// What would have to fit for a track to get better; None when all have what they want.
    pub fn want(&mut self, bitrate_bps: Option<u64>, now: Instant) {
        let lacking = bitrate_bps.filter(|_| self.estimate_bps.is_some());
        self.prober.want(lacking, now);
    }

    /// The bytes of padding to send now; where padding can't be sent, more room is assumed now and then.
    pub fn padding_bytes(&mut self, now: Instant, sent_bytes: u64, can_pad: bool) -> usize {
        if self.prober.begin(now, self.sending_bps, sent_bytes) && !can_pad {
            self.estimate_bps = self.estimate_bps.max(self.prober.goal_bps());
            self.prober.succeeded(now);
        }
        self.prober.padding_bytes(now, sent_bytes)
    }

    /// When `padding_bytes` is wanted.
    pub fn deadline(&self) -> Option<Instant> {
        self.prober.deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_little_counts_at_first() {
        let mut now = Instant::now();
        let mut estimate = RembEstimate::default();
        let mut sent_bytes = 0;
        estimate.heard(now, 1, sent_bytes);
        // (heard, sending, estimate) in kb/s
        let cases = [
            (300, 200, None),
            (195, 200, None),
            (400, 1_700, Some(400)),
            (500, 400, Some(500)),
            (450, 400, Some(500)),
            (350, 400, Some(350)),
        ];
        for (heard, sending, expected) in cases {
            now += Duration::from_secs(1);
            sent_bytes += sending * 1_000 / 8;
            estimate.heard(now, heard * 1_000, sent_bytes);
            let found = estimate.estimate_bps().map(|bps| bps / 1_000);
            assert_eq!(found, expected, "{heard} while {sending}");
        }
    }
}

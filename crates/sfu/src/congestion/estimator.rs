//! The send-side estimate of one transport, from transport-wide feedback.

use std::time::{Duration, Instant};

use super::arrivals::{Arrivals, FullLink};
use super::base_delay::BaseDelay;
use super::feedback::FeedbackReader;
use super::loss::LossJudge;
use super::probe::Prober;
use super::sent_packets::SentPackets;

/// A queue that is shorter is none: jitter, and on slow links the packet's own length.
const SHORT_QUEUE_US: i64 = 30_000;
const PACKET_BITS: u64 = 1_200 * 8;
/// The link is full when there was a queue for so long…
const STANDING_US: i64 = 300_000;
/// …or for so long, when it has become so long.
const STANDING_IF_LONG_US: i64 = 120_000;
const LONG_QUEUE_US: i64 = 150_000;
/// Less than this many packets say nothing about losses.
const LOSS_SAMPLE: u32 = 30;
const LOSS_WINDOW_MS: i64 = 1_000;
/// What arrives is measured over this.
const RATE_WINDOW_MS: i64 = 150;
const PROVEN_WINDOW_MS: i64 = 1_000;
const PROVEN_WINDOW: Duration = Duration::from_millis(PROVEN_WINDOW_MS as u64);
const PROBE_WINDOW_MS: i64 = 400;
/// The part of the measured capacity that is used, in percent.
const USED_PERCENT: u64 = 85;
/// Of what arrived without a queue.
const PROVEN_PERCENT: u64 = 90;
/// After a reduction or a probe, this long has to pass before a queue means anything; so again while it drains.
const SETTLE: Duration = Duration::from_millis(800);
const LEAST_BPS: u64 = 20_000;

/// The estimate of one transport.
#[derive(Debug, Default)]
pub struct Estimator {
    reader: FeedbackReader,
    base: BaseDelay,
    arrivals: Arrivals,
    losses: LossJudge,
    prober: Prober,
    estimate_bps: Option<u64>,
    patient_until: Option<Instant>,
    /// The queue that has to drain before.
    queue_then_us: i64,
    /// Losses were seen, once so far.
    suspicious: bool,
}

impl Estimator {
    /// What the peer's connection takes; None while it was never full.
    pub fn estimate_bps(&self) -> Option<u64> {
        self.estimate_bps
    }

    /// Takes one feedback message. True when the estimate changed.
    pub fn feedback(&mut self, now: Instant, body: &[u8], sent: &mut SentPackets) -> bool {
        let (base, arrivals) = (&mut self.base, &mut self.arrivals);
        self.reader.read(body, |number, arrival| match arrival {
            Some(at_us) => {
                if let Some(packet) = sent.arrived(number) {
                    let queue_us = base.queueing_us(packet.sent_at_us, at_us - packet.sent_at_us);
                    arrivals.arrived(at_us, packet.size_bytes, queue_us);
                }
            }
            None => {
                if sent.missing(number).is_some() {
                    arrivals.lost();
                }
            }
        });
        let before = self.estimate_bps;
        self.conclude(now);
        self.estimate_bps != before
    }

    fn conclude(&mut self, now: Instant) {
        let settled = self.patient_until.is_none_or(|until| now >= until);
        let full = self.arrivals.full_link(self.short_queue_us());
        if self.prober.goal_bps().is_some() {
            return self.conclude_probe(now, full);
        }
        if let Some(full) = full.filter(is_full) {
            let drains = full.queue_us < self.queue_then_us * 9 / 10;
            if settled && drains {
                self.be_patient(now, full.queue_us);
            } else if settled {
                self.reduce(now, full.rate_bps, full.queue_us);
            }
            return;
        }
        if !settled {
            self.arrivals.forget_losses();
        } else if let Some(loss) = self.arrivals.loss(LOSS_WINDOW_MS, LOSS_SAMPLE)
            && self.losses.is_full(loss)
        {
            // What arrived before the link was full must be out of the window.
            if std::mem::replace(&mut self.suspicious, true) {
                self.losses.reacted(loss);
                self.reduce(now, self.arrivals.rate_bps(RATE_WINDOW_MS), 0);
            }
            return;
        }
        self.suspicious = false;
        if full.is_none() {
            self.queue_then_us = 0;
            // What arrived before the last reduction says nothing about the link as it is now.
            let since = self.patient_until.map(|until| until + PROVEN_WINDOW);
            if since.is_none_or(|since| now >= since) {
                self.raise(self.arrivals.rate_bps(PROVEN_WINDOW_MS) * PROVEN_PERCENT / 100);
            }
        }
    }

    fn short_queue_us(&self) -> i64 {
        let own_us = self
            .estimate_bps
            .map_or(0, |estimate| PACKET_BITS * 1_000_000 / estimate.max(1));
        SHORT_QUEUE_US.max(own_us as i64)
    }

    fn conclude_probe(&mut self, now: Instant, full: Option<FullLink>) {
        let goal_bps = self.prober.goal_bps().unwrap_or(0);
        let rate_bps = self.arrivals.rate_bps(PROBE_WINDOW_MS);
        if let Some(queue_us) = full.map(|full| full.queue_us) {
            self.prober.failed(now);
            self.be_patient(now, queue_us);
            let proven = full.filter(is_full).map_or(0, |full| full.rate_bps);
            self.raise(proven * USED_PERCENT / 100);
        } else if full.is_none() && rate_bps >= goal_bps * 96 / 100 {
            self.prober.succeeded(now);
            self.raise(rate_bps * PROVEN_PERCENT / 100);
        }
    }

    fn reduce(&mut self, now: Instant, capacity_bps: u64, queue_us: i64) {
        let usable = (capacity_bps * USED_PERCENT / 100).max(LEAST_BPS);
        self.estimate_bps = Some(self.estimate_bps.map_or(usable, |before| before.min(usable)));
        self.be_patient(now, queue_us);
        self.prober.congested(now);
    }

    fn be_patient(&mut self, now: Instant, queue_us: i64) {
        self.patient_until = Some(now + SETTLE);
        self.queue_then_us = queue_us;
        self.suspicious = false;
    }

    /// So much arrived well. Never makes an estimate where there is none.
    fn raise(&mut self, proven_bps: u64) {
        self.estimate_bps = self.estimate_bps.map(|before| before.max(proven_bps));
    }

    /// What would have to fit for a track to get better; None when all have what they want.
    pub fn want(&mut self, bitrate_bps: Option<u64>, now: Instant) {
        let lacking = bitrate_bps.filter(|_| self.estimate_bps.is_some());
        self.prober.want(lacking, now);
    }

    /// The bytes of padding to send now; `sent_bytes` counts what was sent. Where padding can't be sent
    /// (`can_pad` is false), more room is assumed instead of proven, now and then.
    pub fn padding_bytes(&mut self, now: Instant, sent_bytes: u64, can_pad: bool) -> usize {
        if self
            .prober
            .begin(now, self.arrivals.rate_bps(PROVEN_WINDOW_MS), sent_bytes)
            && !can_pad
        {
            let assumed = self.prober.goal_bps().unwrap_or(0);
            self.raise(assumed);
            self.prober.succeeded(now);
        }
        self.prober.padding_bytes(now, sent_bytes)
    }

    /// When `padding_bytes` is wanted.
    pub fn deadline(&self) -> Option<Instant> {
        self.prober.deadline()
    }
}

fn is_full(link: &FullLink) -> bool {
    let long = link.queue_us > LONG_QUEUE_US && link.lasts_us >= STANDING_IF_LONG_US;
    long || (link.lasts_us >= STANDING_US && link.slots >= 3)
}

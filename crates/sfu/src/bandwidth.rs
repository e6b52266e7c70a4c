//! What is known of one subscriber's bandwidth, and who knows it: a limit that was set, transport-wide feedback, or
//! estimates that the peer makes itself.

use std::time::Instant;

use crate::allocation::Shares;
use crate::congestion::{Estimator, RembEstimate, SentPackets};
use crate::sfu::BandwidthPolicy;

/// The bandwidth of one transport.
#[derive(Debug, Default)]
pub struct Bandwidth {
    /// What to do when it is scarce.
    pub policy: BandwidthPolicy,
    /// In place of an estimate.
    pub limit_bps: Option<u64>,
    /// When it is shared next.
    pub share_at: Option<Instant>,
    /// Whether tracks may be held back now.
    limited: bool,
    /// Made with the first feedback.
    estimator: Option<Box<Estimator>>,
    remb: RembEstimate,
}

impl Bandwidth {
    /// What video may take; None: no limit is known.
    pub fn capacity_bps(&self) -> Option<u64> {
        if self.limit_bps.is_some() || !self.policy.congestion_control {
            return self.limit_bps;
        }
        match &self.estimator {
            Some(estimator) => estimator.estimate_bps(),
            None => self.remb.estimate_bps(),
        }
    }

    /// Nothing is scarce and nothing is held back: there is nothing to share.
    pub fn is_unlimited(&self) -> bool {
        !self.limited && self.capacity_bps().is_none()
    }

    /// A transport-wide feedback message came. True when the estimate changed.
    pub fn feedback(&mut self, now: Instant, body: &[u8], sent: &mut SentPackets) -> bool {
        let estimator = self.estimator.get_or_insert_default();
        estimator.feedback(now, body, sent)
    }

    /// The peer says how much it can receive; `sent_bytes` counts what it was sent. True when the estimate changed.
    pub fn remb(&mut self, now: Instant, bitrate_bps: u64, sent_bytes: u64) -> bool {
        self.remb.heard(now, bitrate_bps, sent_bytes)
    }

    /// The tracks got their shares.
    pub fn shared(&mut self, shares: &Shares, capacity_bps: Option<u64>, now: Instant) {
        self.limited = capacity_bps.is_some();
        // A limit that was set is not to be tested.
        let wanted = shares.next_step_bps.filter(|_| self.limit_bps.is_none());
        match &mut self.estimator {
            Some(estimator) => estimator.want(wanted, now),
            None => self.remb.want(wanted, now),
        }
    }

    /// The bytes of padding to send now; see [`Estimator::padding_bytes`].
    pub fn padding_bytes(&mut self, now: Instant, sent_bytes: u64, can_pad: bool) -> usize {
        match &mut self.estimator {
            Some(estimator) => estimator.padding_bytes(now, sent_bytes, can_pad),
            None => self.remb.padding_bytes(now, sent_bytes, can_pad),
        }
    }

    /// When `padding_bytes` is wanted.
    pub fn probe_deadline(&self) -> Option<Instant> {
        match &self.estimator {
            Some(estimator) => estimator.deadline(),
            None => self.remb.deadline(),
        }
    }
}

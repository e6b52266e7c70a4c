//! What is known of one subscriber's bandwidth.

use std::time::Instant;

use crate::allocation::Shares;
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
}

impl Bandwidth {
    /// What video may take; None: no limit is known.
    pub fn capacity_bps(&self) -> Option<u64> {
        self.limit_bps
    }

    /// Nothing is scarce and nothing is held back: there is nothing to share.
    pub fn is_unlimited(&self) -> bool {
        !self.limited && self.capacity_bps().is_none()
    }

    /// The tracks got their shares.
    pub fn shared(&mut self, _shares: &Shares, capacity_bps: Option<u64>) {
        self.limited = capacity_bps.is_some();
    }
}

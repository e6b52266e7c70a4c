//! What the subscriber asks for and what its bandwidth allows: the lesser of both is what the selector aims at.

use std::time::{Duration, Instant};

use super::DownTrack;
use crate::allocation::{Allotment, Demand, HIGHEST_PRIORITY};
use crate::layer_rates::{Layer, MAX_TEMPORAL_LAYERS};
use crate::parameters::Kind;
use crate::timestamp_munger::Change;
use crate::up_track::UpTrack;

/// A track that had to give up something gets more after this long at the earliest.
const RISE_AFTER: Duration = Duration::from_secs(3);

impl DownTrack {
    /// The best layers wanted: spatial 0..=2, temporal 0..=3.
    pub fn set_max_layer(&mut self, spatial: u8, temporal: u8) {
        self.wanted = Layer::new(
            spatial.min(Layer::BEST.spatial),
            temporal.min(MAX_TEMPORAL_LAYERS as u8 - 1),
        );
        self.aim();
    }

    /// Who is served first when bandwidth is scarce: higher numbers.
    pub fn set_priority(&mut self, priority: u8) {
        self.priority = priority;
    }

    /// What the track asks of its subscriber's bandwidth; None when it sends nothing that could be held back.
    pub fn demand(&self, up_track: &UpTrack, now: Instant) -> Option<Demand> {
        if self.kind == Kind::Audio || !self.enabled || up_track.muted {
            return None;
        }
        let current = match self.allotment {
            Allotment::UpTo(layer) => Some(layer.min(self.wanted)),
            Allotment::Paused => None,
        };
        Some(Demand {
            priority: self.priority,
            pinned: self.priority == HIGHEST_PRIORITY && up_track.layers.len() == 1,
            wanted: self.wanted,
            current,
            may_rise: self
                .lowered_at
                .is_none_or(|at| now.saturating_duration_since(at) >= RISE_AFTER),
            rates: up_track.rates(now),
        })
    }

    /// Take what is allowed. True when that changed; then a key frame may be needed.
    pub fn allot(&mut self, allotment: Allotment, now: Instant) -> bool {
        let before = std::mem::replace(&mut self.allotment, allotment);
        if before == allotment {
            return false;
        }
        let (had, has) = (before.layer_of(self.wanted), allotment.layer_of(self.wanted));
        if has < had {
            self.lowered_at = Some(now);
        }
        let is_paused = allotment == Allotment::Paused;
        if is_paused != (before == Allotment::Paused) {
            self.pause_changed(is_paused, Change::AfterPause, now);
        }
        self.aim();
        true
    }

    /// Held back for lack of bandwidth.
    pub fn is_paused(&self) -> bool {
        self.allotment == Allotment::Paused
    }

    fn aim(&mut self) {
        let allowed = self.allotment.layer_of(self.wanted).unwrap_or(self.wanted);
        self.selector.set_max_spatial(allowed.spatial);
        self.asked_at = None;
    }

    /// The highest temporal layer to forward. On the way down to another spatial layer, until its key frame comes,
    /// the lowest is all that there is room for; on the way up, what is flowing goes on as it is.
    pub(super) fn temporal_limit(&self) -> u8 {
        let Allotment::UpTo(allowed) = self.allotment else {
            return 0;
        };
        match self.selector.current() {
            Some(current) if current < allowed.spatial => self.wanted.temporal,
            Some(current) if current > allowed.spatial && allowed < self.wanted && self.descends => 0,
            _ if allowed.spatial > self.wanted.spatial => self.wanted.temporal,
            _ => allowed.temporal.min(self.wanted.temporal),
        }
    }
}

impl Allotment {
    /// The layer that one who wants `wanted` gets.
    fn layer_of(self, wanted: Layer) -> Option<Layer> {
        match self {
            Allotment::UpTo(layer) => Some(Layer::new(
                layer.spatial.min(wanted.spatial),
                if layer.spatial < wanted.spatial {
                    layer.temporal
                } else {
                    layer.temporal.min(wanted.temporal)
                },
            )),
            Allotment::Paused => None,
        }
    }
}

//! Which simulcast layer a subscriber gets (simulcast: RFC 8853, layers named by RFC 8852 rids).
//!
//! In: the highest layer wanted, which layers are declared and flow, and for each packet its layer and whether it
//! begins a key frame. Out: the target layer, and forward, switch or drop. States: nothing forwarded, or a current
//! layer. Only a key frame changes it, since a decoder can begin nowhere else: up to any layer not above the target,
//! and down only to reach a target below. The caller asks for a key frame while current and target differ.

use std::time::{Duration, Instant};

/// The most spatial layers of a track.
pub const MAX_LAYERS: usize = 3;

/// How long a subscriber who gets nothing yet waits for exactly the layer it wants.
const WAIT_FOR_WANTED: Duration = Duration::from_secs(1);

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Of the current layer.
    Forward,
    /// Begins a key frame of a better layer: switch to it.
    Switch,
    /// Of another layer.
    Drop,
}

/// The choice of one down track.
#[derive(Debug, Clone)]
pub struct LayerSelector {
    max_spatial: u8,
    current: Option<u8>,
    waiting_since: Option<Instant>,
}

impl LayerSelector {
    /// Wants the best layer up to `max_spatial`.
    pub fn new(max_spatial: u8) -> LayerSelector {
        LayerSelector {
            max_spatial,
            current: None,
            waiting_since: None,
        }
    }

    /// The best present layer not above this is forwarded.
    pub fn set_max_spatial(&mut self, max_spatial: u8) {
        self.max_spatial = max_spatial.min(MAX_LAYERS as u8 - 1);
    }

    /// The layer being forwarded.
    pub fn current(&self) -> Option<u8> {
        self.current
    }

    /// Nothing is forwarded any more; the next key frame begins anew.
    pub fn stop(&mut self) {
        self.current = None;
        self.waiting_since = None;
    }

    /// The switch that `select` asked for was made.
    pub fn switched(&mut self, layer: u8) {
        self.current = Some(layer);
        self.waiting_since = None;
    }

    /// The layer to aim at, of those `declared` and `present`: the best not above the maximum, else the lowest.
    pub fn target(&mut self, declared: usize, present: [bool; MAX_LAYERS], now: Instant) -> u8 {
        let wanted = self.max_spatial.min(declared.clamp(1, MAX_LAYERS) as u8 - 1);
        if self.current.is_none() && !present[usize::from(wanted)] {
            let since = *self.waiting_since.get_or_insert(now);
            if now.saturating_duration_since(since) < WAIT_FOR_WANTED {
                return wanted;
            }
        }
        let below = (0..=wanted).rev().find(|layer| present[usize::from(*layer)]);
        let above = || (wanted..MAX_LAYERS as u8).find(|layer| present[usize::from(*layer)]);
        below.or_else(above).unwrap_or(wanted)
    }

    /// What to do with a packet of `layer` while aiming at `target`.
    pub fn select(&self, layer: u8, begins_key_frame: bool, target: u8) -> Selection {
        if self.current == Some(layer) {
            return Selection::Forward;
        }
        let better = match self.current {
            None => layer <= target || layer == target,
            // Not above the target and an improvement: closer to it from below, or down from above it.
            Some(current) if current > target => layer <= target,
            Some(current) => layer > current && layer <= target,
        };
        if better && begins_key_frame {
            Selection::Switch
        } else {
            Selection::Drop
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_present_layer_is_aimed_at() {
        // (max, current, present, declared, target)
        type Case = (u8, Option<u8>, [bool; 3], usize, u8);
        let cases: &[Case] = &[
            (2, Some(0), [true, true, true], 3, 2),
            (1, Some(2), [true, true, true], 3, 1),
            (2, Some(0), [true, true, false], 3, 1),
            (0, Some(1), [false, true, true], 3, 1),
            (2, Some(0), [true, false, false], 1, 0),
            (2, Some(1), [false, false, false], 3, 2),
            (2, None, [true, false, false], 3, 2),
        ];
        for (max, current, present, declared, expected) in cases {
            let mut selector = LayerSelector::new(*max);
            selector.current = *current;
            assert_eq!(
                selector.target(*declared, *present, Instant::now()),
                *expected,
                "{max} {current:?} {present:?}"
            );
        }
    }

    #[test]
    fn after_a_second_what_exists_is_taken() {
        let start = Instant::now();
        let mut selector = LayerSelector::new(2);
        let present = [true, false, false];
        assert_eq!(selector.target(3, present, start), 2);
        assert_eq!(selector.target(3, present, start + Duration::from_millis(999)), 2);
        assert_eq!(selector.target(3, present, start + Duration::from_secs(1)), 0);
    }

    #[test]
    fn switches_happen_at_key_frames_only() {
        use Selection::{Drop, Forward, Switch};
        // (current, packet's layer, key frame, target, expected)
        let cases: &[(Option<u8>, u8, bool, u8, Selection)] = &[
            (None, 0, true, 2, Switch),
            (None, 2, true, 2, Switch),
            (None, 0, false, 2, Drop),
            (None, 2, true, 1, Drop),
            (Some(0), 0, false, 2, Forward),
            (Some(0), 1, true, 2, Switch),
            (Some(0), 2, true, 2, Switch),
            (Some(0), 2, false, 2, Drop),
            (Some(1), 0, true, 2, Drop),
            (Some(2), 1, true, 1, Switch),
            (Some(2), 0, true, 1, Switch),
            (Some(2), 2, false, 1, Forward),
            (Some(1), 2, true, 1, Drop),
        ];
        for (current, layer, key_frame, target, expected) in cases {
            let mut selector = LayerSelector::new(2);
            selector.current = *current;
            assert_eq!(
                selector.select(*layer, *key_frame, *target),
                *expected,
                "{current:?} {layer} {key_frame} {target}"
            );
        }
    }
}

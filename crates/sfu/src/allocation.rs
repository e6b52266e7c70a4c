//! How the bandwidth of one subscriber is shared among its video tracks.
//!
//! In: what each track would like, what its layers take, and how much there is. Out: the best layer that each may have,
//! or that it has to pause. Audio is not in it: it is always sent, and what it takes is not in the estimate either.
//! Cooperative, as livekit-server's stream allocator is: every track gets its lowest layer, those of higher priority
//! first, before any gets a better one, and so on upwards. What is kept has to fit; what is new has to fit with some
//! room to spare, so that a rate that wavers around the limit doesn't make the picture waver.

use crate::layer_rates::{Layer, LayerRates, MAX_TEMPORAL_LAYERS};
use crate::layer_selector::MAX_LAYERS;

/// Of a screen share; a track that has it and only one layer is never paused.
pub const HIGHEST_PRIORITY: u8 = u8::MAX;
/// Of a camera.
pub const USUAL_PRIORITY: u8 = 1;

/// What one track would like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Higher ones are served first; among equals, earlier ones.
    pub priority: u8,
    /// Whether it has to be sent, whatever there is.
    pub pinned: bool,
    /// The best layer asked for.
    pub wanted: Layer,
    /// What it has now; None when it is paused.
    pub current: Option<Layer>,
    /// Whether it may get more than it has: not for a while after it had to give up something.
    pub may_rise: bool,
    /// What its layers take.
    pub rates: LayerRates,
}

/// What one track may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allotment {
    /// Up to this layer.
    UpTo(Layer),
    /// Nothing.
    Paused,
}

/// The shares of all tracks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares {
    /// In the order of the demands.
    pub allotments: Vec<Allotment>,
    /// What they take together.
    pub taken_bps: u64,
    /// What would have to fit for the next improvement; None when everybody has what it wants.
    pub next_step_bps: Option<u64>,
}

/// Shares `capacity_bps` (None: no limit is known) among `demands`. Without `allow_pause` every track keeps at least
/// its lowest layer.
pub fn share(demands: &[Demand], capacity_bps: Option<u64>, allow_pause: bool) -> Shares {
    let Some(capacity_bps) = capacity_bps else {
        return everything(demands);
    };
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse((demands[*index].pinned, demands[*index].priority)));
    let mut sharing = Sharing {
        demands,
        taken: vec![None; demands.len()],
        left_bps: capacity_bps,
        next_step_bps: None,
    };
    for index in order.iter().filter(|index| demands[**index].pinned) {
        sharing.take_best(*index);
    }
    if !allow_pause {
        for index in &order {
            sharing.take_lowest(*index);
        }
    }
    for spatial in 0..MAX_LAYERS as u8 {
        for temporal in 0..MAX_TEMPORAL_LAYERS as u8 {
            for index in &order {
                sharing.consider(*index, Layer { spatial, temporal });
            }
        }
    }
    sharing.finish()
}

/// Nothing is known to be scarce.
fn everything(demands: &[Demand]) -> Shares {
    let best = |demand: &Demand| {
        demand
            .rates
            .affordable(demand.wanted)
            .last()
            .map_or(0, |best| best.1)
    };
    Shares {
        allotments: demands
            .iter()
            .map(|demand| Allotment::UpTo(demand.wanted))
            .collect(),
        taken_bps: demands.iter().map(best).sum(),
        next_step_bps: None,
    }
}

struct Sharing<'a> {
    demands: &'a [Demand],
    /// Layer and rate of each track.
    taken: Vec<Option<(Layer, u64)>>,
    left_bps: u64,
    /// More than `left_bps`: what the first refused step would have needed.
    next_step_bps: Option<u64>,
}

impl Sharing<'_> {
    fn take(&mut self, index: usize, layer: Layer, rate_bps: u64) {
        let before = self.taken[index].map_or(0, |taken| taken.1);
        self.left_bps = self.left_bps.saturating_add(before).saturating_sub(rate_bps);
        self.taken[index] = Some((layer, rate_bps));
    }

    fn take_best(&mut self, index: usize) {
        let demand = &self.demands[index];
        if let Some((layer, rate)) = demand.rates.affordable(demand.wanted).last() {
            self.take(index, layer, rate);
        }
    }

    fn take_lowest(&mut self, index: usize) {
        let demand = &self.demands[index];
        let lowest = demand
            .rates
            .affordable(demand.wanted)
            .min_by_key(|(_, rate)| *rate);
        if let Some((layer, rate)) = lowest.filter(|_| self.taken[index].is_none()) {
            self.take(index, layer, rate);
        }
    }

    /// Give a track this layer, if it is a better one that it wants and there is room.
    fn consider(&mut self, index: usize, layer: Layer) {
        let demand = &self.demands[index];
        let found = demand
            .rates
            .affordable(demand.wanted)
            .find(|found| found.0 == layer);
        let Some((_, rate)) = found.filter(|_| self.taken[index].is_none_or(|taken| taken.0 < layer)) else {
            return;
        };
        let rises = demand.current.is_none_or(|current| layer > current);
        let more = rate.saturating_sub(self.taken[index].map_or(0, |taken| taken.1));
        let needed = if rises { more + more / 10 } else { more - more / 20 };
        if rises && !demand.may_rise && more > 0 {
            return;
        }
        if needed <= self.left_bps {
            self.take(index, layer, rate);
        } else {
            self.next_step_bps.get_or_insert(needed - self.left_bps);
        }
    }

    fn finish(self) -> Shares {
        let allotments = self
            .taken
            .iter()
            .zip(self.demands)
            .map(|(taken, demand)| match taken {
                // The best that flows: what begins to flow later is thought of when it does.
                Some((layer, _)) if Some(*layer) == best(demand) => Allotment::UpTo(demand.wanted),
                Some((layer, _)) => Allotment::UpTo(*layer),
                // Nothing flows that could be paused.
                None if best(demand).is_none() => Allotment::UpTo(demand.wanted),
                None => Allotment::Paused,
            });
        let taken_bps = self.taken.iter().flatten().map(|taken| taken.1).sum();
        Shares {
            allotments: allotments.collect(),
            taken_bps,
            next_step_bps: self
                .next_step_bps
                .map(|missing| taken_bps + self.left_bps + missing),
        }
    }
}

fn best(demand: &Demand) -> Option<Layer> {
    demand.rates.affordable(demand.wanted).last().map(|best| best.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Allotment::{Paused, UpTo};

    const WANTED: Layer = Layer::BEST;

    /// Three spatial layers without temporal ones.
    fn camera(priority: u8, rates: [u64; 3]) -> Demand {
        Demand {
            priority,
            pinned: false,
            wanted: WANTED,
            current: Some(WANTED),
            may_rise: true,
            rates: LayerRates(rates.map(|rate| [rate; 4])),
        }
    }

    fn spatial(shares: &Shares) -> Vec<i8> {
        let number = |allotment: &Allotment| match allotment {
            UpTo(layer) => layer.spatial as i8,
            Paused => -1,
        };
        shares.allotments.iter().map(number).collect()
    }

    #[test]
    fn lowest_layers_come_before_higher_ones() {
        let rates = [100, 300, 900];
        let two = [camera(1, rates), camera(1, rates)];
        let screen_first = [camera(1, rates), camera(HIGHEST_PRIORITY, rates)];
        // (demands, capacity, may pause, spatial layers or -1, what the next step needs)
        type Case<'a> = (&'a [Demand], Option<u64>, bool, &'a [i8], Option<u64>);
        let cases: &[Case] = &[
            (&two, None, true, &[2, 2], None),
            (&two, Some(2_000), true, &[2, 2], None),
            (&two, Some(1_500), true, &[2, 1], Some(1_770)),
            (&two, Some(500), true, &[1, 0], Some(590)),
            (&two, Some(210), true, &[0, 0], Some(390)),
            (&two, Some(150), true, &[0, -1], Some(195)),
            (&two, Some(150), false, &[0, 0], Some(390)),
            (&two, Some(50), true, &[-1, -1], Some(95)),
            (&two, Some(0), false, &[0, 0], Some(390)),
            (&screen_first, Some(150), true, &[-1, 0], Some(195)),
            (&screen_first, Some(450), true, &[0, 1], Some(590)),
            (&[], Some(10), true, &[], None),
        ];
        for (demands, capacity, allow_pause, expected, next) in cases {
            let shares = share(demands, *capacity, *allow_pause);
            assert_eq!(spatial(&shares), *expected, "{capacity:?} {allow_pause}");
            assert_eq!(shares.next_step_bps, *next, "{capacity:?} {allow_pause}");
        }
    }

    #[test]
    fn temporal_layers_are_steps_too() {
        let mut demand = camera(1, [0; 3]);
        demand.rates = LayerRates([[50, 80, 100, 100], [200, 320, 400, 400], [0; 4]]);
        let found: Vec<Allotment> = [40, 60, 90, 150, 330, 1_000]
            .map(|capacity| share(&[demand], Some(capacity), true).allotments[0])
            .into();
        let expected = [
            Paused,
            UpTo(Layer::new(0, 0)),
            UpTo(Layer::new(0, 1)),
            UpTo(Layer::new(0, 3)),
            UpTo(Layer::new(1, 1)),
            UpTo(WANTED),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_wavers_around_the_limit_stays() {
        let at = |spatial, may_rise| Demand {
            current: Some(Layer::new(spatial, 3)),
            may_rise,
            ..camera(1, [100, 300, 900])
        };
        // (current spatial layer, may rise, capacity, expected)
        let cases = [
            (2, true, 870, 2),
            (2, true, 800, 1),
            (1, true, 900, 1),
            (1, true, 960, 2),
            (1, false, 960, 1),
            (0, false, 5_000, 0),
        ];
        for (current, may_rise, capacity, expected) in cases {
            let shares = share(&[at(current, may_rise)], Some(capacity), true);
            assert_eq!(spatial(&shares), [expected], "{current} {may_rise} {capacity}");
        }
    }

    #[test]
    fn a_pinned_track_is_served_whatever_there_is() {
        let mut screen = camera(HIGHEST_PRIORITY, [0, 0, 0]);
        screen.rates = LayerRates([[2_000; 4], [0; 4], [0; 4]]);
        screen.pinned = true;
        let shares = share(&[camera(1, [100, 300, 900]), screen], Some(500), true);
        assert_eq!(spatial(&shares), [-1, 2]);
        let shares = share(&[camera(1, [100, 300, 900]), screen], Some(2_400), true);
        assert_eq!(spatial(&shares), [1, 2]);
    }

    #[test]
    fn what_does_not_flow_is_not_paused() {
        let shares = share(&[camera(1, [0; 3])], Some(0), true);
        assert_eq!(shares.allotments, [UpTo(WANTED)]);
        assert_eq!((shares.taken_bps, shares.next_step_bps), (0, None));
    }

    #[test]
    fn no_more_is_given_than_there_is() {
        let random = |seed: u64| {
            seed.wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407)
                >> 33
        };
        for seed in 0..2_000u64 {
            let capacity = random(seed) % 4_000;
            let demands: Vec<Demand> = (0..random(seed + 7) % 6)
                .map(|index| {
                    let base = 50 + random(seed * 31 + index) % 300;
                    let mut demand = camera((random(seed + index) % 3) as u8, [base, base * 3, base * 9]);
                    demand.current = None;
                    demand
                })
                .collect();
            let shares = share(&demands, Some(capacity), true);
            assert!(shares.taken_bps <= capacity, "seed {seed}");
            let pauses = shares.allotments.contains(&Paused);
            let improved = spatial(&shares).iter().any(|layer| *layer > 0);
            assert!(
                !(pauses && improved) || shares.next_step_bps.is_some(),
                "seed {seed}: {shares:?}"
            );
        }
    }
}

//! What each layer of a video track takes, as received: the prices that bandwidth allocation reckons with.

use std::time::{Duration, Instant};

use crate::layer_selector::MAX_LAYERS;

/// The most temporal layers of a spatial layer.
pub const MAX_TEMPORAL_LAYERS: usize = 4;

const CYCLE: Duration = Duration::from_secs(1);
/// A layer that has flowed for less than this has no rate yet.
const SHORTEST_SAMPLE: Duration = Duration::from_millis(250);

/// A spatial and a temporal layer; the higher one is the better one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layer {
    /// 0..=2
    pub spatial: u8,
    /// 0..=3
    pub temporal: u8,
}

impl Layer {
    /// Whatever the publisher sends.
    pub const BEST: Layer = Layer {
        spatial: MAX_LAYERS as u8 - 1,
        temporal: MAX_TEMPORAL_LAYERS as u8 - 1,
    };

    /// A spatial and a temporal layer.
    pub fn new(spatial: u8, temporal: u8) -> Layer {
        Layer { spatial, temporal }
    }
}

/// Bits per second of each layer with the temporal layers below it; 0 for what does not flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayerRates(pub [[u64; MAX_TEMPORAL_LAYERS]; MAX_LAYERS]);

impl LayerRates {
    /// Of one layer.
    pub fn of(&self, layer: Layer) -> u64 {
        self.0
            .get(usize::from(layer.spatial))
            .and_then(|spatial| spatial.get(usize::from(layer.temporal)))
            .copied()
            .unwrap_or(0)
    }

    /// The layers that flow and are not above `most`, lowest first. When only higher spatial layers flow, the lowest
    /// of those stands in.
    pub fn affordable(&self, most: Layer) -> impl Iterator<Item = (Layer, u64)> + '_ {
        let flows = |spatial: u8| self.0[usize::from(spatial)].iter().any(|rate| *rate > 0);
        let all = 0..MAX_LAYERS as u8;
        let wanted = most.spatial.min(MAX_LAYERS as u8 - 1);
        let lowest_above = all.clone().find(|spatial| *spatial > wanted && flows(*spatial));
        let stand_in = lowest_above.filter(|_| !(0..=wanted).any(flows));
        let spatials = all.filter(move |spatial| *spatial <= wanted || Some(*spatial) == stand_in);
        spatials.flat_map(move |spatial| {
            (0..MAX_TEMPORAL_LAYERS as u8)
                .filter(move |temporal| *temporal <= most.temporal)
                .map(move |temporal| Layer { spatial, temporal })
                .map(|layer| (layer, self.of(layer)))
                .filter(|(_, rate)| *rate > 0)
        })
    }
}

/// Measures one spatial layer, by temporal layer.
#[derive(Debug, Default)]
pub struct RateMeter {
    began_at: Option<Instant>,
    bytes: [u64; MAX_TEMPORAL_LAYERS],
    /// Smoothed, of each temporal layer by itself; 0 before the first cycle.
    rates_bps: [u64; MAX_TEMPORAL_LAYERS],
}

impl RateMeter {
    /// A packet of the layer; `temporal` is 0 for a codec without temporal layers.
    pub fn count(&mut self, now: Instant, temporal: u8, bytes: usize) {
        self.began_at.get_or_insert(now);
        self.bytes[usize::from(temporal).min(MAX_TEMPORAL_LAYERS - 1)] += bytes as u64;
    }

    /// Closes the second that is over, if one is. A rise counts half at once, a fall a fifth: what was needed a moment
    /// ago may soon be needed again.
    pub fn tick(&mut self, now: Instant) {
        let Some(elapsed) = self.elapsed(now).filter(|elapsed| *elapsed >= CYCLE) else {
            return;
        };
        let first = self.rates_bps.iter().all(|rate| *rate == 0);
        for (rate, bytes) in self.rates_bps.iter_mut().zip(&mut self.bytes) {
            let measured = per_second(*bytes, elapsed);
            *rate = match () {
                () if first => measured,
                () if measured > *rate => (*rate + measured) / 2,
                () => (*rate * 4 + measured) / 5,
            };
            *bytes = 0;
        }
        self.began_at = Some(now);
    }

    /// The layer stopped.
    pub fn clear(&mut self) {
        *self = RateMeter::default();
    }

    fn elapsed(&self, now: Instant) -> Option<Duration> {
        self.began_at.map(|began| now.saturating_duration_since(began))
    }

    /// With the temporal layers below, each; all 0 while nothing is known.
    pub fn rates(&self, now: Instant) -> [u64; MAX_TEMPORAL_LAYERS] {
        let mut own = self.rates_bps;
        if own.iter().all(|rate| *rate == 0)
            && let Some(elapsed) = self.elapsed(now).filter(|elapsed| *elapsed >= SHORTEST_SAMPLE)
        {
            own = self.bytes.map(|bytes| per_second(bytes, elapsed));
        }
        let mut sum = 0;
        own.map(|rate| {
            sum += rate;
            sum
        })
    }
}

fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    (bytes as f64 * 8.0 / elapsed.as_secs_f64()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(meter: &mut RateMeter, from: Instant, per_temporal: [usize; MAX_TEMPORAL_LAYERS]) -> Instant {
        for (temporal, bytes) in per_temporal.into_iter().enumerate() {
            if bytes > 0 {
                meter.count(from, temporal as u8, bytes);
            }
        }
        let end = from + CYCLE;
        meter.tick(end);
        end
    }

    #[test]
    fn temporal_layers_add_up() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        assert_eq!(meter.rates(start), [0; 4]);
        let end = second(&mut meter, start, [1_000, 500, 250, 0]);
        assert_eq!(meter.rates(end), [8_000, 12_000, 14_000, 14_000]);
    }

    #[test]
    fn rises_count_more_than_falls() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        let at = second(&mut meter, start, [1_000, 0, 0, 0]);
        let at = second(&mut meter, at, [2_000, 0, 0, 0]);
        assert_eq!(meter.rates(at)[0], 12_000);
        let at = second(&mut meter, at, [1_000, 0, 0, 0]);
        assert_eq!(meter.rates(at)[0], 11_200);
        meter.clear();
        assert_eq!(meter.rates(at), [0; 4]);
    }

    #[test]
    fn a_quarter_of_a_second_is_enough_for_a_first_guess() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        meter.count(start, 0, 1_000);
        assert_eq!(meter.rates(start + Duration::from_millis(249))[0], 0);
        assert_eq!(meter.rates(start + Duration::from_millis(500))[0], 16_000);
    }

    #[test]
    fn layers_are_listed_up_to_the_wanted_one() {
        let rates = LayerRates([[10, 20, 20, 20], [0; 4], [100, 150, 150, 150]]);
        let up_to = |spatial, temporal| -> Vec<(u8, u8)> {
            let found = rates.affordable(Layer::new(spatial, temporal));
            found.map(|(layer, _)| (layer.spatial, layer.temporal)).collect()
        };
        assert_eq!(up_to(0, 0), [(0, 0)]);
        assert_eq!(up_to(1, 1), [(0, 0), (0, 1)]);
        assert_eq!(up_to(2, 1), [(0, 0), (0, 1), (2, 0), (2, 1)]);
        let only_high = LayerRates([[0; 4], [0; 4], [100; 4]]);
        let found: Vec<Layer> = only_high
            .affordable(Layer::new(0, 1))
            .map(|found| found.0)
            .collect();
        assert_eq!(found, [Layer::new(2, 0), Layer::new(2, 1)]);
    }
}

//! How late packets arrive, and the playout delay that follows from it.

/// Width of a histogram bin, in ms.
const BIN_MS: f64 = 20.0;
/// Share of packets that must arrive in time.
const QUANTILE: f64 = 0.97;
/// Weight of the past after each packet, once there is a past: 97 % of it is gone after about 14 s.
const FORGET: f64 = 0.995;
/// The earliest arrival is looked for in this many intervals.
const INTERVALS: usize = 8;
const INTERVAL_MS: f64 = 250.0;
/// An arrival this far from what is expected belongs to another timeline.
const JUMP_MS: f64 = 1_500.0;
/// Packets closer together than this came as one burst.
const BURST_MS: f64 = 2.0;
/// How far one underrun may raise the target, and how fast that wears off.
const MAX_BOOST_MS: f64 = 160.0;
const BOOST_DECAY_PER_MS: f64 = 0.01;

/// Relative-delay histogram with a sliding baseline.
///
/// The transit time of a packet (arrival minus media time) minus the least one of the last two seconds is how
/// late it is. The baseline slides, so a clock that drifts moves it along.
pub(super) struct DelayEstimator {
    bins: Vec<f64>,
    observed: u64,
    /// `(interval number, least transit in it)`, newest last.
    intervals: Vec<(i64, f64)>,
    baseline_ms: f64,
    last_arrival_ms: f64,
    last_late_ms: f64,
    boost_ms: f64,
    boost_since_ms: f64,
    min_ms: f64,
    max_ms: f64,
}

impl DelayEstimator {
    pub(super) fn new(min_ms: u32, max_ms: u32) -> Self {
        let bins = (f64::from(max_ms) / BIN_MS).ceil() as usize + 1;
        Self {
            bins: vec![0.0; bins],
            observed: 0,
            intervals: Vec::with_capacity(INTERVALS + 1),
            baseline_ms: 0.0,
            last_arrival_ms: f64::NEG_INFINITY,
            last_late_ms: 0.0,
            boost_ms: 0.0,
            boost_since_ms: 0.0,
            min_ms: f64::from(min_ms),
            max_ms: f64::from(max_ms),
        }
    }

    /// Whether a packet fits the timeline of those before it.
    pub(super) fn fits(&self, now_ms: f64, media_ms: f64) -> bool {
        self.intervals.is_empty() || (now_ms - media_ms - self.baseline_ms).abs() <= JUMP_MS
    }

    /// Forgets the baseline, keeps what is known of the network's jitter.
    pub(super) fn restart(&mut self) {
        self.intervals.clear();
    }

    /// Takes an arrival into account; returns how late it was, in ms.
    pub(super) fn observe(&mut self, now_ms: f64, media_ms: f64) -> f64 {
        let transit_ms = now_ms - media_ms;
        self.slide(now_ms, transit_ms);
        let late_ms = (transit_ms - self.baseline_ms).max(0.0);
        // Packets held up together are one event: the first of them, the latest, stands for all.
        let same_burst = now_ms - self.last_arrival_ms < BURST_MS && late_ms < self.last_late_ms;
        self.last_arrival_ms = now_ms;
        self.last_late_ms = late_ms;
        if !same_burst {
            self.count(late_ms);
        }
        late_ms
    }

    fn count(&mut self, late_ms: f64) {
        let bin = ((late_ms / BIN_MS) as usize).min(self.bins.len() - 1);
        self.observed += 1;
        let forget = FORGET.min(1.0 - 1.0 / (self.observed + 1) as f64);
        for value in &mut self.bins {
            *value *= forget;
        }
        self.bins[bin] += 1.0 - forget;
    }

    /// An underrun ended with a packet this late: keep at least that much delay for a while.
    pub(super) fn boost(&mut self, now_ms: f64, late_ms: f64) {
        let wanted = ((late_ms / BIN_MS).ceil() * BIN_MS).min(MAX_BOOST_MS);
        if wanted > self.boost_at(now_ms) {
            self.boost_ms = wanted;
            self.boost_since_ms = now_ms;
        }
    }

    /// Delay a sample of this media time has had if it is played now.
    pub(super) fn delay_ms(&self, now_ms: f64, media_ms: f64) -> f64 {
        now_ms - media_ms - self.baseline_ms
    }

    /// Wanted delay, in ms.
    pub(super) fn target_ms(&self, now_ms: f64) -> f64 {
        let total: f64 = self.bins.iter().sum();
        let mut sum = 0.0;
        let bin = self.bins.iter().position(|value| {
            sum += value;
            sum >= total * QUANTILE
        });
        let from_histogram = (bin.unwrap_or(0) + 1) as f64 * BIN_MS;
        from_histogram
            .max(self.boost_at(now_ms))
            .clamp(self.min_ms, self.max_ms)
    }

    fn boost_at(&self, now_ms: f64) -> f64 {
        (self.boost_ms - (now_ms - self.boost_since_ms) * BOOST_DECAY_PER_MS).max(0.0)
    }

    fn slide(&mut self, now_ms: f64, transit_ms: f64) {
        let interval = (now_ms / INTERVAL_MS) as i64;
        match self.intervals.last_mut() {
            Some((number, least)) if *number == interval => *least = least.min(transit_ms),
            _ => self.intervals.push((interval, transit_ms)),
        }
        self.intervals
            .retain(|(number, _)| interval - number < INTERVALS as i64);
        self.baseline_ms = self
            .intervals
            .iter()
            .fold(f64::INFINITY, |least, (_, value)| least.min(*value));
    }
}

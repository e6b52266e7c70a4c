//! The estimator on a simulated link: a bottleneck with a queue, losses and delays, in virtual time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Estimator, SentPackets};
use crate::twcc::FeedbackGenerator;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const PROPAGATION: Duration = Duration::from_millis(30);
const PACKET_BYTES: u64 = 1_000;

/// A sender that obeys the estimate by choosing one of some layers, behind a link.
struct Link {
    now: Instant,
    start: Instant,
    estimator: Estimator,
    sent: SentPackets,
    generator: FeedbackGenerator,
    number: u16,
    sent_bytes: u64,
    /// When the queue is empty.
    free_at: Instant,
    capacity_bps: u64,
    queue_limit: Duration,
    loss: f64,
    jitter_us: u64,
    layers_bps: &'static [u64],
    layer: usize,
    switches: usize,
    in_flight: VecDeque<(Instant, u16)>,
    feedback: VecDeque<(Instant, Vec<u8>)>,
    media_debt_bits: f64,
    random: StdRng,
}

impl Link {
    fn new(capacity_bps: u64, layers_bps: &'static [u64], seed: u64) -> Link {
        let start = Instant::now();
        Link {
            now: start,
            start,
            estimator: Estimator::default(),
            sent: SentPackets::new(start),
            generator: FeedbackGenerator::new(start),
            number: 0,
            sent_bytes: 0,
            free_at: start,
            capacity_bps,
            queue_limit: Duration::from_millis(300),
            loss: 0.0,
            jitter_us: 2_000,
            layers_bps,
            layer: layers_bps.len() - 1,
            switches: 0,
            in_flight: VecDeque::new(),
            feedback: VecDeque::new(),
            media_debt_bits: 0.0,
            random: StdRng::seed_from_u64(seed),
        }
    }

    fn send(&mut self, bytes: u64) {
        self.sent.push(self.now, self.number, bytes as usize);
        self.sent_bytes += bytes;
        let number = self.number;
        self.number = self.number.wrapping_add(1);
        if self.random.random_bool(self.loss) || self.free_at > self.now + self.queue_limit {
            return;
        }
        let takes = Duration::from_secs_f64(bytes as f64 * 8.0 / self.capacity_bps as f64);
        self.free_at = self.free_at.max(self.now) + takes;
        let jitter = Duration::from_micros(self.random.random_range(0..=self.jitter_us));
        self.in_flight
            .push_back((self.free_at + PROPAGATION + jitter, number));
    }

    /// One millisecond. Media is sent in frames of 33 ms, each at once.
    fn step(&mut self) {
        self.now += Duration::from_millis(1);
        let elapsed_ms = (self.now - self.start).as_millis();
        self.media_debt_bits += self.layers_bps[self.layer] as f64 / 1_000.0;
        if elapsed_ms.is_multiple_of(33) {
            while self.media_debt_bits >= PACKET_BYTES as f64 * 8.0 {
                self.media_debt_bits -= PACKET_BYTES as f64 * 8.0;
                self.send(PACKET_BYTES);
            }
        }
        if self.estimator.deadline().is_some_and(|due| due <= self.now) {
            let mut padding = self.estimator.padding_bytes(self.now, self.sent_bytes, true);
            while padding > 0 {
                self.send(padding.clamp(50, 280) as u64);
                padding = padding.saturating_sub(280);
            }
        }
        while self.in_flight.front().is_some_and(|(at, _)| *at <= self.now) {
            let (at, number) = self.in_flight.pop_front().expect("seen");
            self.generator.record(at, number, false);
        }
        let arrives_at = self.now + PROPAGATION;
        self.generator.collect(self.now, |body| {
            self.feedback.push_back((arrives_at, body.to_vec()));
        });
        while self.feedback.front().is_some_and(|(at, _)| *at <= self.now) {
            let (_, body) = self.feedback.pop_front().expect("seen");
            self.estimator.feedback(self.now, &body, &mut self.sent);
            self.choose();
        }
    }

    fn choose(&mut self) {
        let fits = |estimate: u64| {
            self.layers_bps
                .iter()
                .rposition(|layer| *layer <= estimate)
                .unwrap_or(0)
        };
        let Some(estimate) = self.estimator.estimate_bps() else {
            return;
        };
        let layer = fits(estimate);
        self.switches += usize::from(layer != self.layer);
        self.layer = layer;
        let next = self.layers_bps.get(layer + 1).copied();
        self.estimator.want(next, self.now);
    }

    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.step();
        }
    }

    fn queue(&self) -> Duration {
        self.free_at.saturating_duration_since(self.now)
    }
}

const LAYERS: &[u64] = &[120_000, 400_000, 1_500_000];

#[test]
fn nothing_is_concluded_from_a_link_that_is_not_full() {
    for loss in [0.0, 0.02, 0.05] {
        let mut link = Link::new(5_000_000, LAYERS, 1);
        link.loss = loss;
        link.jitter_us = 20_000;
        link.run(60_000);
        assert_eq!(link.estimator.estimate_bps(), None, "loss {loss}");
    }
}

#[test]
fn a_narrower_link_is_followed_within_two_seconds() {
    for (seed, capacity_bps, layer) in [
        (1, 600_000, 1),
        (2, 300_000, 0),
        (3, 1_000_000, 1),
        (4, 150_000, 0),
    ] {
        let mut link = Link::new(5_000_000, LAYERS, seed);
        link.run(10_000);
        link.capacity_bps = capacity_bps;
        link.run(2_000);
        let estimate = link.estimator.estimate_bps().expect("it was full");
        assert!(estimate < capacity_bps, "{estimate} of {capacity_bps}");
        assert!(estimate > capacity_bps * 6 / 10, "{estimate} of {capacity_bps}");
        assert_eq!(link.layer, layer, "{capacity_bps}");
        link.run(3_000);
        // Two packets of a slow link take long by themselves.
        let longest = Duration::from_millis(150 + 2 * 8 * PACKET_BYTES * 1_000 / capacity_bps);
        let queue = link.queue();
        assert!(queue < longest, "{queue:?} at {capacity_bps}");
    }
}

#[test]
fn a_short_queue_is_noticed_by_its_losses() {
    let mut link = Link::new(5_000_000, LAYERS, 5);
    link.queue_limit = Duration::from_millis(15);
    link.run(5_000);
    link.capacity_bps = 600_000;
    link.run(2_500);
    let estimate = link.estimator.estimate_bps().expect("it was full");
    assert!((200_000..600_000).contains(&estimate), "{estimate}");
}

#[test]
fn a_wider_link_is_found_within_ten_seconds() {
    for seed in 1..6 {
        let mut link = Link::new(5_000_000, LAYERS, seed);
        link.run(5_000);
        link.capacity_bps = 250_000;
        link.run(20_000);
        assert_eq!(link.layer, 0, "seed {seed}");
        link.capacity_bps = 5_000_000;
        link.run(10_000);
        assert_eq!(link.layer, 2, "seed {seed}: {:?}", link.estimator.estimate_bps());
    }
}

#[test]
fn a_steady_link_gives_a_steady_layer() {
    for (seed, capacity_bps, layer) in [
        (1, 600_000, 1),
        (2, 300_000, 0),
        (3, 1_300_000, 1),
        (4, 430_000, 0),
    ] {
        let mut link = Link::new(5_000_000, LAYERS, seed);
        link.run(3_000);
        link.capacity_bps = capacity_bps;
        link.run(10_000);
        let before = link.switches;
        let mut longest = Duration::ZERO;
        for _ in 0..120_000 {
            link.step();
            longest = longest.max(link.queue());
        }
        assert_eq!((link.layer, link.switches - before), (layer, 0), "{capacity_bps}");
        assert!(
            longest < Duration::from_millis(200),
            "{longest:?} at {capacity_bps}"
        );
    }
}

#[test]
fn random_losses_do_not_pull_a_limited_estimate_down() {
    for loss in [0.02, 0.05] {
        let mut link = Link::new(600_000, LAYERS, 9);
        link.run(5_000);
        assert_eq!(link.layer, 1);
        link.loss = loss;
        link.run(60_000);
        assert_eq!(link.layer, 1, "loss {loss}: {:?}", link.estimator.estimate_bps());
    }
}

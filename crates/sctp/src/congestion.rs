//! How much may be on its way (RFC 9260 section 7), with two changes that are known from TCP.
//!
//! After a loss the window is what the path has been shown to carry without queueing: the measured rate times the
//! shortest round trip (TCP Westwood+), but never less than half. So loss that is not congestion costs little,
//! and a full queue is drained. And the first fast growth ends when round trips get longer (HyStart++, RFC 9406), so
//! that it does not end in a window full of losses.

use std::time::{Duration, Instant};

/// RFC 6928.
const INITIAL_PACKETS: usize = 10;
const MINIMUM_PACKETS: usize = 4;
/// Below this many bytes growth is not judged by delay.
const DELAY_MINIMUM_PACKETS: usize = 64;
const DELAY_SAMPLES: u32 = 8;
const DELAY_BOUNDS: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(16));

#[derive(Debug)]
pub(crate) struct Congestion {
    packet_bytes: usize,
    window: usize,
    threshold: usize,
    /// Acknowledged bytes towards the next packet of linear growth.
    credit: usize,
    /// Smoothed bytes per second.
    rate: f64,
    round: Round,
}

/// One round trip.
#[derive(Debug, Default)]
struct Round {
    started_at: Option<Instant>,
    acknowledged: usize,
    was_limited: bool,
    samples: u32,
    shortest: Option<Duration>,
    last_shortest: Option<Duration>,
}

impl Congestion {
    pub(crate) fn new(packet_bytes: usize) -> Congestion {
        Congestion {
            packet_bytes,
            window: INITIAL_PACKETS * packet_bytes,
            threshold: usize::MAX,
            credit: 0,
            rate: 0.0,
            round: Round::default(),
        }
    }

    /// Bytes that may be on their way.
    pub(crate) fn window(&self) -> usize {
        self.window
    }

    /// `bytes` are newly acknowledged; `was_limited`: the window was used up.
    pub(crate) fn acknowledged(
        &mut self,
        now: Instant,
        bytes: usize,
        was_limited: bool,
        is_recovering: bool,
        smoothed: Option<Duration>,
    ) {
        self.measure_rate(now, bytes, was_limited, smoothed);
        if is_recovering || !was_limited {
            return;
        }
        if self.window < self.threshold {
            self.window += bytes.min(self.window);
            return;
        }
        self.credit += bytes;
        if self.credit >= self.window {
            self.credit -= self.window;
            self.window += self.packet_bytes;
        }
    }

    fn measure_rate(&mut self, now: Instant, bytes: usize, was_limited: bool, smoothed: Option<Duration>) {
        let Some(started_at) = self.round.started_at else {
            self.round.started_at = Some(now);
            return;
        };
        self.round.acknowledged += bytes;
        self.round.was_limited |= was_limited;
        let elapsed = now.saturating_duration_since(started_at);
        if elapsed < smoothed.unwrap_or_default().max(Duration::from_micros(100)) {
            return;
        }
        let rate = self.round.acknowledged as f64 / elapsed.as_secs_f64();
        // A round in which there was little to send says nothing about the path.
        if self.round.was_limited || rate > self.rate {
            self.rate = if self.rate == 0.0 {
                rate
            } else {
                self.rate * 0.75 + rate * 0.25
            };
        }
        self.round = Round {
            started_at: Some(now),
            last_shortest: self.round.shortest.or(self.round.last_shortest),
            ..Round::default()
        };
    }

    /// A round trip was measured: growing delay ends the fast growth.
    pub(crate) fn delay_measured(&mut self, sample: Duration) {
        let round = &mut self.round;
        round.samples += 1;
        let shortest = round.shortest.map_or(sample, |shortest| shortest.min(sample));
        round.shortest = Some(shortest);
        let is_judged = self.window < self.threshold
            && self.window >= DELAY_MINIMUM_PACKETS * self.packet_bytes
            && round.samples >= DELAY_SAMPLES;
        if let Some(last) = round.last_shortest.filter(|_| is_judged)
            && shortest >= last + (last / 8).clamp(DELAY_BOUNDS.0, DELAY_BOUNDS.1)
        {
            self.threshold = self.window;
        }
    }

    /// Something was lost; once for all that was on its way together.
    pub(crate) fn lost(&mut self, shortest: Option<Duration>) {
        let carried = shortest.map_or(0.0, |shortest| self.rate * shortest.as_secs_f64());
        self.threshold = (carried as usize)
            .clamp(self.window / 2, self.window)
            .max(self.minimum());
        self.window = self.threshold;
        self.credit = 0;
    }

    /// Nothing was heard for the whole timeout.
    pub(crate) fn timed_out(&mut self) {
        self.threshold = (self.window / 2).max(self.minimum());
        self.window = 2 * self.packet_bytes;
        self.credit = 0;
    }

    /// Nothing was sent for the whole timeout: what was known of the path is old.
    pub(crate) fn was_idle(&mut self) {
        let initial = INITIAL_PACKETS * self.packet_bytes;
        self.window = self.window.min((self.window / 2).max(initial));
        self.round = Round::default();
    }

    fn minimum(&self) -> usize {
        MINIMUM_PACKETS * self.packet_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Rounds of `rtt` in which the whole window is acknowledged.
    fn run(congestion: &mut Congestion, now: &mut Instant, rounds: usize, rtt: Duration) {
        for _ in 0..rounds {
            let window = congestion.window();
            for _ in 0..10 {
                *now += rtt / 10;
                congestion.acknowledged(*now, window / 10, true, false, Some(rtt));
                congestion.delay_measured(rtt);
            }
        }
    }

    #[test]
    fn it_doubles_each_round_then_grows_by_a_packet() {
        let (mut congestion, mut now) = (Congestion::new(1000), Instant::now());
        run(&mut congestion, &mut now, 5, 20 * MS);
        assert!(congestion.window() > 200_000, "{}", congestion.window());
        congestion.lost(Some(20 * MS));
        let before = congestion.window();
        run(&mut congestion, &mut now, 10, 20 * MS);
        let grown = congestion.window() - before;
        assert!((8_000..=11_000).contains(&grown), "{grown}");
    }

    #[test]
    fn loss_without_queueing_costs_little_and_with_it_drains_the_queue() {
        for (queueing, expected) in [(Duration::ZERO, 0.85..=1.0), (20 * MS, 0.45..=0.6)] {
            let (mut congestion, mut now) = (Congestion::new(1000), Instant::now());
            run(&mut congestion, &mut now, 3, 20 * MS);
            congestion.threshold = 0;
            run(&mut congestion, &mut now, 60, 20 * MS + queueing);
            let before = congestion.window();
            congestion.lost(Some(20 * MS));
            let ratio = congestion.window() as f64 / before as f64;
            assert!(expected.contains(&ratio), "{ratio} with {queueing:?}");
        }
    }

    #[test]
    fn growing_delay_ends_the_fast_growth() {
        let (mut congestion, mut now) = (Congestion::new(1000), Instant::now());
        run(&mut congestion, &mut now, 4, 20 * MS);
        run(&mut congestion, &mut now, 2, 40 * MS);
        let before = congestion.window();
        run(&mut congestion, &mut now, 5, 40 * MS);
        assert!(congestion.window() < before + 10_000);
    }

    #[test]
    fn silence_closes_the_window() {
        let mut congestion = Congestion::new(1000);
        congestion.timed_out();
        assert_eq!((congestion.window(), congestion.threshold), (2000, 5000));
    }
}

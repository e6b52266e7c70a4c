//! When and how to find out whether there is more room: by sending padding for a moment.
//!
//! States: waiting until `next_at`, or running. A probe begins at what is sent and doubles every 400 ms up to its
//! goal, where it stays for a moment. The estimator ends it as soon as the goal is seen to arrive, or a queue
//! builds up. A failure makes the next one wait longer.

use std::time::{Duration, Instant};

/// After congestion, and the first wait of all.
const FIRST_WAIT: Duration = Duration::from_secs(3);
/// After a success, when there is still more to gain.
const NEXT_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(6);
/// When what a probe found turned out too much, again and again.
const LONGEST_WAIT_AFTER_RELAPSE: Duration = Duration::from_secs(30);
/// Congestion that comes so soon after a success is its fault.
const RELAPSE: Duration = Duration::from_secs(8);
const DOUBLING: Duration = Duration::from_millis(400);
/// How long the goal is held before the probe gives up.
const HOLD: Duration = Duration::from_secs(1);
/// A probe without media to measure from begins here.
const LEAST_BPS: u64 = 50_000;
/// The goal is so much more than what is needed, in percent: the estimate stays below what was measured.
const GOAL_PERCENT: u64 = 120;

/// How often padding is sent while a probe runs.
pub const TICK: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy)]
struct Running {
    from_bps: u64,
    goal_bps: u64,
    began_at: Instant,
    ticked_at: Instant,
    /// What may have been sent since it began, in bits.
    budget_bits: f64,
    /// The counter of sent bytes when it began.
    sent_before: u64,
}

/// The probes of one transport.
#[derive(Debug)]
pub struct Prober {
    /// What has to fit for the next improvement.
    wanted_bps: Option<u64>,
    wait: Duration,
    next_at: Option<Instant>,
    running: Option<Running>,
    succeeded_at: Option<Instant>,
    /// How often in a row what a probe found turned out too much.
    relapses: u32,
}

impl Default for Prober {
    fn default() -> Prober {
        Prober {
            wanted_bps: None,
            wait: FIRST_WAIT,
            next_at: None,
            running: None,
            succeeded_at: None,
            relapses: 0,
        }
    }
}

impl Prober {
    /// What would have to fit for the next improvement; None when nothing is wanted.
    pub fn want(&mut self, bitrate_bps: Option<u64>, now: Instant) {
        self.wanted_bps = bitrate_bps;
        if bitrate_bps.is_none() {
            self.running = None;
        } else {
            self.next_at.get_or_insert(now + self.wait);
        }
    }

    /// The goal of the probe that runs.
    pub fn goal_bps(&self) -> Option<u64> {
        self.running.map(|running| running.goal_bps)
    }

    /// The link is full, by what is sent anyway.
    pub fn congested(&mut self, now: Instant) {
        self.running = None;
        let relapsed = self
            .succeeded_at
            .take()
            .is_some_and(|at| now.saturating_duration_since(at) < RELAPSE);
        self.relapses = if relapsed { (self.relapses + 1).min(5) } else { 0 };
        let wait = FIRST_WAIT * 2u32.pow(self.relapses);
        self.wait = wait.clamp(self.wait.min(LONGEST_WAIT), LONGEST_WAIT_AFTER_RELAPSE);
        self.next_at = Some(now + self.wait);
    }

    /// The goal was reached.
    pub fn succeeded(&mut self, now: Instant) {
        self.running = None;
        self.succeeded_at = Some(now);
        self.wait = NEXT_WAIT;
        self.next_at = Some(now + self.wait);
    }

    /// The link can't take more.
    pub fn failed(&mut self, now: Instant) {
        self.running = None;
        self.wait = (self.wait * 3 / 2).clamp(FIRST_WAIT, LONGEST_WAIT.max(self.wait));
        self.next_at = Some(now + self.wait);
    }

    /// Begins a probe when one is due. `sending_bps` is what is sent now, `sent_bytes` a counter of it.
    pub fn begin(&mut self, now: Instant, sending_bps: u64, sent_bytes: u64) -> bool {
        let (Some(wanted), Some(next_at), None) = (self.wanted_bps, self.next_at, self.running) else {
            return false;
        };
        if next_at > now {
            return false;
        }
        self.running = Some(Running {
            from_bps: sending_bps.max(LEAST_BPS),
            goal_bps: wanted.max(LEAST_BPS) * GOAL_PERCENT / 100,
            began_at: now,
            ticked_at: now,
            budget_bits: 0.0,
            sent_before: sent_bytes,
        });
        true
    }

    /// The bytes of padding to send now. Ends a probe that has taken too long.
    pub fn padding_bytes(&mut self, now: Instant, sent_bytes: u64) -> usize {
        let Some(running) = &mut self.running else {
            return 0;
        };
        let elapsed = now.saturating_duration_since(running.began_at);
        let growth = 2f64.powf(elapsed.as_secs_f64() / DOUBLING.as_secs_f64());
        let (from, goal) = (running.from_bps as f64, running.goal_bps as f64);
        let steps = (goal / from).max(1.0).log2();
        if elapsed > DOUBLING.mul_f64(steps) + HOLD {
            self.failed(now);
            return 0;
        }
        // After a pause of the caller's, nothing is caught up on at once.
        let step = now.saturating_duration_since(running.ticked_at).min(TICK * 3);
        running.budget_bits += (from * growth).min(goal) * step.as_secs_f64();
        running.ticked_at = now;
        let sent_bits = (sent_bytes - running.sent_before) as f64 * 8.0;
        // A burst of media is not made up for by silence afterwards.
        running.budget_bits = running.budget_bits.max(sent_bits - goal * 0.05);
        ((running.budget_bits - sent_bits).max(0.0) / 8.0) as usize
    }

    /// When `begin` or `padding_bytes` is wanted.
    pub fn deadline(&self) -> Option<Instant> {
        match self.running {
            Some(running) => Some(running.ticked_at + TICK),
            None => self.next_at.filter(|_| self.wanted_bps.is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_probe_begins_when_it_is_due_and_wanted() {
        let start = Instant::now();
        let mut prober = Prober::default();
        assert!(!prober.begin(at(start, 10_000), 100_000, 0), "nothing is wanted");
        prober.want(Some(400_000), start);
        assert_eq!(prober.deadline(), Some(start + FIRST_WAIT));
        assert!(!prober.begin(at(start, 2_999), 100_000, 0));
        assert!(prober.begin(at(start, 3_000), 100_000, 0));
        assert_eq!(prober.goal_bps(), Some(480_000));
        prober.want(None, at(start, 3_010));
        assert_eq!((prober.goal_bps(), prober.deadline()), (None, None));
    }

    #[test]
    fn padding_fills_up_to_a_rate_that_rises_to_the_goal() {
        let start = Instant::now();
        let mut prober = Prober::default();
        prober.want(Some(400_000), start);
        let began = at(start, 3_000);
        assert!(prober.begin(began, 120_000, 0));
        let (mut sent, mut rates) = (0u64, Vec::new());
        for half in 0..2 {
            let before = sent;
            for tick in 1..=80 {
                sent += 100_000 / 8 / 100;
                sent += prober.padding_bytes(at(began, half * 800 + tick * 10), sent) as u64;
            }
            rates.push((sent - before) * 10);
        }
        // From 120 to 480 kb/s in 800 ms, then steady.
        assert!((240_000..280_000).contains(&rates[0]), "{rates:?}");
        assert!((470_000..490_000).contains(&rates[1]), "{rates:?}");
        assert_eq!(prober.padding_bytes(at(began, 1_810), sent), 0);
        assert_eq!(prober.goal_bps(), None, "it has taken too long");
    }

    #[test]
    fn waits_follow_what_came_of_it() {
        let start = Instant::now();
        let mut prober = Prober::default();
        prober.want(Some(1), start);
        let mut now = start;
        let mut wait = |prober: &Prober| {
            let wait = prober.deadline().expect("wanted") - now;
            now += wait;
            (now, wait.as_millis())
        };
        assert_eq!(wait(&prober).1, 3_000);
        type Step = (fn(&mut Prober, Instant), u128);
        let steps: [Step; 8] = [
            (Prober::failed, 4_500),
            (Prober::failed, 6_000),
            (Prober::failed, 6_000),
            (Prober::succeeded, 500),
            (Prober::congested, 6_000),
            (Prober::succeeded, 500),
            (Prober::congested, 12_000),
            (Prober::congested, 6_000),
        ];
        let mut at = start + Duration::from_secs(3);
        for (index, (step, expected)) in steps.into_iter().enumerate() {
            step(&mut prober, at);
            let (next, waited) = wait(&prober);
            assert_eq!(waited, expected, "step {index}");
            at = next;
        }
    }
}

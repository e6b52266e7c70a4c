//! The loop that drives all participants, in one thread.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenroom_transport::Certificate;
use mio::{Events, Poll};

use crate::participant::{Access, Expected, Participant, Plan, SOCKETS};
use crate::reception::Summary;
use crate::track::Clock;

/// Joins under way at once.
const CONCURRENT_JOINS: usize = 10;
const JOIN_LIMIT: Duration = Duration::from_secs(60);
const SETTLE_WINDOW: Duration = Duration::from_secs(1);
/// The part of the expected packets that counts as all of them: windows don't begin with a packet.
const FULL_RATE: f64 = 0.98;
/// How often media is sent and how often timers are looked at.
const TICK: Duration = Duration::from_millis(1);
const TIMER_TICK: Duration = Duration::from_millis(5);

/// All participants and their sockets.
pub struct World {
    access: Access,
    certificate: Arc<Certificate>,
    poll: Poll,
    events: Events,
    participants: Vec<Participant>,
    epoch: Instant,
    next_timers_at: Instant,
    longest_step: Duration,
}

impl World {
    pub fn new(access: Access) -> io::Result<World> {
        let now = Instant::now();
        Ok(World {
            access,
            certificate: Certificate::generate().map_err(io::Error::other)?,
            poll: Poll::new()?,
            events: Events::with_capacity(256),
            participants: Vec::new(),
            epoch: now,
            next_timers_at: now,
            longest_step: Duration::ZERO,
        })
    }

    /// Lets these join, some at once. How long that took, until media can flow for all.
    pub fn join(&mut self, plans: Vec<Plan>) -> io::Result<Duration> {
        let started = Instant::now();
        let first = self.participants.len();
        let mut plans = plans.into_iter();
        loop {
            let under_way = self.joining(first);
            for plan in plans.by_ref().take(CONCURRENT_JOINS.saturating_sub(under_way)) {
                let index = self.participants.len();
                let participant =
                    Participant::start(&self.access, plan, &self.certificate, self.poll.registry(), index)?;
                self.participants.push(participant);
            }
            if self.joining(first) == 0 {
                return Ok(started.elapsed());
            }
            if started.elapsed() > JOIN_LIMIT {
                let count = self.joining(first);
                return Err(io::Error::other(format!(
                    "{count} participants have not joined after {JOIN_LIMIT:?}"
                )));
            }
            self.step()?;
        }
    }

    fn joining(&self, first: usize) -> usize {
        self.participants[first..]
            .iter()
            .filter(|participant| !participant.is_joined())
            .count()
    }

    /// Runs for so long.
    pub fn run(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let began = Instant::now();
            self.step()?;
            self.longest_step = self.longest_step.max(began.elapsed());
        }
        Ok(())
    }

    /// The longest time since `begin` in which nobody was served, in `run`: a delay up to that may be our own.
    pub fn longest_step(&self) -> Duration {
        self.longest_step
    }

    /// What all together are to receive.
    pub fn expected(&self) -> Expected {
        let mut sum = Expected::default();
        for participant in &self.participants {
            sum.streams += participant.plan.expects.streams;
            sum.packets_per_s += participant.plan.expects.packets_per_s;
        }
        sum
    }

    /// Runs until every stream that is to arrive does, and for one second at its full rate. A server that never gets
    /// that far in the time is measured as it is, if at least all streams are there.
    pub fn settle(&mut self, limit: Duration) -> io::Result<()> {
        let expected = self.expected();
        let end = Instant::now() + limit;
        loop {
            self.begin();
            self.run(SETTLE_WINDOW)?;
            let summary = self.summary();
            let is_full = summary.packets as f64 >= expected.packets_per_s as f64 * FULL_RATE;
            let is_late = Instant::now() > end;
            match summary.streams == expected.streams {
                true if is_full || is_late => return Ok(()),
                false if is_late => {
                    let (streams, wanted) = (summary.streams, expected.streams);
                    let text = format!("{streams} streams instead of {wanted} arrive after {limit:?}");
                    return Err(io::Error::other(text));
                }
                _ => {}
            }
        }
    }

    /// Begins a measurement.
    pub fn begin(&mut self) {
        self.longest_step = Duration::ZERO;
        for participant in &mut self.participants {
            participant.subscriber().reception.begin();
        }
    }

    /// What was received since `begin`.
    pub fn summary(&mut self) -> Summary {
        let mut summary = Summary::default();
        for participant in &mut self.participants {
            participant.subscriber().reception.add_to(&mut summary);
        }
        summary
    }

    /// Packets sent so far.
    pub fn packets_sent(&self) -> u64 {
        self.participants.iter().map(Participant::packets_sent).sum()
    }

    /// All leave.
    pub fn leave(&mut self) -> io::Result<()> {
        self.participants.iter_mut().try_for_each(Participant::leave)
    }

    fn step(&mut self) -> io::Result<()> {
        if let Err(error) = self.poll.poll(&mut self.events, Some(TICK))
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(error);
        }
        for event in &self.events {
            let (index, socket) = (event.token().0 / SOCKETS, event.token().0 % SOCKETS);
            let participant = &mut self.participants[index];
            participant
                .handle_ready(socket, self.epoch)
                .map_err(|error| of(participant, &error))?;
        }
        let clock = Clock {
            epoch: self.epoch,
            now: Instant::now(),
        };
        let are_timers_due = self.next_timers_at <= clock.now;
        if are_timers_due {
            self.next_timers_at = clock.now + TIMER_TICK;
        }
        for participant in &mut self.participants {
            let mut result = participant.publish(&clock);
            if are_timers_due && result.is_ok() {
                result = participant.handle_time(clock.now);
            }
            result.map_err(|error| of(participant, &error))?;
        }
        Ok(())
    }
}

fn of(participant: &Participant, error: &io::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", participant.plan.identity))
}

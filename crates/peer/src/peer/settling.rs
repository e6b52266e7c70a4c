//! Carrying a change through str0m, the channels and the jobs until nothing moves.

use std::time::{Duration, Instant};

use str0m::{Input, Output, Reason};

use super::input::is_stun;
use super::{Peer, PeerEvent, Protocol, State, Transmit};
use crate::jobs::{JobKey, Outcome};

/// str0m's pacer asks for times a microsecond ahead; those are served at once, or it would send one packet a wake-up.
const DUE_WITHIN: Duration = Duration::from_millis(1);
/// Bounds one drain.
const DRAIN_STEPS_LIMIT: usize = 100_000;
/// Deadlines in a row that are due and lead to nothing, after which str0m is left alone for a moment.
const FRUITLESS_LIMIT: usize = 50;
/// Without a report that is newer than two round trips, str0m's bandwidth estimator asks to be called every round trip:
/// without end where that is zero, as on one machine. It loses nothing by waiting, while packets are sent or not.
const ESTIMATOR_REST: Duration = Duration::from_millis(2);
const IDLE_ESTIMATOR_REST: Duration = Duration::from_millis(20);
/// Nothing was sent for so long: the connection is idle.
const IDLE_AFTER: Duration = Duration::from_millis(100);
/// Errors of str0m in one drain after which it is given up.
const DRAIN_ERRORS_LIMIT: usize = 100;

impl Peer {
    /// Let str0m know the time; its timers run.
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.run_timers(self.now);
    }

    fn run_timers(&mut self, at: Instant) {
        self.advanced_at = at;
        if let Err(error) = self.rtc.handle_input(Input::Timeout(at)) {
            self.str0m_failed(&error);
        }
    }

    /// After a change that str0m must act on soon.
    pub(super) fn touch(&mut self, now: Instant) {
        self.advance(now);
        self.settle(now);
    }

    /// Carry everything through until nothing moves.
    pub(super) fn settle(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.drain();
        if self.take_server_events() {
            self.drain();
        }
        if self.channels.pump(&mut self.rtc, self.now) {
            self.drain();
        }
        let writable = self.channels.writable(&mut self.rtc);
        self.events
            .extend(writable.into_iter().map(PeerEvent::ChannelWritable));
        if self.state == State::Open && self.connection.update(&self.rtc) {
            self.events.push_back(PeerEvent::Connected);
            self.eager_checks.end();
            self.sending.connected(&self.jobs, self.now);
        }
        let silence = self.silence.update(self.connection.connected, self.now);
        self.events.extend(silence.map(PeerEvent::IceState));
        self.take_results(self.now);
        if self.state == State::Open
            && self.connection.poll_timeout().is_some_and(|at| at <= self.now)
            && let Some(reason) = self.connection.given_up(self.now, &self.servers.report())
        {
            self.fail(reason);
        }
    }

    pub(super) fn take_results(&mut self, now: Instant) {
        // Inline runners finish follow-up jobs at once, so look again; real ones find it empty.
        for _ in 0..64 {
            if self.state != State::Open || self.jobs.inbox.is_empty() {
                return;
            }
            for (key, outcome) in self.jobs.inbox.take() {
                self.job_finished(key, outcome, now);
            }
        }
    }

    fn job_finished(&mut self, key: JobKey, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Decoded(_) => self.receiving.finished(&self.jobs, key.owner, outcome, now),
            Outcome::Encoded(_) => self.encoded(key, outcome, now),
            // Owners are unique, so only one of the two has it.
            Outcome::Lost => {
                self.receiving.finished(&self.jobs, key.owner, Outcome::Lost, now);
                self.encoded(key, Outcome::Lost, now);
            }
        }
    }

    fn encoded(&mut self, key: JobKey, outcome: Outcome, now: Instant) {
        let sending = self.connection.connected;
        self.sending
            .finished(&mut self.rtc, &self.jobs, key, outcome, sending, now);
        self.advance(now);
        self.drain();
    }

    /// Take everything out of str0m; it must be empty before it gets the next input.
    pub(super) fn drain(&mut self) {
        let horizon = self.now + DUE_WITHIN;
        let mut errors = 0;
        let mut fruitless = 0;
        for _ in 0..DRAIN_STEPS_LIMIT {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    fruitless = 0;
                    self.queue_transmit(transmit);
                }
                Ok(Output::Event(event)) => {
                    fruitless = 0;
                    self.handle_event(event);
                }
                Ok(Output::Timeout(deadline)) => {
                    self.deadline = self.unhurried(deadline);
                    if self.deadline > horizon || !self.rtc.is_alive() {
                        return;
                    }
                    fruitless += 1;
                    if fruitless > FRUITLESS_LIMIT {
                        break;
                    }
                    self.run_timers(deadline.max(self.now));
                }
                Err(error) => {
                    errors += 1;
                    self.str0m_failed(&error);
                    if errors > DRAIN_ERRORS_LIMIT {
                        self.fail(format!("the connection fails again and again: {error}"));
                        return;
                    }
                }
            }
        }
        log::warn!("a peer asks for work without end; it goes on in a moment");
        self.deadline = self.now + DUE_WITHIN;
    }

    /// The deadline, later where it is that of an estimator that can wait.
    fn unhurried(&self, deadline: Instant) -> Instant {
        if self.rtc.last_timeout_reason() != Reason::BweDelayControl {
            return deadline;
        }
        let is_idle = self.sent_at.is_none_or(|at| self.now > at + IDLE_AFTER);
        let rest = if is_idle {
            IDLE_ESTIMATOR_REST
        } else {
            ESTIMATOR_REST
        };
        deadline.max(self.advanced_at + rest)
    }

    fn queue_transmit(&mut self, transmit: str0m::net::Transmit) {
        let contents: Vec<u8> = transmit.contents.into();
        self.sent_at = Some(self.now);
        self.counters.packets_sent += 1;
        self.counters.bytes_sent += contents.len() as u64;
        // Checks go to many, the rest to the chosen one.
        if !is_stun(&contents) {
            self.path = Some((transmit.source, transmit.destination));
        }
        if transmit.proto != str0m::net::Protocol::Udp {
            return self.send_tcp(transmit.source, transmit.destination, contents);
        }
        if self.servers.is_relayed(transmit.source) {
            let (relayed, peer) = (transmit.source, transmit.destination);
            self.servers.send(self.now, relayed, peer, &contents);
            return;
        }
        self.transmits.push_back(Transmit {
            protocol: Protocol::Udp,
            source: transmit.source,
            destination: transmit.destination,
            contents,
        });
    }
}

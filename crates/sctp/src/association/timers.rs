//! What there is to wait for, and what happens when the wait is over.

use std::time::Instant;

use super::{Association, State};
use crate::AssociationError;
use crate::serial::before;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// INIT or COOKIE ECHO is repeated (T1).
    Handshake,
    /// Data is taken for lost (T3).
    Data,
    Acknowledgement,
    Reset,
    /// SHUTDOWN or SHUTDOWN ACK is repeated (T2).
    Shutdown,
}

const ALL: [Timer; 5] = [
    Timer::Handshake,
    Timer::Data,
    Timer::Acknowledgement,
    Timer::Reset,
    Timer::Shutdown,
];

#[derive(Debug, Default)]
pub(super) struct Timers {
    deadlines: [Option<Instant>; ALL.len()],
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.deadlines[timer as usize] = Some(at);
    }

    pub(super) fn set_if_stopped(&mut self, timer: Timer, at: Instant) {
        self.deadlines[timer as usize].get_or_insert(at);
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.deadlines[timer as usize] = None;
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.deadlines.iter().flatten().min().copied()
    }

    fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let is_due = |timer: &&Timer| self.deadlines[**timer as usize].is_some_and(|at| at <= now);
        let timer = *ALL.iter().find(is_due)?;
        self.stop(timer);
        Some(timer)
    }
}

impl Association {
    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::Handshake => self.handshake_timed_out(),
                Timer::Data => self.data_timed_out(now),
                Timer::Acknowledgement => self.acknowledging.is_due = true,
                Timer::Reset => self.reset_timed_out(),
                Timer::Shutdown => {
                    self.round_trip.back_off();
                    self.wants_shutdown = true;
                }
            }
        }
    }

    fn handshake_timed_out(&mut self) {
        self.timeouts_in_a_row += 1;
        let attempts = self.config.init_attempts;
        if attempts.is_some_and(|attempts| self.timeouts_in_a_row > attempts) {
            self.lose(AssociationError::TimedOut);
            return;
        }
        self.round_trip.back_off();
        self.wants_init = self.state == State::CookieWait;
        self.wants_cookie_echo = self.state == State::CookieEchoed;
    }

    fn data_timed_out(&mut self, now: Instant) {
        if self.in_flight.is_empty() {
            return;
        }
        self.timeouts_in_a_row += 1;
        let attempts = self.config.data_attempts;
        if attempts.is_some_and(|attempts| self.timeouts_in_a_row > attempts) {
            self.lose(AssociationError::TimedOut);
            return;
        }
        self.round_trip.back_off();
        self.congestion.timed_out();
        self.recovery_end = None;
        // A second time in a row: the peer may have dropped what it had acknowledged above a gap.
        self.in_flight.lose_all(now, self.timeouts_in_a_row > 1);
        self.after_losses();
        self.wants_forward = self.in_flight.forward().is_some();
    }

    /// Accounts for what was given up.
    pub(super) fn after_losses(&mut self) {
        for (stream, bytes) in self.in_flight.take_released() {
            self.release(stream, bytes);
        }
        if let Some(number) = self.queue.current()
            && self.in_flight.is_abandoned(number)
            && let Some((stream, bytes)) = self.queue.drop_current()
        {
            self.release(stream, bytes);
        }
    }

    /// Starts a phase in which further losses are of the same event, unless one is going on.
    pub(super) fn note_loss(&mut self, highest_lost: u32) {
        if self.recovery_end.is_some_and(|end| before(highest_lost, end)) {
            return;
        }
        self.congestion.lost(self.round_trip.shortest());
        self.recovery_end = Some(self.in_flight.next_tsn());
    }
}

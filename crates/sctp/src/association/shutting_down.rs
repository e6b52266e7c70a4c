//! How an association ends by agreement (RFC 9260 section 9).

use std::time::Instant;

use bytes::Bytes;

use super::{Association, State, Timer};
use crate::wire::{Sack, kind};
use crate::{AssociationError, Error, Result};

impl Association {
    /// Ends the association once everything is acknowledged. No event follows.
    ///
    /// # Errors
    /// It is not established.
    pub fn shutdown(&mut self) -> Result<()> {
        if self.state != State::Established {
            return Err(Error::ErrShutdownNonEstablished);
        }
        self.state = State::ShutdownPending;
        self.move_on();
        Ok(())
    }

    fn has_unacknowledged(&self) -> bool {
        !self.queue.is_empty() || !self.in_flight.is_empty()
    }

    /// Goes on with the end once everything is acknowledged.
    pub(super) fn move_on(&mut self) {
        if self.has_unacknowledged() {
            return;
        }
        let next = match self.state {
            State::ShutdownPending => State::ShutdownSent,
            State::ShutdownReceived => State::ShutdownAckSent,
            _ => return,
        };
        self.state = next;
        self.wants_shutdown = true;
    }

    pub(super) fn handle_shutdown(&mut self, cumulative: u32, now: Instant) {
        match self.state {
            State::Established | State::ShutdownPending => self.state = State::ShutdownReceived,
            State::ShutdownSent => self.state = State::ShutdownAckSent,
            State::ShutdownReceived | State::ShutdownAckSent => {}
            _ => return,
        }
        let sack = Sack {
            cumulative,
            window_bytes: self.peer_window as u32,
            gaps: Vec::new(),
        };
        self.handle_sack(&sack, now);
        self.wants_shutdown = self.state == State::ShutdownAckSent;
        self.move_on();
    }

    pub(super) fn handle_shutdown_ack(&mut self) {
        if matches!(self.state, State::ShutdownSent | State::ShutdownAckSent) {
            let mut writer = self.writer();
            writer.chunk(kind::SHUTDOWN_COMPLETE, 0, |_| {});
            self.close();
            self.control.push_back(writer.finish());
        }
    }

    pub(super) fn handle_shutdown_complete(&mut self) {
        if self.state == State::ShutdownAckSent {
            self.lose(AssociationError::ApplicationClosed);
        }
    }

    /// SHUTDOWN or the answer to it, when it is time for them.
    pub(super) fn write_shutdown(&mut self, now: Instant, packets: &mut Vec<Bytes>) {
        if !std::mem::take(&mut self.wants_shutdown) {
            return;
        }
        let mut writer = self.writer();
        match self.state {
            State::ShutdownSent => {
                let cumulative = self.received.cumulative();
                writer.chunk(kind::SHUTDOWN, 0, |value| value.extend(cumulative.to_be_bytes()));
            }
            State::ShutdownAckSent => writer.chunk(kind::SHUTDOWN_ACK, 0, |_| {}),
            _ => return,
        }
        packets.push(writer.finish());
        self.start_timer(Timer::Shutdown, now);
    }
}

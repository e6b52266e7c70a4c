//! One chunk that was sent, and when it is given up.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::types::ReliabilityType;

/// When a message is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Never,
    Retransmissions(u32),
    At(Instant),
}

impl Limit {
    pub(crate) fn new(kind: ReliabilityType, value: u32, now: Instant) -> Limit {
        match kind {
            ReliabilityType::Reliable => Limit::Never,
            ReliabilityType::Rexmit => Limit::Retransmissions(value),
            ReliabilityType::Timed => Limit::At(now + Duration::from_millis(u64::from(value))),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    OnItsWay,
    Lost,
    /// Above the cumulative number.
    Acknowledged,
    Abandoned,
}

/// One DATA chunk.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) flags: u8,
    pub(crate) stream: u16,
    pub(crate) sequence: u16,
    pub(crate) protocol: u32,
    pub(crate) payload: Bytes,
    /// Of all chunks of one message.
    pub(crate) message: u64,
    pub(crate) limit: Limit,
    pub(crate) sent_at: Instant,
    /// The packet that carried it last.
    pub(crate) packet: u64,
    pub(crate) transmissions: u32,
    pub(crate) state: State,
}

impl Sent {
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn new(
        flags: u8,
        (stream, sequence): (u16, u16),
        protocol: u32,
        payload: Bytes,
        message: u64,
        limit: Limit,
        now: Instant,
        packet: u64,
    ) -> Sent {
        Sent {
            flags,
            stream,
            sequence,
            protocol,
            payload,
            message,
            limit,
            sent_at: now,
            packet,
            transmissions: 1,
            state: State::OnItsWay,
        }
    }

    /// Whether it is not to be sent again.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        match self.limit {
            Limit::Never => false,
            Limit::Retransmissions(count) => self.transmissions > count,
            Limit::At(deadline) => deadline <= now,
        }
    }
}

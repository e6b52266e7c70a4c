//! How full the data channels of a transport are, known to any thread without asking the worker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenroom_transport::{MAX_QUEUED_RELIABLE_BYTES, WRITABLE_STEP_BYTES};

/// Of lossy messages on their way to the worker, where the newest displace the oldest. So much is there only while the
/// worker stands still; then the newest are refused.
const MAX_LOSSY_UNDER_WAY_BYTES: usize = 4 * 1024 * 1024;

/// What `send` found.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    Admitted,
    Full,
    Unknown,
}

#[derive(Debug, Default)]
struct Gate {
    limit: usize,
    reliable: bool,
    /// Bytes on their way to the worker.
    waiting: usize,
    /// What the transport held when it was last looked at.
    in_transport: Held,
    refused: bool,
}

impl Gate {
    /// What counts against the limit. A lossy channel makes room for what is newest itself.
    fn held(&self) -> usize {
        self.waiting
            + if self.reliable {
                self.in_transport.queued
            } else {
                0
            }
    }
}

/// Bytes that a transport holds of one channel.
#[derive(Debug, Default, Clone, Copy)]
pub struct Held {
    /// Waiting for room in SCTP.
    pub queued: usize,
    /// With those that are not acknowledged.
    pub buffered: usize,
}

/// The channels of one transport.
#[derive(Debug, Default)]
pub struct ChannelGates(Mutex<HashMap<u32, Gate>>);

impl ChannelGates {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Gate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channel can be sent on.
    pub fn open(&self, channel: u32, reliable: bool) {
        let limit = if reliable {
            MAX_QUEUED_RELIABLE_BYTES
        } else {
            MAX_LOSSY_UNDER_WAY_BYTES
        };
        self.lock().entry(channel).or_insert_with(|| Gate {
            limit,
            reliable,
            ..Gate::default()
        });
    }

    /// The channel is gone.
    pub fn close(&self, channel: u32) {
        self.lock().remove(&channel);
    }

    /// Claims room for a message.
    pub fn admit(&self, channel: u32, length: usize) -> Admission {
        let mut gates = self.lock();
        let Some(gate) = gates.get_mut(&channel) else {
            return Admission::Unknown;
        };
        let held = gate.held();
        if held > 0 && held + length > gate.limit {
            gate.refused = true;
            return Admission::Full;
        }
        gate.waiting += length;
        Admission::Admitted
    }

    /// The message that was admitted has reached the transport, or was dropped.
    pub fn handed_over(&self, channel: u32, length: usize) {
        if let Some(gate) = self.lock().get_mut(&channel) {
            gate.waiting = gate.waiting.saturating_sub(length);
        }
    }

    /// The transport holds this much. True when a channel that refused has room again.
    pub fn refresh(&self, channel: u32, in_transport: Held) -> bool {
        let mut gates = self.lock();
        let Some(gate) = gates.get_mut(&channel) else {
            return false;
        };
        gate.in_transport = in_transport;
        let writable = gate.refused && gate.held() + WRITABLE_STEP_BYTES <= gate.limit;
        gate.refused &= !writable;
        writable
    }

    /// Bytes not yet acknowledged. None for an unknown channel.
    pub fn buffered(&self, channel: u32) -> Option<usize> {
        let gates = self.lock();
        gates
            .get(&channel)
            .map(|gate| gate.waiting + gate.in_transport.buffered)
    }
}

/// Shared by a transport's Python object and its endpoint.
pub type SharedGates = Arc<ChannelGates>;

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(bytes: usize) -> Held {
        Held {
            queued: bytes,
            buffered: bytes + 1000,
        }
    }

    #[test]
    fn a_full_channel_refuses_until_it_has_room() {
        let gates = ChannelGates::default();
        assert_eq!(gates.admit(1, 10), Admission::Unknown);
        gates.open(1, true);
        let limit = MAX_QUEUED_RELIABLE_BYTES;
        assert_eq!(gates.admit(1, limit), Admission::Admitted);
        assert_eq!(gates.admit(1, 1), Admission::Full);
        gates.handed_over(1, limit);
        assert!(!gates.refresh(1, queued(limit)));
        assert_eq!(gates.buffered(1), Some(limit + 1000));
        assert!(!gates.refresh(1, queued(limit - 1)), "byte by byte");
        assert!(gates.refresh(1, queued(limit - WRITABLE_STEP_BYTES)));
        assert!(!gates.refresh(1, queued(0)), "told once");
        assert_eq!(gates.admit(1, 1), Admission::Admitted);
        gates.close(1);
        assert_eq!(gates.buffered(1), None);
    }

    #[test]
    fn a_message_larger_than_the_limit_goes_alone() {
        let gates = ChannelGates::default();
        gates.open(1, true);
        assert_eq!(gates.admit(1, MAX_QUEUED_RELIABLE_BYTES * 2), Admission::Admitted);
        assert_eq!(gates.admit(1, 1), Admission::Full);
    }

    #[test]
    fn a_lossy_channel_is_full_only_of_what_the_worker_has_not_seen() {
        let gates = ChannelGates::default();
        gates.open(1, false);
        gates.refresh(1, queued(MAX_LOSSY_UNDER_WAY_BYTES));
        assert_eq!(gates.admit(1, MAX_LOSSY_UNDER_WAY_BYTES), Admission::Admitted);
        assert_eq!(gates.admit(1, 1), Admission::Full);
        gates.handed_over(1, MAX_LOSSY_UNDER_WAY_BYTES);
        assert_eq!(gates.admit(1, 1), Admission::Admitted);
    }
}

//! How full the data channels of a transport are, known to any thread without asking the worker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenroom_transport::{MAX_BUFFERED_LOSSY_BYTES, MAX_BUFFERED_RELIABLE_BYTES};

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
    /// Bytes on their way to the worker.
    waiting: usize,
    /// Bytes in the transport when it was last looked at.
    buffered: usize,
    refused: bool,
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
            MAX_BUFFERED_RELIABLE_BYTES
        } else {
            MAX_BUFFERED_LOSSY_BYTES
        };
        self.lock().entry(channel).or_insert_with(|| Gate {
            limit,
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
        let held = gate.waiting + gate.buffered;
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
    pub fn refresh(&self, channel: u32, buffered: usize) -> bool {
        let mut gates = self.lock();
        let Some(gate) = gates.get_mut(&channel) else {
            return false;
        };
        gate.buffered = buffered;
        let writable = gate.refused && gate.waiting + buffered <= gate.limit / 2;
        gate.refused &= !writable;
        writable
    }

    /// Bytes not yet acknowledged. None for an unknown channel.
    pub fn held(&self, channel: u32) -> Option<usize> {
        self.lock().get(&channel).map(|gate| gate.waiting + gate.buffered)
    }
}

/// Shared by a transport's Python object and its endpoint.
pub type SharedGates = Arc<ChannelGates>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_channel_refuses_until_it_is_half_empty() {
        let gates = ChannelGates::default();
        assert_eq!(gates.admit(1, 10), Admission::Unknown);
        gates.open(1, false);
        let limit = MAX_BUFFERED_LOSSY_BYTES;
        assert_eq!(gates.admit(1, limit), Admission::Admitted);
        assert_eq!(gates.admit(1, 1), Admission::Full);
        gates.handed_over(1, limit);
        assert!(!gates.refresh(1, limit));
        assert_eq!(gates.held(1), Some(limit));
        assert!(gates.refresh(1, limit / 2));
        assert!(!gates.refresh(1, 0), "told once");
        assert_eq!(gates.admit(1, 1), Admission::Admitted);
        gates.close(1);
        assert_eq!(gates.held(1), None);
    }

    #[test]
    fn a_message_larger_than_the_limit_goes_alone() {
        let gates = ChannelGates::default();
        gates.open(1, false);
        assert_eq!(gates.admit(1, MAX_BUFFERED_LOSSY_BYTES * 2), Admission::Admitted);
        assert_eq!(gates.admit(1, 1), Admission::Full);
    }
}

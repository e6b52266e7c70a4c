//! Packets waiting to be decoded.

use std::collections::BTreeMap;

/// One received Opus packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioPacket {
    /// RTP sequence number, extended over its wraps.
    pub sequence: u64,
    /// RTP timestamp, 48 kHz.
    pub timestamp: u32,
    /// Opus, decrypted.
    pub payload: Vec<u8>,
}

/// A packet in its place.
pub(super) struct Stored {
    pub(super) sequence: u64,
    /// RTP timestamp extended over its wraps.
    pub(super) timestamp: i64,
    pub(super) samples: usize,
    pub(super) payload: Vec<u8>,
}

/// How a sequence number relates to those seen before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Waiting,
    Late,
    Duplicate,
    /// So far off that it must be another stream.
    Foreign,
}

/// Packets above this number of places away are another stream.
const MAX_SEQUENCE_STEP: u64 = 1_000;
/// Packets held: more than a second even at 10 ms each.
const CAPACITY: usize = 150;
const HISTORY: u64 = 64;

/// Packets by sequence number, bounded.
#[derive(Default)]
pub(super) struct Store {
    packets: BTreeMap<u64, Stored>,
    /// The sequence number to decode next.
    next: Option<u64>,
    newest: u64,
    /// Bit n: `newest - n` was received.
    history: u64,
}

impl Store {
    pub(super) fn place(&self, sequence: u64) -> Place {
        let Some(next) = self.next else {
            return Place::Waiting;
        };
        if sequence.abs_diff(self.newest.max(next)) > MAX_SEQUENCE_STEP {
            return Place::Foreign;
        }
        let seen = sequence <= self.newest
            && self.newest - sequence < HISTORY
            && self.history >> (self.newest - sequence) & 1 == 1;
        match (seen || self.packets.contains_key(&sequence), sequence < next) {
            (true, _) => Place::Duplicate,
            (false, true) => Place::Late,
            (false, false) => Place::Waiting,
        }
    }

    /// Marks a sequence number as received, kept or not.
    pub(super) fn note(&mut self, sequence: u64) {
        if self.next.is_none() || sequence > self.newest {
            let shift = if self.next.is_none() {
                HISTORY
            } else {
                sequence - self.newest
            };
            self.history = if shift >= HISTORY {
                0
            } else {
                self.history << shift
            };
            self.newest = sequence;
        }
        if self.newest - sequence < HISTORY {
            self.history |= 1 << (self.newest - sequence);
        }
        self.next.get_or_insert(sequence);
    }

    /// Keeps a packet; returns how many old ones gave way.
    pub(super) fn insert(&mut self, packet: Stored) -> u64 {
        self.packets.insert(packet.sequence, packet);
        let mut evicted = 0;
        while self.packets.len() > CAPACITY {
            self.packets.pop_first();
            evicted += 1;
        }
        evicted
    }

    /// Before the first is played, an earlier packet may still move the start.
    pub(super) fn start_at_first(&mut self) {
        if let Some((&sequence, _)) = self.packets.first_key_value() {
            self.next = Some(sequence);
        }
    }

    /// Whether a packet is early enough to become the first of a stream that has not started.
    pub(super) fn may_precede(&self, sequence: u64) -> bool {
        self.next
            .is_some_and(|next| sequence < next && next - sequence < HISTORY)
    }

    pub(super) fn first(&self) -> Option<&Stored> {
        self.packets.first_key_value().map(|(_, packet)| packet)
    }

    /// Packets missing before the first one held.
    pub(super) fn missing(&self) -> u64 {
        self.first()
            .map_or(0, |packet| packet.sequence.saturating_sub(self.next.unwrap_or(0)))
    }

    pub(super) fn pop(&mut self) -> Option<Stored> {
        let (sequence, packet) = self.packets.pop_first()?;
        self.next = Some(sequence.saturating_add(1));
        Some(packet)
    }

    /// One lost place was concealed: it is late from now on.
    pub(super) fn skip(&mut self, places: u64) {
        self.next = self.next.map(|next| next.saturating_add(places));
    }

    pub(super) fn clear(&mut self) -> u64 {
        let dropped = self.packets.len() as u64;
        *self = Self::default();
        dropped
    }
}

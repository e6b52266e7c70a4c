//! What was sent to one subscriber, so that a NACK can be answered (media is fetched from the up track).
//!
//! In: each packet sent, and the sequence numbers of NACKs (RFC 4585 section 6.2.1). Out: how a number was sent: its
//! source number, layer, timestamp and VP8 indices, from which the same packet is written again, as RTX where
//! negotiated (RFC 4588). A ring over the output numbers: constant time, old entries make room. A number is resent a
//! few times at most and not twice within a round trip or two; after a key frame nothing before it is.

use std::time::{Duration, Instant};

use crate::vp8_descriptor::Vp8Indices;

const MAX_RESENDS: u8 = 3;
const DEFAULT_ROUND_TRIP: Duration = Duration::from_millis(70);
const MAX_PAUSE: Duration = Duration::from_millis(100);
/// So many packets after a key frame, requests for packets before it are ignored.
const KEY_FRAME_GATE: u64 = 2_000;

/// How one packet was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SentPacket {
    /// Extended, of the output.
    pub output_sequence: u64,
    /// Extended, of the layer it came from.
    pub source_sequence: u64,
    /// The spatial layer.
    pub layer: u8,
    /// The generation of the layer's source: numbers of another are void.
    pub generation: u32,
    /// As sent.
    pub timestamp: u32,
    /// As sent.
    pub vp8: Option<Vp8Indices>,
    sent_at: Instant,
    resends: u8,
}

impl SentPacket {
    /// A packet sent now.
    pub fn new(
        output_sequence: u64,
        source_sequence: u64,
        source: (u8, u32),
        timestamp: u32,
        vp8: Option<Vp8Indices>,
        now: Instant,
    ) -> SentPacket {
        SentPacket {
            output_sequence,
            source_sequence,
            layer: source.0,
            generation: source.1,
            timestamp,
            vp8,
            sent_at: now,
            resends: 0,
        }
    }
}

/// A ring over the last packets sent.
#[derive(Debug)]
pub struct Sequencer {
    slots: Vec<Option<SentPacket>>,
    capacity: usize,
    highest: u64,
    key_frame_at: Option<u64>,
    stopped: bool,
}

impl Sequencer {
    /// Remembers `capacity` packets; memory is taken with the first.
    pub fn new(capacity: usize) -> Sequencer {
        Sequencer {
            slots: Vec::new(),
            capacity,
            highest: 0,
            key_frame_at: None,
            stopped: false,
        }
    }

    /// A packet was sent.
    pub fn push(&mut self, sent: SentPacket, begins_key_frame: bool) {
        if self.slots.is_empty() {
            self.slots.resize(self.capacity, None);
        }
        self.highest = self.highest.max(sent.output_sequence);
        if begins_key_frame {
            self.key_frame_at = Some(sent.output_sequence);
            self.stopped = false;
        }
        self.slots[(sent.output_sequence % self.capacity as u64) as usize] = Some(sent);
    }

    /// The subscriber wants a key frame: what it has is beyond repair.
    pub fn stop_until_key_frame(&mut self) {
        self.stopped = true;
    }

    /// The packet to send again for a NACK of `sequence`, unless it was (re)sent just now or often enough.
    pub fn request(
        &mut self,
        sequence: u16,
        round_trip: Option<Duration>,
        now: Instant,
    ) -> Option<SentPacket> {
        if self.stopped || self.slots.is_empty() {
            return None;
        }
        let back = (self.highest as u16).wrapping_sub(sequence);
        let extended = self.highest.checked_sub(u64::from(back))?;
        let gate = self.key_frame_at.filter(|at| self.highest - at < KEY_FRAME_GATE);
        if gate.is_some_and(|at| extended < at) {
            return None;
        }
        let slot = self.slots[(extended % self.capacity as u64) as usize].as_mut();
        let sent = slot.filter(|sent| sent.output_sequence == extended)?;
        let pause = (round_trip.unwrap_or(DEFAULT_ROUND_TRIP) * 2).min(MAX_PAUSE);
        if sent.resends >= MAX_RESENDS || (sent.resends > 0 && now < sent.sent_at + pause) {
            return None;
        }
        sent.resends += 1;
        sent.sent_at = now;
        Some(*sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(from: u64, to: u64, now: Instant) -> Sequencer {
        let mut sequencer = Sequencer::new(8);
        for sequence in from..to {
            sequencer.push(
                SentPacket::new(sequence, sequence + 1_000, (0, 0), 0, None, now),
                false,
            );
        }
        sequencer
    }

    #[test]
    fn packets_are_found_while_they_are_kept() {
        let start = Instant::now();
        let mut sequencer = filled(65_530, 65_540, start);
        for (number, expected) in [
            (3u16, Some(66_539u64)),
            (65_535, Some(66_535)),
            (65_532, Some(66_532)),
            (65_531, None),
            (4, None),
        ] {
            let found = sequencer.request(number, None, start);
            assert_eq!(found.map(|sent| sent.source_sequence), expected, "{number}");
        }
    }

    #[test]
    fn resends_are_limited() {
        let start = Instant::now();
        let mut sequencer = filled(10, 14, start);
        let round_trip = Some(Duration::from_millis(20));
        let answers: Vec<bool> = [0u64, 10, 40, 50, 80, 200, 300]
            .iter()
            .map(|ms| {
                sequencer
                    .request(12, round_trip, start + Duration::from_millis(*ms))
                    .is_some()
            })
            .collect();
        assert_eq!(answers, [true, false, true, false, true, false, false]);
    }

    #[test]
    fn a_key_frame_voids_what_was_before() {
        let start = Instant::now();
        let mut sequencer = filled(10, 14, start);
        sequencer.stop_until_key_frame();
        assert!(sequencer.request(12, None, start).is_none());
        sequencer.push(SentPacket::new(14, 1_014, (0, 0), 0, None, start), true);
        assert!(sequencer.request(12, None, start).is_none());
        assert!(sequencer.request(14, None, start).is_some());
    }
}

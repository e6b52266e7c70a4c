//! Puts the frames of one track together again.
//!
//! Packets may come in any order, twice, or not at all: a frame is whole when its first and last packet and all
//! between are there, and is given up when a newer one needs its place.

use std::collections::VecDeque;

use crate::packet::{Extensions, Packet};

/// Packets of the largest frame. One that seems to have more is given up.
pub const MAX_PACKETS_PER_FRAME: usize = 128;
/// Packets of frames up to this much older than the newest finished one are stragglers. Older numbers are taken for
/// those of a publisher that began to count anew.
const STRAGGLER_FRAMES: u16 = 64;

/// A whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// As it was pushed, or its ciphertext.
    pub payload: Vec<u8>,
    /// Of its packets.
    pub extensions: Extensions,
    /// 90 kHz.
    pub timestamp: u32,
}

#[derive(Debug)]
struct Partial {
    frame_number: u16,
    timestamp: u32,
    extensions: Extensions,
    start: Option<u16>,
    last: Option<u16>,
    /// By sequence, as they came.
    parts: Vec<(u16, Vec<u8>)>,
}

/// The receiving end of one track.
#[derive(Debug)]
pub struct Depacketizer {
    partials: VecDeque<Partial>,
    max_partials: usize,
    newest_finished: Option<u16>,
    dropped: u64,
}

impl Default for Depacketizer {
    fn default() -> Self {
        Depacketizer::new(1)
    }
}

impl Depacketizer {
    /// Keeps up to this many unfinished frames, at least one.
    pub fn new(max_partial_frames: usize) -> Depacketizer {
        Depacketizer {
            partials: VecDeque::new(),
            max_partials: max_partial_frames.max(1),
            newest_finished: None,
            dropped: 0,
        }
    }

    /// From now on keep up to this many unfinished frames, at least one.
    pub fn set_max_partial_frames(&mut self, count: usize) {
        self.max_partials = count.max(1);
        while self.partials.len() > self.max_partials {
            self.give_up_oldest();
        }
    }

    /// Frames that were begun and given up: a packet was lost, or too many came between.
    pub fn dropped_frames(&self) -> u64 {
        self.dropped
    }

    /// Another publisher's packets follow, or the same one's that counts anew.
    pub fn reset(&mut self) {
        self.dropped += self.partials.len() as u64;
        self.partials.clear();
        self.newest_finished = None;
    }

    /// Takes one packet; the frame that it completes.
    pub fn push(&mut self, packet: &Packet<'_>) -> Option<Frame> {
        if packet.is_start && packet.is_final {
            return self.push_single(packet);
        }
        let index = self.find(packet.frame_number).or_else(|| self.open(packet))?;
        let partial = &mut self.partials[index];
        if !partial.add(packet) {
            self.partials.remove(index);
            self.finished(packet.frame_number);
            self.dropped += 1;
            return None;
        }
        let frame = partial.assemble()?;
        self.partials.remove(index);
        self.finished(packet.frame_number);
        Some(frame)
    }

    fn push_single(&mut self, packet: &Packet<'_>) -> Option<Frame> {
        if self.newest_finished == Some(packet.frame_number) {
            return None; // twice
        }
        self.finished(packet.frame_number);
        Some(Frame {
            payload: packet.payload.to_vec(),
            extensions: packet.extensions,
            timestamp: packet.timestamp,
        })
    }

    fn find(&self, frame_number: u16) -> Option<usize> {
        self.partials
            .iter()
            .position(|partial| partial.frame_number == frame_number)
    }

    fn open(&mut self, packet: &Packet<'_>) -> Option<usize> {
        if let Some(newest) = self.newest_finished
            && newest.wrapping_sub(packet.frame_number) <= STRAGGLER_FRAMES
            && !packet.is_start
        {
            return None;
        }
        if self.newest_finished == Some(packet.frame_number) {
            return None;
        }
        while self.partials.len() >= self.max_partials {
            self.give_up_oldest();
        }
        self.partials.push_back(Partial::new(packet));
        Some(self.partials.len() - 1)
    }

    fn give_up_oldest(&mut self) {
        if let Some(partial) = self.partials.pop_front() {
            self.finished(partial.frame_number);
            self.dropped += 1;
        }
    }

    fn finished(&mut self, frame_number: u16) {
        let is_newer = self.newest_finished.is_none_or(|newest| {
            let ahead = frame_number.wrapping_sub(newest);
            ahead < u16::MAX - STRAGGLER_FRAMES
        });
        if is_newer {
            self.newest_finished = Some(frame_number);
        }
    }
}

impl Partial {
    fn new(packet: &Packet<'_>) -> Partial {
        Partial {
            frame_number: packet.frame_number,
            timestamp: packet.timestamp,
            extensions: packet.extensions,
            start: None,
            last: None,
            parts: Vec::new(),
        }
    }

    /// False when the packets contradict each other, or are too many.
    fn add(&mut self, packet: &Packet<'_>) -> bool {
        if self
            .parts
            .iter()
            .any(|(sequence, _)| *sequence == packet.sequence)
        {
            return true;
        }
        let is_other = |known: Option<u16>| known.is_some_and(|sequence| sequence != packet.sequence);
        if (packet.is_start && is_other(self.start)) || (packet.is_final && is_other(self.last)) {
            return false;
        }
        if packet.is_start {
            self.start = Some(packet.sequence);
            self.extensions = packet.extensions;
            self.timestamp = packet.timestamp;
        }
        if packet.is_final {
            self.last = Some(packet.sequence);
        }
        self.parts.push((packet.sequence, packet.payload.to_vec()));
        let count = self.parts.len();
        match (self.start, self.last) {
            (Some(start), Some(last)) => {
                let expected = usize::from(last.wrapping_sub(start)) + 1;
                let inside =
                    |(sequence, _): &(u16, Vec<u8>)| usize::from(sequence.wrapping_sub(start)) < expected;
                expected <= MAX_PACKETS_PER_FRAME && self.parts.iter().all(inside)
            }
            _ => count <= MAX_PACKETS_PER_FRAME,
        }
    }

    fn assemble(&mut self) -> Option<Frame> {
        let (start, last) = (self.start?, self.last?);
        if self.parts.len() != usize::from(last.wrapping_sub(start)) + 1 {
            return None;
        }
        self.parts
            .sort_by_key(|(sequence, _)| sequence.wrapping_sub(start));
        let mut payload = Vec::with_capacity(self.parts.iter().map(|(_, part)| part.len()).sum());
        for (_, part) in &self.parts {
            payload.extend_from_slice(part);
        }
        Some(Frame {
            payload,
            extensions: self.extensions,
            timestamp: self.timestamp,
        })
    }
}

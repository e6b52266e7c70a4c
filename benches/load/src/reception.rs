//! What one connection receives: counts, delays and what to report to the sender.

use std::collections::HashMap;
use std::time::Duration;

use crate::packet::{Incoming, ReportBlock};

#[derive(Default)]
struct Stream {
    /// In this measurement.
    received: u64,
    first_number: Option<u32>,
    last_number: u32,
    /// Since the beginning.
    total: u32,
    first_sequence: u16,
    highest_sequence: u32,
}

/// The streams of one connection.
#[derive(Default)]
pub struct Reception {
    streams: HashMap<u32, Stream>,
    delays_us: Vec<u32>,
}

/// What was received in a measurement.
#[derive(Default)]
pub struct Summary {
    /// Streams that brought anything.
    pub streams: u64,
    pub packets: u64,
    /// Between the first and the last of each stream.
    pub expected: u64,
    pub delays_us: Vec<u32>,
}

impl Reception {
    /// One packet, `now` since the epoch of the run.
    pub fn packet(&mut self, now: Duration, packet: &[u8]) {
        let Some(incoming) = Incoming::parse(packet) else {
            return;
        };
        let stream = self.streams.entry(incoming.ssrc).or_default();
        stream.note_sequence(incoming.sequence_number);
        stream.received += 1;
        let number = incoming.trailer.number;
        stream.first_number.get_or_insert(number);
        stream.last_number = stream.last_number.max(number);
        let delay = now.saturating_sub(incoming.trailer.sent_at);
        self.delays_us
            .push(u32::try_from(delay.as_micros()).unwrap_or(u32::MAX));
    }

    /// Forgets what came before the measurement.
    pub fn begin(&mut self) {
        self.delays_us.clear();
        for stream in self.streams.values_mut() {
            (stream.received, stream.first_number, stream.last_number) = (0, None, 0);
        }
    }

    /// Adds what was received to `summary`.
    pub fn add_to(&self, summary: &mut Summary) {
        for stream in self.streams.values() {
            let Some(first) = stream.first_number else {
                continue;
            };
            summary.streams += 1;
            summary.packets += stream.received;
            summary.expected += u64::from(stream.last_number.saturating_sub(first)) + 1;
        }
        summary.delays_us.extend(&self.delays_us);
    }

    /// What a receiver report says.
    pub fn blocks(&self) -> Vec<ReportBlock> {
        let blocks = self.streams.iter().map(|(ssrc, stream)| ReportBlock {
            ssrc: *ssrc,
            highest_sequence: stream.highest_sequence,
            lost: stream.lost(),
        });
        blocks.collect()
    }
}

impl Stream {
    fn note_sequence(&mut self, number: u16) {
        if self.total == 0 {
            self.first_sequence = number;
            self.highest_sequence = u32::from(number);
        }
        self.total += 1;
        let step = number.wrapping_sub(self.highest_sequence as u16);
        if step < 0x8000 {
            self.highest_sequence = self.highest_sequence.wrapping_add(u32::from(step));
        }
    }

    fn lost(&self) -> u32 {
        let expected = self.highest_sequence.wrapping_sub(u32::from(self.first_sequence)) + 1;
        expected.saturating_sub(self.total)
    }
}

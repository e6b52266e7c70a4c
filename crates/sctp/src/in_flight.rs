//! What was sent and is not acknowledged for good. Every look-up is by number: nothing scans what is in flight.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::sent::{Sent, State};
use crate::serial::{before, distance};
use crate::wire::{Sack, flag};

/// A packet is lost when this many sent after it have arrived.
const REORDERING_PACKETS: u64 = 3;

/// What an acknowledgement changed.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    /// Payload bytes acknowledged for the first time.
    pub(crate) bytes: usize,
    /// The same by stream, not merged.
    pub(crate) by_stream: Vec<(u16, usize)>,
    pub(crate) cumulative_moved: bool,
    pub(crate) round_trip: Option<Duration>,
}

impl Acknowledged {
    fn add(&mut self, stream: u16, bytes: usize) {
        self.bytes += bytes;
        match self.by_stream.last_mut() {
            Some(last) if last.0 == stream => last.1 += bytes,
            _ => self.by_stream.push((stream, bytes)),
        }
    }
}

/// Chunks by transmission sequence number, without gaps.
#[derive(Debug)]
pub(crate) struct InFlight {
    /// The number of the first chunk.
    first: u32,
    chunks: VecDeque<Sent>,
    /// Payload bytes that are on their way.
    bytes: usize,
    lost: BTreeSet<Ahead>,
    /// Runs that the last acknowledgement named, as absolute numbers.
    runs: Vec<(u32, u32)>,
    /// The last packet of which something has arrived.
    largest_packet: Option<u64>,
    /// Bytes of abandoned chunks by stream, to be taken.
    released: Vec<(u16, usize)>,
}

/// Numbers in a set that only ever spans half of their range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ahead(u32);

impl Ord for Ahead {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.wrapping_sub(other.0) as i32).cmp(&0)
    }
}

impl PartialOrd for Ahead {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl InFlight {
    pub(crate) fn starting_at(first: u32) -> InFlight {
        InFlight {
            first,
            chunks: VecDeque::new(),
            bytes: 0,
            lost: BTreeSet::new(),
            runs: Vec::new(),
            largest_packet: None,
            released: Vec::new(),
        }
    }

    /// The number that the next chunk gets.
    pub(crate) fn next_tsn(&self) -> u32 {
        self.first.wrapping_add(self.chunks.len() as u32)
    }

    /// The last number that is acknowledged for good.
    pub(crate) fn cumulative(&self) -> u32 {
        self.first.wrapping_sub(1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, sent: Sent) -> u32 {
        let tsn = self.next_tsn();
        self.bytes += sent.payload.len();
        self.chunks.push_back(sent);
        tsn
    }

    pub(crate) fn get(&self, tsn: u32) -> Option<&Sent> {
        self.chunks.get(tsn.wrapping_sub(self.first) as usize)
    }

    /// Applies an acknowledgement. None: it is old, or names numbers that were never sent.
    pub(crate) fn acknowledge(&mut self, sack: &Sack, now: Instant) -> Option<Acknowledged> {
        let next = self.next_tsn();
        if before(sack.cumulative, self.cumulative()) || !before(sack.cumulative, next) {
            return None;
        }
        let mut outcome = Acknowledged::default();
        for _ in 0..distance(self.cumulative(), sack.cumulative) {
            self.settle(0, now, &mut outcome);
            if self.chunks.front().is_some_and(|sent| sent.state == State::Lost) {
                self.lost.remove(&Ahead(self.first));
            }
            self.chunks.pop_front();
            self.first = self.first.wrapping_add(1);
            outcome.cumulative_moved = true;
        }
        let runs: Vec<(u32, u32)> = sack
            .gaps
            .iter()
            .map(|(first, last)| {
                let absolute = |offset: u16| sack.cumulative.wrapping_add(u32::from(offset));
                (absolute(*first), absolute(*last))
            })
            .take_while(|(first, last)| !before(*last, *first) && before(*last, next))
            .collect();
        self.acknowledge_runs(&runs, now, &mut outcome);
        self.runs = runs;
        Some(outcome)
    }

    /// Only what the last acknowledgement did not name is looked at.
    fn acknowledge_runs(&mut self, runs: &[(u32, u32)], now: Instant, outcome: &mut Acknowledged) {
        let known = std::mem::take(&mut self.runs);
        let mut position = 0;
        for (first, last) in runs {
            let mut tsn = *first;
            while !before(*last, tsn) {
                while known.get(position).is_some_and(|run| before(run.1, tsn)) {
                    position += 1;
                }
                match known.get(position) {
                    Some(run) if !before(tsn, run.0) => tsn = run.1,
                    _ => self.settle(tsn.wrapping_sub(self.first) as usize, now, outcome),
                }
                tsn = tsn.wrapping_add(1);
            }
        }
    }

    /// The chunk at `index` has arrived.
    fn settle(&mut self, index: usize, now: Instant, outcome: &mut Acknowledged) {
        let Some(sent) = self.chunks.get_mut(index) else {
            return;
        };
        match sent.state {
            State::Acknowledged | State::Abandoned => return,
            State::OnItsWay => self.bytes -= sent.payload.len(),
            State::Lost => {
                self.lost.remove(&Ahead(self.first.wrapping_add(index as u32)));
            }
        }
        sent.state = State::Acknowledged;
        outcome.add(sent.stream, sent.payload.len());
        // Of a chunk sent twice nobody knows which of the two arrived.
        if sent.transmissions == 1 {
            self.largest_packet = self.largest_packet.max(Some(sent.packet));
            let sample = now.saturating_duration_since(sent.sent_at);
            outcome.round_trip = Some(outcome.round_trip.map_or(sample, |least| least.min(sample)));
        }
    }

    /// Finds what was overtaken by too many others: it is to be sent again, or given up. Returns the highest
    /// number that was lost.
    pub(crate) fn find_losses(&mut self, now: Instant) -> Option<u32> {
        let limit = self.largest_packet?.checked_sub(REORDERING_PACKETS)?;
        let mut highest = None;
        let mut start = self.first;
        for (first, last) in std::mem::take(&mut self.runs) {
            while before(start, first) {
                if self.lose(start, limit, now) {
                    highest = Some(start);
                }
                start = start.wrapping_add(1);
            }
            start = last.wrapping_add(1);
            self.runs.push((first, last));
        }
        highest
    }

    /// Whether the chunk is now known to be lost.
    fn lose(&mut self, tsn: u32, limit: u64, now: Instant) -> bool {
        let index = tsn.wrapping_sub(self.first) as usize;
        let Some(sent) = self.chunks.get_mut(index) else {
            return false;
        };
        if sent.state != State::OnItsWay || sent.packet > limit {
            return false;
        }
        self.mark_lost(index, now);
        true
    }

    fn mark_lost(&mut self, index: usize, now: Instant) {
        let sent = &mut self.chunks[index];
        self.bytes -= sent.payload.len();
        sent.state = State::Lost;
        let is_over = sent.is_over(now);
        self.lost.insert(Ahead(self.first.wrapping_add(index as u32)));
        if is_over {
            self.abandon(index);
        }
    }

    /// Gives up the whole message of the chunk at `index`.
    fn abandon(&mut self, index: usize) {
        let message = self.chunks[index].message;
        let is_same = |index: usize| self.chunks.get(index).is_some_and(|sent| sent.message == message);
        let mut first = index;
        while first > 0 && is_same(first - 1) {
            first -= 1;
        }
        let mut last = index;
        while is_same(last + 1) {
            last += 1;
        }
        for index in first..=last {
            let sent = &mut self.chunks[index];
            match sent.state {
                State::OnItsWay => self.bytes -= sent.payload.len(),
                State::Lost => {
                    self.lost.remove(&Ahead(self.first.wrapping_add(index as u32)));
                }
                State::Acknowledged | State::Abandoned => {}
            }
            if matches!(sent.state, State::OnItsWay | State::Lost) {
                self.released.push((sent.stream, sent.payload.len()));
            }
            sent.state = State::Abandoned;
        }
    }

    /// Nothing was heard for too long: all is lost that is not known to have arrived. `forget`: what was said to
    /// have arrived may have been dropped since.
    pub(crate) fn lose_all(&mut self, now: Instant, forget: bool) {
        for index in 0..self.chunks.len() {
            let sent = &mut self.chunks[index];
            if forget && sent.state == State::Acknowledged {
                sent.state = State::OnItsWay;
                self.bytes += sent.payload.len();
            }
            if sent.state == State::OnItsWay {
                self.mark_lost(index, now);
            }
        }
        if forget {
            self.runs.clear();
        }
    }

    /// Whether the message of this number was given up while it was being sent.
    pub(crate) fn is_abandoned(&self, message: u64) -> bool {
        self.chunks
            .back()
            .is_some_and(|sent| sent.message == message && sent.state == State::Abandoned)
    }

    /// Streams and payload bytes that were given up since the last call.
    pub(crate) fn take_released(&mut self) -> Vec<(u16, usize)> {
        std::mem::take(&mut self.released)
    }

    /// The first chunk to send again.
    pub(crate) fn next_lost(&self) -> Option<u32> {
        self.lost.first().map(|ahead| ahead.0)
    }

    pub(crate) fn sent_again(&mut self, tsn: u32, now: Instant, packet: u64) {
        self.lost.remove(&Ahead(tsn));
        if let Some(sent) = self.chunks.get_mut(tsn.wrapping_sub(self.first) as usize) {
            sent.state = State::OnItsWay;
            sent.transmissions += 1;
            sent.sent_at = now;
            sent.packet = packet;
            self.bytes += sent.payload.len();
        }
    }

    /// How far the peer is to be told to move on, and the ordered streams with what is skipped on them
    /// (RFC 3758 section 3.5). None when nothing was given up at the front.
    pub(crate) fn forward(&self) -> Option<(u32, Vec<(u16, u16)>)> {
        let abandoned = self
            .chunks
            .iter()
            .take_while(|sent| sent.state == State::Abandoned);
        let mut skipped: Vec<(u16, u16)> = Vec::new();
        let mut count = 0;
        for sent in abandoned {
            count += 1;
            if sent.flags & flag::UNORDERED != 0 {
                continue;
            }
            match skipped.iter_mut().find(|(stream, _)| *stream == sent.stream) {
                Some(entry) => entry.1 = sent.sequence,
                None => skipped.push((sent.stream, sent.sequence)),
            }
        }
        (count > 0).then(|| (self.cumulative().wrapping_add(count), skipped))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::sent::Limit;

    fn filled(first: u32, messages: &[(u64, Limit)], now: Instant) -> InFlight {
        let mut in_flight = InFlight::starting_at(first);
        for (packet, (message, limit)) in (0..).zip(messages) {
            let payload = Bytes::from_static(&[0; 10]);
            in_flight.push(Sent::new(
                0,
                (1, *message as u16),
                53,
                payload,
                *message,
                *limit,
                now,
                packet,
            ));
        }
        in_flight
    }

    fn sack(cumulative: u32, gaps: &[(u16, u16)]) -> Sack {
        Sack {
            cumulative,
            window_bytes: 1000,
            gaps: gaps.to_vec(),
        }
    }

    #[test]
    fn acknowledgements_count_every_chunk_once() {
        let now = Instant::now();
        let messages: Vec<(u64, Limit)> = (0..10).map(|number| (number, Limit::Never)).collect();
        for first in [100, u32::MAX - 4] {
            let mut in_flight = filled(first, &messages, now);
            let last = first.wrapping_sub(1);
            let acknowledge = |in_flight: &mut InFlight, offset: u32, gaps: &[(u16, u16)]| {
                let outcome = in_flight.acknowledge(&sack(last.wrapping_add(offset), gaps), now);
                outcome.map(|outcome| outcome.bytes)
            };
            assert_eq!(acknowledge(&mut in_flight, 0, &[(3, 4)]), Some(20));
            assert_eq!(acknowledge(&mut in_flight, 0, &[(3, 6), (8, 8)]), Some(30));
            assert_eq!(acknowledge(&mut in_flight, 1, &[(2, 5), (7, 7)]), Some(10));
            assert_eq!(acknowledge(&mut in_flight, 0, &[]), None, "an old one");
            assert_eq!(acknowledge(&mut in_flight, 11, &[]), None, "never sent");
            assert_eq!(in_flight.bytes(), 40);
            assert_eq!(acknowledge(&mut in_flight, 10, &[]), Some(40));
            assert!(in_flight.is_empty() && in_flight.bytes() == 0);
        }
    }

    #[test]
    fn what_three_later_packets_overtook_is_lost_once_per_transmission() {
        let now = Instant::now();
        let messages: Vec<(u64, Limit)> = (0..10).map(|number| (number, Limit::Never)).collect();
        let mut in_flight = filled(0, &messages, now);
        in_flight.acknowledge(&sack(u32::MAX, &[(2, 3)]), now);
        assert_eq!(in_flight.find_losses(now), None);
        in_flight.acknowledge(&sack(u32::MAX, &[(2, 4)]), now);
        assert_eq!(in_flight.find_losses(now), Some(0));
        assert_eq!(in_flight.next_lost(), Some(0));
        in_flight.sent_again(0, now, 10);
        in_flight.acknowledge(&sack(u32::MAX, &[(2, 10)]), now);
        assert_eq!(in_flight.find_losses(now), None, "the second may still come");
        assert_eq!(in_flight.bytes(), 10);
    }

    #[test]
    fn a_message_is_given_up_as_a_whole() {
        let now = Instant::now();
        let once = Limit::Retransmissions(0);
        let messages = [
            (0, once),
            (1, once),
            (1, once),
            (2, Limit::Never),
            (3, once),
            (3, once),
            (3, once),
        ];
        let mut in_flight = filled(50, &messages, now);
        in_flight.acknowledge(&sack(50, &[(1, 1), (3, 6)]), now);
        assert_eq!(in_flight.find_losses(now), Some(52));
        assert_eq!(in_flight.take_released(), [(1, 10)]);
        assert_eq!(in_flight.forward(), Some((52, vec![(1, 1)])));
        assert_eq!(in_flight.next_lost(), None);
        assert_eq!(in_flight.bytes(), 0);
    }

    #[test]
    fn after_silence_all_is_sent_again() {
        let now = Instant::now();
        let messages: Vec<(u64, Limit)> = (0..4).map(|number| (number, Limit::Never)).collect();
        let mut in_flight = filled(7, &messages, now);
        in_flight.acknowledge(&sack(6, &[(2, 2)]), now);
        in_flight.lose_all(now, false);
        assert_eq!((in_flight.lost.len(), in_flight.bytes()), (3, 0));
        in_flight.lose_all(now, true);
        assert_eq!(in_flight.lost.len(), 4);
    }
}

//! Transport-wide feedback for publishers (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//!
//! Their bandwidth estimators live on it: each message says which packets came, and when, in steps of 250 us.
//! In: the transport-wide number and arrival time of every packet of a transport, whatever its stream. Out: the bodies
//! of feedback messages (section 3.1) and when the next is due: after 100 ms, earlier at the end of a video frame, or
//! with many packets pending. A message has a base number and a reference time in steps of 64 ms, then a symbol for
//! each number (missing, small or large delta) as run-length or vector chunks (sections 3.1.3 and 3.1.4), then the
//! deltas (3.1.5). What is missing between two messages is reported too.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const TICK_US: i64 = 250;
const REFERENCE_US: i64 = 64_000;
/// Packets kept for the next message; beyond it the oldest are not reported.
const MAX_PENDING: usize = 1_000;
/// Sequence numbers one message may span.
const MAX_SPAN: u64 = 500;
const SEND_ALWAYS_AT: usize = 100;
const SEND_AFTER: Duration = Duration::from_millis(100);
const SEND_AFTER_WITH_MARKER: Duration = Duration::from_millis(50);
const MIN_FOR_MARKER: usize = 20;

/// Whether and how closely after the packet before it a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    Missing = 0,
    Small = 1,
    Large = 2,
}

/// Collects arrivals on one transport and makes feedback of them.
#[derive(Debug)]
pub struct FeedbackGenerator {
    epoch: Instant,
    highest: Option<u64>,
    /// Number and microseconds since the epoch, by number.
    pending: VecDeque<(u64, i64)>,
    /// The first number not yet reported on.
    next_base: Option<u64>,
    last_sent_at: Instant,
    marker_seen: bool,
    message_count: u8,
    message: Message,
}

/// The message that is being made; its memory is used again.
#[derive(Debug, Default)]
struct Message {
    symbols: Vec<Symbol>,
    deltas: Vec<i16>,
    body: Vec<u8>,
}

impl FeedbackGenerator {
    /// `epoch` is any instant not after the first arrival.
    pub fn new(epoch: Instant) -> FeedbackGenerator {
        FeedbackGenerator {
            epoch,
            highest: None,
            pending: VecDeque::new(),
            next_base: None,
            last_sent_at: epoch,
            marker_seen: false,
            message_count: 0,
            message: Message::default(),
        }
    }

    /// A packet with this transport-wide number arrived.
    pub fn record(&mut self, now: Instant, number: u16, marker: bool) {
        let extended = match self.highest {
            None => 65_536 + u64::from(number),
            Some(highest) => {
                highest.saturating_add_signed(i64::from(number.wrapping_sub(highest as u16) as i16))
            }
        };
        if self.pending.is_empty() {
            self.last_sent_at = self.last_sent_at.max(now.checked_sub(SEND_AFTER).unwrap_or(now));
        }
        self.highest = Some(self.highest.map_or(extended, |highest| highest.max(extended)));
        let micros = now.saturating_duration_since(self.epoch).as_micros() as i64;
        let found = self
            .pending
            .binary_search_by_key(&extended, |(number, _)| *number);
        if let Err(at) = found {
            self.pending.insert(at, (extended, micros));
        }
        self.marker_seen |= marker;
        if self.pending.len() > MAX_PENDING {
            self.pending.pop_front();
        }
    }

    /// When `collect` is wanted.
    pub fn deadline(&self) -> Option<Instant> {
        if self.pending.is_empty() {
            return None;
        }
        if self.pending.len() > SEND_ALWAYS_AT {
            return Some(self.last_sent_at);
        }
        let early = self.marker_seen && self.pending.len() > MIN_FOR_MARKER;
        Some(self.last_sent_at + if early { SEND_AFTER_WITH_MARKER } else { SEND_AFTER })
    }

    /// Calls `each` with the body (what follows the two SSRCs) of each message that is due.
    pub fn collect(&mut self, now: Instant, mut each: impl FnMut(&[u8])) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        self.last_sent_at = now;
        self.marker_seen = false;
        while let Some(body) = self.next_message() {
            each(body);
        }
    }

    fn next_message(&mut self) -> Option<&[u8]> {
        let &(first, first_us) = self.pending.front()?;
        // Report what is missing between the messages too, unless the gap is absurd or we went back.
        let base = self
            .next_base
            .filter(|base| *base <= first && first - base < MAX_SPAN)
            .unwrap_or(first);
        let reference = first_us.div_euclid(REFERENCE_US);
        let Message {
            symbols,
            deltas,
            body,
        } = &mut self.message;
        symbols.clear();
        symbols.resize((first - base) as usize, Symbol::Missing);
        deltas.clear();
        let mut clock = reference * REFERENCE_US / TICK_US;
        let mut next = first;
        while let Some(&(number, micros)) = self.pending.front() {
            let ticks = micros.div_euclid(TICK_US);
            let Ok(delta) = i16::try_from(ticks - clock) else {
                break;
            };
            if number - base >= MAX_SPAN {
                break;
            }
            symbols.extend(std::iter::repeat_n(Symbol::Missing, (number - next) as usize));
            symbols.push(if (0..=255).contains(&delta) {
                Symbol::Small
            } else {
                Symbol::Large
            });
            deltas.push(delta);
            clock = ticks;
            next = number + 1;
            self.pending.pop_front();
        }
        self.next_base = Some(self.next_base.map_or(next, |base| base.max(next)));
        body.clear();
        body.extend_from_slice(&(base as u16).to_be_bytes());
        body.extend_from_slice(&(symbols.len() as u16).to_be_bytes());
        let reference_and_count = (reference as u32) << 8 | u32::from(self.message_count);
        self.message_count = self.message_count.wrapping_add(1);
        body.extend_from_slice(&reference_and_count.to_be_bytes());
        write_chunks(symbols, body);
        for delta in deltas {
            match u8::try_from(*delta) {
                Ok(small) => body.push(small),
                Err(_) => body.extend_from_slice(&delta.to_be_bytes()),
            }
        }
        Some(body.as_slice())
    }
}

fn write_chunks(symbols: &[Symbol], out: &mut Vec<u8>) {
    let mut rest = symbols;
    while let Some(&first) = rest.first() {
        let run = rest
            .iter()
            .take(8_191)
            .take_while(|symbol| **symbol == first)
            .count();
        let one_bit = rest.iter().take(14).all(|symbol| *symbol != Symbol::Large);
        let (chunk, taken) = if run >= if one_bit { 14 } else { 7 } || run == rest.len() {
            ((first as u16) << 13 | run as u16, run)
        } else if one_bit {
            (vector(rest, 14, 1) | 0x8000, rest.len().min(14))
        } else {
            (vector(rest, 7, 2) | 0xC000, rest.len().min(7))
        };
        out.extend_from_slice(&chunk.to_be_bytes());
        rest = &rest[taken..];
    }
}

fn vector(symbols: &[Symbol], count: usize, bits: u32) -> u16 {
    let symbol_at = |index: usize| symbols.get(index).map_or(0, |symbol| *symbol as u16);
    (0..count).fold(0, |chunk, index| chunk << bits | symbol_at(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (number, micros since epoch) of the packets received, and the count of packets reported on.
    fn decode(body: &[u8]) -> (Vec<(u16, i64)>, u16) {
        let word = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        let (base, count) = (word(0), word(2));
        let reference = i64::from(u32::from_be_bytes([0, body[4], body[5], body[6]]));
        let mut symbols = Vec::new();
        let mut at = 8;
        while symbols.len() < usize::from(count) {
            let chunk = word(at);
            at += 2;
            match chunk >> 14 {
                0 | 1 => symbols.extend(std::iter::repeat_n(chunk >> 13 & 3, usize::from(chunk & 0x1FFF))),
                2 => symbols.extend((0..14).rev().map(|bit| chunk >> bit & 1)),
                _ => symbols.extend((0..7).rev().map(|pair| chunk >> (pair * 2) & 3)),
            }
        }
        symbols.truncate(usize::from(count));
        let mut clock = reference * REFERENCE_US;
        let mut found = Vec::new();
        for (index, symbol) in symbols.iter().enumerate() {
            match symbol {
                1 => {
                    clock += i64::from(body[at]) * TICK_US;
                    at += 1;
                }
                2 => {
                    clock += i64::from(word(at) as i16) * TICK_US;
                    at += 2;
                }
                _ => continue,
            }
            found.push((base.wrapping_add(index as u16), clock));
        }
        assert_eq!(at, body.len(), "no trailing bytes");
        (found, count)
    }

    fn run(arrivals: &[(u16, i64)]) -> Vec<(Vec<(u16, i64)>, u16)> {
        let epoch = Instant::now();
        let mut generator = FeedbackGenerator::new(epoch);
        let mut last = epoch;
        for (number, micros) in arrivals {
            last = epoch + Duration::from_micros(*micros as u64);
            generator.record(last, *number, false);
        }
        let due = generator.deadline().expect("something to report").max(last) + SEND_AFTER;
        bodies(&mut generator, due)
            .iter()
            .map(|body| decode(body))
            .collect()
    }

    fn bodies(generator: &mut FeedbackGenerator, now: Instant) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        generator.collect(now, |body| bodies.push(body.to_vec()));
        bodies
    }

    #[test]
    fn arrivals_survive_the_encoding() {
        let steady: Vec<(u16, i64)> = (0..40).map(|index| (index, 1_000 * i64::from(index))).collect();
        let holes: Vec<(u16, i64)> = (0..120)
            .filter(|index| index % 3 != 1)
            .map(|index| (index, 500 * i64::from(index)))
            .collect();
        let slow: Vec<(u16, i64)> = (0..20).map(|index| (index, 90_000 * i64::from(index))).collect();
        let swapped = vec![(65_534, 70_000), (0, 71_000), (65_535, 72_000), (1, 72_250)];
        for arrivals in [steady, holes, slow, swapped] {
            let messages = run(&arrivals);
            assert_eq!(messages.len(), 1);
            let mut expected = arrivals.clone();
            expected.sort_by_key(|(number, _)| number.wrapping_add(100));
            assert_eq!(messages[0].0, expected);
        }
    }

    #[test]
    fn far_apart_packets_need_two_messages() {
        let messages = run(&[(5, 0), (6, 20_000_000), (9, 20_000_250)]);
        assert_eq!(
            messages,
            [(vec![(5, 0)], 1), (vec![(6, 20_000_000), (9, 20_000_250)], 4)]
        );
    }

    #[test]
    fn what_was_lost_between_messages_is_reported_missing() {
        let epoch = Instant::now();
        let mut generator = FeedbackGenerator::new(epoch);
        generator.record(epoch, 1, false);
        assert_eq!(bodies(&mut generator, epoch + SEND_AFTER).len(), 1);
        generator.record(epoch + SEND_AFTER * 2, 4, false);
        let bodies = bodies(&mut generator, epoch + SEND_AFTER * 4);
        let (found, count) = decode(&bodies[0]);
        assert_eq!((found[0].0, count), (4, 3));
        assert_eq!(bodies[0][7], 1, "the second message");
    }

    #[test]
    fn messages_are_timed() {
        let epoch = Instant::now();
        let mut generator = FeedbackGenerator::new(epoch);
        assert_eq!(generator.deadline(), None);
        let at = epoch + Duration::from_secs(1);
        for number in 0..21 {
            generator.record(at, number, number == 20);
        }
        assert!(
            generator
                .deadline()
                .is_some_and(|deadline| deadline <= at + SEND_AFTER_WITH_MARKER)
        );
        for number in 21..102 {
            generator.record(at, number, false);
        }
        assert!(
            !bodies(&mut generator, at).is_empty(),
            "more than a hundred are not held back"
        );
        assert_eq!(generator.deadline(), None);
    }
}

//! From DATA back to messages, for one stream.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::serial::{at_or_before, before};
use crate::types::Chunks;
use crate::wire::{Data, flag};

/// What one stream has received and not given away.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    /// Messages that are not whole or not next, by their unwrapped sequence number.
    ordered: BTreeMap<i64, Fragments>,
    next: i64,
    /// Pieces of unordered messages that are not whole, ascending.
    unordered: VecDeque<Data>,
    messages: VecDeque<Chunks>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Fragments {
    pieces: VecDeque<Data>,
    bytes: usize,
}

impl Fragments {
    fn insert(&mut self, data: Data) {
        self.bytes += data.payload.len();
        insert_sorted(&mut self.pieces, data);
    }

    fn is_whole(&self) -> bool {
        is_whole(&self.pieces)
    }
}

fn insert_sorted(pieces: &mut VecDeque<Data>, data: Data) -> usize {
    let index = pieces
        .iter()
        .rposition(|piece| before(piece.tsn, data.tsn))
        .map_or(0, |index| index + 1);
    pieces.insert(index, data);
    index
}

fn is_whole(pieces: &VecDeque<Data>) -> bool {
    let (Some(first), Some(last)) = (pieces.front(), pieces.back()) else {
        return false;
    };
    first.flags & flag::BEGIN != 0
        && last.flags & flag::END != 0
        && last.tsn.wrapping_sub(first.tsn) as usize + 1 == pieces.len()
}

fn message(pieces: impl IntoIterator<Item = Data>) -> Chunks {
    let mut protocol = 0;
    let payloads: Vec<Bytes> = pieces
        .into_iter()
        .map(|piece| {
            protocol = piece.protocol;
            piece.payload
        })
        .collect();
    Chunks::new(protocol.into(), payloads)
}

impl Reassembly {
    /// Takes a chunk that arrived for the first time. False: a message is larger than `limit`.
    pub(crate) fn insert(&mut self, data: Data, limit: usize) -> bool {
        self.bytes += data.payload.len();
        if data.flags & flag::UNORDERED != 0 {
            return self.insert_unordered(data, limit);
        }
        let ahead = data.sequence.wrapping_sub(self.next as u16) as i16;
        let number = self.next + i64::from(ahead);
        if ahead < 0 {
            self.bytes -= data.payload.len();
            return true;
        }
        let is_single = data.flags & (flag::BEGIN | flag::END) == flag::BEGIN | flag::END;
        if ahead == 0 && is_single && self.ordered.is_empty() {
            self.next += 1;
            self.messages.push_back(message([data]));
            return true;
        }
        let fragments = self.ordered.entry(number).or_default();
        fragments.insert(data);
        let is_within = fragments.bytes <= limit;
        if ahead == 0 {
            self.release();
        }
        is_within
    }

    /// Moves on over whole messages whose turn it is.
    fn release(&mut self) {
        while let Some(entry) = self.ordered.first_entry() {
            if *entry.key() != self.next || !entry.get().is_whole() {
                return;
            }
            self.messages.push_back(message(entry.remove().pieces));
            self.next += 1;
        }
    }

    fn insert_unordered(&mut self, data: Data, limit: usize) -> bool {
        if data.flags & (flag::BEGIN | flag::END) == flag::BEGIN | flag::END {
            self.messages.push_back(message([data]));
            return true;
        }
        let index = insert_sorted(&mut self.unordered, data);
        let follows = |a: usize| self.unordered[a].tsn.wrapping_add(1) == self.unordered[a + 1].tsn;
        let (mut first, mut last) = (index, index);
        while self.unordered[first].flags & flag::BEGIN == 0 && first > 0 && follows(first - 1) {
            first -= 1;
        }
        while self.unordered[last].flags & flag::END == 0 && last + 1 < self.unordered.len() && follows(last)
        {
            last += 1;
        }
        let run = self.unordered.range(first..=last);
        let bytes: usize = run.map(|piece| piece.payload.len()).sum();
        if self.unordered[first].flags & flag::BEGIN != 0 && self.unordered[last].flags & flag::END != 0 {
            let pieces: Vec<Data> = self.unordered.drain(first..=last).collect();
            self.messages.push_back(message(pieces));
        }
        bytes <= limit
    }

    /// The peer gave up ordered messages up to this sequence number.
    pub(crate) fn skip_ordered(&mut self, sequence: u16) {
        let ahead = sequence.wrapping_sub(self.next as u16) as i16;
        if ahead < 0 {
            return;
        }
        let end = self.next + i64::from(ahead);
        while let Some(entry) = self.ordered.first_entry() {
            if *entry.key() > end {
                break;
            }
            let fragments = entry.remove();
            if fragments.is_whole() {
                self.messages.push_back(message(fragments.pieces));
            } else {
                self.bytes -= fragments.bytes;
            }
        }
        self.next = end + 1;
        self.release();
    }

    /// The peer gave up unordered messages with pieces up to this number.
    pub(crate) fn skip_unordered(&mut self, tsn: u32) {
        while let Some(piece) = self.unordered.front() {
            if !at_or_before(piece.tsn, tsn) {
                return;
            }
            self.bytes -= piece.payload.len();
            self.unordered.pop_front();
        }
    }

    /// The peer begins anew on this stream: sequence numbers start at 0, what is not whole is lost.
    pub(crate) fn reset(&mut self) {
        self.ordered.clear();
        self.unordered.clear();
        self.next = 0;
        self.bytes = self.messages.iter().map(Chunks::len).sum();
    }

    pub(crate) fn discard(&mut self) {
        self.messages.clear();
        self.reset();
    }

    pub(crate) fn read(&mut self) -> Option<Chunks> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }

    pub(crate) fn is_readable(&self) -> bool {
        !self.messages.is_empty()
    }

    /// Payload bytes held, whole messages included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(tsn: u32, sequence: u16, flags: u8, text: &str) -> Data {
        Data {
            flags,
            tsn,
            stream: 0,
            sequence,
            protocol: 53,
            payload: Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    fn read_all(reassembly: &mut Reassembly) -> Vec<String> {
        std::iter::from_fn(|| reassembly.read())
            .map(|message| String::from_utf8(message.to_vec()).expect("text"))
            .collect()
    }

    const ALONE: u8 = flag::BEGIN | flag::END;

    #[test]
    fn ordered_messages_wait_for_those_before_them() {
        let pieces = [
            piece(1, 0, flag::BEGIN, "a"),
            piece(2, 0, 0, "b"),
            piece(3, 0, flag::END, "c"),
            piece(4, 1, ALONE, "d"),
            piece(5, 2, flag::BEGIN, "e"),
            piece(6, 2, flag::END, "f"),
        ];
        for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 0, 5, 2, 4, 1]] {
            let mut reassembly = Reassembly::default();
            for index in order {
                assert!(reassembly.insert(pieces[index].clone(), 100));
            }
            assert_eq!(read_all(&mut reassembly), ["abc", "d", "ef"]);
            assert_eq!(reassembly.bytes(), 0);
        }
    }

    #[test]
    fn unordered_messages_come_as_soon_as_they_are_whole() {
        let mut reassembly = Reassembly::default();
        for (tsn, flags, text) in [
            (10, flag::END, "z"),
            (3, flag::BEGIN, "a"),
            (8, flag::BEGIN, "x"),
            (5, flag::END, "c"),
            (20, ALONE, "!"),
            (9, 0, "y"),
            (4, 0, "b"),
        ] {
            assert!(reassembly.insert(piece(tsn, 0, flags | flag::UNORDERED, text), 100));
        }
        assert_eq!(read_all(&mut reassembly), ["!", "xyz", "abc"]);
        assert_eq!(reassembly.bytes(), 0);
    }

    #[test]
    fn skipping_drops_what_is_not_whole_and_releases_the_rest() {
        let mut reassembly = Reassembly::default();
        reassembly.insert(piece(2, 0, flag::END, "b"), 100);
        reassembly.insert(piece(3, 1, ALONE, "c"), 100);
        reassembly.insert(piece(9, 4, ALONE, "later"), 100);
        reassembly.insert(piece(7, 0, flag::BEGIN | flag::UNORDERED, "u"), 100);
        reassembly.skip_ordered(2);
        reassembly.skip_unordered(7);
        assert_eq!(read_all(&mut reassembly), ["c"]);
        reassembly.skip_ordered(3);
        assert_eq!(read_all(&mut reassembly), ["later"]);
        assert_eq!(reassembly.bytes(), 0);
        // Repeats of what was skipped or given away are nothing.
        reassembly.insert(piece(2, 0, flag::END, "b"), 100);
        assert_eq!((read_all(&mut reassembly).len(), reassembly.bytes()), (0, 0));
    }

    #[test]
    fn a_message_above_the_limit_is_told() {
        for flags in [0, flag::UNORDERED] {
            let mut reassembly = Reassembly::default();
            assert!(reassembly.insert(piece(1, 0, flag::BEGIN | flags, "123"), 5));
            assert!(!reassembly.insert(piece(2, 0, flags, "456"), 5));
        }
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut reassembly = Reassembly::default();
        for number in 0..70_000u32 {
            reassembly.insert(piece(number, number as u16, ALONE, "x"), 100);
        }
        assert_eq!(read_all(&mut reassembly).len(), 70_000);
    }
}

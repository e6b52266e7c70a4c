//! Messages that wait to be sent: one queue per stream, served in turn, message by message.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use crate::sent::Limit;
use crate::types::{PayloadProtocolIdentifier, ReliabilityType};
use crate::wire::flag;

/// How a stream's messages are sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delivery {
    pub(crate) is_unordered: bool,
    pub(crate) reliability: ReliabilityType,
    pub(crate) limit: u32,
}

#[derive(Debug)]
struct Message {
    payload: Bytes,
    protocol: PayloadProtocolIdentifier,
    delivery: Delivery,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    next_sequence: u16,
}

/// The message that is being sent: its pieces have to follow each other.
#[derive(Debug)]
struct Current {
    stream: u16,
    sequence: u16,
    number: u64,
    limit: Limit,
    message: Message,
    offset: usize,
}

/// A piece that fits into a packet.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) flags: u8,
    pub(crate) stream: u16,
    pub(crate) sequence: u16,
    pub(crate) protocol: u32,
    pub(crate) payload: Bytes,
    pub(crate) message: u64,
    pub(crate) limit: Limit,
}

/// All streams' messages.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    queues: HashMap<u16, Queue>,
    /// Streams with messages, in the order of their turns.
    turns: VecDeque<u16>,
    current: Option<Current>,
    next_number: u64,
    bytes: usize,
}

impl SendQueue {
    pub(crate) fn push(
        &mut self,
        stream: u16,
        payload: Bytes,
        protocol: PayloadProtocolIdentifier,
        delivery: Delivery,
    ) {
        self.bytes += payload.len();
        let queue = self.queues.entry(stream).or_default();
        if queue.messages.is_empty() {
            self.turns.push_back(stream);
        }
        queue.messages.push_back(Message {
            payload,
            protocol,
            // RFC 8832 section 6: until the channel is known to be open, messages are ordered and reliable.
            delivery: if protocol == PayloadProtocolIdentifier::Dcep {
                Delivery::default()
            } else {
                delivery
            },
        });
    }

    /// Payload bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(crate) fn has_messages(&self, stream: u16) -> bool {
        let is_current = self
            .current
            .as_ref()
            .is_some_and(|current| current.stream == stream);
        is_current
            || self
                .queues
                .get(&stream)
                .is_some_and(|queue| !queue.messages.is_empty())
    }

    /// Length of the next piece if pieces have at most `limit` bytes.
    pub(crate) fn peek(&self, limit: usize) -> Option<usize> {
        if let Some(current) = &self.current {
            return Some((current.message.payload.len() - current.offset).min(limit));
        }
        let queue = self.queues.get(self.turns.front()?)?;
        Some(queue.messages.front()?.payload.len().min(limit))
    }

    /// Takes the next piece, of at most `limit` bytes.
    pub(crate) fn take(&mut self, limit: usize, now: Instant) -> Option<Piece> {
        if self.current.is_none() {
            self.begin(now)?;
        }
        let current = self.current.as_mut()?;
        let total = current.message.payload.len();
        let end = (current.offset + limit).min(total);
        let mut flags = 0;
        if current.offset == 0 {
            flags |= flag::BEGIN;
        }
        if end == total {
            flags |= flag::END;
        }
        if current.message.delivery.is_unordered {
            flags |= flag::UNORDERED;
        }
        let piece = Piece {
            flags,
            stream: current.stream,
            sequence: current.sequence,
            protocol: current.message.protocol as u32,
            payload: current.message.payload.slice(current.offset..end),
            message: current.number,
            limit: current.limit,
        };
        self.bytes -= end - current.offset;
        current.offset = end;
        if end == total {
            self.current = None;
        }
        Some(piece)
    }

    /// Starts on the message whose turn it is.
    fn begin(&mut self, now: Instant) -> Option<()> {
        let stream = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&stream)?;
        let message = queue.messages.pop_front()?;
        if !queue.messages.is_empty() {
            self.turns.push_back(stream);
        }
        let delivery = message.delivery;
        let sequence = queue.next_sequence;
        if !delivery.is_unordered {
            queue.next_sequence = sequence.wrapping_add(1);
        }
        self.next_number += 1;
        self.current = Some(Current {
            stream,
            sequence,
            number: self.next_number,
            limit: Limit::new(delivery.reliability, delivery.limit, now),
            message,
            offset: 0,
        });
        Some(())
    }

    /// The number of the message that is being sent.
    pub(crate) fn current(&self) -> Option<u64> {
        self.current.as_ref().map(|current| current.number)
    }

    /// Drops the rest of the message that is being sent; its stream and how much that was.
    pub(crate) fn drop_current(&mut self) -> Option<(u16, usize)> {
        let current = self.current.take()?;
        let rest = current.message.payload.len() - current.offset;
        self.bytes -= rest;
        Some((current.stream, rest))
    }

    /// Sequence numbers of the stream start at 0 again.
    pub(crate) fn reset(&mut self, stream: u16) {
        if let Some(queue) = self.queues.remove(&stream) {
            self.bytes -= queue
                .messages
                .iter()
                .map(|message| message.payload.len())
                .sum::<usize>();
            self.turns.retain(|other| *other != stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut SendQueue, stream: u16, length: usize) {
        queue.push(
            stream,
            Bytes::from(vec![stream as u8; length]),
            PayloadProtocolIdentifier::Binary,
            Delivery::default(),
        );
    }

    #[test]
    fn streams_take_turns_by_whole_messages() {
        let mut queue = SendQueue::default();
        for (stream, length) in [(1, 25), (1, 5), (2, 5), (2, 5), (3, 12)] {
            push(&mut queue, stream, length);
        }
        let now = Instant::now();
        let mut pieces = Vec::new();
        while let Some(length) = queue.peek(10) {
            let piece = queue.take(10, now).expect("a piece");
            assert_eq!(piece.payload.len(), length);
            pieces.push((piece.stream, piece.sequence, piece.flags, length));
        }
        let (begin, end) = (flag::BEGIN, flag::END);
        assert_eq!(
            pieces,
            [
                (1, 0, begin, 10),
                (1, 0, 0, 10),
                (1, 0, end, 5),
                (2, 0, begin | end, 5),
                (3, 0, begin, 10),
                (3, 0, end, 2),
                (1, 1, begin | end, 5),
                (2, 1, begin | end, 5),
            ]
        );
        assert!(queue.is_empty());
    }

    #[test]
    fn a_message_given_up_halfway_is_not_sent_on() {
        let mut queue = SendQueue::default();
        push(&mut queue, 1, 25);
        push(&mut queue, 1, 5);
        let now = Instant::now();
        let piece = queue.take(10, now).expect("a piece");
        assert_eq!(queue.current(), Some(piece.message));
        assert_eq!(queue.drop_current(), Some((1, 15)));
        assert_eq!(queue.take(10, now).map(|piece| piece.sequence), Some(1));
        assert_eq!(queue.bytes(), 0);
    }
}

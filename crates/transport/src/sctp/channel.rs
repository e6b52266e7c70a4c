//! One data channel: its state and the messages that wait for room in the association.

use std::collections::VecDeque;

use super::dcep::{OpenMessage, Reliability};
use crate::types::{ChannelConfig, ChannelId};
use crate::{MAX_BUFFERED_LOSSY_BYTES, MAX_QUEUED_RELIABLE_BYTES, WRITABLE_STEP_BYTES};

/// How many messages may precede the opening message of their channel (they are unordered then).
const MAX_EARLY_MESSAGES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChannelState {
    /// Ours, waits for the association.
    Waiting,
    /// Ours, the opening message is sent.
    Opening,
    /// The peer's, its opening message has not arrived yet.
    Unannounced,
    /// Usable in both directions.
    Open,
    /// Closed by us once the queue is empty.
    Closing,
}

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    /// The SCTP stream; ours have one from the moment the association is up.
    pub(crate) stream: Option<u16>,
    pub(crate) state: ChannelState,
    pub(crate) open: OpenMessage,
    /// Messages not yet handed to the association.
    pub(crate) queue: VecDeque<Vec<u8>>,
    queued_bytes: usize,
    /// Bytes handed to the association that the peer has not acknowledged.
    pub(crate) in_association_bytes: usize,
    /// Messages that arrived before the opening message.
    pub(crate) early: Vec<Vec<u8>>,
    is_refusing: bool,
}

impl Channel {
    /// A channel of ours.
    pub(crate) fn ours(id: ChannelId, config: ChannelConfig) -> Channel {
        let reliability = match config.max_retransmits {
            Some(count) => Reliability::MaxRetransmits(u32::from(count)),
            None => Reliability::Reliable,
        };
        let open = OpenMessage {
            label: config.label,
            ordered: config.ordered,
            reliability,
        };
        Channel::with(id, None, ChannelState::Waiting, open)
    }

    /// A channel of the peer that has not said what it is.
    pub(crate) fn theirs(id: ChannelId, stream: u16) -> Channel {
        let open = OpenMessage {
            label: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
        };
        Channel::with(id, Some(stream), ChannelState::Unannounced, open)
    }

    fn with(id: ChannelId, stream: Option<u16>, state: ChannelState, open: OpenMessage) -> Channel {
        Channel {
            id,
            stream,
            state,
            open,
            queue: VecDeque::new(),
            queued_bytes: 0,
            in_association_bytes: 0,
            early: Vec::new(),
            is_refusing: false,
        }
    }

    pub(crate) fn is_lossy(&self) -> bool {
        self.open.reliability != Reliability::Reliable
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    pub(crate) fn buffered_bytes(&self) -> usize {
        self.queued_bytes + self.in_association_bytes
    }

    /// Whether a message of this length fits; if not, the channel owes a sign of being writable again.
    pub(crate) fn has_room_for(&mut self, length: usize) -> bool {
        // A single message larger than the bound has to be possible, or it never is.
        let has_room = self.is_lossy()
            || self.queued_bytes == 0
            || self.queued_bytes + length <= MAX_QUEUED_RELIABLE_BYTES;
        self.is_refusing |= !has_room;
        has_room
    }

    /// Drops the oldest messages that wait on a lossy channel, until one of this length fits or nothing waits. How
    /// many it dropped.
    pub(crate) fn displace(&mut self, length: usize) -> u64 {
        let mut dropped = 0;
        while self.is_lossy()
            && self.buffered_bytes() + length > MAX_BUFFERED_LOSSY_BYTES
            && self.dequeue().is_some()
        {
            dropped += 1;
        }
        dropped
    }

    /// Whether there is room again after refusing a message; says so once.
    pub(crate) fn take_writable(&mut self) -> bool {
        let is_writable =
            self.is_refusing && self.queued_bytes <= MAX_QUEUED_RELIABLE_BYTES - WRITABLE_STEP_BYTES;
        self.is_refusing &= !is_writable;
        is_writable
    }

    pub(crate) fn enqueue(&mut self, message: &[u8]) {
        self.queued_bytes += message.len();
        self.queue.push_back(message.to_vec());
    }

    /// Takes the next message off the queue, to hand it to the association.
    pub(crate) fn dequeue(&mut self) -> Option<Vec<u8>> {
        let message = self.queue.pop_front()?;
        self.queued_bytes -= message.len();
        Some(message)
    }

    /// Keeps a message until the opening message is there; `false` when there are too many.
    pub(crate) fn keep_early(&mut self, message: Vec<u8>) -> bool {
        let has_room = self.early.len() < MAX_EARLY_MESSAGES;
        if has_room {
            self.early.push(message);
        }
        has_room
    }

    /// Whether queued messages may go out now.
    pub(crate) fn may_send(&self) -> bool {
        matches!(self.state, ChannelState::Open | ChannelState::Closing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(max_retransmits: Option<u16>) -> Channel {
        let config = ChannelConfig {
            label: "label".to_owned(),
            ordered: max_retransmits.is_none(),
            max_retransmits,
        };
        Channel::ours(ChannelId(1), config)
    }

    #[test]
    fn a_full_channel_refuses_and_reports_once_when_it_has_room() {
        let mut channel = channel(None);
        let message = vec![0; WRITABLE_STEP_BYTES / 2];
        for _ in 0..MAX_QUEUED_RELIABLE_BYTES / message.len() {
            assert!(channel.has_room_for(message.len()));
            channel.enqueue(&message);
        }
        assert!(!channel.has_room_for(1));
        assert!(!channel.take_writable());
        channel.dequeue();
        assert!(!channel.take_writable());
        channel.dequeue();
        assert!(channel.take_writable());
        assert!(!channel.take_writable());
    }

    #[test]
    fn an_empty_channel_takes_a_message_of_any_size() {
        assert!(channel(None).has_room_for(10 * MAX_QUEUED_RELIABLE_BYTES));
        assert!(channel(Some(0)).has_room_for(10 * MAX_BUFFERED_LOSSY_BYTES));
    }

    #[test]
    fn on_a_lossy_channel_the_latest_displace_the_oldest() {
        let mut channel = channel(Some(0));
        let length = MAX_BUFFERED_LOSSY_BYTES / 4;
        let mut displaced = 0;
        for number in 0..6 {
            assert!(channel.has_room_for(length));
            displaced += channel.displace(length);
            channel.enqueue(&vec![number; length]);
        }
        assert_eq!(displaced, 2);
        assert_eq!(
            channel.queue.iter().map(|message| message[0]).collect::<Vec<_>>(),
            [2, 3, 4, 5]
        );
        // All that it may hold is in SCTP: what is newest waits, alone.
        channel.in_association_bytes = MAX_BUFFERED_LOSSY_BYTES;
        assert_eq!(channel.displace(length), 4);
        assert_eq!(channel.queued_bytes(), 0);
    }

    #[test]
    fn reliable_messages_are_never_displaced() {
        let mut channel = channel(None);
        channel.enqueue(&vec![0; MAX_QUEUED_RELIABLE_BYTES]);
        assert_eq!(channel.displace(MAX_QUEUED_RELIABLE_BYTES), 0);
    }
}

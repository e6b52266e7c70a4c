//! What waits in one channel to be sent: a bounded queue of messages, and groups of them.

use std::collections::VecDeque;

/// What a queued message costs beside its bytes, so that tiny ones are bounded too.
pub(super) const MESSAGE_OVERHEAD_BYTES: usize = 64;

pub(super) struct Message {
    pub(super) data: Vec<u8>,
    /// The first of its group; those that are sent alone are groups of one.
    starts: bool,
}

impl Message {
    pub(super) fn cost(&self) -> usize {
        self.data.len() + MESSAGE_OVERHEAD_BYTES
    }
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) messages: VecDeque<Message>,
    pub(super) bytes: usize,
    pub(super) in_transport_bytes: usize,
    pub(super) closed: bool,
    pub(super) want_writable: bool,
    /// Groups of messages of a lossy channel that newer ones displaced.
    pub(super) dropped: u64,
}

impl Queue {
    pub(super) fn buffered(&self) -> usize {
        self.bytes + self.in_transport_bytes
    }

    pub(super) fn push(&mut self, data: Vec<u8>, starts: bool) {
        let message = Message { data, starts };
        self.bytes += message.cost();
        self.messages.push_back(message);
    }

    pub(super) fn waiting_groups(&self) -> usize {
        self.messages.iter().filter(|message| message.starts).count()
    }

    /// Room for messages of this cost: the groups that wait longest go. What is newest always finds room, and a group
    /// that is partly sent stays.
    pub(super) fn displace(&mut self, cost: usize, limit: usize) {
        let begun = self
            .messages
            .iter()
            .position(|message| message.starts)
            .unwrap_or(self.messages.len());
        while self.buffered() + cost > limit && self.messages.len() > begun {
            self.drop_group(begun);
        }
    }

    fn drop_group(&mut self, start: usize) {
        let mut is_first = true;
        while let Some(message) = self.messages.get(start)
            && (is_first || !message.starts)
        {
            is_first = false;
            self.bytes -= message.cost();
            self.messages.remove(start);
        }
        self.dropped += 1;
    }
}

//! Data channels: our own bounded send queue per channel, above str0m's small shared buffer.
//!
//! Any thread queues through a [`ChannelSender`]; the peer's thread moves messages into SCTP as that drains.

mod path;
mod queue;
mod sender;

use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use str0m::Rtc;
use str0m::channel::ChannelId;

use path::Path;
pub(crate) use path::TRANSPORT_LIMIT_BYTES;
pub use sender::{ChannelSender, ChannelTable, SendOutcome};

/// Channels beyond this are refused: a remote opens them at will.
const CHANNELS_LIMIT: usize = 256;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Channel {
    id: ChannelId,
    sender: ChannelSender,
    open: bool,
}

/// The peer's side: from the queues into SCTP.
pub(crate) struct Channels {
    pub table: ChannelTable,
    channels: Vec<Channel>,
    next: usize,
    path: Path,
}

impl Channels {
    pub fn new() -> Self {
        Self {
            table: ChannelTable::default(),
            channels: vec![],
            next: 0,
            path: Path::new(),
        }
    }

    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.path.set_round_trip(round_trip);
    }

    pub fn add(&mut self, id: ChannelId, sender: ChannelSender) {
        self.channels.push(Channel {
            id,
            sender,
            open: false,
        });
    }

    pub fn is_full(&self) -> bool {
        self.channels.len() >= CHANNELS_LIMIT
    }

    pub fn number(&self, id: ChannelId) -> Option<u32> {
        self.channels
            .iter()
            .find(|channel| channel.id == id)
            .map(|channel| channel.sender.number())
    }

    /// Mark as open; one that the remote opened gets a number. None: there are too many.
    pub fn opened(&mut self, id: ChannelId, reliable: bool) -> Option<u32> {
        if let Some(channel) = self.channels.iter_mut().find(|channel| channel.id == id) {
            channel.open = true;
            return Some(channel.sender.number());
        }
        if self.is_full() {
            return None;
        }
        let sender = self.table.create(reliable);
        let number = sender.number();
        self.channels.push(Channel {
            id,
            sender,
            open: true,
        });
        Some(number)
    }

    pub fn closed(&mut self, id: ChannelId) -> Option<u32> {
        let index = self.channels.iter().position(|channel| channel.id == id)?;
        let channel = self.channels.swap_remove(index);
        channel.sender.close();
        Some(channel.sender.number())
    }

    /// From now on a new message wakes the peer again.
    pub fn acknowledge_wake(&self) {
        self.table.flush_pending.store(false, Ordering::Release);
    }

    /// Move messages into SCTP while it takes them, one channel after the other. Returns whether any moved.
    pub fn pump(&mut self, rtc: &mut Rtc, now: Instant) -> bool {
        if !self.channels.iter().any(Channel::has_messages) {
            return false;
        }
        let in_transport: usize = self
            .channels
            .iter()
            .map(|channel| channel.in_transport(rtc))
            .sum();
        self.path.observe(in_transport, now);
        let mut room = self.path.limit_bytes.saturating_sub(in_transport);
        let before = room;
        for offset in 0..self.channels.len() {
            let index = (self.next + offset) % self.channels.len();
            self.channels[index].pump(rtc, &mut room);
        }
        self.next = self.next.wrapping_add(1);
        self.path.in_transport += before - room;
        room < before
    }

    /// Channels that were full and have room again.
    pub fn writable(&mut self, rtc: &mut Rtc) -> Vec<u32> {
        let queue_bytes = self.path.queue_bytes();
        let bulk_limit = &self.table.bulk_limit_bytes;
        bulk_limit.store(self.path.bulk.limit_bytes, Ordering::Relaxed);
        let open = self.channels.iter().filter(|channel| channel.open);
        open.filter_map(|channel| {
            let in_transport = channel.in_transport(rtc);
            let shared = &channel.sender.0;
            if shared.reliable {
                shared.limit_bytes.store(queue_bytes, Ordering::Relaxed);
            }
            let mut queue = lock(&shared.queue);
            queue.in_transport_bytes = in_transport;
            let writable = queue.want_writable && shared.held(&queue) <= shared.limit() / 2;
            if writable {
                queue.want_writable = false;
            }
            writable.then_some(channel.sender.number())
        })
        .collect()
    }
}

impl Channel {
    fn has_messages(&self) -> bool {
        self.open && !lock(&self.sender.0.queue).messages.is_empty()
    }

    /// Bytes that SCTP holds.
    fn in_transport(&self, rtc: &mut Rtc) -> usize {
        rtc.channel(self.id)
            .map_or(0, |mut channel| channel.buffered_amount())
    }

    fn pump(&self, rtc: &mut Rtc, room: &mut usize) {
        if !self.has_messages() {
            return;
        }
        let Some(mut channel) = rtc.channel(self.id) else {
            return;
        };
        loop {
            let mut queue = lock(&self.sender.0.queue);
            if queue
                .messages
                .front()
                .is_none_or(|message| message.data.len() > *room)
            {
                break;
            }
            let Some(message) = queue.messages.pop_front() else {
                break;
            };
            let length = message.data.len();
            match channel.write(true, &message.data) {
                Ok(true) => {
                    queue.bytes -= message.cost();
                    queue.in_transport_bytes += length;
                    *room -= length;
                }
                Ok(false) => {
                    queue.messages.push_front(message);
                    break;
                }
                Err(error) => {
                    log::warn!(
                        "channel {}: a message of {length} bytes is dropped: {error}",
                        self.sender.number(),
                    );
                    queue.bytes -= message.cost();
                }
            }
        }
    }
}

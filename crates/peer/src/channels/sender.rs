//! The sending side, for any thread: one channel's sender, and the table of all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::lock;
use super::path::{FIRST_BULK_LIMIT_BYTES, RELIABLE_LIMIT_BYTES};
use super::queue::{MESSAGE_OVERHEAD_BYTES, Queue};
use crate::{PeerError, Result};

/// Bytes that a channel which may lose messages queues, with what is not acknowledged.
const LOSSY_LIMIT_BYTES: usize = 256 << 10;
/// Groups of messages that wait in a channel: one more is refused.
const WAITING_GROUPS: usize = 16;
/// str0m sends no larger message.
const MESSAGE_LIMIT_BYTES: usize = 65_536;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendOutcome {
    /// Queued. `wake`: make [`crate::Peer::flush_channels`] run soon; nobody else will.
    Queued { wake: bool },
    /// Full: nothing was queued, and ChannelWritable follows. Never of a single message for a lossy channel.
    Full,
}

pub(super) struct Shared {
    number: u32,
    pub(super) reliable: bool,
    /// Bytes that may be queued.
    pub(super) limit_bytes: AtomicUsize,
    message_limit_bytes: Arc<AtomicUsize>,
    flush_pending: Arc<AtomicBool>,
    pub(super) queue: Mutex<Queue>,
}

impl Shared {
    /// What counts against the limit.
    pub(super) fn held(&self, queue: &Queue) -> usize {
        if self.reliable {
            queue.bytes
        } else {
            queue.buffered()
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit_bytes.load(Ordering::Relaxed)
    }
}

/// The sending side of one channel, for any thread.
#[derive(Clone)]
pub struct ChannelSender(pub(super) Arc<Shared>);

impl ChannelSender {
    /// The channel's number.
    pub fn number(&self) -> u32 {
        self.0.number
    }

    /// Queue one binary message. When a lossy channel is full, the oldest messages that wait make room for it.
    pub fn send(&self, data: &[u8]) -> Result<SendOutcome> {
        self.check(data)?;
        let mut queue = self.open_queue()?;
        let cost = data.len() + MESSAGE_OVERHEAD_BYTES;
        if !self.0.reliable {
            queue.displace(cost, self.0.limit());
        } else if self.0.held(&queue) + cost > self.0.limit() {
            queue.want_writable = true;
            return Ok(SendOutcome::Full);
        }
        queue.push(data.to_vec(), true);
        drop(queue);
        Ok(self.queued())
    }

    /// Queue messages that are of use together only: all, or none. When a lossy channel is full, whole groups that wait
    /// make room for the new one; full it is for good only with 16 waiting groups.
    pub fn send_group(&self, group: Vec<Vec<u8>>) -> Result<SendOutcome> {
        for message in &group {
            self.check(message)?;
        }
        let mut queue = self.open_queue()?;
        if queue.waiting_groups() >= WAITING_GROUPS {
            queue.want_writable = true;
            return Ok(SendOutcome::Full);
        }
        let cost = group
            .iter()
            .map(|message| message.len() + MESSAGE_OVERHEAD_BYTES)
            .sum();
        queue.displace(cost, self.0.limit());
        for (index, message) in group.into_iter().enumerate() {
            queue.push(message, index == 0);
        }
        drop(queue);
        Ok(self.queued())
    }

    fn check(&self, data: &[u8]) -> Result<()> {
        let limit = self.0.message_limit_bytes.load(Ordering::Relaxed);
        if data.len() > limit {
            return Err(PeerError::MessageTooLarge {
                length: data.len(),
                limit,
            });
        }
        // str0m would accept it and send nothing.
        if data.is_empty() {
            return Err(PeerError::EmptyMessage(self.0.number));
        }
        Ok(())
    }

    fn open_queue(&self) -> Result<MutexGuard<'_, Queue>> {
        let queue = lock(&self.0.queue);
        if queue.closed {
            return Err(PeerError::ChannelClosed(self.0.number));
        }
        Ok(queue)
    }

    fn queued(&self) -> SendOutcome {
        SendOutcome::Queued {
            wake: !self.0.flush_pending.swap(true, Ordering::AcqRel),
        }
    }

    /// Messages of a lossy channel, or groups of them, that were given up for newer ones.
    pub fn dropped_messages(&self) -> u64 {
        lock(&self.0.queue).dropped
    }

    /// Bytes queued or not yet acknowledged.
    pub fn buffered_amount(&self) -> usize {
        let queue = lock(&self.0.queue);
        queue.buffered() - queue.messages.len() * MESSAGE_OVERHEAD_BYTES
    }

    pub(super) fn close(&self) {
        let mut queue = lock(&self.0.queue);
        *queue = Queue {
            closed: true,
            dropped: queue.dropped,
            ..Queue::default()
        };
    }
}

/// All channels of a peer by number; shared between the peer and those that send.
#[derive(Clone)]
pub struct ChannelTable {
    senders: Arc<Mutex<(u32, HashMap<u32, ChannelSender>)>>,
    message_limit_bytes: Arc<AtomicUsize>,
    pub(super) bulk_limit_bytes: Arc<AtomicUsize>,
    pub(super) flush_pending: Arc<AtomicBool>,
}

impl Default for ChannelTable {
    fn default() -> Self {
        Self {
            senders: Arc::default(),
            message_limit_bytes: Arc::new(AtomicUsize::new(MESSAGE_LIMIT_BYTES)),
            bulk_limit_bytes: Arc::new(AtomicUsize::new(FIRST_BULK_LIMIT_BYTES)),
            flush_pending: Arc::default(),
        }
    }
}

impl ChannelTable {
    /// Reserve a number; give it to [`crate::Peer::open_channel`] next.
    pub fn create(&self, reliable: bool) -> ChannelSender {
        let mut senders = lock(&self.senders);
        senders.0 += 1;
        let number = senders.0;
        let sender = ChannelSender(Arc::new(Shared {
            number,
            reliable,
            limit_bytes: AtomicUsize::new(if reliable {
                RELIABLE_LIMIT_BYTES.0
            } else {
                LOSSY_LIMIT_BYTES
            }),
            message_limit_bytes: self.message_limit_bytes.clone(),
            flush_pending: self.flush_pending.clone(),
            queue: Mutex::default(),
        }));
        senders.1.insert(number, sender.clone());
        sender
    }

    /// The channel of this number.
    pub fn get(&self, number: u32) -> Result<ChannelSender> {
        lock(&self.senders)
            .1
            .get(&number)
            .cloned()
            .ok_or(PeerError::UnknownChannel(number))
    }

    /// Bytes on a reliable channel from which on bulk data should wait.
    pub fn bulk_limit_bytes(&self) -> usize {
        self.bulk_limit_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of the largest message that both sides take.
    pub(crate) fn set_message_limit(&self, remote_limit: u32) {
        let remote_limit = if remote_limit == 0 {
            usize::MAX
        } else {
            remote_limit as usize
        };
        self.message_limit_bytes
            .store(remote_limit.min(MESSAGE_LIMIT_BYTES), Ordering::Relaxed);
    }

    pub(crate) fn close_all(&self) {
        lock(&self.senders).1.values().for_each(ChannelSender::close);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_and_names_its_limits() {
        let table = ChannelTable::default();
        let reliable = table.create(true);
        table.set_message_limit(60_000);
        let message = vec![0; 60_000];
        let accepted = (0..100)
            .map(|_| reliable.send(&message))
            .take_while(|outcome| *outcome != Ok(SendOutcome::Full))
            .collect::<Vec<_>>();
        assert_eq!(accepted[0], Ok(SendOutcome::Queued { wake: true }));
        assert_eq!(accepted[1], Ok(SendOutcome::Queued { wake: false }));
        assert_eq!(
            accepted.len(),
            RELIABLE_LIMIT_BYTES.0 / (60_000 + MESSAGE_OVERHEAD_BYTES)
        );
        assert_eq!(reliable.buffered_amount(), accepted.len() * 60_000);
        assert_eq!(
            reliable.send(&[0; 60_001]),
            Err(PeerError::MessageTooLarge {
                length: 60_001,
                limit: 60_000
            })
        );
        table.close_all();
        assert_eq!(
            reliable.send(&[1]),
            Err(PeerError::ChannelClosed(reliable.number()))
        );
        assert_eq!(
            reliable.send(&[]),
            Err(PeerError::EmptyMessage(reliable.number()))
        );
        assert!(matches!(table.get(99), Err(PeerError::UnknownChannel(99))));
    }

    fn waiting(sender: &ChannelSender) -> Vec<u8> {
        let queue = lock(&sender.0.queue);
        queue.messages.iter().map(|message| message.data[0]).collect()
    }

    #[test]
    fn on_a_lossy_channel_the_latest_win() {
        let lossy = ChannelTable::default().create(false);
        for number in 0..6 {
            let sent = lossy.send(&[number; 60_000]);
            assert!(matches!(sent, Ok(SendOutcome::Queued { .. })), "message {number}");
        }
        assert_eq!(waiting(&lossy), [2, 3, 4, 5]);
        assert_eq!(lossy.dropped_messages(), 2);
        // SCTP holds all that the channel may: one message waits, the latest.
        lock(&lossy.0.queue).in_transport_bytes = LOSSY_LIMIT_BYTES;
        for number in 6..9 {
            lossy.send(&[number; 60_000]).unwrap();
            assert_eq!(waiting(&lossy), [number]);
        }
        assert_eq!(lossy.dropped_messages(), 8);
    }

    #[test]
    fn groups_are_displaced_whole_unless_they_are_partly_sent() {
        let lossy = ChannelTable::default().create(false);
        let group = |number: u8| vec![vec![number; 16_000]; 7];
        for number in 0..3 {
            let sent = lossy.send_group(group(number));
            assert!(matches!(sent, Ok(SendOutcome::Queued { .. })), "group {number}");
        }
        assert_eq!(waiting(&lossy), [[1; 7], [2; 7]].concat());
        // One message of group 1 goes to SCTP: the rest of the group stays.
        let mut queue = lock(&lossy.0.queue);
        let sent = queue.messages.pop_front().unwrap();
        queue.bytes -= sent.cost();
        drop(queue);
        lossy.send_group(group(3)).unwrap();
        assert_eq!(waiting(&lossy), [&[1; 6][..], &[3; 7]].concat());
        assert_eq!(lossy.dropped_messages(), 2);
        // Larger than all that is allowed, but the newest.
        lossy.send_group(vec![vec![4; 16_000]; 100]).unwrap();
        assert_eq!(waiting(&lossy), [&[1; 6][..], &[4; 100]].concat());
    }

    #[test]
    fn too_many_waiting_groups_are_refused() {
        let lossy = ChannelTable::default().create(false);
        let accepted = (0..100)
            .take_while(|_| lossy.send_group(vec![vec![1], vec![2]]) != Ok(SendOutcome::Full))
            .count();
        assert_eq!(accepted, WAITING_GROUPS);
        assert_eq!(lossy.dropped_messages(), 0);
    }

    #[test]
    fn tiny_messages_are_bounded_too() {
        let lossy = ChannelTable::default().create(false);
        for _ in 0..10_000 {
            lossy.send(&[1]).unwrap();
        }
        assert_eq!(
            waiting(&lossy).len(),
            LOSSY_LIMIT_BYTES / (MESSAGE_OVERHEAD_BYTES + 1)
        );
    }
}

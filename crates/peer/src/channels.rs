//! Data channels: our own bounded send queue per channel, above str0m's small shared buffer.
//!
//! Any thread queues through a [`ChannelSender`]; the peer's thread moves messages into SCTP as that drains.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use str0m::Rtc;
use str0m::channel::ChannelId;

use crate::{PeerError, Result};

/// Bytes that a reliable channel queues above SCTP: what it sends in `QUEUE_TIME`, within these bounds. Whatever is
/// urgent waits behind it.
const RELIABLE_LIMIT_BYTES: (usize, usize) = (256 << 10, 1 << 20);
const QUEUE_TIME: Duration = Duration::from_millis(50);
/// The same for one that may lose messages, with what is not acknowledged.
const LOSSY_LIMIT_BYTES: usize = 256 << 10;
/// Groups of messages that wait in a channel: one more is refused.
const WAITING_GROUPS: usize = 16;
/// What a queued message costs beside its bytes, so that tiny ones are bounded too.
const MESSAGE_OVERHEAD_BYTES: usize = 64;
/// Channels beyond this are refused: a remote opens them at will.
pub(crate) const CHANNELS_LIMIT: usize = 256;
/// Least and most bytes to leave to SCTP unacknowledged, over all channels: throughput is at most this much per round
/// trip, but what is not on its way yet delays what is urgent. So it gets twice what the path carries.
pub(crate) const TRANSPORT_LIMIT_BYTES: (usize, usize) = (256 << 10, 4 << 20);
/// Least and most bytes of what is not urgent, in the queue of its channel or in SCTP: twice what the path carries in a
/// round trip or in `BULK_TIME`. So what is urgent waits behind little, also where the server lets a slow receiver's
/// stream in slowly.
const BULK_LIMIT_BYTES: (usize, usize) = (64 << 10, 768 << 10);
const BULK_TIME: Duration = Duration::from_millis(10);
/// What may be under way before the rate is known, which is measured over this time.
const FIRST_BULK_LIMIT_BYTES: usize = 128 << 10;
const BULK_MEASURING_TIME: Duration = Duration::from_millis(50);
/// The rate is measured over a round trip, within these bounds.
const MEASURING_TIME: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(300));
/// str0m sends no larger message.
pub(crate) const MESSAGE_LIMIT_BYTES: usize = 65_536;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendOutcome {
    /// Queued. `wake`: make [`crate::Peer::flush_channels`] run soon; nobody else will.
    Queued { wake: bool },
    /// Full: nothing was queued, and ChannelWritable follows. Never of a single message for a lossy channel.
    Full,
}

struct Message {
    data: Vec<u8>,
    /// The first of its group; those that are sent alone are groups of one.
    starts: bool,
}

impl Message {
    fn cost(&self) -> usize {
        self.data.len() + MESSAGE_OVERHEAD_BYTES
    }
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
    in_transport_bytes: usize,
    closed: bool,
    want_writable: bool,
    /// Groups of messages of a lossy channel that newer ones displaced.
    dropped: u64,
}

impl Queue {
    fn buffered(&self) -> usize {
        self.bytes + self.in_transport_bytes
    }

    fn push(&mut self, data: Vec<u8>, starts: bool) {
        let message = Message { data, starts };
        self.bytes += message.cost();
        self.messages.push_back(message);
    }

    fn waiting_groups(&self) -> usize {
        self.messages.iter().filter(|message| message.starts).count()
    }

    /// Room for messages of this cost: the groups that wait longest go. What is newest always finds room, and a group
    /// that is partly sent stays.
    fn displace(&mut self, cost: usize, limit: usize) {
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

struct Shared {
    number: u32,
    reliable: bool,
    /// Bytes that may be queued.
    limit_bytes: AtomicUsize,
    message_limit_bytes: Arc<AtomicUsize>,
    flush_pending: Arc<AtomicBool>,
    queue: Mutex<Queue>,
}

impl Shared {
    /// What counts against the limit.
    fn held(&self, queue: &Queue) -> usize {
        if self.reliable {
            queue.bytes
        } else {
            queue.buffered()
        }
    }

    fn limit(&self) -> usize {
        self.limit_bytes.load(Ordering::Relaxed)
    }
}

/// The sending side of one channel, for any thread.
#[derive(Clone)]
pub struct ChannelSender(Arc<Shared>);

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

    fn close(&self) {
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
    bulk_limit_bytes: Arc<AtomicUsize>,
    flush_pending: Arc<AtomicBool>,
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

/// What the path has been seen to carry.
struct Path {
    limit_bytes: usize,
    bulk: Bulk,
    shortest_round_trip: Option<Duration>,
    /// What SCTP held when it was last looked at.
    in_transport: usize,
    measured_since: Option<Instant>,
    delivered: usize,
    bytes_per_second: f64,
}

/// How much bulk data may be under way.
struct Bulk {
    limit_bytes: usize,
    since: Option<Instant>,
    delivered: usize,
    last: Option<Instant>,
}

impl Bulk {
    fn new() -> Self {
        Self {
            limit_bytes: FIRST_BULK_LIMIT_BYTES,
            since: None,
            delivered: 0,
            last: None,
        }
    }

    fn observe(&mut self, delivered: usize, is_empty: bool, round_trip: Duration, now: Instant) {
        self.delivered += delivered;
        let last = self.last.replace(now).unwrap_or(now);
        if is_empty && now.saturating_duration_since(last) > BULK_MEASURING_TIME {
            // Who sends little says nothing about the path.
            self.limit_bytes = self.limit_bytes.max(FIRST_BULK_LIMIT_BYTES);
            (self.since, self.delivered) = (None, 0);
            return;
        }
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= BULK_MEASURING_TIME.max(round_trip) {
            let per_second = self.delivered as f64 / elapsed.as_secs_f64();
            let bytes = 2.0 * per_second * round_trip.max(BULK_TIME).as_secs_f64();
            self.limit_bytes = (bytes as usize).clamp(BULK_LIMIT_BYTES.0, BULK_LIMIT_BYTES.1);
            (self.since, self.delivered) = (Some(now), 0);
        }
    }
}

impl Path {
    fn new() -> Self {
        Self {
            limit_bytes: TRANSPORT_LIMIT_BYTES.0,
            bulk: Bulk::new(),
            shortest_round_trip: None,
            in_transport: 0,
            measured_since: None,
            delivered: 0,
            bytes_per_second: 0.0,
        }
    }

    /// A measured round trip. The shortest counts, forgotten slowly: under load others hold queueing of our own making.
    fn set_round_trip(&mut self, round_trip: Duration) {
        let remembered = self
            .shortest_round_trip
            .map_or(round_trip, |shortest| shortest.mul_f64(1.02));
        self.shortest_round_trip = Some(remembered.min(round_trip));
    }

    /// SCTP holds this much now.
    fn observe(&mut self, in_transport: usize, now: Instant) {
        let delivered = self.in_transport.saturating_sub(in_transport);
        self.delivered += delivered;
        self.in_transport = in_transport;
        let round_trip = self.shortest_round_trip.unwrap_or_default();
        self.bulk.observe(delivered, in_transport == 0, round_trip, now);
        let since = *self.measured_since.get_or_insert(now);
        let round_trip = self
            .shortest_round_trip
            .unwrap_or(MEASURING_TIME.1 / 4)
            .clamp(MEASURING_TIME.0, MEASURING_TIME.1);
        let elapsed = now.saturating_duration_since(since);
        if elapsed < round_trip {
            return;
        }
        self.bytes_per_second = self.delivered as f64 / elapsed.as_secs_f64();
        let carried = (self.bytes_per_second * round_trip.as_secs_f64()) as usize;
        self.limit_bytes = (2 * carried).clamp(TRANSPORT_LIMIT_BYTES.0, TRANSPORT_LIMIT_BYTES.1);
        (self.measured_since, self.delivered) = (Some(now), 0);
    }

    /// What a reliable channel should queue.
    fn queue_bytes(&self) -> usize {
        let bytes = self.bytes_per_second * QUEUE_TIME.as_secs_f64();
        (bytes as usize).clamp(RELIABLE_LIMIT_BYTES.0, RELIABLE_LIMIT_BYTES.1)
    }
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

    #[test]
    fn bulk_data_fills_the_path_and_no_more() {
        let begun = Instant::now();
        let at = |milliseconds| begun + Duration::from_millis(milliseconds);
        let round_trip = Duration::from_millis(20);
        let limit_at_rate = |bytes_per_ms: usize| {
            let mut bulk = Bulk::new();
            for number in 0..200 {
                bulk.observe(bytes_per_ms, false, round_trip, at(number));
            }
            bulk.limit_bytes
        };
        assert_eq!(Bulk::new().limit_bytes, FIRST_BULK_LIMIT_BYTES);
        assert_eq!(limit_at_rate(100), BULK_LIMIT_BYTES.0);
        assert!((390_000..420_000).contains(&limit_at_rate(10_000)));
        assert_eq!(limit_at_rate(100_000), BULK_LIMIT_BYTES.1);
        // Nothing under way: the path may have become better.
        let mut bulk = Bulk::new();
        bulk.observe(0, false, round_trip, at(0));
        bulk.observe(0, false, round_trip, at(200));
        assert_eq!(bulk.limit_bytes, BULK_LIMIT_BYTES.0);
        bulk.observe(0, true, round_trip, at(201));
        assert_eq!(bulk.limit_bytes, BULK_LIMIT_BYTES.0);
        bulk.observe(0, true, round_trip, at(300));
        assert_eq!(bulk.limit_bytes, FIRST_BULK_LIMIT_BYTES);
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

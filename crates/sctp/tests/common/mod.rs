//! Two associations and a link between them, in virtual time.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sctp_proto::{
    Association, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, ReliabilityType, ServerConfig, StreamEvent,
};

/// What a direction of the link does to packets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Link {
    pub delay: Duration,
    /// Added to `delay`, evenly spread: packets overtake each other.
    pub jitter: Duration,
    pub loss: f64,
    /// 0 is unlimited. With a limit, `queue_bytes` wait; more are dropped.
    pub bytes_per_second: u64,
    pub queue_bytes: u64,
}

pub struct Side {
    endpoint: Endpoint,
    pub association: Option<Association>,
    pub events: Vec<Event>,
    /// Messages by stream, unless `counts_only`.
    pub messages: BTreeMap<u16, Vec<Vec<u8>>>,
    pub message_bytes: usize,
    pub packets_sent: usize,
    /// When the link is free again.
    free_at: Instant,
}

pub struct Pair {
    pub sides: [Side; 2],
    pub now: Instant,
    pub link: Link,
    pub counts_only: bool,
    on_the_way: BTreeMap<(Instant, u64), (usize, Bytes)>,
    sent: u64,
    random: StdRng,
}

fn address() -> SocketAddr {
    ([192, 0, 2, 1], 5000).into()
}

impl Pair {
    /// `clients` says who begins: one of them, or both at once.
    pub fn new(seed: u64, clients: [bool; 2], now: Instant) -> Pair {
        println!("seed {seed}");
        let side = |is_client: bool| {
            let config = Arc::new(EndpointConfig::new());
            let mut endpoint = Endpoint::new(config, Some(Arc::new(ServerConfig::new())));
            let association = is_client.then(|| {
                endpoint
                    .connect(ClientConfig::new(), address())
                    .expect("connects")
                    .1
            });
            Side {
                endpoint,
                association,
                events: Vec::new(),
                messages: BTreeMap::new(),
                message_bytes: 0,
                packets_sent: 0,
                free_at: now,
            }
        };
        let mut pair = Pair {
            sides: clients.map(side),
            now,
            link: Link {
                delay: Duration::from_millis(1),
                ..Link::default()
            },
            counts_only: false,
            on_the_way: BTreeMap::new(),
            sent: 0,
            random: StdRng::seed_from_u64(seed),
        };
        pair.drain();
        pair
    }

    pub fn connected(seed: u64) -> Pair {
        let mut pair = Pair::new(seed, [true, false], Instant::now());
        pair.run_for(Duration::from_secs(1));
        assert!(pair.is_connected());
        pair
    }

    pub fn is_connected(&self) -> bool {
        let is_connected = |side: &Side| side.events.iter().any(|event| matches!(event, Event::Connected));
        self.sides.iter().all(is_connected)
    }

    pub fn association(&mut self, side: usize) -> &mut Association {
        self.sides[side].association.as_mut().expect("an association")
    }

    /// Opens a stream on one side; nothing goes to the peer yet.
    pub fn open(&mut self, side: usize, id: u16, reliability: ReliabilityType, is_unordered: bool) {
        let association = self.association(side);
        let mut stream = association
            .open_stream(id, PayloadProtocolIdentifier::Binary)
            .expect("opens");
        stream
            .set_reliability_params(is_unordered, reliability, 0)
            .expect("an open stream");
    }

    pub fn write(&mut self, side: usize, id: u16, message: &[u8]) {
        let mut stream = self.association(side).stream(id).expect("a stream");
        stream.write(message).expect("written");
    }

    /// Whether everything written on a side is acknowledged or given up.
    pub fn association_is_empty(&mut self, side: usize) -> bool {
        let association = self.association(side);
        (0..10).all(|id| {
            let stream = association.stream(id);
            stream.is_ok_and(|stream| stream.buffered_amount() == Ok(0)) || association.stream(id).is_err()
        })
    }

    /// Takes everything out of both sides.
    pub fn drain(&mut self) {
        for index in 0..2 {
            let mut packets = Vec::new();
            let Some(association) = &mut self.sides[index].association else {
                continue;
            };
            loop {
                let mut is_idle = true;
                while let Some(event) = association.poll() {
                    is_idle = false;
                    if let Event::Stream(StreamEvent::Readable { id }) = event {
                        let mut stream = association.stream(id).expect("a readable stream");
                        while let Ok(Some(message)) = stream.read() {
                            self.sides[index].message_bytes += message.len();
                            if !self.counts_only {
                                let messages = self.sides[index].messages.entry(id).or_default();
                                messages.push(message.to_vec());
                            }
                        }
                    } else {
                        self.sides[index].events.push(event);
                    }
                }
                if let Some(transmit) = association.poll_transmit(self.now) {
                    is_idle = false;
                    let Payload::RawEncode(new) = transmit.payload;
                    packets.extend(new);
                }
                if is_idle {
                    break;
                }
            }
            packets.into_iter().for_each(|packet| self.send(index, packet));
        }
    }

    fn send(&mut self, from: usize, packet: Bytes) {
        assert!(packet.len() <= 1200, "a packet of {} bytes", packet.len());
        let (link, now) = (self.link, self.now);
        let side = &mut self.sides[from];
        side.packets_sent += 1;
        let mut leaves_at = now;
        if link.bytes_per_second > 0 {
            let waiting = side.free_at.saturating_duration_since(now).as_secs_f64();
            if waiting * link.bytes_per_second as f64 > link.queue_bytes as f64 {
                return;
            }
            let takes = packet.len() as f64 / link.bytes_per_second as f64;
            side.free_at = side.free_at.max(now) + Duration::from_secs_f64(takes);
            leaves_at = side.free_at;
        }
        if self.random.random_bool(link.loss) {
            return;
        }
        let jitter = link.jitter.mul_f64(self.random.random::<f64>());
        self.sent += 1;
        self.on_the_way
            .insert((leaves_at + link.delay + jitter, self.sent), (1 - from, packet));
    }

    /// Goes on to the next thing that happens; false when nothing does until `limit`.
    pub fn step(&mut self, limit: Instant) -> bool {
        let arrival = self.on_the_way.first_key_value().map(|((at, _), _)| *at);
        let timeouts = self
            .sides
            .iter()
            .filter_map(|side| side.association.as_ref()?.poll_timeout());
        let Some(next) = timeouts.chain(arrival).min().filter(|next| *next <= limit) else {
            self.now = limit;
            return false;
        };
        self.now = self.now.max(next);
        while let Some(entry) = self
            .on_the_way
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now)
        {
            let (to, packet) = entry.remove();
            self.deliver(to, packet);
        }
        for side in &mut self.sides {
            if let Some(association) = &mut side.association {
                association.handle_timeout(self.now);
            }
        }
        self.drain();
        true
    }

    pub fn deliver(&mut self, to: usize, packet: Bytes) {
        let side = &mut self.sides[to];
        match side.endpoint.handle(self.now, address(), None, None, packet) {
            Some((_, DatagramEvent::NewAssociation(association))) => side.association = Some(association),
            Some((_, DatagramEvent::AssociationEvent(event))) => {
                if let Some(association) = &mut side.association {
                    association.handle_event(event);
                }
            }
            None => {}
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let limit = self.now + time;
        self.drain();
        while self.step(limit) {}
    }

    /// Runs until `condition`; fails after `time`.
    pub fn run_until(&mut self, time: Duration, mut condition: impl FnMut(&mut Pair) -> bool) {
        let limit = self.now + time;
        self.drain();
        while !condition(self) {
            assert!(self.step(limit), "it did not happen within {time:?}");
        }
    }

    pub fn take_messages(&mut self, side: usize, stream: u16) -> Vec<Vec<u8>> {
        self.sides[side].messages.remove(&stream).unwrap_or_default()
    }

    /// Sends `total` bytes in messages of `message_bytes`, never holding more than `buffer_bytes`; returns the virtual
    /// time it took.
    pub fn transfer(&mut self, total: usize, message_bytes: usize, buffer_bytes: usize) -> Duration {
        self.counts_only = true;
        let (start, before) = (self.now, self.sides[1].message_bytes);
        let message = vec![7; message_bytes];
        let mut sent = 0;
        while self.sides[1].message_bytes - before < total {
            while sent < total
                && self
                    .association(0)
                    .stream(0)
                    .expect("a stream")
                    .buffered_amount()
                    .expect("open")
                    < buffer_bytes
            {
                self.write(0, 0, &message);
                sent += message_bytes;
            }
            self.drain();
            let limit = self.now + Duration::from_secs(60);
            assert!(
                self.step(limit),
                "stalled after {} bytes",
                self.sides[1].message_bytes
            );
        }
        self.now - start
    }
}

//! Two transports joined by a simulated network with virtual time.
#![allow(dead_code)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use greenroom_transport::{
    BufferPool, Certificate, Protocol, Received, RemoteParameters, Transmit, Transport, TransportConfig,
    TransportEvent,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// One certificate for all tests, as one process has one.
pub fn certificate() -> Arc<Certificate> {
    static SHARED: OnceLock<Arc<Certificate>> = OnceLock::new();
    Arc::clone(SHARED.get_or_init(|| Certificate::generate().expect("certificate")))
}

/// How the simulated network treats packets.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    pub delay: Duration,
    /// Up to this much more, at random: packets overtake each other.
    pub jitter: Duration,
    /// Between 0 and 1.
    pub loss: f64,
}

impl Default for Network {
    fn default() -> Self {
        Network {
            delay: Duration::from_millis(5),
            jitter: Duration::ZERO,
            loss: 0.0,
        }
    }
}

/// A packet under way; the earliest arrival is the greatest.
#[derive(Debug, PartialEq, Eq)]
struct InFlight {
    arrival: Reverse<(Instant, u64)>,
    to: usize,
    transmit: Transmit,
}

impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.arrival.cmp(&other.arrival)
    }
}

/// Two connected transports; 0 is the server (controlled), 1 the client (controlling).
pub struct Pair {
    pub now: Instant,
    pub sides: [Transport; 2],
    pub events: [Vec<TransportEvent>; 2],
    pub addresses: [SocketAddr; 2],
    pub network: Network,
    /// The client's address as the server sees it, once a NAT has changed it; the former one leads nowhere.
    pub outside: Option<SocketAddr>,
    /// Drops everything when false.
    pub is_up: bool,
    /// What has been delivered, for replays.
    pub delivered: Vec<(usize, Transmit)>,
    pub keep_delivered: bool,
    wire: BinaryHeap<InFlight>,
    random: StdRng,
    order: u64,
}

impl Pair {
    /// Two transports that do not know each other yet.
    pub fn new(seed: u64) -> Pair {
        Pair::with_protocol(seed, Protocol::Udp)
    }

    pub fn with_protocol(seed: u64, protocol: Protocol) -> Pair {
        let now = Instant::now();
        let addresses = [
            "10.0.0.1:5000".parse().expect("address"),
            "10.0.0.2:6000".parse().expect("address"),
        ];
        let mut sides = [false, true].map(|controlling| {
            let mut config = TransportConfig::new(certificate());
            config.controlling = controlling;
            Transport::new(config, now)
        });
        for (side, address) in sides.iter_mut().zip(addresses) {
            side.add_local_host_candidate(protocol, address, address);
        }
        Pair {
            now,
            sides,
            events: [Vec::new(), Vec::new()],
            addresses,
            network: Network::default(),
            outside: None,
            is_up: true,
            delivered: Vec::new(),
            keep_delivered: false,
            wire: BinaryHeap::new(),
            random: StdRng::seed_from_u64(seed),
            order: 0,
        }
    }

    /// What `side` says about itself.
    pub fn parameters_of(&self, side: usize, remote_is_active: bool) -> RemoteParameters {
        let credentials = self.sides[side].local_credentials();
        RemoteParameters {
            ice_ufrag: credentials.ufrag.clone(),
            ice_pwd: credentials.pwd.clone(),
            fingerprint: certificate().fingerprint().to_owned(),
            dtls_active: remote_is_active,
            ice_lite: false,
            max_message_size: 65_536,
        }
    }

    /// Tells both sides about each other; `active` is the DTLS client.
    pub fn introduce(&mut self, active: usize) {
        for side in 0..2 {
            let parameters = self.parameters_of(1 - side, side == active);
            self.sides[side]
                .set_remote(parameters, self.now)
                .expect("remote parameters");
        }
        for side in 0..2 {
            for line in self.sides[1 - side].local_candidate_lines() {
                self.sides[side].add_remote_candidate(&line).expect("candidate");
            }
        }
    }

    /// A pair that is connected; the server is passive in DTLS.
    pub fn connected(seed: u64) -> Pair {
        let mut pair = Pair::new(seed);
        pair.introduce(1);
        pair.run_until(Duration::from_secs(10), |pair| {
            pair.sides.iter().all(Transport::is_connected)
        });
        pair
    }

    /// Takes what both sides have to send and to say.
    pub fn drain(&mut self) {
        for side in 0..2 {
            while let Some(event) = self.sides[side].poll_event() {
                self.events[side].push(event);
            }
            while let Some(transmit) = self.sides[side].poll_transmit() {
                assert_eq!(transmit.source, self.addresses[side]);
                self.send(side, transmit);
            }
        }
    }

    fn send(&mut self, from: usize, mut transmit: Transmit) {
        if let Some(outside) = self.outside {
            match from {
                0 if transmit.destination != outside => return,
                0 => transmit.destination = self.addresses[1],
                _ => transmit.source = outside,
            }
        }
        if !self.is_up || self.random.random_bool(self.network.loss) {
            return;
        }
        let jitter = self.network.jitter.mul_f64(self.random.random());
        self.order += 1;
        let arrival = Reverse((self.now + self.network.delay + jitter, self.order));
        self.wire.push(InFlight {
            arrival,
            to: 1 - from,
            transmit,
        });
    }

    /// Lets the next thing happen; `false` when nothing ever will before `limit`.
    pub fn step(&mut self, limit: Instant) -> bool {
        self.drain();
        let arrival = self.wire.peek().map(|packet| packet.arrival.0.0);
        let timers = self.sides.iter().filter_map(Transport::poll_timeout).min();
        let Some(next) = [arrival, timers]
            .into_iter()
            .flatten()
            .min()
            .filter(|next| *next <= limit)
        else {
            self.now = limit;
            return false;
        };
        self.now = self.now.max(next);
        while self
            .wire
            .peek()
            .is_some_and(|packet| packet.arrival.0.0 <= self.now)
        {
            let packet = self.wire.pop().expect("peeked");
            self.deliver(packet.to, &packet.transmit);
            if self.keep_delivered {
                self.delivered.push((packet.to, packet.transmit));
            }
        }
        for side in &mut self.sides {
            if side.poll_timeout().is_some_and(|deadline| deadline <= self.now) {
                side.handle_timeout(self.now);
            }
        }
        self.drain();
        true
    }

    pub fn deliver(&mut self, to: usize, transmit: &Transmit) {
        let received = Received {
            protocol: transmit.protocol,
            source: transmit.source,
            destination: transmit.destination,
            contents: &transmit.contents,
        };
        self.sides[to].handle_datagram(self.now, received, &mut BufferPool::default());
    }

    /// Gives arbitrary bytes to a side, as if the other one had sent them.
    pub fn inject(&mut self, to: usize, contents: &[u8]) {
        let received = Received {
            protocol: Protocol::Udp,
            source: self.addresses[1 - to],
            destination: self.addresses[to],
            contents,
        };
        self.sides[to].handle_datagram(self.now, received, &mut BufferPool::default());
    }

    /// Runs until the condition holds; fails the test when it does not within the time.
    #[track_caller]
    pub fn run_until(&mut self, time: Duration, mut condition: impl FnMut(&mut Pair) -> bool) {
        let limit = self.now + time;
        while !condition(self) {
            assert!(self.step(limit), "not within {time:?}: {:?}", self.events);
        }
    }

    /// Runs for so long; returns how many times something happened.
    pub fn run_for(&mut self, time: Duration) -> usize {
        let limit = self.now + time;
        let mut steps = 0;
        while self.step(limit) {
            steps += 1;
        }
        steps
    }

    pub fn take_events(&mut self, side: usize) -> Vec<TransportEvent> {
        self.drain();
        std::mem::take(&mut self.events[side])
    }

    pub fn random(&mut self) -> &mut StdRng {
        &mut self.random
    }
}

/// A plain RTP packet.
pub fn rtp(sequence_number: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 111];
    packet.extend(sequence_number.to_be_bytes());
    packet.extend(960u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// An empty receiver report.
pub fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut compound = vec![0x80, 201, 0, 1];
    compound.extend(ssrc.to_be_bytes());
    compound
}

//! Endpoints that count, in a simulated world.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use greenroom_net::{Endpoint, EventPort, Payload, Protocol, Received, Transmit, TransmitQueue};
use greenroom_sim::{Direction, EndpointHandle, Faults, Simulator};

const FAILED: u16 = 1;
const HEARD: u16 = 2;

/// Answers what it gets, and sends one datagram a second to `partner` when it has one.
struct Talker {
    own: SocketAddr,
    partner: Option<SocketAddr>,
    next: Option<Instant>,
    port: EventPort,
    outgoing: Vec<(SocketAddr, Vec<u8>)>,
    sources: Vec<SocketAddr>,
    panics: bool,
}

impl Endpoint for Talker {
    fn handle_datagram(&mut self, _now: Instant, received: Received<'_>) {
        assert!(!self.panics, "expected by the test");
        self.sources.push(received.source);
        self.port.push(7, HEARD, Payload::None);
        if self.partner.is_none() {
            self.outgoing.push((received.source, received.contents.to_vec()));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let (Some(partner), Some(next)) = (self.partner, self.next)
            && next <= now
        {
            self.next = Some(next + Duration::from_secs(1));
            self.outgoing.push((partner, b"tick".to_vec()));
        }
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.next
    }

    fn poll_transmit(&mut self, out: &mut TransmitQueue) {
        for (destination, contents) in self.outgoing.drain(..) {
            out.push(Transmit {
                protocol: Protocol::Udp,
                source: self.own,
                destination,
                contents,
            });
        }
    }

    fn failed(&mut self, reason: &str) {
        self.port.push(7, FAILED, Payload::Text(reason.into()));
    }
}

struct Pair {
    simulator: Simulator,
    port: EventPort,
    asking: EndpointHandle<Talker>,
    answering: EndpointHandle<Talker>,
}

const ASKING: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const ANSWERING: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

fn talker(
    simulator: &Simulator,
    port: &EventPort,
    address: IpAddr,
    partner: Option<SocketAddr>,
) -> (EndpointHandle<Talker>, SocketAddr) {
    let bound = simulator.bind(&[address], 0).expect("free");
    let own = bound.addresses()[0];
    let next = partner.map(|_| simulator.now() + Duration::from_secs(1));
    let (port, outgoing, sources) = (port.clone(), Vec::new(), Vec::new());
    let make = |_| Talker {
        own,
        partner,
        next,
        port,
        outgoing,
        sources,
        panics: false,
    };
    (simulator.spawn(bound, make), own)
}

fn pair(seed: u64) -> Pair {
    let simulator = Simulator::new(seed, Instant::now(), false);
    let port = EventPort::new(FAILED).expect("a descriptor");
    simulator.watch(port.clone());
    let (answering, address) = talker(&simulator, &port, ANSWERING, None);
    let (asking, _) = talker(&simulator, &port, ASKING, Some(address));
    Pair {
        simulator,
        port,
        asking,
        answering,
    }
}

impl Pair {
    fn run_seconds(&self, seconds: u64) {
        self.run_ms(seconds * 1000);
    }

    fn run_ms(&self, milliseconds: u64) {
        let limit = self.simulator.now_ns() + milliseconds * 1_000_000;
        while self.simulator.now_ns() < limit {
            self.simulator.run(Some(limit));
            self.port.drain(100);
        }
    }

    fn heard(&self) -> (usize, usize) {
        let count = |handle: &EndpointHandle<Talker>| handle.call(|talker, _| talker.sources.len());
        (
            count(&self.asking).expect("open"),
            count(&self.answering).expect("open"),
        )
    }
}

#[test]
fn hours_pass_in_no_time_and_every_datagram_arrives_after_the_delay() {
    let pair = pair(1);
    assert!(pair.simulator.run(None));
    // Sent after a second, it crosses two links of 5 ms.
    assert_eq!(pair.simulator.now_ns(), 1_010_000_000);
    pair.run_seconds(3600);
    // The last answer is still on its way.
    assert_eq!(pair.heard(), (3600, 3601));
}

#[test]
fn a_blackhole_takes_one_direction_for_a_while() {
    let pair = pair(1);
    let hole = Faults {
        blackhole: true,
        ..Faults::default()
    };
    pair.simulator.set_faults(ASKING, Direction::Down, hole);
    pair.run_seconds(10);
    assert_eq!(pair.heard(), (0, 9));
    pair.simulator
        .set_faults(ASKING, Direction::Down, Faults::default());
    pair.run_seconds(10);
    assert_eq!(pair.heard().0, 10);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_one_another() {
    let trace = |seed| {
        let pair = pair(seed);
        let lossy = Faults {
            loss: 0.2,
            duplicate: 0.2,
            reorder: 0.2,
            jitter: Duration::from_millis(20),
            ..Faults::default()
        };
        pair.simulator.set_faults(ASKING, Direction::Up, lossy);
        pair.run_seconds(100);
        (pair.simulator.trace_hash(), pair.heard())
    };
    assert_eq!(trace(5), trace(5));
    assert_ne!(trace(5).0, trace(6).0);
    let (asking, answering) = trace(5).1;
    assert!((75..=115).contains(&answering), "{answering}");
    assert_eq!(asking, answering);
}

#[test]
fn a_rebinding_changes_the_source_that_others_see() {
    let pair = pair(1);
    pair.run_ms(2500);
    pair.simulator.rebind(ASKING);
    pair.run_seconds(3);
    let sources = pair
        .answering
        .call(|talker, _| talker.sources.clone())
        .expect("open");
    assert_eq!(sources[0], sources[1]);
    assert_ne!(sources[2], sources[1]);
    assert_eq!(sources[2].ip(), ASKING);
    // The answers find the way back.
    assert_eq!(pair.heard().0, sources.len());
}

#[test]
fn a_panic_fails_that_endpoint_only_and_frees_its_address() {
    let pair = pair(1);
    pair.answering.post(|talker, _| talker.panics = true);
    pair.run_seconds(5);
    assert!(pair.answering.is_closed());
    assert!(!pair.asking.is_closed());
    assert_eq!(pair.simulator.counts().sockets, 1);
    pair.asking.close_and_wait();
    let counts = pair.simulator.counts();
    assert_eq!((counts.endpoints, counts.sockets), (0, 0));
    assert!(!pair.simulator.run(None), "nothing is left that could happen");
}

#[test]
fn ticks_come_every_ten_milliseconds_until_they_are_refused() {
    let simulator = Simulator::new(1, Instant::now(), false);
    let (sender, receiver) = std::sync::mpsc::channel();
    let begun = simulator.now();
    simulator.every_tick(Box::new(move |now, ticks| {
        sender.send((now - begun, ticks)).is_ok() && now - begun < Duration::from_millis(50)
    }));
    assert!(!simulator.run(None));
    let ticks: Vec<_> = receiver.iter().collect();
    let expected: Vec<_> = (1..=5)
        .map(|count| (Duration::from_millis(count * 10), 1))
        .collect();
    assert_eq!(ticks, expected);
}

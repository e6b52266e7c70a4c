//! Connections and sockets that an endpoint orders while it runs.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use common::{LOOPBACK, PATIENCE, client};
use greenroom_net::{
    Endpoint, EndpointHandle, Engine, Opening, Protocol, Received, SocketEvent, SocketOrder, Sockets,
    Transmit, TransmitQueue,
};

enum Seen {
    Event(SocketEvent),
    Received(Protocol, SocketAddr, SocketAddr, Vec<u8>),
}

/// Does what it is told, and tells what it sees.
struct Told {
    orders: Vec<SocketOrder>,
    transmits: Vec<Transmit>,
    seen: Sender<Seen>,
}

impl Endpoint for Told {
    fn handle_datagram(&mut self, _now: Instant, received: Received<'_>) {
        let contents = received.contents.to_vec();
        let _ = self.seen.send(Seen::Received(
            received.protocol,
            received.source,
            received.destination,
            contents,
        ));
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_timeout(&mut self) -> Option<Instant> {
        None
    }

    fn poll_transmit(&mut self, out: &mut TransmitQueue) {
        self.orders.drain(..).for_each(|order| out.order(order));
        self.transmits.drain(..).for_each(|transmit| out.push(transmit));
    }

    fn handle_socket(&mut self, _now: Instant, event: SocketEvent) {
        let _ = self.seen.send(Seen::Event(event));
    }

    fn failed(&mut self, reason: &str) {
        panic!("{reason}");
    }
}

fn start(engine: &Engine) -> (EndpointHandle<Told>, Receiver<Seen>) {
    let (seen, sees) = channel();
    let told = Told {
        orders: Vec::new(),
        transmits: Vec::new(),
        seen,
    };
    let handle = engine
        .spawn(Sockets::default(), |_| told)
        .expect("the engine runs");
    (handle, sees)
}

fn event(sees: &Receiver<Seen>) -> SocketEvent {
    match sees.recv_timeout(PATIENCE).expect("something happens") {
        Seen::Event(event) => event,
        Seen::Received(..) => panic!("a datagram instead of an event"),
    }
}

fn received(sees: &Receiver<Seen>) -> (Protocol, SocketAddr, SocketAddr, Vec<u8>) {
    match sees.recv_timeout(PATIENCE).expect("something happens") {
        Seen::Received(protocol, source, destination, contents) => (protocol, source, destination, contents),
        Seen::Event(event) => panic!("{event:?} instead of a datagram"),
    }
}

fn opening(protocol: Protocol, name: u16, destination: SocketAddr) -> Opening {
    Opening {
        protocol,
        source: SocketAddr::new(LOOPBACK, name),
        destination,
    }
}

fn transmit(opening: Opening, contents: &[u8]) -> Transmit {
    Transmit {
        protocol: opening.protocol,
        source: opening.source,
        destination: opening.destination,
        contents: contents.to_vec(),
    }
}

const STUN: &[u8] = &[
    0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
];

#[test]
fn an_opened_connection_frames_for_ice_and_passes_bytes_for_streams() {
    let engine = Engine::start(1).expect("threads");
    let listener = TcpListener::bind((LOOPBACK, 0)).unwrap();
    let remote = listener.local_addr().unwrap();
    for (protocol, framed) in [
        (Protocol::Tcp, [&[0, 20][..], STUN].concat()),
        (Protocol::Stream, STUN.to_vec()),
    ] {
        let (handle, sees) = start(&engine);
        let opening = opening(protocol, 9, remote);
        // What is sent while it opens is not lost.
        handle.post(move |told, _| {
            told.orders.push(SocketOrder::Connect(opening));
            told.transmits.push(transmit(opening, STUN));
        });
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(event(&sees), SocketEvent::Connected(opening));
        let mut bytes = vec![0; framed.len()];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, framed);
        stream.write_all(&framed).unwrap();
        assert_eq!(received(&sees), (protocol, remote, opening.source, STUN.to_vec()));
        drop(stream);
        assert!(matches!(event(&sees), SocketEvent::Closed(closed, _) if closed == opening));
        handle.close_and_wait();
    }
}

#[test]
fn a_connection_that_is_refused_is_told_with_the_reason() {
    let engine = Engine::start(1).expect("threads");
    let listener = TcpListener::bind((LOOPBACK, 0)).unwrap();
    let remote = listener.local_addr().unwrap();
    drop(listener);
    let (handle, sees) = start(&engine);
    let opening = opening(Protocol::Stream, 1, remote);
    handle.post(move |told, _| told.orders.push(SocketOrder::Connect(opening)));
    match event(&sees) {
        SocketEvent::Closed(closed, reason) => {
            assert_eq!(closed, opening);
            assert!(reason.contains("refused"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    handle.close_and_wait();
}

#[test]
fn two_connections_to_one_place_are_told_apart_by_name() {
    let engine = Engine::start(1).expect("threads");
    let listener = TcpListener::bind((LOOPBACK, 0)).unwrap();
    let remote = listener.local_addr().unwrap();
    let (handle, sees) = start(&engine);
    let both = [9, 10].map(|name| opening(Protocol::Stream, name, remote));
    for opening in both {
        handle.post(move |told, _| {
            told.orders.push(SocketOrder::Connect(opening));
            told.transmits
                .push(transmit(opening, &opening.source.port().to_be_bytes()));
        });
        assert_eq!(event(&sees), SocketEvent::Connected(opening));
        let (mut stream, _) = listener.accept().unwrap();
        let mut name = [0; 2];
        stream.read_exact(&mut name).unwrap();
        assert_eq!(u16::from_be_bytes(name), opening.source.port());
        stream.write_all(&name).unwrap();
        assert_eq!(received(&sees).2, opening.source);
        handle.post(move |told, _| {
            told.transmits.push(transmit(opening, b"farewell"));
            told.orders.push(SocketOrder::Disconnect(opening));
        });
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"farewell");
    }
    handle.close_and_wait();
}

#[test]
fn udp_sockets_come_and_go() {
    let engine = Engine::start(1).expect("threads");
    let (handle, sees) = start(&engine);
    let remote = client();
    for _ in 0..3 {
        handle.post(|told, _| told.orders.push(SocketOrder::Bind(LOOPBACK)));
        let SocketEvent::Bound(address) = event(&sees) else {
            panic!("not bound");
        };
        remote.send_to(b"hello", address).unwrap();
        let (protocol, _, destination, contents) = received(&sees);
        assert_eq!(
            (protocol, destination, &contents[..]),
            (Protocol::Udp, address, &b"hello"[..])
        );
        handle.post(move |told, _| told.orders.push(SocketOrder::Unbind(address)));
        handle.call(|_, _| ());
        handle.call(|_, _| ());
        // The port is free again.
        std::net::UdpSocket::bind(address).expect("its port is free");
    }
    handle.post(|told, _| {
        told.orders
            .push(SocketOrder::Bind("203.0.113.77".parse().unwrap()));
    });
    assert!(matches!(event(&sees), SocketEvent::BindFailed(..)));
    handle.close_and_wait();
}

//! An endpoint for tests that is told what to do with its sockets.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use greenroom_net::{
    Endpoint, EndpointHandle, Engine, Protocol, Received, SocketEvent, SocketOrder, Sockets, Transmit,
    TransmitQueue,
};

use super::PATIENCE;

pub enum Seen {
    Event(SocketEvent),
    Received(Protocol, SocketAddr, SocketAddr, Vec<u8>),
    Failed(String),
}

/// Does what it is told, and tells what it sees. A datagram that ends with `panic` makes it panic.
pub struct Told {
    pub orders: Vec<SocketOrder>,
    pub transmits: Vec<Transmit>,
    seen: Sender<Seen>,
}

impl Endpoint for Told {
    fn handle_datagram(&mut self, _now: Instant, received: Received<'_>) {
        assert!(!received.contents.ends_with(b"panic"), "asked for by the test");
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
        let _ = self.seen.send(Seen::Failed(reason.into()));
    }
}

pub fn start(engine: &Engine) -> (EndpointHandle<Told>, Receiver<Seen>) {
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

pub fn event(sees: &Receiver<Seen>) -> SocketEvent {
    match sees.recv_timeout(PATIENCE).expect("something happens") {
        Seen::Event(event) => event,
        Seen::Received(..) => panic!("a datagram instead of an event"),
        Seen::Failed(reason) => panic!("{reason}"),
    }
}

pub fn received(sees: &Receiver<Seen>) -> (Protocol, SocketAddr, SocketAddr, Vec<u8>) {
    match sees.recv_timeout(PATIENCE).expect("something happens") {
        Seen::Received(protocol, source, destination, contents) => (protocol, source, destination, contents),
        Seen::Event(event) => panic!("{event:?} instead of a datagram"),
        Seen::Failed(reason) => panic!("{reason}"),
    }
}

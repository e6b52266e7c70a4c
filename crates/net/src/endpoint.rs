//! What a worker thread runs: the [`Endpoint`] trait and the datagrams that go in and out.

use std::net::SocketAddr;
use std::time::Instant;

/// What a datagram travels over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// One datagram is one UDP datagram.
    Udp,
    /// One datagram is one RFC 4571 frame of a TCP connection.
    Tcp,
}

/// A datagram that came in.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// What it came over.
    pub protocol: Protocol,
    /// The remote address.
    pub source: SocketAddr,
    /// The address of the local socket.
    pub destination: SocketAddr,
    /// The datagram, without TCP framing.
    pub contents: &'a [u8],
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// What it goes over.
    pub protocol: Protocol,
    /// The address of the local socket to send from.
    pub source: SocketAddr,
    /// The remote address; over TCP, that of an open connection.
    pub destination: SocketAddr,
    /// The datagram, without TCP framing.
    pub contents: Vec<u8>,
}

/// What an endpoint wants sent, in order.
#[derive(Debug, Default)]
pub struct TransmitQueue {
    pub(crate) transmits: Vec<Transmit>,
}

impl TransmitQueue {
    /// An empty queue (the worker has its own; this is for tests of endpoints).
    pub fn new() -> TransmitQueue {
        TransmitQueue::default()
    }

    /// Add one datagram.
    pub fn push(&mut self, transmit: Transmit) {
        self.transmits.push(transmit);
    }

    /// Datagrams in the queue.
    pub fn len(&self) -> usize {
        self.transmits.len()
    }

    /// Whether nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.transmits.is_empty()
    }

    /// Take out everything, oldest first.
    pub fn drain(&mut self) -> impl Iterator<Item = Transmit> + '_ {
        self.transmits.drain(..)
    }
}

/// One client peer, or one whole forwarding unit: a state machine that lives on one worker thread.
///
/// The worker gives it its input in batches, and after each batch asks once for what to send and for the next
/// deadline. A panic in any method fails this endpoint only.
pub trait Endpoint: Send + 'static {
    /// A datagram arrived on one of its sockets.
    fn handle_datagram(&mut self, now: Instant, received: Received<'_>);

    /// The deadline that `poll_timeout` named has passed.
    fn handle_timeout(&mut self, now: Instant);

    /// When `handle_timeout` is wanted. In the past: at once.
    fn poll_timeout(&mut self) -> Option<Instant>;

    /// Move everything that is to be sent into `out`.
    fn poll_transmit(&mut self, out: &mut TransmitQueue);

    /// A panic was caught or a socket died: tell the owner. The endpoint is dropped after this.
    fn failed(&mut self, reason: &str);
}

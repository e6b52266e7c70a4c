//! What a worker thread runs: the [`Endpoint`] trait and the datagrams that go in and out.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// What a datagram travels over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// One datagram is one UDP datagram.
    Udp,
    /// One datagram is one RFC 4571 frame of a TCP connection.
    Tcp,
    /// Bytes of a TCP connection that the endpoint opened, cut anywhere.
    Stream,
}

/// A TCP connection of an endpoint's own: what it speaks and where it goes. `source` is where it starts when its IP
/// address is not unspecified; its port only names the connection, in every `Transmit` and `Received`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Opening {
    /// `Tcp` or `Stream`.
    pub protocol: Protocol,
    /// Where it starts, and its name.
    pub source: SocketAddr,
    /// Where it goes.
    pub destination: SocketAddr,
}

/// Something to do with an endpoint's sockets; the answer is a [`SocketEvent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketOrder {
    /// Open a TCP connection. What is sent to it meanwhile waits.
    Connect(Opening),
    /// Close it, after what was sent to it. No event follows.
    Disconnect(Opening),
    /// Bind another UDP socket, to any port.
    Bind(IpAddr),
    /// As `Bind`, to reach these remotes: a socket that other endpoints of the worker use too, if none of them reaches
    /// one of these; else one of its own.
    Share(IpAddr, Vec<SocketAddr>),
    /// This remote, too, is to be reached through the shared sockets. Nothing to an endpoint that has none.
    Reach(SocketAddr),
    /// Close a UDP socket, or use it no longer. No event follows.
    Unbind(SocketAddr),
}

/// What became of an endpoint's sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketEvent {
    /// It is open.
    Connected(Opening),
    /// It could not be opened, or ended, and why.
    Closed(Opening, String),
    /// There is another UDP socket, at this address.
    Bound(SocketAddr),
    /// A shared socket, the one at this address, is gone, and why.
    Lost(SocketAddr, String),
    /// This remote is another endpoint's on the shared sockets: what this one sends there from them is dropped. Told
    /// once, of the first.
    Taken(SocketAddr),
    /// None could be bound there, and why.
    BindFailed(IpAddr, String),
    /// The addresses of this machine are these now, loopback ones included.
    Addresses(Vec<IpAddr>),
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
    pub(crate) orders: Vec<SocketOrder>,
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

    /// Have something done with the endpoint's sockets. Connections open before, and close after, what is sent.
    pub fn order(&mut self, order: SocketOrder) {
        self.orders.push(order);
    }

    /// Datagrams in the queue.
    pub fn len(&self) -> usize {
        self.transmits.len()
    }

    /// Whether nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.transmits.is_empty()
    }

    /// What is to be done with sockets.
    pub fn orders(&self) -> &[SocketOrder] {
        &self.orders
    }

    /// Take out everything to send, oldest first. Orders are dropped: who drains has no sockets to do them with.
    pub fn drain(&mut self) -> impl Iterator<Item = Transmit> + '_ {
        self.orders.clear();
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

    /// [`EndpointHandle::wake`](crate::EndpointHandle::wake) was called: another thread has put something somewhere for it.
    fn woken(&mut self, _now: Instant) {}

    /// What `poll_transmit` gave has been sent, or dropped: its memory may be used again. By default it is freed.
    fn take_back(&mut self, _sent: &mut TransmitQueue) {}

    /// Something happened to its sockets, or to the addresses of this machine.
    fn handle_socket(&mut self, _now: Instant, _event: SocketEvent) {}

    /// A panic was caught or a socket died: tell the owner. The endpoint is dropped after this.
    fn failed(&mut self, reason: &str);
}

//! One way to one server: what is asked of it, and what carries that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::allocation::{Allocation, AllocationConfig, AllocationEvent};
use crate::binding::Binding;
use crate::message::Message;
use crate::stream::Stream;
use crate::{IceServer, ServerError, ServerKind, ServerTransport};

enum Client {
    Binding(Binding),
    Allocation(Box<Allocation>),
}

/// Data of a peer's that came through a relay.
pub(crate) struct Relayed {
    pub peer: SocketAddr,
    pub contents: Vec<u8>,
}

/// What came of a path so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Waiting,
    Mapped(SocketAddr),
    Relayed(SocketAddr),
    /// The server names another one.
    Elsewhere(SocketAddr),
    Failed(ServerError),
}

/// Servers that send us on to others, one after the other, are followed so often.
const MAX_ALTERNATES: usize = 3;

/// From one local address (of a stream: what it is known by) to one server.
pub(crate) struct Path {
    /// The server that the owner named.
    pub origin: Arc<IceServer>,
    /// The one that is asked: another one, where the first says so.
    pub server: Arc<IceServer>,
    /// Those that have sent us here.
    left: Vec<SocketAddr>,
    /// The relayed address under which `Paths` knows it.
    pub indexed: Option<SocketAddr>,
    pub local: SocketAddr,
    client: Client,
    stream: Option<Stream>,
    pub outcome: Outcome,
}

impl Path {
    pub fn new(server: Arc<IceServer>, local: SocketAddr, now: Instant) -> Path {
        let reliable = server.transport != ServerTransport::Udp;
        let client = match server.kind {
            ServerKind::Stun => Client::Binding(Binding::new(server.address, now)),
            ServerKind::Turn => {
                let config = AllocationConfig {
                    server: server.address,
                    username: server.username.clone(),
                    password: server.password.clone(),
                    reliable,
                };
                Client::Allocation(Box::new(Allocation::new(config, now)))
            }
        };
        let mut path = Path {
            origin: Arc::clone(&server),
            server,
            left: Vec::new(),
            indexed: None,
            local,
            client,
            stream: None,
            outcome: Outcome::Waiting,
        };
        match reliable.then(|| Stream::new(&path.server)).transpose() {
            Ok(stream) => path.stream = stream,
            Err(error) => path.fail(error),
        }
        path
    }

    /// The path to the server that this one's names; None when that is not to be followed.
    pub fn alternate(&self, address: SocketAddr, local: SocketAddr, now: Instant) -> Option<Path> {
        let was_there = self.server.address == address || self.left.contains(&address);
        if was_there || self.left.len() >= MAX_ALTERNATES {
            return None;
        }
        // Of a TLS server, the name that its certificate is for stays the same.
        let server = IceServer {
            address,
            ..IceServer::clone(&self.server)
        };
        let mut path = Path::new(Arc::new(server), local, now);
        path.origin = Arc::clone(&self.origin);
        path.left = self.left.iter().copied().chain([self.server.address]).collect();
        Some(path)
    }

    pub fn is_stream(&self) -> bool {
        self.server.transport != ServerTransport::Udp
    }

    pub fn relayed(&self) -> Option<SocketAddr> {
        match &self.client {
            Client::Allocation(allocation) => allocation.relayed(),
            Client::Binding(_) => None,
        }
    }

    /// A datagram from the server: whether it was for this path, and what a peer said in it.
    pub fn handle_datagram(&mut self, now: Instant, bytes: &[u8]) -> (bool, Option<Relayed>) {
        match &mut self.client {
            Client::Binding(binding) => {
                let message = Message::parse(bytes);
                (message.is_some_and(|message| binding.handle(&message)), None)
            }
            Client::Allocation(allocation) => (true, allocation.handle(now, bytes).map(relayed)),
        }
    }

    /// Bytes of the stream; what peers said in them.
    pub fn handle_stream(&mut self, now: Instant, bytes: &[u8], out: &mut Vec<Vec<u8>>) -> Vec<Relayed> {
        let mut found = Vec::new();
        let (Some(stream), Client::Allocation(allocation)) = (&mut self.stream, &mut self.client) else {
            return found;
        };
        let each = |message: &[u8]| found.extend(allocation.handle(now, message).map(relayed));
        match stream.receive(bytes, each) {
            Ok(output) => out.push(output),
            Err(error) => self.fail(error),
        }
        found
    }

    /// The stream is there.
    pub fn connected(&mut self, out: &mut Vec<Vec<u8>>) {
        match self.stream.as_mut().map(Stream::connected) {
            Some(Ok(output)) => out.push(output),
            Some(Err(error)) => self.fail(error),
            None => {}
        }
    }

    /// What was named in place of this server is of no use.
    pub fn refuse_alternate(&mut self) {
        self.outcome = Outcome::Failed(ServerError::refused((300, "Try Alternate".to_owned())));
    }

    pub fn fail(&mut self, error: ServerError) {
        match &mut self.client {
            Client::Allocation(allocation) => allocation.fail(error),
            Client::Binding(_) => self.outcome = Outcome::Failed(error),
        }
    }

    pub fn send(&mut self, now: Instant, peer: SocketAddr, contents: &[u8]) {
        if let Client::Allocation(allocation) = &mut self.client {
            allocation.send(now, peer, contents);
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.client {
            Client::Binding(binding) => binding.handle_timeout(now),
            Client::Allocation(allocation) => allocation.handle_timeout(now),
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.client {
            Client::Binding(binding) => binding.poll_timeout(),
            Client::Allocation(allocation) => allocation.poll_timeout(),
        }
    }

    /// What is to be sent to the server now.
    pub fn collect(&mut self, out: &mut Vec<Vec<u8>>) {
        let messages = match &mut self.client {
            Client::Binding(binding) => binding.take_transmits(),
            Client::Allocation(allocation) => allocation.take_transmits(),
        };
        let Some(stream) = &mut self.stream else {
            out.extend(messages);
            return;
        };
        for message in messages {
            match stream.send(&message) {
                Ok(output) => out.push(output),
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Whether the outcome is another than before; with it, our address as the server sees it.
    pub fn settle(&mut self) -> Option<Option<SocketAddr>> {
        let (outcome, mapped) = match &mut self.client {
            Client::Binding(binding) => match binding.take_result()? {
                Ok(mapped) => (Outcome::Mapped(mapped), Some(mapped)),
                Err(error) => (Outcome::Failed(error), None),
            },
            Client::Allocation(allocation) => match allocation.take_event()? {
                AllocationEvent::Ready { relayed, mapped } => (Outcome::Relayed(relayed), mapped),
                AllocationEvent::Elsewhere(server) => (Outcome::Elsewhere(server), None),
                AllocationEvent::Failed(error) => (Outcome::Failed(error), None),
            },
        };
        self.outcome = outcome;
        Some(mapped)
    }

    /// Ask no more, and give the allocation back.
    pub fn close(&mut self, now: Instant) {
        match &mut self.client {
            Client::Binding(binding) => binding.close(),
            Client::Allocation(allocation) => allocation.close(now),
        }
    }
}

fn relayed((peer, contents): (SocketAddr, &[u8])) -> Relayed {
    Relayed {
        peer,
        contents: contents.to_vec(),
    }
}

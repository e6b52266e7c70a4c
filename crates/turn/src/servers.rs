//! All STUN and TURN servers of one connection, from all of its local addresses.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::path::{Outcome, Path, Relayed};
use crate::{IceServer, ServerError, ServerKind};

/// Servers beyond this are not used.
const MAX_SERVERS: usize = 16;
/// Ways to servers beyond this are not tried; a machine may have many addresses.
const MAX_PATHS: usize = 48;

/// Something to send to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Bytes of a stream instead of a datagram.
    pub stream: bool,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub contents: Vec<u8>,
}

/// A TCP connection that is to be opened or closed. `local` only names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamOrder {
    Connect { local: SocketAddr, remote: SocketAddr },
    Disconnect { local: SocketAddr, remote: SocketAddr },
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServersEvent {
    /// What is sent from `base` comes from `mapped`, as others see it.
    Reflexive { base: SocketAddr, mapped: SocketAddr },
    /// Another address of ours, on a TURN server.
    Relayed { relayed: SocketAddr, local: SocketAddr },
    /// That address is ours no more.
    Lost { relayed: SocketAddr, local: SocketAddr },
}

/// What a datagram from a server's address was.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    NotOurs,
    Handled,
    /// A peer sent this to the relayed address.
    Relayed {
        relayed: SocketAddr,
        peer: SocketAddr,
        contents: Vec<u8>,
    },
}

/// Sans-IO: drain `poll_transmit`, `poll_order` and `poll_event` after each call that changes something.
#[derive(Default)]
pub struct Servers {
    servers: Vec<Arc<IceServer>>,
    locals: Vec<SocketAddr>,
    paths: Vec<Path>,
    streams_begun: u16,
    transmits: VecDeque<Transmit>,
    orders: VecDeque<StreamOrder>,
    events: VecDeque<ServersEvent>,
}

impl Servers {
    pub fn new() -> Servers {
        Servers::default()
    }

    /// A bound UDP socket.
    pub fn add_local(&mut self, local: SocketAddr, now: Instant) {
        if self.locals.contains(&local) {
            return;
        }
        self.locals.push(local);
        for server in self.servers.clone() {
            if server.is_datagram() && reaches(local, server.address) {
                self.begin(server, local, now);
            }
        }
        self.settle();
    }

    /// The socket is gone, and what hung on it.
    pub fn remove_local(&mut self, local: SocketAddr) {
        self.locals.retain(|other| *other != local);
        let (gone, kept) = std::mem::take(&mut self.paths)
            .into_iter()
            .partition(|path| !path.is_stream() && path.local == local);
        self.paths = kept;
        for path in gone as Vec<Path> {
            let lost = path
                .relayed()
                .map(|relayed| ServersEvent::Lost { relayed, local });
            self.events.extend(lost);
        }
    }

    /// Use this server. One of the same address and kind gets the new credentials if it had failed before.
    pub fn add_server(&mut self, server: IceServer, now: Instant) {
        let server = Arc::new(server);
        match self.servers.iter().position(|other| other.is_same(&server)) {
            Some(index) => self.servers[index] = Arc::clone(&server),
            None if self.servers.len() >= MAX_SERVERS => return,
            None => self.servers.push(Arc::clone(&server)),
        }
        let failed = |path: &Path| matches!(path.outcome, Outcome::Failed(_));
        self.paths
            .retain(|path| !(path.server.is_same(&server) && failed(path)));
        self.begin_all(&server, now);
        self.settle();
    }

    /// Try what has failed again.
    pub fn retry(&mut self, now: Instant) {
        self.paths
            .retain(|path| !matches!(path.outcome, Outcome::Failed(_)));
        for server in self.servers.clone() {
            self.begin_all(&server, now);
        }
        self.settle();
    }

    /// Whether datagrams from this address go through a relay.
    pub fn is_relayed(&self, address: SocketAddr) -> bool {
        self.paths.iter().any(|path| path.relayed() == Some(address))
    }

    /// Send to `peer` from a relayed address.
    pub fn send(&mut self, now: Instant, relayed: SocketAddr, peer: SocketAddr, contents: &[u8]) {
        let path = self.paths.iter_mut().find(|path| path.relayed() == Some(relayed));
        if let Some(path) = path {
            path.send(now, peer, contents);
            self.settle();
        }
    }

    /// A datagram that came in on a UDP socket.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &[u8],
    ) -> Incoming {
        // Answers to STUN questions first: a TURN server is often asked both.
        let (stun, turn): (Vec<_>, Vec<_>) = self
            .paths
            .iter_mut()
            .filter(|path| path.is_between(destination, source, false))
            .partition(|path| path.server.kind == ServerKind::Stun);
        for path in stun.into_iter().chain(turn) {
            let relayed = path.relayed();
            let (taken, data) = path.handle_datagram(now, contents);
            if taken {
                self.settle();
                let data = relayed.zip(data);
                return data.map_or(Incoming::Handled, |(relayed, data)| incoming(relayed, data));
            }
        }
        Incoming::NotOurs
    }

    /// Bytes of a stream; what peers sent in them.
    pub fn handle_stream(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) -> Vec<Incoming> {
        let mut found = Vec::new();
        if let Some(path) = self.path_of_stream(local, remote) {
            let mut out = Vec::new();
            let relayed = path.relayed();
            let data = path.handle_stream(now, bytes, &mut out);
            if let Some(relayed) = relayed {
                found.extend(data.into_iter().map(|data| incoming(relayed, data)));
            }
            self.transmit(local, remote, true, out);
            self.settle();
        }
        found
    }

    /// A stream that was ordered is there.
    pub fn stream_opened(&mut self, local: SocketAddr, remote: SocketAddr) {
        if let Some(path) = self.path_of_stream(local, remote) {
            let mut out = Vec::new();
            path.connected(&mut out);
            self.transmit(local, remote, true, out);
            self.settle();
        }
    }

    /// A stream could not be opened, or ended.
    pub fn stream_closed(&mut self, local: SocketAddr, remote: SocketAddr, reason: &str) {
        if let Some(path) = self.path_of_stream(local, remote) {
            let reason = reason.to_owned();
            path.fail(ServerError::Unreachable { reason });
            self.settle();
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        for path in &mut self.paths {
            if path.poll_timeout().is_some_and(|at| at <= now) {
                path.handle_timeout(now);
            }
        }
        self.settle();
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.paths.iter().filter_map(Path::poll_timeout).min()
    }

    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    pub fn poll_order(&mut self) -> Option<StreamOrder> {
        self.orders.pop_front()
    }

    pub fn poll_event(&mut self) -> Option<ServersEvent> {
        self.events.pop_front()
    }

    /// Give all allocations back. What is to be sent is there once more after this, then nothing; `report` stays.
    pub fn close(&mut self, now: Instant) {
        for path in &mut self.paths {
            path.close(now);
        }
        self.settle();
        self.events.clear();
    }

    /// `URL: what came of it`, one line a server.
    pub fn report(&self) -> Vec<String> {
        let line = |server: &Arc<IceServer>| {
            let paths = || self.paths.iter().filter(|path| path.server.is_same(server));
            let text = |path: &Path| match &path.outcome {
                Outcome::Waiting => "no answer yet".to_owned(),
                Outcome::Mapped(mapped) => format!("reflexive address {mapped}"),
                Outcome::Relayed(relayed) => format!("relayed address {relayed}"),
                Outcome::Failed(error) => error.to_string(),
            };
            let best = paths().min_by_key(|path| match path.outcome {
                Outcome::Mapped(_) | Outcome::Relayed(_) => 0,
                Outcome::Failed(ServerError::NoAnswer { .. }) => 2,
                Outcome::Failed(_) => 1,
                Outcome::Waiting => 3,
            });
            let text = best.map_or("not tried: there is no local address of its family".into(), text);
            format!("{}: {text}", server.url)
        };
        self.servers.iter().map(line).collect()
    }

    fn begin_all(&mut self, server: &Arc<IceServer>, now: Instant) {
        if server.is_datagram() {
            for local in self.locals.clone() {
                if reaches(local, server.address) {
                    self.begin(Arc::clone(server), local, now);
                }
            }
        } else if !self.paths.iter().any(|path| path.server.is_same(server)) {
            self.streams_begun = self.streams_begun.wrapping_add(1).max(1);
            let any: IpAddr = match server.address {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            self.begin(Arc::clone(server), SocketAddr::new(any, self.streams_begun), now);
        }
    }

    fn begin(&mut self, server: Arc<IceServer>, local: SocketAddr, now: Instant) {
        let known = self
            .paths
            .iter()
            .any(|path| path.local == local && path.server.is_same(&server));
        if known || self.paths.len() >= MAX_PATHS {
            return;
        }
        if !server.is_datagram() {
            let remote = server.address;
            self.orders.push_back(StreamOrder::Connect { local, remote });
        }
        self.paths.push(Path::new(server, local, now));
    }

    fn path_of_stream(&mut self, local: SocketAddr, remote: SocketAddr) -> Option<&mut Path> {
        self.paths
            .iter_mut()
            .find(|path| path.is_between(local, remote, true))
    }

    fn transmit(&mut self, source: SocketAddr, destination: SocketAddr, stream: bool, out: Vec<Vec<u8>>) {
        let filled = out.into_iter().filter(|contents| !contents.is_empty());
        self.transmits.extend(filled.map(|contents| Transmit {
            stream,
            source,
            destination,
            contents,
        }));
    }

    /// Collect what the paths have to say.
    fn settle(&mut self) {
        for index in 0..self.paths.len() {
            let path = &mut self.paths[index];
            let (local, remote, stream) = (path.local, path.server.address, path.is_stream());
            let mut out = Vec::new();
            let before = path.outcome.clone();
            path.collect(&mut out);
            let mapped = path.settle();
            let after = path.outcome.clone();
            self.transmit(local, remote, stream, out);
            if mapped.is_none() {
                continue;
            }
            if let (Outcome::Relayed(relayed), Outcome::Failed(_)) = (&before, &after) {
                let relayed = *relayed;
                self.events.push_back(ServersEvent::Lost { relayed, local });
            }
            let mapped = mapped.flatten().filter(|mapped| *mapped != local && !stream);
            let base = local;
            self.events
                .extend(mapped.map(|mapped| ServersEvent::Reflexive { base, mapped }));
            match after {
                Outcome::Relayed(relayed) => self.events.push_back(ServersEvent::Relayed { relayed, local }),
                Outcome::Failed(_) if stream => {
                    self.orders.push_back(StreamOrder::Disconnect { local, remote });
                }
                _ => {}
            }
        }
    }
}

impl IceServer {
    fn is_datagram(&self) -> bool {
        self.transport == crate::ServerTransport::Udp || self.kind == ServerKind::Stun
    }

    fn is_same(&self, other: &IceServer) -> bool {
        self.kind == other.kind && self.transport == other.transport && self.address == other.address
    }
}

/// Of one family, and not from this machine alone to elsewhere.
fn reaches(local: SocketAddr, server: SocketAddr) -> bool {
    local.is_ipv4() == server.is_ipv4() && (!local.ip().is_loopback() || server.ip().is_loopback())
}

fn incoming(relayed: SocketAddr, data: Relayed) -> Incoming {
    Incoming::Relayed {
        relayed,
        peer: data.peer,
        contents: data.contents,
    }
}

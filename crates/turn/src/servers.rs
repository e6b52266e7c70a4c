//! All STUN and TURN servers of one connection, from all of its local addresses.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::path::{Outcome, Path, Relayed};
use crate::paths::Paths;
use crate::{IceServer, ServerError, ServerKind};

/// Servers beyond this are not used.
const MAX_SERVERS: usize = 16;

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
    paths: Paths,
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
        let gone = self.paths.retain(|path| path.is_stream() || path.local != local);
        let relayed = gone.iter().filter_map(Path::relayed);
        self.events
            .extend(relayed.map(|relayed| ServersEvent::Lost { relayed, local }));
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
            .retain(|path| !(path.origin.is_same(&server) && failed(path)));
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
        self.paths.with_relayed(address).is_some()
    }

    /// Send to `peer` from a relayed address.
    pub fn send(&mut self, now: Instant, relayed: SocketAddr, peer: SocketAddr, contents: &[u8]) {
        let Some(index) = self.paths.with_relayed(relayed) else {
            return;
        };
        if let Some(path) = self.paths.get_mut(index) {
            path.send(now, peer, contents);
        }
        self.settle_path(index);
    }

    /// A datagram that came in on a UDP socket.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &[u8],
    ) -> Incoming {
        for number in 0.. {
            let Some(index) = self
                .paths
                .between(destination, source, false)
                .get(number)
                .copied()
            else {
                break;
            };
            let Some(path) = self.paths.get_mut(index) else {
                break;
            };
            let relayed = path.relayed();
            let (taken, data) = path.handle_datagram(now, contents);
            if taken {
                self.settle_path(index);
                self.follow(index, now);
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
        if let Some((index, path)) = self.path_of_stream(local, remote) {
            let mut out = Vec::new();
            let relayed = path.relayed();
            let data = path.handle_stream(now, bytes, &mut out);
            if let Some(relayed) = relayed {
                found.extend(data.into_iter().map(|data| incoming(relayed, data)));
            }
            self.transmit(local, remote, true, out);
            self.settle_path(index);
            self.follow(index, now);
        }
        found
    }

    /// A stream that was ordered is there.
    pub fn stream_opened(&mut self, local: SocketAddr, remote: SocketAddr) {
        if let Some((index, path)) = self.path_of_stream(local, remote) {
            let mut out = Vec::new();
            path.connected(&mut out);
            self.transmit(local, remote, true, out);
            self.settle_path(index);
        }
    }

    /// A stream could not be opened, or ended.
    pub fn stream_closed(&mut self, local: SocketAddr, remote: SocketAddr, reason: &str) {
        if let Some((index, path)) = self.path_of_stream(local, remote) {
            let reason = reason.to_owned();
            path.fail(ServerError::Unreachable { reason });
            self.settle_path(index);
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        for index in self.paths.due(now) {
            if let Some(path) = self.paths.get_mut(index) {
                path.handle_timeout(now);
            }
            self.settle_path(index);
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.paths.poll_timeout()
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
        for index in 0..self.paths.len() {
            if let Some(path) = self.paths.get_mut(index) {
                path.close(now);
            }
        }
        self.settle();
        self.paths.index();
        self.events.clear();
    }

    /// `URL: what came of it`, one line a server.
    pub fn report(&self) -> Vec<String> {
        let line = |server: &Arc<IceServer>| {
            let paths = || self.paths.iter().filter(|path| path.origin.is_same(server));
            let text = |path: &Path| match &path.outcome {
                Outcome::Waiting | Outcome::Elsewhere(_) => "no answer yet".to_owned(),
                Outcome::Mapped(mapped) => format!("reflexive address {mapped}"),
                Outcome::Relayed(relayed) => format!("relayed address {relayed}"),
                Outcome::Failed(error) => error.to_string(),
            };
            let best = paths().min_by_key(|path| match path.outcome {
                Outcome::Mapped(_) | Outcome::Relayed(_) => 0,
                Outcome::Failed(ServerError::NoAnswer { .. }) => 2,
                Outcome::Failed(_) => 1,
                Outcome::Waiting | Outcome::Elsewhere(_) => 3,
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
        } else if !self.paths.has_any_to(server) {
            let local = self.name_stream(server.address);
            self.begin(Arc::clone(server), local, now);
        }
    }

    /// What the owner is to know a new stream by.
    fn name_stream(&mut self, remote: SocketAddr) -> SocketAddr {
        self.streams_begun = self.streams_begun.wrapping_add(1).max(1);
        let any: IpAddr = match remote {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(any, self.streams_begun)
    }

    fn begin(&mut self, server: Arc<IceServer>, local: SocketAddr, now: Instant) {
        let (stream, remote) = (!server.is_datagram(), server.address);
        if self.paths.add(Path::new(server, local, now)).is_some() && stream {
            self.orders.push_back(StreamOrder::Connect { local, remote });
        }
    }

    /// Go to the server that the one of this path names, if it does.
    fn follow(&mut self, index: usize, now: Instant) {
        let Some((Outcome::Elsewhere(address), stream, local)) = self
            .paths
            .get_mut(index)
            .map(|path| (path.outcome.clone(), path.is_stream(), path.local))
        else {
            return;
        };
        let local = if stream { self.name_stream(address) } else { local };
        let is_reached = stream || reaches(local, address);
        let Some(path) = self.paths.get_mut(index) else {
            return;
        };
        let (before, remote) = (path.local, path.server.address);
        let next = is_reached.then(|| path.alternate(address, local, now)).flatten();
        if next.is_none() {
            path.refuse_alternate();
        }
        if stream {
            let local = before;
            self.orders.push_back(StreamOrder::Disconnect { local, remote });
        }
        if let Some(next) = next {
            if stream {
                let remote = address;
                self.orders.push_back(StreamOrder::Connect { local, remote });
            }
            self.paths.replace(index, next);
            self.settle_path(index);
        }
    }

    fn path_of_stream(&mut self, local: SocketAddr, remote: SocketAddr) -> Option<(usize, &mut Path)> {
        let index = *self.paths.between(local, remote, true).first()?;
        Some((index, self.paths.get_mut(index)?))
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

    fn settle(&mut self) {
        (0..self.paths.len()).for_each(|index| self.settle_path(index));
    }

    /// Collect what a path has to say.
    fn settle_path(&mut self, index: usize) {
        let Some(path) = self.paths.get_mut(index) else {
            return;
        };
        let (local, remote, stream) = (path.local, path.server.address, path.is_stream());
        let mut out = Vec::new();
        let before = path.indexed;
        path.collect(&mut out);
        let mapped = path.settle();
        let after = mapped.is_some().then(|| path.outcome.clone());
        self.paths.touched(index);
        self.transmit(local, remote, stream, out);
        if let (Some(relayed), Some(Outcome::Failed(_))) = (before, &after) {
            self.events.push_back(ServersEvent::Lost { relayed, local });
        }
        let mapped = mapped.flatten().filter(|mapped| *mapped != local && !stream);
        let base = local;
        self.events
            .extend(mapped.map(|mapped| ServersEvent::Reflexive { base, mapped }));
        match after {
            Some(Outcome::Relayed(relayed)) => {
                self.events.push_back(ServersEvent::Relayed { relayed, local });
            }
            Some(Outcome::Failed(_)) if stream => {
                self.orders.push_back(StreamOrder::Disconnect { local, remote });
            }
            _ => {}
        }
    }
}

impl IceServer {
    fn is_datagram(&self) -> bool {
        self.transport == crate::ServerTransport::Udp || self.kind == ServerKind::Stun
    }

    pub(crate) fn is_same(&self, other: &IceServer) -> bool {
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

//! The sockets of a client peer: what it orders, and how they follow the addresses of this machine.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use greenroom_net::{Opening, Protocol, SocketEvent, SocketOrder, Transmit, TransmitQueue};
use greenroom_peer::{Order, Peer, TransportPolicy};

use crate::socket_choice::SocketChoice;

/// How a peer gathers candidates.
#[derive(Clone, Copy, Default)]
pub struct Gathering {
    pub policy: TransportPolicy,
    pub include_loopback: bool,
    /// Addresses that come and go during the session count, too.
    pub continually: bool,
}

/// The UDP sockets of one peer.
#[derive(Default)]
pub struct PeerSockets {
    gathering: Gathering,
    bound: Vec<SocketAddr>,
    /// Being bound.
    ordered: Vec<IpAddr>,
    orders: Vec<SocketOrder>,
    choice: SocketChoice,
    /// Where TCP connections may be opened from.
    tcp: Vec<IpAddr>,
    /// Besides shared ones, because a remote is another's there.
    has_own_too: bool,
    /// Why none could be bound, until one is.
    refusals: Option<Vec<String>>,
}

impl PeerSockets {
    /// Begin with these; the candidates that may be told as lines.
    pub fn start(
        &mut self,
        peer: &mut Peer,
        gathering: Gathering,
        addresses: &[SocketAddr],
        now: Instant,
    ) -> Result<Vec<String>, String> {
        self.gathering = gathering;
        peer.set_transport_policy(gathering.policy);
        let mut lines = Vec::new();
        for address in addresses {
            let line = peer.add_local_address(*address, now);
            lines.extend(line.map_err(|error| error.to_string())?);
            self.bound.push(*address);
        }
        Ok(lines)
    }

    /// Begin without any: they are bound at these addresses, shared or not, once the remote is known. The candidates
    /// that may be told already, for TCP.
    pub fn start_later(
        &mut self,
        peer: &mut Peer,
        gathering: Gathering,
        addresses: Vec<IpAddr>,
        now: Instant,
    ) -> Vec<String> {
        self.gathering = gathering;
        self.refusals = Some(vec![]);
        peer.set_transport_policy(gathering.policy);
        let lines = addresses
            .iter()
            .filter_map(|address| self.offer_tcp_from(peer, *address, now));
        let lines = lines.collect();
        self.choice = SocketChoice::Open {
            addresses,
            until: None,
        };
        lines
    }

    /// TCP connections may be opened from where the UDP sockets are; more candidates that may be told.
    pub fn offer_tcp(&mut self, peer: &mut Peer, now: Instant) -> Vec<String> {
        let addresses: Vec<IpAddr> = self.bound.iter().map(SocketAddr::ip).collect();
        let lines = addresses
            .into_iter()
            .filter_map(|address| self.offer_tcp_from(peer, address, now));
        lines.collect()
    }

    fn offer_tcp_from(&mut self, peer: &mut Peer, address: IpAddr, now: Instant) -> Option<String> {
        if self.tcp.contains(&address) {
            return None;
        }
        self.tcp.push(address);
        peer.add_tcp_address(address, now).ok().flatten()
    }

    /// Nothing goes through this socket any more, nor over TCP from its address.
    fn remove(&mut self, peer: &mut Peer, address: SocketAddr, now: Instant) {
        self.tcp.retain(|other| *other != address.ip());
        peer.remove_local_address(address, now);
    }

    /// The candidates that are to be told.
    pub fn handle(&mut self, peer: &mut Peer, event: SocketEvent, now: Instant) -> Vec<String> {
        match event {
            SocketEvent::Connected(opening) => peer.connection_opened(now, to_peer(opening)),
            SocketEvent::Closed(opening, reason) => {
                log::debug!("the connection to {} is closed: {reason}", opening.destination);
                peer.connection_closed(now, to_peer(opening), &reason);
            }
            SocketEvent::Bound(address) => return self.bound(peer, address, now),
            SocketEvent::BindFailed(address, reason) => self.bind_failed(peer, address, &reason),
            SocketEvent::Lost(address, _) => {
                self.bound.retain(|other| *other != address);
                self.remove(peer, address, now);
                let again = self.choice.bind(address.ip());
                self.order([again]);
            }
            SocketEvent::Taken(remote) => self.bind_own_too(remote),
            SocketEvent::Addresses(addresses) => self.follow(peer, &addresses, now),
        }
        Vec::new()
    }

    fn bound(&mut self, peer: &mut Peer, address: SocketAddr, now: Instant) -> Vec<String> {
        self.refusals = None;
        self.ordered.retain(|other| *other != address.ip());
        self.bound.push(address);
        let udp = peer.add_local_address(address, now).ok().flatten();
        let tcp = self.offer_tcp_from(peer, address.ip(), now);
        udp.into_iter().chain(tcp).collect()
    }

    fn bind_failed(&mut self, peer: &mut Peer, address: IpAddr, reason: &str) {
        log::debug!("no socket on {address}: {reason}");
        self.ordered.retain(|other| *other != address);
        let Some(refusals) = &mut self.refusals else {
            return;
        };
        refusals.push(format!("{address}: {reason}"));
        if self.ordered.is_empty() {
            let reasons = refusals.join("; ");
            peer.fail(format!(
                "no UDP socket could be bound on any local address ({reasons})"
            ));
        }
    }

    /// A remote is another peer's on the shared sockets: it is reached from others, which are tried beside them.
    fn bind_own_too(&mut self, remote: SocketAddr) {
        if std::mem::replace(&mut self.has_own_too, true) {
            return;
        }
        log::debug!("{remote} is reached from a socket of its own");
        let mut addresses: Vec<IpAddr> = self.bound.iter().map(SocketAddr::ip).collect();
        addresses.dedup();
        self.order(addresses.into_iter().map(SocketOrder::Bind));
    }

    fn order(&mut self, orders: impl IntoIterator<Item = SocketOrder>) {
        for order in orders {
            if let SocketOrder::Bind(address) | SocketOrder::Share(address, _) = &order {
                self.ordered.push(*address);
            }
            self.orders.push(order);
        }
    }

    fn follow(&mut self, peer: &mut Peer, addresses: &[IpAddr], now: Instant) {
        if !self.gathering.continually {
            return;
        }
        let include_loopback = self.gathering.include_loopback;
        let wanted = |ip: &IpAddr| include_loopback || !ip.is_loopback();
        if let SocketChoice::Open {
            addresses: waiting, ..
        } = &mut self.choice
        {
            *waiting = addresses.iter().copied().filter(wanted).collect();
            let is_gone = |ip: &IpAddr| !addresses.contains(ip);
            for ip in self.tcp.iter().copied().filter(is_gone).collect::<Vec<_>>() {
                self.remove(peer, SocketAddr::new(ip, 0), now);
            }
            return;
        }
        let (kept, gone) = std::mem::take(&mut self.bound)
            .into_iter()
            .partition(|address: &SocketAddr| addresses.contains(&address.ip()));
        self.bound = kept;
        for address in gone as Vec<SocketAddr> {
            self.remove(peer, address, now);
            self.orders.push(SocketOrder::Unbind(address));
        }
        for ip in addresses.iter().copied().filter(wanted) {
            let known = self.bound.iter().any(|address| address.ip() == ip) || self.ordered.contains(&ip);
            if !known {
                let bind = self.choice.bind(ip);
                self.order([bind]);
            }
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let orders = self.choice.handle_timeout(now);
        self.order(orders);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.choice.poll_timeout()
    }

    /// What has become known of the remote may decide what is bound. `now` is asked for only where it counts.
    fn follow_remote(&mut self, peer: &mut Peer, now: impl FnOnce() -> Instant) {
        if peer.has_remote() {
            self.choice.remote_came(now);
        }
        let found: Vec<SocketAddr> = std::iter::from_fn(|| peer.poll_remote_address()).collect();
        if !found.is_empty() {
            let orders = self.choice.remotes_found(found);
            self.order(orders);
        }
    }

    /// All that the peer wants sent and done.
    pub fn poll(&mut self, peer: &mut Peer, now: impl FnOnce() -> Instant, out: &mut TransmitQueue) {
        self.follow_remote(peer, now);
        self.orders.drain(..).for_each(|order| out.order(order));
        while let Some(transmit) = peer.poll_transmit() {
            out.push(Transmit {
                protocol: protocol_to_net(transmit.protocol),
                source: transmit.source,
                destination: transmit.destination,
                contents: transmit.contents,
            });
        }
        while let Some(order) = peer.poll_order() {
            out.order(match order {
                Order::Connect(opening) => SocketOrder::Connect(to_net(opening)),
                Order::Disconnect(opening) => SocketOrder::Disconnect(to_net(opening)),
            });
        }
    }
}

fn protocol_to_net(protocol: greenroom_peer::Protocol) -> Protocol {
    match protocol {
        greenroom_peer::Protocol::Udp => Protocol::Udp,
        greenroom_peer::Protocol::Tcp => Protocol::Tcp,
        greenroom_peer::Protocol::Stream => Protocol::Stream,
    }
}

fn to_net(opening: greenroom_peer::Opening) -> Opening {
    Opening {
        protocol: protocol_to_net(opening.protocol),
        source: opening.source,
        destination: opening.destination,
    }
}

fn to_peer(opening: Opening) -> greenroom_peer::Opening {
    greenroom_peer::Opening {
        protocol: match opening.protocol {
            Protocol::Udp => greenroom_peer::Protocol::Udp,
            Protocol::Tcp => greenroom_peer::Protocol::Tcp,
            Protocol::Stream => greenroom_peer::Protocol::Stream,
        },
        source: opening.source,
        destination: opening.destination,
    }
}

#[cfg(test)]
mod tests;

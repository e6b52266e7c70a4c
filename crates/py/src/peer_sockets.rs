//! The sockets of a client peer: what it orders, and how they follow the addresses of this machine.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use greenroom_net::{Opening, Protocol, SocketEvent, SocketOrder, Transmit, TransmitQueue};
use greenroom_peer::{Order, Peer, TransportPolicy};

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

    /// TCP connections may be opened from where the UDP sockets are; more candidates that may be told.
    pub fn offer_tcp(&self, peer: &mut Peer, now: Instant) -> Vec<String> {
        let lines = self
            .bound
            .iter()
            .filter_map(|address| peer.add_tcp_address(address.ip(), now).ok().flatten());
        lines.collect()
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
            SocketEvent::BindFailed(address, reason) => {
                log::debug!("no socket on the new address {address}: {reason}");
                self.ordered.retain(|other| *other != address);
            }
            SocketEvent::Addresses(addresses) => self.follow(peer, &addresses, now),
        }
        Vec::new()
    }

    fn bound(&mut self, peer: &mut Peer, address: SocketAddr, now: Instant) -> Vec<String> {
        self.ordered.retain(|other| *other != address.ip());
        self.bound.push(address);
        let udp = peer.add_local_address(address, now).ok().flatten();
        let tcp = peer.add_tcp_address(address.ip(), now).ok().flatten();
        udp.into_iter().chain(tcp).collect()
    }

    fn follow(&mut self, peer: &mut Peer, addresses: &[IpAddr], now: Instant) {
        if !self.gathering.continually {
            return;
        }
        let wanted = |ip: &IpAddr| self.gathering.include_loopback || !ip.is_loopback();
        let (kept, gone) = std::mem::take(&mut self.bound)
            .into_iter()
            .partition(|address: &SocketAddr| addresses.contains(&address.ip()));
        self.bound = kept;
        for address in gone as Vec<SocketAddr> {
            peer.remove_local_address(address, now);
            self.orders.push(SocketOrder::Unbind(address));
        }
        for ip in addresses.iter().copied().filter(wanted) {
            let known = self.bound.iter().any(|address| address.ip() == ip) || self.ordered.contains(&ip);
            if !known {
                self.ordered.push(ip);
                self.orders.push(SocketOrder::Bind(ip));
            }
        }
    }

    /// All that the peer wants sent and done.
    pub fn poll(&mut self, peer: &mut Peer, out: &mut TransmitQueue) {
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

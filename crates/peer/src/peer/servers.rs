//! What STUN and TURN servers give a peer, and what goes through them; and the peer's TCP connections.

use std::net::SocketAddr;
use std::time::Instant;

use greenroom_turn::{Incoming, ServersEvent, StreamOrder};

use super::{Opening, Order, Peer, PeerEvent, Protocol, State, Transmit};
use crate::tcp_paths::Verdict;

impl Peer {
    /// Bytes of a stream that was ordered.
    pub fn handle_stream(&mut self, now: Instant, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) {
        if self.state != State::Open {
            return;
        }
        self.now = self.now.max(now);
        // str0m must be empty before it gets the next.
        for incoming in self.servers.handle_stream(now, destination, source, bytes) {
            if let Incoming::Relayed {
                relayed,
                peer,
                contents,
            } = incoming
            {
                self.count(contents.len());
                self.take(str0m::net::Protocol::Udp, peer, relayed, &contents);
                self.settle(now);
            }
        }
        self.settle(now);
    }

    /// A connection that was ordered is there.
    pub fn connection_opened(&mut self, now: Instant, opening: Opening) {
        if opening.protocol == Protocol::Stream {
            self.servers.stream_opened(opening.source, opening.destination);
            self.settle(now);
        }
    }

    /// A connection that was ordered could not be opened, or ended.
    pub fn connection_closed(&mut self, now: Instant, opening: Opening, reason: &str) {
        match opening.protocol {
            Protocol::Stream => {
                self.servers
                    .stream_closed(opening.source, opening.destination, reason);
            }
            Protocol::Tcp => self.tcp.ended(now, (opening.source, opening.destination)),
            Protocol::Udp => {}
        }
        self.settle(now);
    }

    /// The next thing to do with TCP connections.
    pub fn poll_order(&mut self) -> Option<Order> {
        let stream = |source, destination| Opening {
            protocol: Protocol::Stream,
            source,
            destination,
        };
        let of_servers = |order| match order {
            StreamOrder::Connect { local, remote } => Order::Connect(stream(local, remote)),
            StreamOrder::Disconnect { local, remote } => Order::Disconnect(stream(local, remote)),
        };
        let own = self.orders.pop_front();
        own.or_else(|| self.servers.poll_order().map(of_servers))
    }

    /// Carry what servers told to str0m. Whether anything changed.
    pub(super) fn take_server_events(&mut self) -> bool {
        let mut changed = false;
        while let Some(event) = self.servers.poll_event() {
            changed = true;
            let local = &mut self.connection.local;
            let line = match event {
                ServersEvent::Reflexive { base, mapped } => local.add_reflexive(&mut self.rtc, base, mapped),
                ServersEvent::Relayed { relayed, local: from } => {
                    local.add_relayed(&mut self.rtc, relayed, from)
                }
                ServersEvent::Lost { relayed, .. } => {
                    local.remove(&mut self.rtc, relayed);
                    None
                }
            };
            self.events.extend(line.map(PeerEvent::LocalCandidate));
        }
        changed
    }

    /// What goes to a server.
    pub(super) fn poll_server_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.servers.poll_transmit()?;
        let protocol = if transmit.stream {
            Protocol::Stream
        } else {
            Protocol::Udp
        };
        Some(Transmit {
            protocol,
            source: transmit.source,
            destination: transmit.destination,
            contents: transmit.contents,
        })
    }

    /// Send over TCP, in a connection that is opened if there is a need for it.
    pub(super) fn send_tcp(&mut self, source: SocketAddr, destination: SocketAddr, contents: Vec<u8>) {
        let connected = self.connection.has_path();
        let verdict = self.tcp.judge(self.now, (source, destination), connected);
        if verdict == Verdict::Drop {
            return;
        }
        let protocol = Protocol::Tcp;
        if verdict == Verdict::OpenAndSend {
            self.orders.push_back(Order::Connect(Opening {
                protocol,
                source,
                destination,
            }));
        }
        self.transmits.push_back(Transmit {
            protocol,
            source,
            destination,
            contents,
        });
    }
}

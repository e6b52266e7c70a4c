//! Hosts, their links, and what is on its way between them.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use greenroom_net::{Protocol, Transmit};

use crate::fate::{Dice, Fate, Faults, fate};
use crate::simulator::Shared;
use crate::trace::Trace;
use crate::translation::Translation;

/// Where ports that nobody asked for begin.
const FIRST_PORT: u16 = 20_000;

/// Of a host's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the host.
    Up,
    /// To the host.
    Down,
}

#[derive(Default)]
struct Host {
    up: Faults,
    down: Faults,
    up_queue: LinkQueue,
    down_queue: LinkQueue,
    translation: Translation,
    next_port: u16,
}

/// What waits for a link of limited rate.
#[derive(Default)]
struct LinkQueue {
    free_at_ns: u64,
}

impl LinkQueue {
    /// How long a datagram waits until the last of it is through; None when there is no room.
    fn wait_ns(&mut self, now_ns: u64, faults: &Faults, size_bytes: usize) -> Option<u64> {
        if faults.bitrate_bps == 0 {
            return Some(0);
        }
        if self.free_at_ns > now_ns + nanoseconds(faults.queue) {
            return None;
        }
        let takes_ns = size_bytes as u64 * 8_000_000_000 / faults.bitrate_bps;
        self.free_at_ns = self.free_at_ns.max(now_ns) + takes_ns;
        Some(self.free_at_ns - now_ns)
    }
}

/// One way between two addresses.
#[derive(Default)]
struct Flow {
    sent: u64,
    /// When the latest datagram arrives, in nanoseconds: those after it don't overtake it.
    last_arrival_ns: u64,
}

/// A datagram on its way; `source` and `destination` as they are outside.
pub(crate) struct Datagram {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) contents: Vec<u8>,
}

/// What arrives first comes first; what arrives at the same time, in an order that does not depend on the run.
type Arrival = (u64, SocketAddr, SocketAddr, u64);

pub(crate) struct Network {
    seed: u64,
    hosts: HashMap<IpAddr, Host>,
    sockets: HashMap<SocketAddr, Option<u32>>,
    flows: HashMap<(SocketAddr, SocketAddr), Flow>,
    on_the_way: BTreeMap<Arrival, Datagram>,
    pub(crate) trace: Trace,
}

impl Network {
    pub(crate) fn new(seed: u64, trace: Trace) -> Network {
        Network {
            seed,
            hosts: HashMap::new(),
            sockets: HashMap::new(),
            flows: HashMap::new(),
            on_the_way: BTreeMap::new(),
            trace,
        }
    }

    fn host(&mut self, address: IpAddr) -> &mut Host {
        self.hosts.entry(address).or_default()
    }

    pub(crate) fn faults(&mut self, address: IpAddr, direction: Direction) -> &mut Faults {
        let host = self.host(address);
        match direction {
            Direction::Up => &mut host.up,
            Direction::Down => &mut host.down,
        }
    }

    pub(crate) fn rebind(&mut self, address: IpAddr) {
        self.host(address).translation.rebind();
    }

    /// Take one port on all addresses; 0 takes any free one.
    pub(crate) fn bind(&mut self, addresses: &[IpAddr], port: u16) -> io::Result<Vec<SocketAddr>> {
        let port = if port == 0 {
            self.free_port(addresses)
        } else {
            port
        };
        let sockets: Vec<SocketAddr> = addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        if let Some(taken) = sockets.iter().find(|socket| self.sockets.contains_key(*socket)) {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("can't bind {taken}: it is bound already in this simulation"),
            ));
        }
        for socket in &sockets {
            self.host(socket.ip());
            self.sockets.insert(*socket, None);
        }
        Ok(sockets)
    }

    fn free_port(&mut self, addresses: &[IpAddr]) -> u16 {
        loop {
            let mut port = FIRST_PORT;
            for address in addresses {
                port = port.max(self.host(*address).next_port);
            }
            for address in addresses {
                self.host(*address).next_port = port + 1;
            }
            let free = |address: &IpAddr| !self.sockets.contains_key(&SocketAddr::new(*address, port));
            if addresses.iter().all(free) {
                return port;
            }
        }
    }

    pub(crate) fn own(&mut self, sockets: &[SocketAddr], key: u32) {
        for socket in sockets {
            self.sockets.insert(*socket, Some(key));
        }
    }

    pub(crate) fn release(&mut self, sockets: &[SocketAddr]) {
        for socket in sockets {
            self.sockets.remove(socket);
            self.flows.retain(|(source, _), _| source != socket);
        }
    }

    pub(crate) fn send(&mut self, now_ns: u64, transmit: Transmit) {
        let Transmit {
            protocol,
            source: inside,
            destination,
            contents,
        } = transmit;
        let addresses = (inside, destination);
        if protocol != Protocol::Udp || !self.sockets.contains_key(&inside) {
            return self.trace.datagram(now_ns, "unroutable", addresses, &contents);
        }
        let flow = self.flows.entry(addresses).or_default();
        flow.sent += 1;
        let number = flow.sent;
        let mut dice = Dice::new(self.seed, inside, destination, number);
        let links = [
            *self.faults(inside.ip(), Direction::Up),
            *self.faults(destination.ip(), Direction::Down),
        ];
        let Fate::Arrives {
            after,
            twice,
            overtaken,
        } = fate(&links, &mut dice)
        else {
            return self.trace.datagram(now_ns, "lost", addresses, &contents);
        };
        let [up, down] = links;
        let sender = &mut self.host(inside.ip()).up_queue;
        let Some(first_ns) = sender.wait_ns(now_ns, &up, contents.len()) else {
            return self.trace.datagram(now_ns, "overflowed", addresses, &contents);
        };
        let receiver = &mut self.host(destination.ip()).down_queue;
        let Some(second_ns) = receiver.wait_ns(now_ns + first_ns, &down, contents.len()) else {
            return self.trace.datagram(now_ns, "overflowed", addresses, &contents);
        };
        let after = after + Duration::from_nanos(first_ns + second_ns);
        let source = self.host(inside.ip()).translation.outgoing(inside);
        let at = self.arrival(addresses, now_ns + nanoseconds(after).max(1), overtaken);
        for copy in 0..=u64::from(twice) {
            let arrival = (at + copy, source, destination, number);
            let contents = contents.clone();
            self.on_the_way.insert(
                arrival,
                Datagram {
                    source,
                    destination,
                    contents,
                },
            );
        }
    }

    /// Not before those that were sent earlier, unless this one is overtaken anyway.
    fn arrival(&mut self, addresses: (SocketAddr, SocketAddr), wanted_ns: u64, overtaken: bool) -> u64 {
        let flow = self.flows.entry(addresses).or_default();
        if overtaken {
            return wanted_ns;
        }
        flow.last_arrival_ns = flow.last_arrival_ns.max(wanted_ns);
        flow.last_arrival_ns
    }

    pub(crate) fn next_arrival_ns(&self) -> Option<u64> {
        self.on_the_way.keys().next().map(|arrival| arrival.0)
    }

    pub(crate) fn on_the_way(&self) -> usize {
        self.on_the_way.len()
    }

    pub(crate) fn bound(&self) -> usize {
        self.sockets.len()
    }

    /// The next datagram that is there by now, with the endpoint and the socket that it is for.
    pub(crate) fn receive(&mut self, now_ns: u64) -> Option<(u32, SocketAddr, Datagram)> {
        while self.next_arrival_ns().is_some_and(|at| at <= now_ns) {
            let (_, datagram) = self.on_the_way.pop_first()?;
            let addresses = (datagram.source, datagram.destination);
            let inside = self
                .host(datagram.destination.ip())
                .translation
                .incoming(datagram.destination);
            let found = inside.and_then(|inside| Some((*self.sockets.get(&inside)?.as_ref()?, inside)));
            let what = if found.is_some() { "arrived" } else { "unreachable" };
            self.trace.datagram(now_ns, what, addresses, &datagram.contents);
            if let Some((key, inside)) = found {
                return Some((key, inside, datagram));
            }
        }
        None
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
}

/// Addresses that are taken, until this is dropped.
pub struct Bound {
    pub(crate) shared: Arc<Shared>,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Bound {
    /// In the order asked for.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.shared.network().release(&self.addresses);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_cannot_take_waits_or_is_lost() {
        let faults = Faults {
            bitrate_bps: 80_000,
            queue: Duration::from_millis(250),
            ..Faults::default()
        };
        let mut queue = LinkQueue::default();
        let mut waits = |now_ms: u64| {
            let wait = queue.wait_ns(now_ms * 1_000_000, &faults, 1_000);
            wait.map(|wait_ns| wait_ns / 1_000_000)
        };
        let found = [0, 0, 0, 0, 60, 1_000].map(&mut waits);
        assert_eq!(
            found,
            [Some(100), Some(200), Some(300), None, Some(340), Some(100)]
        );
        let free = Faults::default();
        assert_eq!(LinkQueue::default().wait_ns(5, &free, 1_000_000), Some(0));
    }
}

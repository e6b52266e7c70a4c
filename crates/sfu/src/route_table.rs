//! Which of several units a datagram is for, when they share their sockets.

use std::time::Instant;

use greenroom_transport::Received;

use crate::demultiplexer::{Demultiplexer, RouteChange};
use crate::handles::HandleMap;

/// What all units know of their transports' addresses, together. Each unit keeps a table of its own and tells this one of
/// its changes ([`crate::Sfu::take_route_changes`]) before it sends anything that may be answered.
///
/// The rules are the units' own: an address belongs to who authenticated from there, and one in use is not taken over.
#[derive(Debug, Default)]
pub struct RouteTable {
    demultiplexer: Demultiplexer,
    unit_of: HandleMap<usize>,
}

impl RouteTable {
    /// The unit whose transport gets this datagram.
    pub fn route(&mut self, now: Instant, received: &Received<'_>) -> Option<usize> {
        let transport =
            self.demultiplexer
                .route(now, received.protocol, received.source, received.contents)?;
        self.unit_of.get(&transport).copied()
    }

    /// What has changed in a unit.
    pub fn apply(&mut self, now: Instant, unit: usize, changes: Vec<RouteChange>) {
        for change in changes {
            match &change {
                RouteChange::Fragment(_, transport) => {
                    self.unit_of.insert(*transport, unit);
                }
                RouteChange::Removed(transport) => {
                    self.unit_of.remove(transport);
                }
                RouteChange::Claim(..) | RouteChange::Sent(..) => {}
            }
            self.demultiplexer.apply(now, change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use greenroom_transport::Protocol;
    use std::net::SocketAddr;
    use std::time::Duration;

    fn from(port: u16, contents: &[u8]) -> Received<'_> {
        Received {
            protocol: Protocol::Udp,
            source: SocketAddr::from(([127, 0, 0, 1], port)),
            destination: SocketAddr::from(([127, 0, 0, 1], 1)),
            contents,
        }
    }

    fn stun(kind: u16, transaction: u8, username: &str) -> Vec<u8> {
        let mut packet = kind.to_be_bytes().to_vec();
        packet.extend([0, 0, 0x21, 0x12, 0xA4, 0x42]);
        packet.extend([transaction; 12]);
        packet.extend([0, 6, 0, username.len() as u8]);
        packet.extend(username.as_bytes());
        packet
    }

    /// A unit's own table, watched.
    fn unit() -> Demultiplexer {
        let mut table = Demultiplexer::default();
        table.watch();
        table
    }

    #[test]
    fn datagrams_find_the_unit_of_their_transport() {
        let now = Instant::now();
        let (mut first, mut second, mut shared) = (unit(), unit(), RouteTable::default());
        first.add_fragment("aaaa", 1);
        second.add_fragment("bbbb", 2);
        second.sent(&stun(1, 7, "them:bbbb"), 2);
        shared.apply(now, 0, first.take_changes());
        shared.apply(now, 1, second.take_changes());
        assert_eq!(shared.route(now, &from(5, &stun(1, 1, "aaaa:them"))), Some(0));
        assert_eq!(shared.route(now, &from(5, &stun(1, 1, "bbbb:them"))), Some(1));
        assert_eq!(shared.route(now, &from(5, &stun(1, 1, "cccc:them"))), None);
        assert_eq!(
            shared.route(now, &from(5, &stun(0x0101, 7, ""))),
            Some(1),
            "the answer to ours"
        );
        assert_eq!(
            shared.route(now, &from(5, &[0x80; 30])),
            None,
            "a username proves nothing"
        );
        second.claim(now, Protocol::Udp, from(5, &[]).source, 2);
        shared.apply(now, 1, second.take_changes());
        assert_eq!(shared.route(now, &from(5, &[0x80; 30])), Some(1));
        second.remove(2);
        shared.apply(now, 1, second.take_changes());
        assert_eq!(shared.route(now, &from(5, &[0x80; 30])), None);
        assert_eq!(shared.route(now, &from(5, &stun(1, 1, "bbbb:them"))), None);
    }

    #[test]
    fn an_address_in_use_stays_with_its_unit_until_it_is_silent() {
        let now = Instant::now();
        let (mut first, mut second, mut shared) = (unit(), unit(), RouteTable::default());
        let claim = |table: &mut Demultiplexer, shared: &mut RouteTable, at, unit: usize| {
            let transport = unit as u64 + 1;
            table.add_fragment(&format!("unit{unit}"), transport);
            table.claim(at, Protocol::Udp, from(5, &[]).source, transport);
            shared.apply(at, unit, table.take_changes());
        };
        claim(&mut first, &mut shared, now, 0);
        // Authentic for its own transport, but from an address that it may have made up.
        claim(&mut second, &mut shared, now, 1);
        assert_eq!(shared.route(now, &from(5, &[0x80; 30])), Some(0));
        let later = now + Duration::from_secs(4);
        claim(&mut second, &mut shared, later, 1);
        assert_eq!(shared.route(later, &from(5, &[0x80; 30])), Some(1));
    }
}

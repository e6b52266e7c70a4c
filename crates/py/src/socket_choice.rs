//! Whether a peer is given sockets of its own, or those that other peers use too.
//!
//! On a shared socket a remote address can be one peer's only, and a server that has one port for all must not even be
//! told of it by two: so nothing is bound until an address of the remote is known.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use greenroom_net::SocketOrder;

/// A remote that has told no address over UDP by then is not waited for: it may know ways to us that it does not tell.
const PATIENCE: Duration = Duration::from_secs(2);
/// Of one remote; more are reached as if they were unknown.
const MAX_REMOTES: usize = 256;

/// How a peer's sockets are bound.
#[derive(Default)]
pub enum SocketChoice {
    /// Its own.
    #[default]
    Own,
    /// Not yet: these addresses wait, until this time at the latest once the remote is there.
    Open {
        addresses: Vec<IpAddr>,
        until: Option<Instant>,
    },
    /// Shared ones, towards these remotes.
    Shared { remotes: Vec<SocketAddr> },
}

impl SocketChoice {
    /// The remote is there; its addresses may follow. `now` is asked for only where it counts.
    pub fn remote_came(&mut self, now: impl FnOnce() -> Instant) {
        if let SocketChoice::Open { until, .. } = self
            && until.is_none()
        {
            *until = Some(now() + PATIENCE);
        }
    }

    /// Addresses of the remote that were not known before; what is to be bound or reached now.
    pub fn remotes_found(&mut self, found: Vec<SocketAddr>) -> Vec<SocketOrder> {
        match self {
            SocketChoice::Own => vec![],
            SocketChoice::Open { addresses, .. } => {
                let addresses = std::mem::take(addresses);
                *self = SocketChoice::Shared { remotes: found };
                addresses.into_iter().map(|address| self.bind(address)).collect()
            }
            SocketChoice::Shared { remotes } => {
                let mut orders = vec![];
                for remote in found {
                    if !remotes.contains(&remote) && remotes.len() < MAX_REMOTES {
                        remotes.push(remote);
                        orders.push(SocketOrder::Reach(remote));
                    }
                }
                orders
            }
        }
    }

    /// What is to be bound now that it is so late.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<SocketOrder> {
        match self {
            SocketChoice::Open {
                addresses,
                until: Some(until),
            } if *until <= now => {
                let addresses = std::mem::take(addresses);
                *self = SocketChoice::Own;
                addresses.into_iter().map(SocketOrder::Bind).collect()
            }
            _ => vec![],
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match self {
            SocketChoice::Open { until, .. } => *until,
            SocketChoice::Own | SocketChoice::Shared { .. } => None,
        }
    }

    /// How a socket is bound at this address.
    pub fn bind(&self, address: IpAddr) -> SocketOrder {
        match self {
            SocketChoice::Shared { remotes } => SocketOrder::Share(address, remotes.clone()),
            SocketChoice::Own | SocketChoice::Open { .. } => SocketOrder::Bind(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn remote(port: u16) -> SocketAddr {
        SocketAddr::new(HOME, port)
    }

    fn open() -> SocketChoice {
        SocketChoice::Open {
            addresses: vec![HOME],
            until: None,
        }
    }

    #[test]
    fn nothing_is_bound_until_the_remote_is_known() {
        let mut choice = open();
        assert_eq!(
            choice.poll_timeout(),
            None,
            "a server that is not there yet is waited for"
        );
        let orders = choice.remotes_found(vec![remote(1), remote(2)]);
        assert_eq!(orders, [SocketOrder::Share(HOME, vec![remote(1), remote(2)])]);
        assert_eq!(choice.poll_timeout(), None);
    }

    #[test]
    fn a_later_remote_is_claimed_once_and_counts_for_later_addresses() {
        let mut choice = open();
        choice.remotes_found(vec![remote(1)]);
        let orders = choice.remotes_found(vec![remote(1), remote(2), remote(2)]);
        assert_eq!(orders, [SocketOrder::Reach(remote(2))]);
        assert_eq!(
            choice.bind(HOME),
            SocketOrder::Share(HOME, vec![remote(1), remote(2)])
        );
    }

    #[test]
    fn a_remote_without_addresses_is_given_a_moment() {
        let now = Instant::now();
        let mut choice = open();
        choice.remote_came(|| now);
        choice.remote_came(|| now + PATIENCE);
        assert_eq!(choice.poll_timeout(), Some(now + PATIENCE));
        assert_eq!(choice.handle_timeout(now), []);
        assert_eq!(choice.handle_timeout(now + PATIENCE), [SocketOrder::Bind(HOME)]);
        assert_eq!(choice.remotes_found(vec![remote(1)]), [], "it has its own");
        assert_eq!(choice.poll_timeout(), None);
    }

    #[test]
    fn remotes_are_bounded() {
        let mut choice = open();
        choice.remotes_found(vec![remote(1)]);
        let orders = choice.remotes_found((2..2000).map(remote).collect());
        assert_eq!(orders.len(), MAX_REMOTES - 1);
    }
}

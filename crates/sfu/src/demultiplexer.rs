//! Which transport a datagram belongs to, in constant time.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use greenroom_transport::Protocol;

use crate::handles::{Handle, HandleMap};
use crate::rtp_header::read_u16;

/// Remote addresses kept per transport; a new one displaces the oldest.
const MAX_ADDRESSES_PER_TRANSPORT: usize = 32;
/// Outstanding STUN requests of ours that are kept.
const MAX_TRANSACTIONS: usize = 8_192;
/// An address in use for a transport is given to another one only after this long without packets.
const TAKE_OVER_AFTER: Duration = Duration::from_secs(3);

const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const STUN_HEADER_LENGTH: usize = 20;
const BINDING_REQUEST: u16 = 0x0001;
const USERNAME: u16 = 0x0006;

type Remote = (Protocol, SocketAddr);
type Transaction = [u8; 12];

/// Something that a table of several units has to know as well; see [`Demultiplexer::watch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteChange {
    /// As [`Demultiplexer::add_fragment`].
    Fragment(String, Handle),
    /// As [`Demultiplexer::claim`].
    Claim(Protocol, SocketAddr, Handle),
    /// A STUN request of ours, by its transaction id.
    Sent([u8; 12], Handle),
    /// As [`Demultiplexer::remove`].
    Removed(Handle),
}

#[derive(Debug)]
struct Owner {
    transport: Handle,
    last_used_at: Instant,
}

/// The tables: remote address, local ICE username fragment, and our own STUN transactions.
#[derive(Debug, Default)]
pub struct Demultiplexer {
    by_address: HashMap<Remote, Owner>,
    addresses_of: HandleMap<VecDeque<Remote>>,
    by_fragment: HashMap<String, Handle>,
    by_transaction: HashMap<Transaction, Handle>,
    transactions: VecDeque<Transaction>,
    /// Since they were taken; None: nobody wants them.
    changes: Option<Vec<RouteChange>>,
}

impl Demultiplexer {
    /// From now on keep what changes, for [`Demultiplexer::take_changes`].
    pub fn watch(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// What has changed since the last call, in order.
    pub fn take_changes(&mut self) -> Vec<RouteChange> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Do as another table did.
    pub fn apply(&mut self, now: Instant, change: RouteChange) {
        match change {
            RouteChange::Fragment(fragment, transport) => self.add_fragment(&fragment, transport),
            RouteChange::Claim(protocol, source, transport) => self.claim(now, protocol, source, transport),
            RouteChange::Sent(transaction, transport) => self.remember(transaction, transport),
            RouteChange::Removed(transport) => self.remove(transport),
        }
    }

    fn changed(&mut self, change: impl FnOnce() -> RouteChange) {
        if let Some(changes) = &mut self.changes {
            changes.push(change());
        }
    }

    /// STUN requests for this local username fragment are the transport's.
    pub fn add_fragment(&mut self, fragment: &str, transport: Handle) {
        if self.by_fragment.get(fragment) != Some(&transport) {
            self.changed(|| RouteChange::Fragment(fragment.to_owned(), transport));
            self.by_fragment.insert(fragment.to_owned(), transport);
        }
    }

    /// A datagram goes out: the answer to a STUN request comes back to this transport.
    pub fn sent(&mut self, contents: &[u8], transport: Handle) {
        if !is_stun(contents) || read_u16(contents, 0) != Some(BINDING_REQUEST) {
            return;
        }
        if let Some(transaction) = transaction_of(contents) {
            self.remember(transaction, transport);
        }
    }

    fn remember(&mut self, transaction: Transaction, transport: Handle) {
        self.changed(|| RouteChange::Sent(transaction, transport));
        if self.by_transaction.insert(transaction, transport).is_none() {
            self.transactions.push_back(transaction);
        }
        if self.transactions.len() > MAX_TRANSACTIONS
            && let Some(oldest) = self.transactions.pop_front()
        {
            self.by_transaction.remove(&oldest);
        }
    }

    /// The transport of a datagram that came in. A STUN request finds it by its username, which proves nothing: see
    /// [`Demultiplexer::claim`].
    pub fn route(
        &mut self,
        now: Instant,
        protocol: Protocol,
        source: SocketAddr,
        contents: &[u8],
    ) -> Option<Handle> {
        let remote = (protocol, source);
        if !is_stun(contents) {
            let owner = self.by_address.get_mut(&remote)?;
            owner.last_used_at = now;
            return Some(owner.transport);
        }
        if let Some(fragment) = local_fragment(contents) {
            return self.by_fragment.get(fragment).copied();
        }
        let answered = transaction_of(contents).and_then(|transaction| self.by_transaction.get(&transaction));
        answered
            .copied()
            .or_else(|| self.by_address.get(&remote).map(|owner| owner.transport))
    }

    /// An authentic STUN packet came from there: what else comes from there is the transport's.
    pub fn claim(&mut self, now: Instant, protocol: Protocol, source: SocketAddr, transport: Handle) {
        self.changed(|| RouteChange::Claim(protocol, source, transport));
        let remote = (protocol, source);
        match self.by_address.get_mut(&remote) {
            Some(owner) if owner.transport == transport => owner.last_used_at = now,
            Some(owner) if now.saturating_duration_since(owner.last_used_at) < TAKE_OVER_AFTER => {}
            _ => self.assign(now, remote, transport),
        }
    }

    fn assign(&mut self, now: Instant, remote: Remote, transport: Handle) {
        if let Some(before) = self.by_address.insert(
            remote,
            Owner {
                transport,
                last_used_at: now,
            },
        ) && let Some(addresses) = self.addresses_of.get_mut(&before.transport)
        {
            addresses.retain(|address| *address != remote);
        }
        let addresses = self.addresses_of.entry(transport).or_default();
        addresses.push_back(remote);
        if addresses.len() > MAX_ADDRESSES_PER_TRANSPORT
            && let Some(oldest) = addresses.pop_front()
        {
            self.by_address.remove(&oldest);
        }
    }

    /// The transport is gone.
    pub fn remove(&mut self, transport: Handle) {
        self.changed(|| RouteChange::Removed(transport));
        for address in self.addresses_of.remove(&transport).unwrap_or_default() {
            self.by_address.remove(&address);
        }
        self.by_fragment.retain(|_, owner| *owner != transport);
        self.by_transaction.retain(|_, owner| *owner != transport);
        let kept = &self.by_transaction;
        self.transactions
            .retain(|transaction| kept.contains_key(transaction));
    }
}

fn is_stun(contents: &[u8]) -> bool {
    contents.len() >= STUN_HEADER_LENGTH && contents[0] < 4 && contents[4..8] == STUN_COOKIE
}

fn transaction_of(contents: &[u8]) -> Option<Transaction> {
    contents.get(8..STUN_HEADER_LENGTH)?.try_into().ok()
}

/// The part of a binding request's USERNAME before the colon: the fragment of the one it is sent to.
fn local_fragment(contents: &[u8]) -> Option<&str> {
    if read_u16(contents, 0)? != BINDING_REQUEST {
        return None;
    }
    let mut at = STUN_HEADER_LENGTH;
    loop {
        let (kind, length) = (read_u16(contents, at)?, usize::from(read_u16(contents, at + 2)?));
        let value = contents.get(at + 4..at + 4 + length)?;
        if kind == USERNAME {
            return std::str::from_utf8(value).ok()?.split(':').next();
        }
        at += 4 + length.next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stun(kind: u16, transaction: u8, username: Option<&str>) -> Vec<u8> {
        let mut out = kind.to_be_bytes().to_vec();
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&STUN_COOKIE);
        out.extend_from_slice(&[transaction; 12]);
        if let Some(name) = username {
            out.extend_from_slice(&[0x80, 0x22, 0, 1, b'x', 0, 0, 0, 0, 6, 0, name.len() as u8]);
            out.extend_from_slice(name.as_bytes());
        }
        out
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn datagrams_find_their_transport() {
        let now = Instant::now();
        let mut table = Demultiplexer::default();
        table.add_fragment("aaaa", 1);
        table.add_fragment("bbbb", 2);
        let route = |table: &mut Demultiplexer, port, contents: &[u8]| {
            table.route(now, Protocol::Udp, address(port), contents)
        };
        assert_eq!(route(&mut table, 1, &[0x80; 30]), None);
        let request = stun(BINDING_REQUEST, 1, Some("aaaa:zz"));
        assert_eq!(route(&mut table, 1, &request), Some(1));
        assert_eq!(
            route(&mut table, 1, &[0x80; 30]),
            None,
            "a username proves nothing"
        );
        table.claim(now, Protocol::Udp, address(1), 1);
        assert_eq!(route(&mut table, 1, &[0x80; 30]), Some(1));
        let unknown = stun(BINDING_REQUEST, 1, Some("cccc:zz"));
        assert_eq!(route(&mut table, 2, &unknown), None);
        assert_eq!(route(&mut table, 2, &stun(0x0101, 9, None)), None);
        table.sent(&stun(BINDING_REQUEST, 9, Some("zz:bbbb")), 2);
        assert_eq!(route(&mut table, 2, &stun(0x0101, 9, None)), Some(2));
        table.remove(1);
        assert_eq!(route(&mut table, 1, &[0x80; 30]), None);
    }

    #[test]
    fn an_address_in_use_is_not_taken_over() {
        let now = Instant::now();
        let mut table = Demultiplexer::default();
        let media = [0x80; 30];
        table.claim(now, Protocol::Udp, address(1), 1);
        table.claim(now, Protocol::Udp, address(1), 2);
        assert_eq!(table.route(now, Protocol::Udp, address(1), &media), Some(1));
        let later = now + TAKE_OVER_AFTER;
        table.claim(later, Protocol::Udp, address(1), 2);
        assert_eq!(table.route(later, Protocol::Udp, address(1), &media), Some(2));
    }

    #[test]
    fn tables_are_bounded() {
        let now = Instant::now();
        let mut table = Demultiplexer::default();
        for port in 1..1_000 {
            table.claim(now, Protocol::Udp, address(port), 1);
        }
        assert_eq!(table.by_address.len(), MAX_ADDRESSES_PER_TRANSPORT);
        for index in 0..MAX_TRANSACTIONS as u32 + 10 {
            let mut request = stun(BINDING_REQUEST, 0, None);
            request[8..12].copy_from_slice(&index.to_be_bytes());
            table.sent(&request, 1);
        }
        assert_eq!(
            (table.by_transaction.len(), table.transactions.len()),
            (MAX_TRANSACTIONS, MAX_TRANSACTIONS)
        );
    }
}

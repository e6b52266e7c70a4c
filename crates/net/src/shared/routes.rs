//! Which endpoint a datagram of a shared socket is for.
//!
//! All of it is learnt from what endpoints send, as a NAT does: a remote address belongs to the endpoint that first
//! sends there, or says that it will; a check names both ufrags, so its answer's way back is known; what is asked of a
//! STUN server is known by its transaction. What arrives teaches nothing.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::stun::{Seen, Transaction};

/// For so long after its endpoint has gone nobody else is given a remote: one that serves many connections on one port
/// may still take us for the one of before, until it has given that one up.
const REST: Duration = Duration::from_secs(60);
/// Remotes that rest; the one that has rested longest gives way.
const MAX_RESTING: usize = 65_536;
/// Remotes of one endpoint.
const MAX_REMOTES: usize = 256;
/// Pairs of ufrags of one endpoint, of the last ICE restarts; the oldest gives way.
const MAX_USERNAMES: usize = 8;
/// As long as a request to a STUN server is repeated (RFC 8489 section 6.2.1).
const TRANSACTION_AGE: Duration = Duration::from_secs(40);
/// Requests to STUN servers of that time; beyond it the older half is forgotten.
const MAX_TRANSACTIONS: usize = 8_192;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Of(u32),
    Resting,
}

/// What is forgotten with an endpoint.
#[derive(Default)]
struct Holdings {
    remotes: Vec<SocketAddr>,
    usernames: VecDeque<Box<[u8]>>,
}

#[derive(Default)]
pub(super) struct Routes {
    claims: HashMap<SocketAddr, Claim>,
    /// As the remote's checks have them.
    usernames: HashMap<Box<[u8]>, u32>,
    transactions: Transactions,
    holdings: HashMap<u32, Holdings>,
    /// Until when, in order.
    resting: VecDeque<(Instant, SocketAddr)>,
}

impl Routes {
    /// Whether this endpoint has, or could have, this remote.
    pub(super) fn is_free_for(&mut self, key: u32, remote: SocketAddr, now: Instant) -> bool {
        self.wake_rested(now);
        self.claims
            .get(&remote)
            .is_none_or(|claim| *claim == Claim::Of(key))
    }

    /// From now on this remote is this endpoint's. False when it can't be.
    pub(super) fn claim(&mut self, key: u32, remote: SocketAddr, now: Instant) -> bool {
        if let Some(claim) = self.claims.get(&remote)
            && *claim != Claim::Resting
        {
            return *claim == Claim::Of(key);
        }
        if !self.is_free_for(key, remote, now) {
            return false;
        }
        let held = self.holdings.entry(key).or_default();
        if held.remotes.len() >= MAX_REMOTES {
            return false;
        }
        held.remotes.push(remote);
        self.claims.insert(remote, Claim::Of(key));
        true
    }

    /// Whether this endpoint may send this; where its answer goes is learnt.
    pub(super) fn admit(&mut self, key: u32, remote: SocketAddr, contents: &[u8], now: Instant) -> bool {
        let username = match Seen::new(contents) {
            // A server tells all who ask the same, so it belongs to nobody.
            Seen::Binding(transaction, None) => {
                self.transactions.insert(transaction, key, now);
                return true;
            }
            Seen::Binding(_, username) => username,
            Seen::Response(_) | Seen::Other | Seen::Malformed => None,
        };
        let is_ours = self.claim(key, remote, now);
        if let Some(answered) = username.filter(|_| is_ours).and_then(turned) {
            self.learn(key, answered);
        }
        is_ours
    }

    /// Whose a datagram from this remote is.
    pub(super) fn recipient(&self, remote: SocketAddr, contents: &[u8]) -> Option<u32> {
        match Seen::new(contents) {
            Seen::Binding(_, username) => self.usernames.get(username?).copied(),
            Seen::Response(transaction) => self.transactions.get(transaction).or_else(|| self.owner(remote)),
            Seen::Other => self.owner(remote),
            Seen::Malformed => None,
        }
    }

    /// This endpoint is gone.
    pub(super) fn release(&mut self, key: u32, now: Instant) {
        self.wake_rested(now);
        let Some(held) = self.holdings.remove(&key) else {
            return;
        };
        for username in held.usernames {
            self.usernames.remove(&username);
        }
        for remote in held.remotes {
            self.claims.insert(remote, Claim::Resting);
            self.resting.push_back((now + REST, remote));
        }
        while self.resting.len() > MAX_RESTING {
            self.wake_first();
        }
    }

    fn owner(&self, remote: SocketAddr) -> Option<u32> {
        match self.claims.get(&remote)? {
            Claim::Of(key) => Some(*key),
            Claim::Resting => None,
        }
    }

    fn learn(&mut self, key: u32, username: Box<[u8]>) {
        let Entry::Vacant(place) = self.usernames.entry(username) else {
            return;
        };
        let held = self.holdings.entry(key).or_default();
        held.usernames.push_back(place.key().clone());
        place.insert(key);
        if held.usernames.len() > MAX_USERNAMES
            && let Some(oldest) = held.usernames.pop_front()
        {
            self.usernames.remove(&oldest);
        }
    }

    fn wake_rested(&mut self, now: Instant) {
        while self.resting.front().is_some_and(|(until, _)| *until <= now) {
            self.wake_first();
        }
    }

    fn wake_first(&mut self) {
        if let Some((_, remote)) = self.resting.pop_front() {
            self.claims.remove(&remote);
        }
    }
}

/// `theirs:ours`, as we send it, is `ours:theirs` in their checks (RFC 8445 section 7.2.2).
fn turned(username: &[u8]) -> Option<Box<[u8]>> {
    let colon = username.iter().position(|byte| *byte == b':')?;
    let (theirs, ours) = (&username[..colon], &username[colon + 1..]);
    Some([ours, b":", theirs].concat().into())
}

/// In two generations, so that none needs a timer.
#[derive(Default)]
struct Transactions {
    recent: HashMap<Transaction, u32>,
    older: HashMap<Transaction, u32>,
    began_at: Option<Instant>,
}

impl Transactions {
    fn insert(&mut self, transaction: Transaction, key: u32, now: Instant) {
        let began_at = *self.began_at.get_or_insert(now);
        if began_at + TRANSACTION_AGE <= now || self.recent.len() >= MAX_TRANSACTIONS {
            self.older = std::mem::take(&mut self.recent);
            self.began_at = Some(now);
        }
        self.recent.insert(transaction, key);
    }

    fn get(&self, transaction: Transaction) -> Option<u32> {
        let found = self.recent.get(&transaction);
        found.or_else(|| self.older.get(&transaction)).copied()
    }
}

#[cfg(test)]
mod tests;

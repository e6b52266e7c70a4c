//! Requests that wait for their answers, repeated over UDP (RFC 8489 section 6.2.1).

use std::time::{Duration, Instant};

use crate::message::TransactionId;

/// Before the first repetition; it doubles with each.
const FIRST_TIMEOUT: Duration = Duration::from_millis(250);
const SENDS: u32 = 6;
/// How long a request waits for its answer, over UDP all repetitions included.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(9_750);

struct Transaction<R> {
    id: TransactionId,
    request: R,
    bytes: Vec<u8>,
    sends: u32,
    next_at: Instant,
    gives_up_at: Instant,
}

/// The open requests of one client, each with what it is about.
pub(crate) struct Transactions<R> {
    open: Vec<Transaction<R>>,
    /// The way loses nothing: each is sent once.
    reliable: bool,
}

impl<R> Transactions<R> {
    pub fn new(reliable: bool) -> Transactions<R> {
        Transactions {
            open: Vec::new(),
            reliable,
        }
    }

    /// The id for the next request.
    pub fn next_id(&self) -> TransactionId {
        rand::random()
    }

    /// Remember a request that is being sent now.
    pub fn begin(&mut self, id: TransactionId, request: R, bytes: Vec<u8>, now: Instant) {
        let gives_up_at = now + TIMEOUT;
        let next_at = if self.reliable {
            gives_up_at
        } else {
            now + FIRST_TIMEOUT
        };
        self.open.push(Transaction {
            id,
            request,
            bytes,
            sends: 1,
            next_at,
            gives_up_at,
        });
    }

    /// The request that this id names; it is answered.
    pub fn take(&mut self, id: &TransactionId) -> Option<R> {
        let index = self.open.iter().position(|transaction| transaction.id == *id)?;
        Some(self.open.swap_remove(index).request)
    }

    pub fn clear(&mut self) {
        self.open.clear();
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.open.iter().map(|transaction| transaction.next_at).min()
    }

    /// Give what is due again to `send`; returns the requests that were given up.
    pub fn handle_timeout(&mut self, now: Instant, mut send: impl FnMut(Vec<u8>)) -> Vec<R> {
        let mut given_up = Vec::new();
        let mut index = 0;
        while let Some(transaction) = self.open.get_mut(index) {
            if transaction.gives_up_at <= now {
                given_up.push(self.open.swap_remove(index).request);
                continue;
            }
            if transaction.next_at <= now {
                let pause = FIRST_TIMEOUT * 2u32.pow(transaction.sends.min(SENDS));
                transaction.sends += 1;
                transaction.next_at = if transaction.sends >= SENDS {
                    transaction.gives_up_at
                } else {
                    (now + pause).min(transaction.gives_up_at)
                };
                send(transaction.bytes.clone());
            }
            index += 1;
        }
        given_up
    }
}

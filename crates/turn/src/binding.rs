//! Asking a STUN server how our address looks from outside (RFC 8489 Binding).

use std::net::SocketAddr;
use std::time::Instant;

use crate::ServerError;
use crate::message::{Class, Message, Method, Writer};
use crate::transactions::{TIMEOUT, Transactions};

/// One question to one server, over UDP.
pub(crate) struct Binding {
    server: SocketAddr,
    transactions: Transactions<()>,
    transmits: Vec<Vec<u8>>,
    result: Option<Result<SocketAddr, ServerError>>,
}

impl Binding {
    pub fn new(server: SocketAddr, now: Instant) -> Binding {
        let mut transactions = Transactions::new(false);
        let id = transactions.next_id();
        let request = Writer::new(Class::Request, Method::Binding, id).finish(None);
        transactions.begin(id, (), request.clone(), now);
        Binding {
            server,
            transactions,
            transmits: vec![request],
            result: None,
        }
    }

    /// Whether it was the answer.
    pub fn handle(&mut self, message: &Message<'_>) -> bool {
        if self.transactions.take(&message.transaction).is_none() {
            return false;
        }
        let mapped = message.mapped_address();
        let refusal = message.error().map_or(
            ServerError::Protocol {
                reason: "its answer has no address",
            },
            ServerError::refused,
        );
        self.result = Some(mapped.filter(|_| message.class == Class::Success).ok_or(refusal));
        true
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let transmits = &mut self.transmits;
        let given_up = self
            .transactions
            .handle_timeout(now, |bytes| transmits.push(bytes));
        if !given_up.is_empty() {
            self.result = Some(Err(ServerError::NoAnswer {
                address: self.server,
                waited_s: TIMEOUT.as_secs(),
            }));
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.transactions.poll_timeout()
    }

    pub fn take_transmits(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.transmits)
    }

    pub fn close(&mut self) {
        self.transactions.clear();
    }

    /// What came of it, once.
    pub fn take_result(&mut self) -> Option<Result<SocketAddr, ServerError>> {
        self.result.take()
    }
}

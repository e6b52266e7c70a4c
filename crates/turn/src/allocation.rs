//! One relayed address on one TURN server (RFC 8656), kept alive until it is closed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::ServerError;
use crate::channels::{Channels, Route};
use crate::message::{Class, Key, Message, Method, Writer, attribute};
use crate::transactions::{TIMEOUT, Transactions};

/// UDP, in REQUESTED-TRANSPORT: an IP protocol number.
const TRANSPORT_UDP: [u8; 4] = [17, 0, 0, 0];
const FAMILY_IPV6: [u8; 4] = [2, 0, 0, 0];
/// Refreshed so long before its end, or after half of a short life.
const REFRESH_MARGIN: Duration = Duration::from_secs(60);
const DEFAULT_LIFETIME_S: u32 = 600;
/// Stale nonces in a row that are taken; a server that never likes one is left.
const MAX_STALE_NONCES: u32 = 4;

/// How to reach and to satisfy the server.
#[derive(Clone)]
pub struct AllocationConfig {
    pub server: SocketAddr,
    pub username: String,
    pub password: String,
    /// The server is reached over TCP or TLS.
    pub reliable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Allocate { ipv6: bool },
    Refresh { lifetime_s: u32 },
    Bind { peer: SocketAddr },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Allocating,
    Ready {
        relayed: SocketAddr,
    },
    /// Failed or closed.
    Over,
}

/// What happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllocationEvent {
    /// `mapped` is our own address as the server sees it.
    Ready {
        relayed: SocketAddr,
        mapped: Option<SocketAddr>,
    },
    /// The server names another one to ask in its place (300 Try Alternate).
    Elsewhere(SocketAddr),
    /// It was never there, or is there no more.
    Failed(ServerError),
}

/// The client's side of one allocation. Messages of a stream come and go one at a time, with their padding.
pub struct Allocation {
    config: AllocationConfig,
    state: State,
    realm: String,
    nonce: String,
    key: Option<Key>,
    stale_nonces: u32,
    refresh_at: Option<Instant>,
    expires_at: Option<Instant>,
    channels: Channels,
    transactions: Transactions<Request>,
    transmits: Vec<Vec<u8>>,
    event: Option<AllocationEvent>,
}

impl Allocation {
    /// Ask for it.
    pub fn new(config: AllocationConfig, now: Instant) -> Allocation {
        let mut allocation = Allocation {
            state: State::Allocating,
            realm: String::new(),
            nonce: String::new(),
            key: None,
            stale_nonces: 0,
            refresh_at: None,
            expires_at: None,
            channels: Channels::new(config.reliable),
            transactions: Transactions::new(config.reliable),
            transmits: Vec::new(),
            event: None,
            config,
        };
        let ipv6 = allocation.config.server.is_ipv6();
        allocation.request(Request::Allocate { ipv6 }, now);
        allocation
    }

    pub fn relayed(&self) -> Option<SocketAddr> {
        match self.state {
            State::Ready { relayed } => Some(relayed),
            State::Allocating | State::Over => None,
        }
    }

    /// Send to `peer` from the relayed address. A first datagram waits, with a few more, until the way is open.
    pub fn send(&mut self, now: Instant, peer: SocketAddr, contents: &[u8]) {
        if self.relayed().is_none() {
            return;
        }
        match self.channels.route(now, peer, contents) {
            Route::Send(framed) => self.transmits.push(framed),
            Route::Bind => self.request(Request::Bind { peer }, now),
            Route::Wait | Route::Drop => {}
        }
    }

    /// Something from the server; data of a peer's is returned. What is malformed or unasked for is dropped.
    pub fn handle<'a>(&mut self, now: Instant, bytes: &'a [u8]) -> Option<(SocketAddr, &'a [u8])> {
        if let Some(data) = self.channels.unframe(bytes) {
            return data;
        }
        let message = Message::parse(bytes)?;
        match (message.class, message.method) {
            (Class::Indication, Method::Data) => {
                self.relayed()?;
                let peer = message.xor_address(attribute::XOR_PEER_ADDRESS)?;
                return Some((peer, message.attribute(attribute::DATA)?));
            }
            (Class::Success, _) => self.succeeded(now, &message),
            (Class::Error, _) => self.refused(now, &message),
            (Class::Request | Class::Indication, _) => {}
        }
        None
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let transmits = &mut self.transmits;
        let given_up = self
            .transactions
            .handle_timeout(now, |bytes| transmits.push(bytes));
        for request in given_up {
            self.given_up(request, now);
        }
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = None;
            let lifetime_s = DEFAULT_LIFETIME_S;
            self.request(Request::Refresh { lifetime_s }, now);
        }
        while let Some(peer) = self.channels.due(now) {
            self.request(Request::Bind { peer }, now);
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let all = [
            self.transactions.poll_timeout(),
            self.refresh_at,
            self.channels.poll_timeout(),
        ];
        all.into_iter().flatten().min()
    }

    /// What is to be sent to the server, in order.
    pub fn take_transmits(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.transmits)
    }

    /// What happened since the last call.
    pub fn take_event(&mut self) -> Option<AllocationEvent> {
        self.event.take()
    }

    /// Give it back; `take_transmits` has the message that says so, which nobody waits for.
    pub fn close(&mut self, now: Instant) {
        if self.relayed().is_some() {
            self.request(Request::Refresh { lifetime_s: 0 }, now);
        }
        self.end();
    }

    /// The way to the server is gone.
    pub fn fail(&mut self, error: ServerError) {
        if self.state != State::Over {
            self.end();
            self.event = Some(AllocationEvent::Failed(error));
        }
    }

    fn end(&mut self) {
        self.state = State::Over;
        self.refresh_at = None;
        self.transactions.clear();
        self.channels.clear();
    }

    fn request(&mut self, request: Request, now: Instant) {
        let id = self.transactions.next_id();
        let writer = |method| Writer::new(Class::Request, method, id);
        let mut writer = match request {
            Request::Allocate { ipv6 } => {
                let writer =
                    writer(Method::Allocate).attribute(attribute::REQUESTED_TRANSPORT, &TRANSPORT_UDP);
                match ipv6 {
                    true => writer.attribute(attribute::REQUESTED_ADDRESS_FAMILY, &FAMILY_IPV6),
                    false => writer,
                }
            }
            Request::Refresh { lifetime_s } => {
                writer(Method::Refresh).attribute(attribute::LIFETIME, &lifetime_s.to_be_bytes())
            }
            Request::Bind { peer } => {
                let [high, low] = self.channels.number(peer).to_be_bytes();
                writer(Method::ChannelBind)
                    .attribute(attribute::CHANNEL_NUMBER, &[high, low, 0, 0])
                    .xor_address(attribute::XOR_PEER_ADDRESS, peer)
            }
        };
        if self.key.is_some() {
            writer = writer
                .attribute(attribute::USERNAME, self.config.username.as_bytes())
                .attribute(attribute::REALM, self.realm.as_bytes())
                .attribute(attribute::NONCE, self.nonce.as_bytes());
        }
        let bytes = writer.finish(self.key.as_ref());
        self.transmits.push(bytes.clone());
        self.transactions.begin(id, request, bytes, now);
    }

    fn succeeded(&mut self, now: Instant, message: &Message<'_>) {
        // A server may answer without authentication if it asks for none.
        let authentic = self.key.as_ref().is_none_or(|key| message.is_authentic(key));
        if !authentic {
            log::debug!("an answer of {} is not authentic", self.config.server);
            return;
        }
        let Some(request) = self.transactions.take(&message.transaction) else {
            return;
        };
        self.stale_nonces = 0;
        match request {
            Request::Allocate { .. } => self.allocated(now, message),
            Request::Refresh { .. } => self.refresh_after(now, message),
            Request::Bind { peer } => {
                let waiting = self.channels.bound(peer, now);
                self.transmits.extend(waiting);
            }
        }
    }

    fn allocated(&mut self, now: Instant, message: &Message<'_>) {
        let Some(relayed) = message.xor_address(attribute::XOR_RELAYED_ADDRESS) else {
            let reason = "its answer has no relayed address";
            self.fail(ServerError::Protocol { reason });
            return;
        };
        self.state = State::Ready { relayed };
        self.event = Some(AllocationEvent::Ready {
            relayed,
            mapped: message.xor_address(attribute::XOR_MAPPED_ADDRESS),
        });
        self.refresh_after(now, message);
    }

    fn refresh_after(&mut self, now: Instant, message: &Message<'_>) {
        let lifetime_s = message.number(attribute::LIFETIME).unwrap_or(DEFAULT_LIFETIME_S);
        let lifetime = Duration::from_secs(lifetime_s.into());
        let margin = REFRESH_MARGIN.min(lifetime / 2);
        self.expires_at = Some(now + lifetime);
        self.refresh_at = Some(now + (lifetime - margin).max(Duration::from_secs(1)));
    }

    fn refused(&mut self, now: Instant, message: &Message<'_>) {
        let Some(error) = message.error() else { return };
        let Some(request) = self.transactions.take(&message.transaction) else {
            return;
        };
        let challenged = error.0 == 401 && self.key.is_none();
        let stale = error.0 == 438 && self.stale_nonces < MAX_STALE_NONCES;
        if challenged || stale {
            let realm = message.text(attribute::REALM).unwrap_or(&self.realm).to_owned();
            let Some(nonce) = message.text(attribute::NONCE) else {
                let reason = "it asks for credentials without a nonce";
                return self.fail(ServerError::Protocol { reason });
            };
            self.stale_nonces += u32::from(stale);
            self.nonce = nonce.to_owned();
            self.key = Some(Key::long_term(
                &self.config.username,
                &realm,
                &self.config.password,
            ));
            self.realm = realm;
            return self.request(request, now);
        }
        if let Some(server) = self.alternate(request, &error, message) {
            self.end();
            self.event = Some(AllocationEvent::Elsewhere(server));
            return;
        }
        match request {
            // No relay addresses of this family, or a server that does not know families.
            Request::Allocate { ipv6: true } if matches!(error.0, 420 | 440) => {
                self.request(Request::Allocate { ipv6: false }, now);
            }
            Request::Allocate { .. } | Request::Refresh { .. } => self.fail(ServerError::refused(error)),
            Request::Bind { peer } => {
                log::debug!(
                    "{} does not relay to {peer}: {} {}",
                    self.config.server,
                    error.0,
                    error.1
                );
                self.channels.refused(peer, now);
            }
        }
    }

    /// RFC 8489 section 10: in the answer to an allocation, which has to be authentic once there are credentials.
    fn alternate(
        &self,
        request: Request,
        error: &(u16, String),
        message: &Message<'_>,
    ) -> Option<SocketAddr> {
        let is_asked = matches!(request, Request::Allocate { .. }) && error.0 == 300;
        let is_authentic = || self.key.as_ref().is_none_or(|key| message.is_authentic(key));
        let server = (is_asked && is_authentic()).then(|| message.address(attribute::ALTERNATE_SERVER))??;
        // RFC 8489 section 10: of the same family.
        (server.is_ipv4() == self.config.server.is_ipv4()).then_some(server)
    }

    fn given_up(&mut self, request: Request, now: Instant) {
        match request {
            Request::Bind { peer } => self.channels.refused(peer, now),
            // Bad luck, as long as there is time to try again.
            Request::Refresh { .. } if self.expires_at.is_some_and(|at| at > now) => {
                self.request(request, now)
            }
            Request::Allocate { .. } | Request::Refresh { .. } => self.fail(ServerError::NoAnswer {
                address: self.config.server,
                waited_s: TIMEOUT.as_secs(),
            }),
        }
    }
}

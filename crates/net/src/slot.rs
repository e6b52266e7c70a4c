//! One endpoint on its worker, with its sockets.

mod connections;
mod datagrams;
mod orders;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::endpoint::{Opening, SocketEvent, Transmit};
use crate::handle::{EndpointState, Work};
use crate::statistics::COUNTERS;
use crate::syscalls::{Epoll, Readiness};
use crate::tcp::Connection;
use crate::worker::{AnyEndpoint, NewEndpoint, WorkerIo, drop_caught, panic_text};

pub(crate) use datagrams::is_fatal;
use datagrams::{Udp, UdpUse};

const MAX_CONNECTIONS: usize = 1024;
/// Deadlines in the past that an endpoint may give in a row without doing anything.
const MAX_IDLE_TIMEOUTS: u32 = 1000;
const IDLE_TIMEOUT_DELAY: Duration = Duration::from_millis(1);

/// Rounds in which an endpoint may answer to what its orders brought, in one flush.
const EVENT_ROUNDS: usize = 4;

const INDEX_BITS: u32 = 30;

/// Which socket of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Udp(u32),
    Listener(u32),
    Connection(u32),
}

impl Source {
    pub(crate) fn from_token(token: u32) -> Source {
        let index = token & ((1 << INDEX_BITS) - 1);
        match token >> INDEX_BITS {
            0 => Source::Udp(index),
            1 => Source::Listener(index),
            _ => Source::Connection(index),
        }
    }

    fn token(self, key: u32) -> u64 {
        let (kind, index) = match self {
            Source::Udp(index) => (0, index),
            Source::Listener(index) => (1, index),
            Source::Connection(index) => (2, index),
        };
        (u64::from(key) << 32) | u64::from((kind << INDEX_BITS) | index)
    }
}

/// The endpoint, called only under `catch_unwind`.
struct Guarded {
    endpoint: Box<dyn AnyEndpoint>,
    /// Why it is not called any more.
    failure: Option<String>,
}

impl Guarded {
    fn call<R>(&mut self, f: impl FnOnce(&mut dyn AnyEndpoint) -> R) -> Option<R> {
        if self.failure.is_some() {
            return None;
        }
        match catch_unwind(AssertUnwindSafe(|| f(self.endpoint.as_mut()))) {
            Ok(result) => Some(result),
            Err(panic) => {
                COUNTERS.panics_caught.add(1);
                self.fail(format!(
                    "internal error (please report it): {}",
                    panic_text(panic.as_ref())
                ));
                drop_caught(panic);
                None
            }
        }
    }

    fn fail(&mut self, reason: String) {
        log::error!("endpoint failed: {reason}");
        self.failure.get_or_insert(reason);
    }
}

pub(crate) struct Slot {
    key: u32,
    state: Arc<EndpointState>,
    guarded: Guarded,
    udp: Vec<Udp>,
    listeners: Vec<TcpListener>,
    connections: HashMap<u32, Connection>,
    /// Of those that were accepted.
    connection_of_remote: HashMap<SocketAddr, u32>,
    /// Of those that were opened.
    connection_of_opening: HashMap<Opening, u32>,
    /// For the endpoint.
    socket_events: Vec<SocketEvent>,
    next_connection: u32,
    max_connections: usize,
    /// When connections are looked at for silence, and resting listeners woken.
    sweep_at: Option<Instant>,
    /// The endpoint's own deadline.
    deadline: Option<Instant>,
    idle_timeouts: u32,
    /// Had a datagram or a command since the last flush.
    had_input: bool,
    /// The turn that `budget` is of.
    turn: u64,
    budget: usize,
    /// Told that a remote is another's on the shared sockets.
    told_taken: bool,
    /// In the worker's list of endpoints to flush.
    pub(crate) touched: bool,
}

impl Slot {
    pub(crate) fn new(new: NewEndpoint) -> Slot {
        let mut guarded = Guarded {
            endpoint: new.endpoint,
            failure: None,
        };
        let own = new.sockets.udp.into_iter();
        let own = own.map(|socket| (socket.local_addr(), UdpUse::Own(socket)));
        let sending = new.sockets.sending.into_iter();
        let sending = sending.map(|socket| (socket.local_addr(), UdpUse::Sending(socket)));
        let mut udp = Vec::new();
        for (address, socket) in own.chain(sending) {
            match address {
                Ok(address) => udp.push(Udp { socket, address }),
                Err(error) => guarded.fail(format!("a UDP socket is unusable: {error}")),
            }
        }
        Slot {
            key: new.key,
            state: new.state,
            guarded,
            udp,
            listeners: new.sockets.tcp_listeners,
            connections: HashMap::new(),
            connection_of_remote: HashMap::new(),
            connection_of_opening: HashMap::new(),
            socket_events: Vec::new(),
            next_connection: 0,
            max_connections: MAX_CONNECTIONS,
            sweep_at: None,
            deadline: None,
            idle_timeouts: 0,
            had_input: true,
            turn: 0,
            budget: 0,
            told_taken: false,
            touched: false,
        }
    }

    /// Put all sockets into the worker's set.
    pub(crate) fn register(&mut self, epoll: &Epoll) {
        let key = self.key;
        let udp = (self.udp.iter().zip(0..))
            .filter_map(|(udp, index)| Some((udp.own()?, index)))
            .map(|(socket, index)| epoll.add(socket, Source::Udp(index).token(key)));
        let listeners = self.listeners.iter().zip(0..);
        let listeners =
            listeners.map(|(listener, index)| epoll.add(listener, Source::Listener(index).token(key)));
        let error = udp.chain(listeners).find_map(Result::err);
        if let Some(error) = error {
            self.guarded.fail(format!("a socket can't be watched: {error}"));
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.guarded.failure.is_some()
    }

    /// Tell the endpoint if it has failed, then drop it and its sockets.
    pub(crate) fn destroy(mut self, io: &mut WorkerIo) {
        self.state.gone.store(true, Ordering::Release);
        if let Some(reason) = self.guarded.failure.take() {
            self.guarded.call(|endpoint| endpoint.failed(&reason));
        }
        io.shared.leave_all(&io.epoll, self.key, Instant::now());
        let epoll = &io.epoll;
        let sockets = self.udp.iter().filter_map(Udp::own);
        sockets.for_each(|socket| epoll.remove(socket));
        self.listeners.iter().for_each(|listener| epoll.remove(listener));
        self.connections
            .values()
            .for_each(|connection| epoll.remove(&connection.stream));
        drop_caught(self.guarded.endpoint);
    }

    /// The addresses of this machine have changed.
    pub(crate) fn addresses_changed(&mut self, addresses: &[IpAddr]) {
        self.socket_events
            .push(SocketEvent::Addresses(addresses.to_vec()));
    }

    pub(crate) fn run(&mut self, work: Work, now: Instant) {
        self.had_input = true;
        self.guarded.call(|endpoint| work(endpoint.as_any(), now));
    }

    pub(crate) fn wake(&mut self, now: Instant) {
        self.had_input = true;
        self.guarded.call(|endpoint| endpoint.woken(now));
    }

    pub(crate) fn handle_timeout(&mut self, io: &mut WorkerIo, now: Instant) {
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(&io.epoll, now);
        }
        if self.deadline.is_some_and(|at| at <= now) {
            self.guarded.call(|endpoint| endpoint.handle_timeout(now));
        }
    }

    pub(crate) fn handle_readiness(
        &mut self,
        io: &mut WorkerIo,
        source: Source,
        ready: Readiness,
        now: Instant,
    ) {
        match source {
            Source::Udp(index) => self.receive(io, index as usize, now),
            Source::Listener(index) => self.accept(&io.epoll, index, now),
            Source::Connection(index) => {
                if ready.writable || ready.readable {
                    self.finish_connecting(&io.epoll, index, now);
                }
                if ready.writable {
                    self.write(&io.epoll, index);
                }
                if ready.readable {
                    self.read(io, index, now);
                }
            }
        }
    }

    /// Ask for what to send, send it, and ask for the deadline; returns when to call `handle_timeout`.
    pub(crate) fn flush(&mut self, io: &mut WorkerIo, now: Instant) -> Option<Instant> {
        let mut transmits = std::mem::take(&mut io.transmits);
        let mut progress = std::mem::take(&mut self.had_input);
        for _ in 0..EVENT_ROUNDS {
            for event in std::mem::take(&mut self.socket_events) {
                self.guarded.call(|endpoint| endpoint.handle_socket(now, event));
            }
            self.guarded
                .call(|endpoint| endpoint.poll_transmit(&mut transmits));
            progress |= !transmits.is_empty();
            self.open_sockets(io, &transmits.orders, now);
            self.send(io, &transmits.transmits, now);
            self.close_sockets(io, &transmits.orders, now);
            self.guarded.call(|endpoint| endpoint.take_back(&mut transmits));
            transmits.transmits.clear();
            transmits.orders.clear();
            if self.socket_events.is_empty() {
                break;
            }
        }
        io.transmits = transmits;
        let deadline = self.guarded.call(|endpoint| endpoint.poll_timeout()).flatten();
        self.deadline = deadline.map(|at| self.restrained(at, now, progress));
        let events = (!self.socket_events.is_empty()).then_some(now);
        [self.deadline, self.sweep_at, events].into_iter().flatten().min()
    }

    fn send(&mut self, io: &mut WorkerIo, transmits: &[Transmit], now: Instant) {
        if transmits.is_empty() {
            return;
        }
        let mut unrouted = transmits.len();
        unrouted -= self.send_datagrams(io, transmits, now);
        unrouted -= self.send_on_connections(&io.epoll, transmits);
        COUNTERS.transmits_without_route.add(unrouted as u64);
    }

    /// The deadline, a little later when this endpoint does nothing but ask to be called at once.
    fn restrained(&mut self, at: Instant, now: Instant, progress: bool) -> Instant {
        if at > now || progress {
            self.idle_timeouts = 0;
            return at;
        }
        self.idle_timeouts = self.idle_timeouts.saturating_add(1);
        if self.idle_timeouts < MAX_IDLE_TIMEOUTS {
            return at;
        }
        if self.idle_timeouts == MAX_IDLE_TIMEOUTS {
            log::error!(
                "endpoint {}: {MAX_IDLE_TIMEOUTS} deadlines in the past without progress; slowed",
                self.key
            );
        }
        now + IDLE_TIMEOUT_DELAY
    }
}

#[cfg(test)]
mod tests;

//! The TCP connections of an endpoint: accepting, opening, reading, writing, closing.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::{INDEX_BITS, Slot, Source};
use crate::endpoint::{Opening, Protocol, Received, SocketEvent, Transmit};
use crate::statistics::COUNTERS;
use crate::syscalls::Epoll;
use crate::tcp::Connection;
use crate::worker::WorkerIo;

const ACCEPTS_PER_TURN: usize = 16;
/// How long a listener rests after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Connections are looked at for silence no more often than this.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);

impl Slot {
    pub(super) fn accept(&mut self, epoll: &Epoll, index: u32, now: Instant) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = self.listeners.get(index as usize) else {
                return;
            };
            let (stream, remote) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    // The connection stays in the backlog, so waiting for readiness would spin.
                    log::warn!("can't accept TCP connections for {ACCEPT_PAUSE:?}: {error}");
                    epoll.remove(listener);
                    self.sweep_at = Some(now + ACCEPT_PAUSE);
                    return;
                }
            };
            self.accepted(epoll, stream, remote, now);
        }
    }

    fn accepted(&mut self, epoll: &Epoll, stream: TcpStream, remote: SocketAddr, now: Instant) {
        if self.connections.len() >= self.max_connections {
            COUNTERS.tcp_connections_refused.add(1);
            return;
        }
        let number = self.next_number();
        let Ok(connection) = Connection::new(stream, remote, now) else {
            return;
        };
        let token = Source::Connection(number).token(self.key);
        if epoll.add(&connection.stream, token).is_err() {
            return;
        }
        COUNTERS.tcp_connections_accepted.add(1);
        self.sweep_by(connection.deadline());
        self.connection_of_remote.insert(remote, number);
        self.connections.insert(number, connection);
    }

    pub(super) fn read(&mut self, io: &mut WorkerIo, index: u32, now: Instant) {
        let Some(connection) = self.connections.get_mut(&index) else {
            return;
        };
        let (source, destination) = (connection.remote, connection.local);
        let protocol = connection
            .opening
            .map_or(Protocol::Tcp, |opening| opening.protocol);
        let (guarded, had_input) = (&mut self.guarded, &mut self.had_input);
        let result = connection.read(now, &mut io.scratch, |contents| {
            *had_input = true;
            COUNTERS.tcp_frames_received.add(1);
            let received = Received {
                protocol,
                source,
                destination,
                contents,
            };
            guarded.call(|endpoint| endpoint.handle_datagram(now, received));
        });
        if let Err(reason) = result {
            self.abort(&io.epoll, index, &reason);
        }
    }

    pub(super) fn write(&mut self, epoll: &Epoll, index: u32) {
        let Some(connection) = self.connections.get_mut(&index) else {
            return;
        };
        match connection.write() {
            Ok(waits) if waits == connection.waits_to_write => {}
            Ok(waits) => {
                connection.waits_to_write = waits;
                let token = Source::Connection(index).token(self.key);
                if let Err(error) = epoll.set_writable_interest(&connection.stream, token, waits) {
                    self.abort(epoll, index, &error.to_string());
                }
            }
            Err(reason) => self.abort(epoll, index, &reason),
        }
    }

    fn abort(&mut self, epoll: &Epoll, index: u32, reason: &str) {
        let Some(connection) = self.connections.remove(&index) else {
            return;
        };
        log::debug!("TCP connection of {} closed: {reason}", connection.remote);
        COUNTERS.tcp_connections_aborted.add(1);
        epoll.remove(&connection.stream);
        if let Some(opening) = connection.opening {
            self.connection_of_opening.remove(&opening);
            self.socket_events
                .push(SocketEvent::Closed(opening, reason.to_owned()));
        } else if self.connection_of_remote.get(&connection.remote) == Some(&index) {
            self.connection_of_remote.remove(&connection.remote);
        }
    }

    /// Close silent connections and wake listeners that rest.
    pub(super) fn sweep(&mut self, epoll: &Epoll, now: Instant) {
        for (listener, index) in self.listeners.iter().zip(0..) {
            // Fails for those that don't rest: they are in the set already.
            let _ = epoll.add(listener, Source::Listener(index).token(self.key));
        }
        let silent = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.deadline().is_some_and(|at| at <= now));
        for index in silent.map(|(index, _)| *index).collect::<Vec<_>>() {
            self.abort(epoll, index, "it was silent for too long");
        }
        let next = self.connections.values().filter_map(Connection::deadline).min();
        self.sweep_at = next.map(|at| at.max(now + SWEEP_INTERVAL));
    }

    /// Send what goes over connections; how many datagrams that is.
    pub(super) fn send_on_connections(&mut self, epoll: &Epoll, transmits: &[Transmit]) -> usize {
        let mut routed = 0;
        let mut written = Vec::new();
        for transmit in transmits
            .iter()
            .filter(|transmit| transmit.protocol != Protocol::Udp)
        {
            let Some(index) = self.connection_for(transmit) else {
                continue;
            };
            let Some(connection) = self.connections.get_mut(&index) else {
                continue;
            };
            routed += 1;
            if let Err(reason) = connection.queue(&transmit.contents) {
                self.abort(epoll, index, &reason);
            } else if !written.contains(&index) {
                written.push(index);
            }
        }
        for index in written {
            self.write(epoll, index);
        }
        routed
    }

    /// The connection that a datagram goes over.
    fn connection_for(&self, transmit: &Transmit) -> Option<u32> {
        let opening = Opening {
            protocol: transmit.protocol,
            source: transmit.source,
            destination: transmit.destination,
        };
        let opened = self.connection_of_opening.get(&opening);
        let accepted = || self.connection_of_remote.get(&transmit.destination);
        opened.or_else(accepted).copied()
    }

    pub(super) fn connect(&mut self, epoll: &Epoll, opening: Opening, now: Instant) {
        if self.connection_of_opening.contains_key(&opening) {
            return;
        }
        let number = self.next_number();
        let opened = match Connection::open(opening, now) {
            Ok(connection) if self.connections.len() < self.max_connections => Ok(connection),
            Ok(_) => Err("there are too many connections".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let watched = opened.and_then(|connection| {
            let token = Source::Connection(number).token(self.key);
            let watched = epoll.add(&connection.stream, token);
            let watched = watched.and_then(|()| epoll.set_writable_interest(&connection.stream, token, true));
            watched.map(|()| connection).map_err(|error| error.to_string())
        });
        match watched {
            Ok(connection) => {
                self.sweep_by(connection.deadline());
                self.connection_of_opening.insert(opening, number);
                self.connections.insert(number, connection);
            }
            Err(reason) => self.socket_events.push(SocketEvent::Closed(opening, reason)),
        }
    }

    /// Nothing for a connection that is there already.
    pub(super) fn finish_connecting(&mut self, epoll: &Epoll, index: u32, now: Instant) {
        let Some(connection) = self.connections.get_mut(&index) else {
            return;
        };
        let Some(opening) = connection.opening.filter(|_| connection.connecting) else {
            return;
        };
        match connection.finish_connecting(now) {
            Ok(()) => {
                let deadline = connection.deadline();
                self.sweep_by(deadline);
                self.had_input = true;
                self.socket_events.push(SocketEvent::Connected(opening));
            }
            Err(reason) => self.abort(epoll, index, &reason),
        }
    }

    /// Close one of ours, after a last attempt to write what waits.
    pub(super) fn disconnect(&mut self, epoll: &Epoll, opening: Opening) {
        let Some(index) = self.connection_of_opening.remove(&opening) else {
            return;
        };
        if let Some(mut connection) = self.connections.remove(&index) {
            let _ = connection.write();
            epoll.remove(&connection.stream);
        }
    }

    fn next_number(&mut self) -> u32 {
        let number = self.next_connection;
        self.next_connection = (number + 1) % (1 << INDEX_BITS);
        number
    }

    fn sweep_by(&mut self, deadline: Option<Instant>) {
        self.sweep_at = [self.sweep_at, deadline].into_iter().flatten().min();
    }
}

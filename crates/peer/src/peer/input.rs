//! What drives a peer from outside: datagrams and deadlines in, datagrams and events out.

use std::net::SocketAddr;
use std::time::Instant;

use greenroom_turn::Incoming;
use str0m::Input;
use str0m::net::{DatagramRecv, Protocol, Receive};

use super::{Peer, PeerEvent, State, Transmit};

impl Peer {
    /// A UDP datagram that came in. Never fails: what is malformed or not for us is counted and dropped.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &[u8],
    ) {
        if self.state != State::Open {
            return;
        }
        self.now = self.now.max(now);
        self.count(contents.len());
        match self.servers.handle_datagram(now, source, destination, contents) {
            Incoming::NotOurs => self.take(Protocol::Udp, source, destination, contents),
            Incoming::Handled => {}
            Incoming::Relayed {
                relayed,
                peer,
                contents,
            } => self.take(Protocol::Udp, peer, relayed, &contents),
        }
        self.settle(now);
        self.hasten(contents);
    }

    /// What a check has found is acted on at ICE's next tick, up to 50 ms from here; until a way is found that tick is now.
    fn hasten(&mut self, contents: &[u8]) {
        if !self.connection.connected && is_stun(contents) {
            self.touch(self.now);
        }
    }

    /// A frame of a TCP connection that was ordered; `destination` is what names it.
    pub fn handle_tcp(&mut self, now: Instant, source: SocketAddr, destination: SocketAddr, contents: &[u8]) {
        if self.state != State::Open {
            return;
        }
        self.now = self.now.max(now);
        self.count(contents.len());
        self.take(Protocol::Tcp, source, destination, contents);
        self.settle(now);
        self.hasten(contents);
    }

    pub(super) fn count(&mut self, length: usize) {
        self.counters.packets_received += 1;
        self.counters.bytes_received += length as u64;
    }

    pub(super) fn take(
        &mut self,
        proto: Protocol,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &[u8],
    ) {
        if !self.receive(proto, source, destination, contents) {
            self.counters.packets_discarded += 1;
        }
    }

    fn receive(
        &mut self,
        proto: Protocol,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &[u8],
    ) -> bool {
        // Before the remote's credentials are known only STUN requests can be judged.
        if !self.connection.has_remote() && contents.get(..2) != Some(&[0, 1]) {
            return false;
        }
        let Ok(datagram) = DatagramRecv::try_from(contents) else {
            return false;
        };
        let receive = Receive {
            proto,
            source,
            destination,
            contents: datagram,
        };
        let input = Input::Receive(self.now, receive);
        let is_stun = is_stun(contents);
        let accepted = self.rtc.accepts(&input);
        if accepted && is_stun {
            self.connection.note_verified(source);
        }
        // str0m accepts DTLS only once its own check has succeeded, but the remote may start before that:
        // without its ClientHello the handshake waits a second for the retransmission.
        if !accepted && (is_stun || !self.connection.is_verified(source)) {
            return false;
        }
        match self.rtc.handle_input(input) {
            Ok(()) => {
                // Other pairs may work: what counts is the one in use.
                if is_stun && self.path.is_none_or(|(_, destination)| destination == source) {
                    self.silence.stun_received(contents, self.now);
                }
                true
            }
            Err(error) => {
                log::debug!(
                    "a datagram of {} bytes from {source} is dropped: {error}",
                    contents.len()
                );
                false
            }
        }
    }

    /// A deadline passed, or results of jobs wait.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state != State::Open {
            return;
        }
        self.now = self.now.max(now);
        if self.eager_checks.is_due(self.now) || self.deadline <= self.now {
            self.advance(now);
        }
        self.servers.handle_timeout(now);
        self.sending.handle_timeout(&self.jobs, now);
        self.receiving.handle_timeout(&mut self.rtc, now);
        self.settle(now);
    }

    /// When `handle_timeout` is wanted. In the past: at once.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state != State::Open {
            return None;
        }
        if !self.jobs.inbox.is_empty() {
            return Some(self.now);
        }
        let others = [
            self.connection.poll_timeout(),
            self.eager_checks.poll_timeout(),
            self.servers.poll_timeout(),
            self.silence.poll_timeout(self.connection.connected),
            self.sending.poll_timeout(),
            self.receiving.poll_timeout(),
        ];
        others.into_iter().flatten().chain([self.deadline]).min()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front().or_else(|| self.poll_server_transmit())
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        self.events.pop_front()
    }
}

/// RFC 7983: 0 to 3 is STUN.
pub(super) fn is_stun(contents: &[u8]) -> bool {
    contents.first().is_some_and(|byte| *byte <= 3)
}

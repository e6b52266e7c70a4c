//! The path to the peer: ICE agents of the current and, during a restart, the previous session.

mod candidate;
mod consent;
mod follower;
mod session;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use is::stun::{StunMessage, StunPacket};

use self::candidate::{LocalCandidate, candidate_line, parse_remote_candidate};
use self::follower::{Follower, Sign};
use self::session::{Session, random_credentials};
use crate::error::Result;
use crate::types::{IceCredentials, IceState, Protocol, Received, Transmit};

/// How many peer addresses are remembered as verified; the oldest one is forgotten.
const MAX_VERIFIED: usize = 64;
/// How many remote candidates are taken per session from signalling and from checks each.
const MAX_REMOTE_CANDIDATES: usize = 128;

/// Where packets go: the pair that ICE has nominated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) protocol: Protocol,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
}

impl Path {
    /// Whether it leads to this address of the peer.
    fn is_peer(&self, protocol: Protocol, address: SocketAddr) -> bool {
        self.protocol == protocol && self.destination == address
    }
}

/// ICE of one connection.
#[derive(Debug)]
pub(crate) struct Ice {
    controlling: bool,
    local: Vec<LocalCandidate>,
    current: Session,
    /// The session before the restart in progress: it keeps the old path alive until the new one works.
    previous: Option<Session>,
    path: Option<Path>,
    follower: Follower,
    verified: VecDeque<(Protocol, SocketAddr)>,
    state: IceState,
    checking_since: Option<Instant>,
    last_consent: Option<Instant>,
    deadline: Option<Instant>,
    is_restart_offered: bool,
}

impl Ice {
    pub(crate) fn new(controlling: bool, credentials: Option<IceCredentials>) -> Ice {
        let credentials = credentials.unwrap_or_else(random_credentials);
        Ice {
            controlling,
            local: Vec::new(),
            current: Session::new(credentials, controlling, &[]),
            previous: None,
            path: None,
            follower: Follower::default(),
            verified: VecDeque::new(),
            state: IceState::New,
            checking_since: None,
            last_consent: None,
            deadline: None,
            is_restart_offered: false,
        }
    }

    pub(crate) fn credentials(&self) -> &IceCredentials {
        &self.current.credentials
    }

    pub(crate) fn state(&self) -> IceState {
        self.state
    }

    /// Where packets may go: nowhere once consent has expired (RFC 7675 section 5.1).
    pub(crate) fn path(&self) -> Option<Path> {
        self.path.filter(|_| self.state != IceState::Failed)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn round_trip_time(&self) -> Option<Duration> {
        let previous = self
            .previous
            .as_ref()
            .and_then(|session| session.agent.nominated_pair_rtt());
        self.current.agent.nominated_pair_rtt().or(previous)
    }

    /// Whether a packet from this address may be from the peer: it passed a check.
    pub(crate) fn is_verified(&self, protocol: Protocol, source: SocketAddr) -> bool {
        self.verified.contains(&(protocol, source))
    }

    pub(crate) fn has_ufrag(&self, ufrag: &str) -> bool {
        let is_previous = |session: &Session| session.credentials.ufrag == ufrag;
        self.current.credentials.ufrag == ufrag || self.previous.as_ref().is_some_and(is_previous)
    }

    pub(crate) fn add_local(&mut self, protocol: Protocol, address: SocketAddr, advertised: SocketAddr) {
        let candidate = LocalCandidate {
            protocol,
            address,
            advertised,
        };
        if self.local.contains(&candidate) {
            return;
        }
        self.local.push(candidate);
        self.current.add_local(&candidate);
    }

    /// Asks for [`Ice::handle_timeout`] at once: there is a new candidate to check.
    pub(crate) fn wake(&mut self, now: Instant) {
        if self.state != IceState::Closed {
            self.deadline = Some(now);
        }
    }

    /// RFC 8839 lines of our candidates; equal for every session.
    pub(crate) fn local_lines(&self) -> Vec<String> {
        self.local
            .iter()
            .enumerate()
            .map(|(index, candidate)| candidate_line(index, candidate))
            .collect()
    }

    pub(crate) fn add_remote(&mut self, line: &str) -> Result<()> {
        let Some(candidate) = parse_remote_candidate(line)? else {
            return Ok(());
        };
        if self.current.remote_candidates >= MAX_REMOTE_CANDIDATES {
            return Ok(());
        }
        self.current.remote_candidates += 1;
        self.current.agent.add_remote_candidate(candidate);
        Ok(())
    }

    /// Takes the peer's credentials; other ones than before are a restart.
    pub(crate) fn set_remote(&mut self, ufrag: &str, pwd: &str, is_lite: bool, now: Instant) {
        if is_lite {
            self.controlling = true;
            self.current.agent.set_controlling(true);
        }
        let is_old = |session: &Session| session.is_remote(ufrag, pwd);
        if is_old(&self.current) || (self.is_restart_offered && self.previous.as_ref().is_some_and(is_old)) {
            return;
        }
        if self.current.remote.is_some() && !self.is_restart_offered {
            self.renew_session();
        }
        self.is_restart_offered = false;
        self.current.set_remote(ufrag, pwd);
        self.checking_since = Some(now);
        if self.path.is_none() || self.state == IceState::Failed {
            self.state = IceState::Checking;
        }
    }

    /// Starts a restart; the peer's answer is to come with [`Ice::set_remote`].
    pub(crate) fn restart(&mut self) -> IceCredentials {
        self.renew_session();
        self.is_restart_offered = true;
        self.current.credentials.clone()
    }

    fn renew_session(&mut self) {
        let controlling = self.current.agent.controlling();
        let renewed = Session::new(random_credentials(), controlling, &self.local);
        let replaced = std::mem::replace(&mut self.current, renewed);
        // A session that never had a path is of no use to keep the connection alive.
        if replaced.has_path || self.previous.is_none() {
            self.previous = Some(replaced);
        }
    }

    /// Takes a STUN packet; `false` when it is not for us or not authentic.
    pub(crate) fn handle_stun(&mut self, now: Instant, received: &Received<'_>) -> bool {
        let Ok(message) = StunMessage::parse(received.contents) else {
            return false;
        };
        let proto = match received.protocol {
            Protocol::Udp => is::Protocol::Udp,
            Protocol::Tcp => is::Protocol::Tcp,
        };
        let is_known = self.is_verified(received.protocol, received.source);
        let mut is_accepted = false;
        for session in [Some(&mut self.current), self.previous.as_mut()]
            .into_iter()
            .flatten()
        {
            // An authentic peer that sends from ever new addresses must not grow the agent's lists.
            if !is_known && session.checked_addresses >= MAX_REMOTE_CANDIDATES {
                continue;
            }
            let packet = StunPacket {
                proto,
                source: received.source,
                destination: received.destination,
                message,
            };
            if session.agent.handle_packet(now, packet) {
                session.checked_addresses += usize::from(!is_known);
                is_accepted = true;
                break;
            }
        }
        if is_accepted {
            let sign = match message.is_binding_request() {
                true => Sign::Request {
                    nominates: message.use_candidate(),
                },
                false => Sign::Answer,
            };
            self.remember(received.protocol, received.source);
            self.note_sign(now, received, sign);
            self.handle_timeout(now);
        }
        is_accepted
    }

    /// An authentic packet of media or data: the path is alive, if it came over it. From elsewhere it says where the peer's
    /// path is now.
    pub(crate) fn heard(&mut self, now: Instant, received: &Received<'_>) {
        match &self.path {
            Some(path) if path.is_peer(received.protocol, received.source) => self.follower.heard_path(now),
            Some(_) => self.follow(now, received, Sign::Traffic),
            None => {}
        }
    }

    fn remember(&mut self, protocol: Protocol, source: SocketAddr) {
        if self.verified.contains(&(protocol, source)) {
            return;
        }
        if self.verified.len() >= MAX_VERIFIED {
            self.verified.pop_front();
        }
        self.verified.push_back((protocol, source));
    }

    /// Lets time pass for the agents and looks at what came of it.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.state == IceState::Closed {
            return;
        }
        if let Some(previous) = &mut self.previous {
            previous.agent.handle_timeout(now);
        }
        self.current.agent.handle_timeout(now);
        self.collect_paths(now);
        self.evaluate(now);
        self.update_deadline();
    }

    /// The next check or answer to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        let sessions = [Some(&mut self.current), self.previous.as_mut()];
        for session in sessions.into_iter().flatten() {
            while let Some(transmit) = session.agent.poll_transmit() {
                if let Some(protocol) = protocol(transmit.proto) {
                    return Some(Transmit {
                        protocol,
                        source: transmit.source,
                        destination: transmit.destination,
                        contents: transmit.contents.into(),
                    });
                }
            }
        }
        None
    }

    pub(crate) fn close(&mut self) {
        self.state = IceState::Closed;
        self.path = None;
        self.previous = None;
        self.deadline = None;
    }
}

fn protocol(protocol: is::Protocol) -> Option<Protocol> {
    match protocol {
        is::Protocol::Udp => Some(Protocol::Udp),
        is::Protocol::Tcp => Some(Protocol::Tcp),
        is::Protocol::SslTcp | is::Protocol::Tls => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_candidate_lines_advertise_the_mapped_address() {
        let mut ice = Ice::new(false, None);
        let bound = "10.0.0.1:7881".parse().expect("address");
        let advertised = "203.0.113.9:7881".parse().expect("address");
        ice.add_local(Protocol::Udp, bound, advertised);
        ice.add_local(Protocol::Tcp, bound, advertised);
        ice.add_local(Protocol::Tcp, bound, advertised);
        let lines = ice.local_lines();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains(" udp ") && lines[0].ends_with("203.0.113.9 7881 typ host"));
        assert!(lines[1].ends_with("203.0.113.9 7881 typ host tcptype passive"));
        assert!(parse_remote_candidate(&lines[0]).expect("own line").is_some());
    }
}

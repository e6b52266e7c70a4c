//! The path to the peer: ICE agents of the current and, during a restart, the previous session.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_lc_rs::{hmac, rand};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Sha1HmacProvider};

use crate::error::{Result, TransportError};
use crate::types::{IceCredentials, IceState, Protocol, Received, Transmit};

/// Without any sign of consent for this long the path counts as disconnected.
const DISCONNECTED_AFTER: Duration = Duration::from_secs(10);
/// Without any sign of consent for this long the path counts as failed.
const FAILED_AFTER: Duration = Duration::from_secs(15);
/// How long the first path may take, from the remote description on.
const CHECKING_FOR_AT_MOST: Duration = Duration::from_secs(30);

const MAX_PAIRS: usize = 64;
/// How many peer addresses are remembered as verified; the oldest one is forgotten.
const MAX_VERIFIED: usize = 64;
/// How many remote candidates are taken per session from signalling and from checks each.
const MAX_REMOTE_CANDIDATES: usize = 128;
const UFRAG_CHARACTERS: usize = 16;
const PWD_CHARACTERS: usize = 32;

/// Where packets go: the pair that ICE has nominated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) protocol: Protocol,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
}

/// One host candidate of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LocalCandidate {
    protocol: Protocol,
    address: SocketAddr,
    advertised: SocketAddr,
}

/// HMAC-SHA1 of the cryptographic library everything else uses.
#[derive(Debug)]
struct Hmac;

impl Sha1HmacProvider for Hmac {
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
        let mut context = hmac::Context::with_key(&key);
        for payload in payloads {
            context.update(payload);
        }
        let mut output = [0; 20];
        output.copy_from_slice(context.sign().as_ref());
        output
    }
}

/// One pair of credentials and its checks.
#[derive(Debug)]
struct Session {
    agent: IceAgent,
    credentials: IceCredentials,
    remote: Option<(String, String)>,
    remote_candidates: usize,
    checked_addresses: usize,
    has_path: bool,
}

impl Session {
    fn new(credentials: IceCredentials, controlling: bool, local: &[LocalCandidate]) -> Session {
        let creds = IceCreds {
            ufrag: credentials.ufrag.clone(),
            pass: credentials.pwd.clone(),
        };
        let mut agent = IceAgent::with_hmac(creds, &Hmac);
        agent.set_controlling(controlling);
        agent.set_max_candidate_pairs(MAX_PAIRS);
        agent.set_local_preference(local_preference);
        let mut session = Session {
            agent,
            credentials,
            remote: None,
            remote_candidates: 0,
            checked_addresses: 0,
            has_path: false,
        };
        local
            .iter()
            .for_each(|candidate| session.add_local(candidate));
        session
    }

    fn add_local(&mut self, local: &LocalCandidate) {
        let candidate = match local.protocol {
            Protocol::Udp => Candidate::host(local.address, is::Protocol::Udp),
            Protocol::Tcp => Candidate::host(local.address, is::Protocol::Tcp),
        };
        match candidate {
            Ok(candidate) => {
                self.agent.add_local_candidate(candidate);
            }
            Err(error) => log::warn!(
                "local ICE candidate {} is not usable: {error}",
                local.address
            ),
        }
    }

    fn set_remote(&mut self, ufrag: &str, pwd: &str) {
        self.remote = Some((ufrag.to_owned(), pwd.to_owned()));
        self.agent.set_remote_credentials(IceCreds {
            ufrag: ufrag.to_owned(),
            pass: pwd.to_owned(),
        });
    }

    fn is_remote(&self, ufrag: &str, pwd: &str) -> bool {
        self.remote
            .as_ref()
            .is_some_and(|(ours, secret)| ours == ufrag && secret == pwd)
    }
}

/// UDP before TCP, earlier candidates before later ones, IPv6 before IPv4 (RFC 8421).
fn local_preference(candidate: &Candidate, same_kind: usize) -> u32 {
    let protocol = if candidate.proto() == is::Protocol::Udp {
        32_768
    } else {
        0
    };
    let order = 1000u32.saturating_sub(same_kind as u32) * 2;
    protocol + order + u32::from(candidate.addr().is_ipv6())
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

    pub(crate) fn add_local(
        &mut self,
        protocol: Protocol,
        address: SocketAddr,
        advertised: SocketAddr,
    ) {
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
        if is_old(&self.current)
            || (self.is_restart_offered && self.previous.as_ref().is_some_and(is_old))
        {
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
            self.remember(received.protocol, received.source);
            self.note_consent(now, received);
            self.handle_timeout(now);
        }
        is_accepted
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

    /// Any authentic STUN packet on the path shows that the peer still wants its traffic (RFC 7675).
    fn note_consent(&mut self, now: Instant, received: &Received<'_>) {
        let is_on_path =
            |path: &Path| path.protocol == received.protocol && path.destination == received.source;
        if self.path.as_ref().is_some_and(is_on_path) {
            self.last_consent = Some(now);
        }
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

    fn collect_paths(&mut self, now: Instant) {
        if let Some(path) = self.previous.as_mut().and_then(nominated) {
            self.take_path(path, now);
        }
        if let Some(path) = nominated(&mut self.current) {
            self.take_path(path, now);
            self.previous = None;
        }
    }

    fn take_path(&mut self, path: Path, now: Instant) {
        log::debug!("ICE path is now {path:?}");
        self.path = Some(path);
        self.last_consent = Some(now);
        self.checking_since = None;
        self.state = IceState::Connected;
    }

    fn evaluate(&mut self, now: Instant) {
        let silence = self
            .last_consent
            .map(|at| now.saturating_duration_since(at));
        let next = match (self.path, silence) {
            (Some(_), Some(silence)) if silence >= FAILED_AFTER => self.state_without_consent(now),
            (Some(_), Some(silence)) if silence >= DISCONNECTED_AFTER => IceState::Disconnected,
            (Some(_), Some(_)) => IceState::Connected,
            _ => self.state_without_path(now),
        };
        self.state = next;
    }

    /// A restart under way gets its own time before the connection is given up.
    fn state_without_consent(&self, now: Instant) -> IceState {
        let is_checking = |since| now.saturating_duration_since(since) < CHECKING_FOR_AT_MOST;
        if self.checking_since.is_some_and(is_checking) {
            IceState::Checking
        } else {
            IceState::Failed
        }
    }

    fn state_without_path(&self, now: Instant) -> IceState {
        match self.checking_since {
            Some(_) => self.state_without_consent(now),
            None => self.state,
        }
    }

    fn update_deadline(&mut self) {
        let agents = [Some(&mut self.current), self.previous.as_mut()];
        let checks = agents
            .into_iter()
            .flatten()
            .filter_map(|session| session.agent.poll_timeout())
            .min();
        let consent = match (self.state, self.last_consent) {
            (IceState::Connected, Some(at)) => Some(at + DISCONNECTED_AFTER),
            (IceState::Disconnected, Some(at)) => Some(at + FAILED_AFTER),
            (IceState::Checking, _) => self.checking_since.map(|at| at + CHECKING_FOR_AT_MOST),
            _ => None,
        };
        self.deadline = [checks, consent].into_iter().flatten().min();
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

fn nominated(session: &mut Session) -> Option<Path> {
    let mut newest = None;
    while let Some(event) = session.agent.poll_event() {
        if let IceAgentEvent::NominatedSend {
            proto,
            source,
            destination,
        } = event
            && let Some(protocol) = protocol(proto)
        {
            newest = Some(Path {
                protocol,
                source,
                destination,
            });
        }
    }
    session.has_path |= newest.is_some();
    newest
}

fn protocol(protocol: is::Protocol) -> Option<Protocol> {
    match protocol {
        is::Protocol::Udp => Some(Protocol::Udp),
        is::Protocol::Tcp => Some(Protocol::Tcp),
        is::Protocol::SslTcp | is::Protocol::Tls => None,
    }
}

fn candidate_line(index: usize, candidate: &LocalCandidate) -> String {
    const HOST_PREFERENCE: u32 = 126;
    let (name, preference, suffix) = match candidate.protocol {
        Protocol::Udp => ("udp", 32_768 + 1000, ""),
        Protocol::Tcp => ("tcp", 1000, " tcptype passive"),
    };
    let preference = preference - (index as u32).min(999);
    let priority = (HOST_PREFERENCE << 24) | (preference << 8) | 255;
    let (ip, port) = (candidate.advertised.ip(), candidate.advertised.port());
    format!(
        "candidate:{} 1 {name} {priority} {ip} {port} typ host{suffix}",
        index + 1
    )
}

/// A usable candidate of the peer; `None` for the end of candidates and for kinds we cannot use.
fn parse_remote_candidate(line: &str) -> Result<Option<Candidate>> {
    let text = line.trim();
    let text = text.strip_prefix("a=").unwrap_or(text);
    if text.is_empty() || text == "end-of-candidates" {
        return Ok(None);
    }
    let refuse = |reason: String| TransportError::Candidate {
        line: line.chars().take(300).collect(),
        reason,
    };
    let fields: Vec<&str> = text.split_whitespace().collect();
    let &[_, component, transport, _, address, port, ..] = &fields[..] else {
        return Err(refuse("it has fewer than six fields".to_owned()));
    };
    // The peer connects to us for TCP, mDNS names cannot be resolved, and only component 1 exists.
    let is_unusable = component != "1"
        || !transport.eq_ignore_ascii_case("udp")
        || address.ends_with(".local")
        || port == "0";
    if is_unusable {
        return Ok(None);
    }
    Candidate::from_sdp_string(text)
        .map(Some)
        .map_err(|error| refuse(error.to_string()))
}

/// Credentials of enough entropy (RFC 8445 section 5.3), from the cryptographic generator.
fn random_credentials() -> IceCredentials {
    IceCredentials {
        ufrag: random_text(UFRAG_CHARACTERS),
        pwd: random_text(PWD_CHARACTERS),
    }
}

fn random_text(characters: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = vec![0; characters];
    // Without randomness there is nothing safe to continue with; the generator of a running
    // system does not fail.
    rand::fill(&mut bytes).expect("the random number generator of the system works");
    bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 64)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_candidates_are_parsed_and_others_ignored() {
        let usable = [
            "candidate:1 1 udp 2113929471 203.0.113.100 10100 typ host",
            "a=candidate:1 1 UDP 2113929471 127.0.0.1 10100 typ host generation 0 ufrag abcd",
            "candidate:2 1 udp 1 2001:db8::1 9 typ srflx raddr 10.0.0.1 rport 4 network-cost 999",
        ];
        for line in usable {
            assert!(
                parse_remote_candidate(line).expect(line).is_some(),
                "{line}"
            );
        }
        let ignored = [
            "",
            "a=end-of-candidates",
            "candidate:1 1 udp 2113929471 0f0e-1.local 10100 typ host",
            "candidate:1 1 tcp 2113929471 10.0.0.1 9 typ host tcptype active",
            "candidate:1 2 udp 2113929471 10.0.0.1 9 typ host",
        ];
        for line in ignored {
            assert!(
                parse_remote_candidate(line).expect(line).is_none(),
                "{line}"
            );
        }
        for line in [
            "rubbish",
            "candidate:1 1 udp x 10.0.0.1 9 typ host",
            "candidate:1 1 udp 1 nowhere 9 typ host",
        ] {
            assert!(parse_remote_candidate(line).is_err(), "{line}");
        }
    }

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
        assert!(
            parse_remote_candidate(&lines[0])
                .expect("own line")
                .is_some()
        );
    }

    #[test]
    fn random_credentials_have_the_lengths_of_rfc_8445() {
        let credentials = random_credentials();
        assert_eq!(credentials.ufrag.len(), UFRAG_CHARACTERS);
        assert_eq!(credentials.pwd.len(), PWD_CHARACTERS);
        assert_ne!(credentials, random_credentials());
    }
}

//! Our own candidates: which are used, and which the remote is told of.

use std::net::{IpAddr, SocketAddr};

use str0m::net::{Protocol, TcpType};
use str0m::{Candidate, CandidateKind, Rtc};

use crate::{PeerError, Result, TransportPolicy};

/// What str0m has of us, in the order it came.
pub(crate) struct LocalCandidates {
    policy: TransportPolicy,
    candidates: Vec<Candidate>,
}

impl LocalCandidates {
    pub fn new(policy: TransportPolicy) -> Self {
        Self {
            policy,
            candidates: vec![],
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter()
    }

    /// A bound UDP socket; its `candidate:…` line if the remote may know it.
    pub fn add_host(&mut self, rtc: &mut Rtc, address: SocketAddr) -> Result<Option<String>> {
        let refuse = |reason: String| PeerError::LocalAddress {
            address: address.to_string(),
            reason,
        };
        let candidate = Candidate::host(address, "udp").map_err(|error| refuse(error.to_string()))?;
        if self.policy == TransportPolicy::Relay {
            return Ok(None);
        }
        let line = self
            .add(rtc, candidate)
            .ok_or_else(|| refuse("it was given before".into()))?;
        // Without it str0m would not take what comes in on the socket; it needs not be told.
        Ok((self.policy == TransportPolicy::All).then_some(line))
    }

    /// TCP connections will be opened from this address; the line to tell, if any.
    pub fn add_tcp(&mut self, rtc: &mut Rtc, address: IpAddr) -> Option<String> {
        if self.policy == TransportPolicy::Relay {
            return None;
        }
        let line = self.add(rtc, active(SocketAddr::new(address, DISCARD_PORT))?)?;
        (self.policy == TransportPolicy::All).then_some(line)
    }

    /// How a socket looks from outside; the line to tell, if any.
    pub fn add_reflexive(&mut self, rtc: &mut Rtc, base: SocketAddr, mapped: SocketAddr) -> Option<String> {
        if self.policy == TransportPolicy::Relay {
            return None;
        }
        self.add(rtc, Candidate::server_reflexive(mapped, base, "udp").ok()?)
    }

    /// An address on a TURN server that is asked from `local`; the line to tell.
    pub fn add_relayed(&mut self, rtc: &mut Rtc, relayed: SocketAddr, local: SocketAddr) -> Option<String> {
        self.add(rtc, Candidate::relayed(relayed, local, "udp").ok()?)
    }

    /// Everything that is sent from this address is over.
    pub fn remove(&mut self, rtc: &mut Rtc, address: SocketAddr) {
        self.remove_where(rtc, |candidate| {
            candidate.local() == address || candidate.addr() == address
        });
    }

    /// No TCP connection can be opened from this address any more; how those that were are named.
    pub fn remove_tcp(&mut self, rtc: &mut Rtc, address: IpAddr) -> Vec<SocketAddr> {
        let is_there = |candidate: &Candidate| is_tcp(candidate) && candidate.addr().ip() == address;
        let there = self.candidates.iter().filter(|candidate| is_there(candidate));
        let names = there.map(Candidate::addr).collect();
        self.remove_where(rtc, is_there);
        names
    }

    /// Take all out and in again, so that no pair of before is left. TCP connections begin anew, under other names: a
    /// server knows whose a connection is by the credentials of its first message.
    pub fn renew(&mut self, rtc: &mut Rtc) {
        for candidate in &mut self.candidates {
            rtc.direct_api().invalidate_candidate(candidate);
            let renamed = SocketAddr::new(
                candidate.addr().ip(),
                candidate.addr().port().wrapping_add(1).max(9),
            );
            if is_tcp(candidate)
                && let Some(next) = active(renamed)
            {
                *candidate = next;
            }
        }
        for candidate in &self.candidates {
            rtc.add_local_candidate(candidate.clone());
        }
    }

    /// Have every pair checked as if it were new; the one in use is used until another succeeds. TCP connections live as
    /// long as they are seen to.
    pub fn prove_anew(&self, rtc: &mut Rtc) {
        for candidate in self.candidates.iter().filter(|candidate| !is_tcp(candidate)) {
            rtc.direct_api().invalidate_candidate(candidate);
            rtc.add_local_candidate(candidate.clone());
        }
    }

    fn remove_where(&mut self, rtc: &mut Rtc, gone: impl Fn(&Candidate) -> bool) {
        for candidate in self.candidates.iter().filter(|candidate| gone(candidate)) {
            rtc.direct_api().invalidate_candidate(candidate);
        }
        self.candidates.retain(|candidate| !gone(candidate));
    }

    fn add(&mut self, rtc: &mut Rtc, candidate: Candidate) -> Option<String> {
        let line = without_ufrag(&rtc.add_local_candidate(candidate.clone())?.to_sdp_string());
        self.candidates.push(candidate);
        Some(line)
    }
}

/// An active candidate has no port; the remote is told this one (RFC 6544 section 4.5).
const DISCARD_PORT: u16 = 9;

fn is_tcp(candidate: &Candidate) -> bool {
    candidate.proto() == Protocol::Tcp
}

fn active(name: SocketAddr) -> Option<Candidate> {
    let builder = Candidate::builder().tcp().host(name).tcptype(TcpType::Active);
    builder.build().ok()
}

/// As in messages: `udp 192.0.2.1:5000`, `udp relay 198.51.100.1:49152`.
pub(crate) fn shown(candidate: &Candidate) -> String {
    let kind = match candidate.kind() {
        CandidateKind::Host => "",
        CandidateKind::ServerReflexive => "reflexive ",
        CandidateKind::PeerReflexive => "peer-reflexive ",
        CandidateKind::Relayed => "relay ",
    };
    format!("{} {kind}{}", candidate.proto(), candidate.addr())
}

/// The optional ufrag would be stale after an ICE restart.
fn without_ufrag(line: &str) -> String {
    match line.split_once(" ufrag ") {
        Some((before, after)) => {
            let rest = after
                .split_once(' ')
                .map(|(_, rest)| format!(" {rest}"))
                .unwrap_or_default();
            format!("{before}{rest}")
        }
        None => line.into(),
    }
}

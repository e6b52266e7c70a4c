//! The transport description: candidates, credentials, ICE restart, and when to give up.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::{Candidate, IceConnectionState, IceCreds, Rtc};

use crate::local_candidates::{LocalCandidates, shown};
use crate::{PeerError, RemoteParameters, Result, TransportPolicy};

/// Without connectivity for this long the connection has failed.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Addresses remembered as the remote's; the oldest gives way.
const VERIFIED_LIMIT: usize = 32;
/// Remote candidates beyond this are ignored.
const REMOTE_CANDIDATES_LIMIT: usize = 100;

/// ICE and DTLS as seen from outside.
pub(crate) struct Connection {
    pub local: LocalCandidates,
    remote: Vec<Candidate>,
    /// UDP addresses of the remote that nobody has asked for yet.
    new_remotes: VecDeque<SocketAddr>,
    remote_creds: Option<IceCreds>,
    /// Made by `restart_ice`, in force once the remote's half arrives.
    next_local_creds: Option<IceCreds>,
    /// The remote restarted and our own new credentials were not asked for yet.
    owes_local_creds: bool,
    pub ice_state: IceConnectionState,
    pub dtls_connected: bool,
    pub connected: bool,
    /// Report the next time it is up, whatever it was.
    announce_connected: bool,
    give_up_at: Option<Instant>,
    /// Sources of STUN that proved to know our password.
    verified: VecDeque<SocketAddr>,
}

impl Connection {
    pub fn new(policy: TransportPolicy) -> Self {
        Self {
            local: LocalCandidates::new(policy),
            remote: vec![],
            new_remotes: VecDeque::new(),
            remote_creds: None,
            next_local_creds: None,
            owes_local_creds: false,
            ice_state: IceConnectionState::New,
            dtls_connected: false,
            connected: false,
            announce_connected: true,
            give_up_at: None,
            verified: VecDeque::new(),
        }
    }

    /// A STUN message from here carried a valid integrity.
    pub fn note_verified(&mut self, source: SocketAddr) {
        if self.is_verified(source) {
            return;
        }
        if self.verified.len() >= VERIFIED_LIMIT {
            self.verified.pop_front();
        }
        self.verified.push_back(source);
    }

    pub fn is_verified(&self, source: SocketAddr) -> bool {
        self.verified.contains(&source)
    }

    /// A UDP address of the remote, once.
    pub fn poll_remote_address(&mut self) -> Option<SocketAddr> {
        self.new_remotes.pop_front()
    }

    /// The remote may be reachable over UDP, as far as it has told.
    pub fn has_udp_remote(&self) -> bool {
        let is_udp = |candidate: &Candidate| candidate.proto() == str0m::net::Protocol::Udp;
        self.remote.is_empty() || self.remote.iter().any(is_udp)
    }

    /// ICE has found a way, with the credentials that are in force.
    pub fn has_path(&self) -> bool {
        let is_found = matches!(
            self.ice_state,
            IceConnectionState::Connected | IceConnectionState::Completed
        );
        let is_restarting = self.dtls_connected && self.announce_connected;
        is_found && !is_restarting
    }

    pub fn has_remote(&self) -> bool {
        self.remote_creds.is_some()
    }

    /// A remote `candidate:…` line. Kinds that can't be used are ignored.
    pub fn add_remote(&mut self, rtc: &mut Rtc, line: &str) -> Result<()> {
        let refuse = |reason: String| PeerError::Candidate {
            line: line.chars().take(200).collect(),
            reason,
        };
        let text = line.trim().strip_prefix("a=").unwrap_or(line.trim());
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if !text.starts_with("candidate:") || fields.len() < 8 {
            return Err(refuse(
                "it must be `candidate:` and at least seven more fields (RFC 8839 section 5.1)".into(),
            ));
        }
        // A name that only the remote's network knows: its checks tell us the address behind it.
        if fields[4].ends_with(".local") {
            return Ok(());
        }
        let passive = || fields.windows(2).any(|pair| pair == ["tcptype", "passive"]);
        let usable = match fields[2].to_ascii_lowercase().as_str() {
            "udp" => true,
            "tcp" => passive(),
            _ => false,
        };
        if !usable {
            return Ok(());
        }
        let candidate = Candidate::from_sdp_string(text).map_err(|error| refuse(error.to_string()))?;
        if self.remote.len() >= REMOTE_CANDIDATES_LIMIT {
            return Ok(());
        }
        if candidate.proto() == str0m::net::Protocol::Udp && self.new_remotes.len() < REMOTE_CANDIDATES_LIMIT
        {
            self.new_remotes.push_back(candidate.addr());
        }
        self.remote.push(candidate.clone());
        if self.has_remote() {
            rtc.add_remote_candidate(candidate);
        }
        Ok(())
    }

    /// The first call starts everything, a later one with other credentials restarts ICE.
    pub fn set_remote(
        &mut self,
        rtc: &mut Rtc,
        controlling: bool,
        remote: &RemoteParameters,
        now: Instant,
    ) -> Result<()> {
        let fingerprint = remote
            .fingerprint
            .parse()
            .map_err(|_: String| PeerError::Parameter {
                name: "fingerprint",
                value: remote.fingerprint.chars().take(200).collect(),
                reason: "it must be a hash name, a space and pairs of hex digits, as `sha-256 AB:CD:…`"
                    .into(),
            })?;
        if remote.ice_ufrag.len() < 4 || remote.ice_pwd.len() < 22 {
            let reason = "a ufrag has at least 4 characters, a password 22 (RFC 8445 section 5.3)".into();
            return Err(PeerError::Parameter {
                name: "ICE ufrag",
                value: remote.ice_ufrag.clone(),
                reason,
            });
        }
        let creds = IceCreds {
            ufrag: remote.ice_ufrag.clone(),
            pass: remote.ice_pwd.clone(),
        };
        match self.remote_creds.replace(creds.clone()) {
            None => {
                let mut api = rtc.direct_api();
                api.set_ice_controlling(controlling || remote.ice_lite);
                api.set_remote_fingerprint(fingerprint);
                api.set_remote_ice_credentials(creds);
                api.start_dtls(remote.dtls_active)
                    .map_err(|error| PeerError::Parameter {
                        name: "DTLS role",
                        value: if remote.dtls_active { "client" } else { "server" }.into(),
                        reason: error.to_string(),
                    })?;
                rtc.direct_api().start_sctp(remote.dtls_active);
                self.remote
                    .iter()
                    .for_each(|candidate| rtc.add_remote_candidate(candidate.clone()));
            }
            Some(previous) if previous != creds => self.restart(rtc, creds),
            Some(_) => return Ok(()),
        }
        self.give_up_at = Some(now + CONNECT_TIMEOUT);
        Ok(())
    }

    /// New local credentials. As the side that offers they come into force with the remote's answer; until then the old
    /// pair goes on carrying everything.
    pub fn restart_ice(&mut self, rtc: &mut Rtc) -> IceCreds {
        let creds = IceCreds::new();
        if std::mem::take(&mut self.owes_local_creds) {
            rtc.direct_api().set_local_ice_credentials(creds.clone());
        } else {
            self.next_local_creds = Some(creds.clone());
        }
        creds
    }

    fn restart(&mut self, rtc: &mut Rtc, remote_creds: IceCreds) {
        let mut api = rtc.direct_api();
        match self.next_local_creds.take() {
            Some(local_creds) => api.set_local_ice_credentials(local_creds),
            None => self.owes_local_creds = true,
        }
        api.set_remote_ice_credentials(remote_creds);
        // Old pairs go, so that connectivity is proven anew; what is nominated keeps being used for sending meanwhile.
        for candidate in self.remote.drain(..) {
            api.invalidate_candidate(&candidate);
        }
        self.local.renew(rtc);
        self.connected = false;
        self.announce_connected = true;
    }

    /// Note a state of str0m's; the name to report when it is another than before.
    pub fn ice_changed(&mut self, state: IceConnectionState, now: Instant) -> Option<&'static str> {
        let before = ice_state_name(self.ice_state);
        self.ice_state = state;
        if state == IceConnectionState::Disconnected {
            self.connected = false;
            self.give_up_at.get_or_insert(now + CONNECT_TIMEOUT);
        }
        let after = ice_state_name(state);
        (before != after).then_some(after)
    }

    /// Whether it has just come up in a way that is to be reported.
    pub fn update(&mut self, rtc: &Rtc) -> bool {
        if !rtc.is_connected() {
            return false;
        }
        self.connected = true;
        self.give_up_at = None;
        std::mem::take(&mut self.announce_connected)
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.give_up_at
    }

    /// Why to give up, once it is time to. `servers` is what came of STUN and TURN servers.
    pub fn given_up(&self, now: Instant, servers: &[String]) -> Option<String> {
        if self.give_up_at? > now {
            return None;
        }
        let waited = CONNECT_TIMEOUT.as_secs();
        let text = match self.ice_state {
            IceConnectionState::Connected | IceConnectionState::Completed if !self.dtls_connected => {
                return Some(format!(
                    "the DTLS handshake did not finish within {waited} s although ICE found a way; is the fingerprint right?"
                ));
            }
            _ if self.local.iter().next().is_none() => {
                format!(
                    "no media path within {waited} s: there is no candidate of our own, for no relay gave one"
                )
            }
            _ if self.remote.is_empty() => {
                format!(
                    "no media path within {waited} s: the remote gave no usable candidate; check that its media ports are announced"
                )
            }
            _ => {
                let pairs = self.pairs_tried().join(", ");
                format!(
                    "no media path within {waited} s, tried {pairs}; check that UDP to the server's media port, or TCP to its TCP port, is open"
                )
            }
        };
        Some(match servers {
            [] => text,
            _ => format!("{text}; STUN and TURN servers: {}", servers.join("; ")),
        })
    }

    /// `local -> remote` of every pair of candidates of one protocol and family.
    pub fn pairs_tried(&self) -> Vec<String> {
        let pair = |local: &Candidate, remote: &Candidate| {
            let fits = local.proto() == remote.proto() && local.addr().is_ipv4() == remote.addr().is_ipv4();
            fits.then(|| format!("{} -> {}", shown(local), remote.addr()))
        };
        let pairs = self
            .local
            .iter()
            .flat_map(|local| self.remote.iter().filter_map(move |remote| pair(local, remote)));
        pairs.take(50).collect()
    }
}

/// The name in events and statistics.
pub(crate) fn ice_state_name(state: IceConnectionState) -> &'static str {
    match state {
        IceConnectionState::New => "new",
        IceConnectionState::Checking => "checking",
        IceConnectionState::Connected | IceConnectionState::Completed => "connected",
        IceConnectionState::Disconnected => "disconnected",
    }
}

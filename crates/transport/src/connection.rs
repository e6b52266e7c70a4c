//! The connection: everything the peer and the application can do to it.

mod channels;
mod handshake;
mod media;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::buffer_pool::BufferPool;
use crate::certificate::{Certificate, Fingerprint};
use crate::demultiplexer::{PacketKind, classify, stun_request_ufrag};
use crate::dtls::Dtls;
use crate::error::{Result, TransportError};
use crate::ice::Ice;
use crate::sctp::Sctp;
use crate::srtp;
use crate::statistics::TransportStatistics;
use crate::types::{
    IceCredentials, IceState, Protocol, Received, RemoteParameters, Transmit, TransportConfig, TransportEvent,
};

/// DTLS packets kept while there is no path yet: two flights; the handshake repeats lost ones.
const MAX_HELD_PACKETS: usize = 32;

/// One connection to one peer.
#[derive(Debug)]
pub struct Transport {
    certificate: Arc<Certificate>,
    ice: Ice,
    reported_state: IceState,
    dtls: Option<Dtls>,
    /// What the DTLS session will be made of once ICE has found a path.
    remote: Option<(Fingerprint, bool)>,
    sctp: Sctp,
    sender: Option<srtp::Sender>,
    receiver: Option<srtp::Receiver>,
    is_secure: bool,
    /// Why the connection is over.
    over: Option<String>,
    held: VecDeque<Vec<u8>>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<TransportEvent>,
    statistics: TransportStatistics,
    last_now: Instant,
    /// Whether `last_now` is the present: not after a call that does not tell the time. SCTP must not
    /// send then, its timers would start in the past.
    is_now_known: bool,
}

impl Transport {
    /// A connection that waits for candidates and the remote description.
    pub fn new(config: TransportConfig, now: Instant) -> Transport {
        Transport {
            certificate: config.certificate,
            ice: Ice::new(config.controlling, config.ice_credentials),
            reported_state: IceState::New,
            dtls: None,
            remote: None,
            sctp: Sctp::new(config.max_message_size_bytes as usize),
            sender: None,
            receiver: None,
            is_secure: false,
            over: None,
            held: VecDeque::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            statistics: TransportStatistics::default(),
            last_now: now,
            is_now_known: true,
        }
    }

    /// Our current ICE credentials: what the next description has to say.
    pub fn local_credentials(&self) -> &IceCredentials {
        self.ice.credentials()
    }

    /// The SDP `candidate:` lines of our host candidates, with their advertised addresses.
    pub fn local_candidate_lines(&self) -> Vec<String> {
        self.ice.local_lines()
    }

    /// Adds an address of ours. `Received::destination` of packets for it has to equal `address`;
    /// the peer hears of `advertised`. TCP candidates are passive: the peer connects.
    pub fn add_local_host_candidate(
        &mut self,
        protocol: Protocol,
        address: SocketAddr,
        advertised: SocketAddr,
    ) {
        self.ice.add_local(protocol, address, advertised);
        self.ice.wake(self.last_now);
    }

    /// Adds a candidate of the peer: `candidate:..`, with or without `a=`; empty text is the end of
    /// them. Candidates we cannot use (mDNS names, TCP, other components) are ignored.
    ///
    /// # Errors
    /// [`TransportError::Candidate`] when the line is no candidate.
    pub fn add_remote_candidate(&mut self, line: &str) -> Result<()> {
        self.ice.add_remote(line)?;
        self.ice.wake(self.last_now);
        Ok(())
    }

    /// Sets what signalling says about the peer. The first call starts the connection; a later one
    /// with other ICE credentials is an ICE restart: unless [`Transport::restart_ice`] was called
    /// before it, it also renews our credentials, so read [`Transport::local_credentials`] after it.
    ///
    /// # Errors
    /// [`TransportError::RemoteParameter`] when a value is not usable, [`TransportError::Closed`]
    /// when the connection is over.
    pub fn set_remote(&mut self, parameters: RemoteParameters, now: Instant) -> Result<()> {
        self.check_open()?;
        self.set_now(now);
        check_credential("ICE ufrag", &parameters.ice_ufrag, 1)?;
        check_credential("ICE pwd", &parameters.ice_pwd, 1)?;
        let fingerprint = Fingerprint::parse(&parameters.fingerprint)?;
        let is_lite = parameters.ice_lite;
        self.ice
            .set_remote(&parameters.ice_ufrag, &parameters.ice_pwd, is_lite, now);
        self.sctp.set_max_send_bytes(parameters.max_message_size);
        // The certificate and the roles stay those of the first description: DTLS is never renewed.
        if self.remote.is_none() {
            self.remote = Some((fingerprint, parameters.dtls_active));
        }
        self.ice.handle_timeout(now);
        self.after_ice();
        Ok(())
    }

    /// Starts an ICE restart from our side and returns our new credentials, for the offer.
    /// Media keeps flowing on the old path until the new one works.
    pub fn restart_ice(&mut self) -> IceCredentials {
        self.ice.restart()
    }

    /// Whether a STUN binding request is addressed to us by its username: the current one, or
    /// during a restart also the previous one. Nothing is authenticated by this.
    pub fn accepts_stun_from(&self, contents: &[u8]) -> bool {
        stun_request_ufrag(contents).is_some_and(|ufrag| self.ice.has_ufrag(ufrag))
    }

    /// Takes one packet. Never fails: whatever is malformed is counted and dropped. Whether it was a STUN packet that
    /// proves its source to be the peer: what else comes from there may be the peer's too. Media is opened in a buffer of
    /// the pool, which comes out with its event.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        received: Received<'_>,
        buffers: &mut BufferPool,
    ) -> bool {
        if self.over.is_some() {
            return false;
        }
        self.set_now(now);
        self.statistics.packets_received += 1;
        self.statistics.bytes_received += received.contents.len() as u64;
        match classify(received.contents) {
            PacketKind::Rtp => self.handle_rtp(&received, buffers),
            PacketKind::Rtcp => self.handle_rtcp(&received, buffers),
            PacketKind::Dtls => self.handle_dtls(&received),
            PacketKind::Stun => return self.handle_stun(&received),
            PacketKind::Unknown => self.statistics.malformed_packets += 1,
        }
        false
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.over.is_some() {
            return;
        }
        self.set_now(now);
        let now = self.last_now;
        if self.ice.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.ice.handle_timeout(now);
            self.after_ice();
        }
        if let Some(dtls) = &mut self.dtls
            && dtls.poll_timeout().is_none_or(|deadline| deadline <= now)
        {
            let result = dtls.handle_timeout(now);
            self.after_dtls(result);
        }
        self.sctp.handle_timeout(now);
    }

    /// When [`Transport::handle_timeout`] wants to be called; may be in the past.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.over.is_some() {
            return None;
        }
        if self.sctp.has_work() && self.is_secure {
            return Some(self.last_now);
        }
        let dtls = self.dtls.as_ref().and_then(Dtls::poll_timeout);
        [self.ice.poll_timeout(), dtls, self.sctp.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        if self.events.is_empty() {
            self.process_sctp();
        }
        self.events.pop_front()
    }

    /// The next packet for the network.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.transmits.is_empty() {
            self.process_sctp();
        }
        self.transmits.pop_front()
    }

    /// Whether media and channels flow.
    pub fn is_connected(&self) -> bool {
        self.is_secure && self.over.is_none() && self.ice.path().is_some()
    }

    /// (ours, the peer's) address that packets go between.
    pub fn selected_pair(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.ice.path().map(|path| (path.source, path.destination))
    }

    /// The last measured round trip time of the nominated pair.
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.ice.round_trip_time()
    }

    /// The counters so far.
    pub fn statistics(&self) -> TransportStatistics {
        self.statistics
    }

    /// Ends the connection: close_notify is queued, then nothing more is sent or taken.
    pub fn close(&mut self, now: Instant) {
        if self.over.is_some() {
            return;
        }
        self.set_now(now);
        self.process_sctp();
        if let Some(dtls) = &mut self.dtls {
            dtls.close();
            self.after_dtls(Ok(()));
        }
        self.end("closed by this side".to_owned());
    }
}

fn check_credential(what: &'static str, value: &str, minimum: usize) -> Result<()> {
    const MAXIMUM: usize = 256;
    let is_printable = value.bytes().all(|byte| byte.is_ascii_graphic());
    if (minimum..=MAXIMUM).contains(&value.len()) && is_printable {
        return Ok(());
    }
    Err(TransportError::RemoteParameter {
        what,
        value: value.chars().take(40).collect(),
        expected: "expected 1 to 256 printable ASCII characters",
    })
}

//! The peer itself: what it is made of, its transport description, and how it ends.

mod channels;
mod input;
mod media;
mod output;
mod servers;
mod settling;
mod statistics;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use greenroom_turn::{IceServer, Servers};
use str0m::stats::PeerStats;
use str0m::{Rtc, RtcError};

use crate::channels::Channels;
use crate::connection::Connection;
use crate::eager_checks::EagerChecks;
use crate::jobs::{JobRunner, Jobs, Wake};
use crate::local_candidates::LocalCandidates;
use crate::media_table::MediaTable;
use crate::receiving::Receiving;
use crate::rtc_config::Templates;
use crate::sending::Sending;
use crate::silence::Silence;
use crate::tcp_paths::TcpPaths;
use crate::{PeerConfig, PeerError, RemoteParameters, Result, TransportPolicy, rtc_config};

/// What happened to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEvent {
    /// new, checking, connected, disconnected, failed, closed.
    IceState(&'static str),
    /// ICE and DTLS are up (again, after an ICE restart).
    Connected,
    /// A `candidate:…` line of ours that was found later; the remote is to be told.
    LocalCandidate(String),
    /// Why this connection can't go on; it is closed. Once.
    Failed(String),
    /// A channel, ours or the remote's, can be written to.
    ChannelOpen(u32, String),
    ChannelMessage(u32, Vec<u8>),
    ChannelClosed(u32),
    /// A channel that was full has room.
    ChannelWritable(u32),
    /// The first packet of the receiver of this id arrived.
    ReceiverStarted(u64),
}

/// What carries what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Udp,
    /// RFC 4571 frames of a connection that was ordered.
    Tcp,
    /// Bytes of a connection that was ordered.
    Stream,
}

/// A TCP connection of ours. `source` says where it starts unless its address is unspecified; its port only names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    pub protocol: Protocol,
    pub source: SocketAddr,
    pub destination: SocketAddr,
}

/// What is to be done with TCP connections, before what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Connect(Opening),
    Disconnect(Opening),
}

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    pub protocol: Protocol,
    /// The local address to send from.
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub contents: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Failed,
    Closed,
}

#[derive(Default)]
struct Counters {
    bytes_sent: u64,
    bytes_received: u64,
    packets_sent: u64,
    packets_received: u64,
    packets_discarded: u64,
}

/// One peer connection, publisher or subscriber.
pub struct Peer {
    rtc: Rtc,
    controlling: bool,
    started_at: Instant,
    now: Instant,
    deadline: Instant,
    /// When str0m's timers last ran.
    advanced_at: Instant,
    state: State,
    events: VecDeque<PeerEvent>,
    transmits: VecDeque<Transmit>,
    connection: Connection,
    eager_checks: EagerChecks,
    /// STUN and TURN.
    servers: Servers,
    silence: Silence,
    tcp: TcpPaths,
    orders: VecDeque<Order>,
    channels: Channels,
    medias: MediaTable,
    sending: Sending,
    receiving: Receiving,
    jobs: Jobs,
    next_owner: u64,
    counters: Counters,
    peer_stats: Option<PeerStats>,
    path: Option<(SocketAddr, SocketAddr)>,
    /// When str0m last sent anything.
    sent_at: Option<Instant>,
}

impl Peer {
    /// `wake` is called from job threads: make `handle_timeout` happen soon.
    pub fn new(config: &PeerConfig, jobs: Arc<dyn JobRunner>, wake: Wake, now: Instant) -> Result<Peer> {
        let mut rtc = rtc_config::build(config)?.build(now);
        rtc.direct_api().set_ice_controlling(config.controlling);
        let estimating = rtc_config::estimates_bandwidth(config);
        if estimating {
            rtc.direct_api().enable_twcc_feedback();
        }
        let nack_audio = config
            .payload_types
            .iter()
            .any(|payload| payload.codec == "opus" && payload.feedback.iter().any(|f| f == "nack"));
        Ok(Peer {
            rtc,
            controlling: config.controlling,
            started_at: now,
            now,
            deadline: now,
            advanced_at: now,
            state: State::Open,
            events: VecDeque::new(),
            transmits: VecDeque::new(),
            connection: Connection::new(TransportPolicy::All),
            eager_checks: EagerChecks::default(),
            servers: Servers::new(),
            silence: Silence::default(),
            tcp: TcpPaths::default(),
            orders: VecDeque::new(),
            channels: Channels::new(),
            medias: MediaTable::new(Templates::new(config)?, now),
            sending: Sending::new(estimating),
            receiving: Receiving::new(nack_audio),
            jobs: Jobs::new(jobs, wake),
            next_owner: 0,
            counters: Counters::default(),
            peer_stats: None,
            path: None,
            sent_at: None,
        })
    }

    /// (ufrag, pwd) in force, or about to be after `restart_ice`.
    pub fn local_credentials(&mut self) -> (String, String) {
        let creds = self.rtc.direct_api().local_ice_credentials();
        (creds.ufrag, creds.pass)
    }

    /// Which candidates are used; before the first is given.
    pub fn set_transport_policy(&mut self, policy: TransportPolicy) {
        self.connection.local = LocalCandidates::new(policy);
    }

    /// A bound UDP socket's address; its host candidate as a `candidate:…` line, if the remote may know it.
    pub fn add_local_address(&mut self, address: SocketAddr, now: Instant) -> Result<Option<String>> {
        self.open()?;
        let line = self.connection.local.add_host(&mut self.rtc, address)?;
        self.servers.add_local(address, now);
        if self.connection.has_remote() && !self.connection.connected {
            self.eager_checks.begin(now);
        }
        self.settle(now);
        Ok(line)
    }

    /// TCP connections can be opened from this address; the candidate as a line, if the remote may know it.
    pub fn add_tcp_address(&mut self, address: IpAddr, now: Instant) -> Result<Option<String>> {
        self.open()?;
        let line = self.connection.local.add_tcp(&mut self.rtc, address);
        self.settle(now);
        Ok(line)
    }

    /// The machine has lost the address of this UDP socket; all that was sent from there is over.
    pub fn remove_local_address(&mut self, address: SocketAddr, now: Instant) {
        if self.state != State::Open {
            return;
        }
        self.connection.local.remove(&mut self.rtc, address);
        self.servers.remove_local(address);
        // What was reached from other addresses, too, may have been so by ways that are gone.
        if self.path.is_some_and(|(local, _)| local.ip() == address.ip()) {
            self.connection.local.prove_anew(&mut self.rtc);
            self.eager_checks.begin(now);
        }
        for name in self.connection.local.remove_tcp(&mut self.rtc, address.ip()) {
            let ended = self.tcp.remove(name).into_iter();
            self.orders.extend(ended.map(|(source, destination)| {
                let protocol = Protocol::Tcp;
                Order::Disconnect(Opening {
                    protocol,
                    source,
                    destination,
                })
            }));
        }
        self.settle(now);
    }

    /// Use a STUN or TURN server. `LocalCandidate` tells what it gave.
    pub fn add_ice_server(&mut self, server: IceServer, now: Instant) -> Result<()> {
        self.open()?;
        self.servers.add_server(server, now);
        self.settle(now);
        Ok(())
    }

    /// A `candidate:…` line of the remote. Kinds that can't be used are ignored.
    pub fn add_remote_candidate(&mut self, line: &str, now: Instant) -> Result<()> {
        self.open()?;
        self.connection.add_remote(&mut self.rtc, line)?;
        if self.connection.has_remote() && !self.connection.connected {
            self.eager_checks.begin(now);
        }
        self.settle(now);
        Ok(())
    }

    /// A UDP address of the remote that has become known since.
    pub fn poll_remote_address(&mut self) -> Option<SocketAddr> {
        self.connection.poll_remote_address()
    }

    /// Whether the remote's transport description is known.
    pub fn has_remote(&self) -> bool {
        self.connection.has_remote()
    }

    /// The remote's transport description: the first starts the connection, one with other credentials restarts ICE.
    pub fn set_remote(&mut self, remote: &RemoteParameters, now: Instant) -> Result<()> {
        self.open()?;
        // str0m must know the time before DTLS starts its timers.
        self.advance(now);
        self.connection
            .set_remote(&mut self.rtc, self.controlling, remote, now)?;
        self.tcp.begin(now, self.connection.has_udp_remote());
        self.channels.table.set_message_limit(remote.max_message_size);
        self.eager_checks.begin(now);
        self.settle(now);
        Ok(())
    }

    /// New local (ufrag, pwd) for the next offer or answer.
    pub fn restart_ice(&mut self, now: Instant) -> Result<(String, String)> {
        self.open()?;
        let creds = self.connection.restart_ice(&mut self.rtc);
        self.servers.retry(now);
        self.settle(now);
        Ok((creds.ufrag, creds.pass))
    }

    fn str0m_failed(&mut self, error: &RtcError) {
        if self.rtc.is_alive() {
            // One bad packet of an otherwise fine connection.
            log::debug!("dropped: {error}");
            self.counters.packets_discarded += 1;
        } else if self.state == State::Open {
            self.fail(format!(
                "the DTLS connection failed: {error}; was the fingerprint that of this remote?"
            ));
        }
    }

    /// It can't go on; an event says why. Nothing when it has ended before.
    pub fn fail(&mut self, reason: String) {
        if self.state != State::Open {
            return;
        }
        self.end(State::Failed);
        self.events.push_back(PeerEvent::IceState("failed"));
        self.events.push_back(PeerEvent::Failed(reason));
        self.rtc.disconnect();
        self.servers.close(self.now);
    }

    fn end(&mut self, state: State) {
        self.state = state;
        self.connection.connected = false;
        self.eager_checks.end();
        self.channels.table.close_all();
        self.receiving.end_all();
        self.sending.clear();
    }

    /// Say goodbye: `poll_transmit` still gives the last datagrams, no event follows. Harmless twice.
    pub fn close(&mut self, now: Instant) {
        if self.state == State::Open {
            self.end(State::Closed);
            // str0m refuses while SCTP is half open; then the other side learns it by ICE going silent.
            if let Err(error) = self.rtc.close() {
                log::debug!("closed without a goodbye: {error}");
            }
            self.advance(now);
            self.drain();
            self.servers.close(now);
        }
        self.state = State::Closed;
        self.events.clear();
    }

    /// Whether it has neither failed nor been closed.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    fn open(&self) -> Result<()> {
        if self.is_open() {
            Ok(())
        } else {
            Err(PeerError::Closed)
        }
    }
}

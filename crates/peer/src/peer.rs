//! The peer itself: drives str0m, and carries what comes out of it to where it belongs.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenroom_media::video::I420Frame;
use str0m::bwe::BweKind;
use str0m::channel::{ChannelConfig as RtcChannelConfig, ChannelId, Reliability};
use str0m::net::{DatagramRecv, Protocol, Receive};
use str0m::stats::PeerStats;
use str0m::{Event, IceConnectionState, Input, Output, Rtc, RtcError};

use crate::channels::{ChannelSender, ChannelTable, Channels};
use crate::connection::{Connection, ice_state_name};
use crate::jobs::{JobRunner, Jobs, Outcome, Wake};
use crate::media_table::MediaTable;
use crate::receiving::Receiving;
use crate::rtc_config::Templates;
use crate::sending::Sending;
use crate::{
    AudioSenderConfig, AudioSink, ChannelConfig, PeerConfig, PeerError, PeerStatistics, ReceiverConfig,
    RemoteParameters, Result, TransportStatistics, VideoSenderConfig, VideoSink, rtc_config,
};

/// str0m's pacer asks for times a microsecond ahead; those are served at once, or it would send one packet a wake-up.
const DUE_WITHIN: Duration = Duration::from_millis(1);
/// Bounds one drain, should str0m ever ask for the same time again and again.
const DRAIN_STEPS_LIMIT: usize = 100_000;
/// Errors of str0m in one drain after which it is given up.
const DRAIN_ERRORS_LIMIT: usize = 100;

/// What happened to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEvent {
    /// new, checking, connected, disconnected, failed, closed.
    IceState(&'static str),
    /// ICE and DTLS are up (again, after an ICE restart).
    Connected,
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

/// A UDP datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
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
    state: State,
    events: VecDeque<PeerEvent>,
    transmits: VecDeque<Transmit>,
    connection: Connection,
    channels: Channels,
    medias: MediaTable,
    sending: Sending,
    receiving: Receiving,
    jobs: Jobs,
    next_owner: u64,
    counters: Counters,
    peer_stats: Option<PeerStats>,
    path: Option<(SocketAddr, SocketAddr)>,
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
            state: State::Open,
            events: VecDeque::new(),
            transmits: VecDeque::new(),
            connection: Connection::new(),
            channels: Channels::new(),
            medias: MediaTable::new(Templates::new(config)?, now),
            sending: Sending::new(estimating),
            receiving: Receiving::new(nack_audio),
            jobs: Jobs::new(jobs, wake),
            next_owner: 0,
            counters: Counters::default(),
            peer_stats: None,
            path: None,
        })
    }

    // ---- transport description ----

    /// (ufrag, pwd) in force, or about to be after `restart_ice`.
    pub fn local_credentials(&mut self) -> (String, String) {
        let creds = self.rtc.direct_api().local_ice_credentials();
        (creds.ufrag, creds.pass)
    }

    /// A bound UDP socket's address; its host candidate as a `candidate:…` line.
    pub fn add_local_address(&mut self, address: SocketAddr, now: Instant) -> Result<String> {
        self.open()?;
        let line = self.connection.add_local(&mut self.rtc, address)?;
        self.settle(now);
        Ok(line)
    }

    /// A `candidate:…` line of the remote. Kinds that can't be used are ignored.
    pub fn add_remote_candidate(&mut self, line: &str, now: Instant) -> Result<()> {
        self.open()?;
        self.connection.add_remote(&mut self.rtc, line)?;
        self.settle(now);
        Ok(())
    }

    /// The remote's transport description: the first starts the connection, one with other credentials restarts ICE.
    pub fn set_remote(&mut self, remote: &RemoteParameters, now: Instant) -> Result<()> {
        self.open()?;
        // str0m must know the time before DTLS starts its timers.
        self.advance(now);
        self.connection
            .set_remote(&mut self.rtc, self.controlling, remote, now)?;
        self.channels.table.set_message_limit(remote.max_message_size);
        self.settle(now);
        Ok(())
    }

    /// New local (ufrag, pwd) for the next offer or answer.
    pub fn restart_ice(&mut self, now: Instant) -> Result<(String, String)> {
        self.open()?;
        let creds = self.connection.restart_ice(&mut self.rtc);
        self.settle(now);
        Ok((creds.ufrag, creds.pass))
    }

    // ---- data channels ----

    /// Numbers and queues of all channels, for any thread.
    pub fn channel_table(&self) -> ChannelTable {
        self.channels.table.clone()
    }

    /// Open the channel whose number was reserved with [`ChannelTable::create`]. ChannelOpen follows.
    pub fn open_channel(&mut self, sender: ChannelSender, config: ChannelConfig, now: Instant) {
        if self.state != State::Open {
            return;
        }
        let reliability = match config.max_retransmits {
            None => Reliability::Reliable,
            Some(retransmits) => Reliability::MaxRetransmits { retransmits },
        };
        let id = self.rtc.direct_api().create_data_channel(RtcChannelConfig {
            label: config.label,
            ordered: config.ordered,
            reliability,
            ..RtcChannelConfig::default()
        });
        self.channels.add(id, sender);
        self.touch(now);
    }

    /// After [`crate::SendOutcome::Queued`] with `wake`.
    pub fn flush_channels(&mut self, now: Instant) {
        self.channels.acknowledge_wake();
        self.advance(now);
        self.settle(now);
    }

    // ---- senders ----

    /// Encode and send what [`Peer::push_audio`] brings for this mid.
    pub fn add_audio_sender(&mut self, mid: &str, config: AudioSenderConfig, now: Instant) -> Result<()> {
        self.open()?;
        self.sending
            .add_audio(&mut self.rtc, &mut self.medias, mid, config)?;
        self.settle(now);
        Ok(())
    }

    /// Encode and send what [`Peer::push_video`] brings for this mid.
    pub fn add_video_sender(&mut self, mid: &str, config: VideoSenderConfig, now: Instant) -> Result<()> {
        self.open()?;
        self.next_owner += 1;
        self.sending
            .add_video(&mut self.rtc, &mut self.medias, mid, self.next_owner, config)?;
        self.settle(now);
        Ok(())
    }

    pub fn set_sender_muted(&mut self, mid: &str, muted: bool, now: Instant) -> Result<()> {
        self.open()?;
        let sending = self.connection.connected;
        self.sending
            .set_muted(&mut self.rtc, &self.jobs, mid, muted, sending, now)?;
        self.settle(now);
        Ok(())
    }

    pub fn set_layer_active(&mut self, mid: &str, rid: &str, active: bool, now: Instant) -> Result<()> {
        self.open()?;
        self.sending.set_layer_active(&mut self.rtc, mid, rid, active)?;
        self.settle(now);
        Ok(())
    }

    /// Does nothing for an unknown mid.
    pub fn remove_sender(&mut self, mid: &str, now: Instant) {
        self.sending.remove(&mut self.rtc, &mut self.medias, mid);
        self.touch(now);
    }

    /// Interleaved PCM drained from the sender's source, any length.
    pub fn push_audio(&mut self, mid: &str, pcm: &[i16], rate_hz: u32, channels: usize, now: Instant) {
        if self.state != State::Open {
            return;
        }
        let sending = self.connection.connected;
        if let Err(error) =
            self.sending
                .push_audio(&mut self.rtc, mid, (pcm, rate_hz, channels), sending, now)
        {
            log::warn!("mid {mid}: {error}");
        }
        if sending {
            self.touch(now);
        }
    }

    /// A captured picture, upright.
    pub fn push_video(&mut self, mid: &str, frame: I420Frame, timestamp_us: i64, now: Instant) {
        if self.state == State::Open {
            let sending = self.connection.connected;
            self.sending
                .push_video(&self.jobs, mid, frame, timestamp_us, sending, now);
            self.take_results(now);
        }
    }

    // ---- receivers ----

    /// Expect a stream. A receiver that the mid has already ends.
    pub fn add_receiver(&mut self, mid: &str, config: ReceiverConfig, now: Instant) -> Result<()> {
        self.open()?;
        self.next_owner += 1;
        self.receiving
            .add(&mut self.rtc, &mut self.medias, mid, self.next_owner, config)?;
        self.settle(now);
        Ok(())
    }

    /// Ends its streams. Does nothing for an unknown mid.
    pub fn remove_receiver(&mut self, mid: &str, now: Instant) {
        self.receiving.remove(&mut self.rtc, &mut self.medias, mid);
        self.touch(now);
    }

    /// Decode the audio receiver of this id into `sink`, which ends at once when there is no such receiver.
    pub fn attach_audio_sink(
        &mut self,
        receiver_id: u64,
        sink_id: u64,
        sink: Arc<dyn AudioSink>,
        now: Instant,
    ) {
        self.receiving.attach_audio(receiver_id, sink_id, sink, now);
    }

    /// Decode the video receiver of this id into `sink`, which ends at once when there is no such receiver.
    pub fn attach_video_sink(
        &mut self,
        receiver_id: u64,
        sink_id: u64,
        sink: Arc<dyn VideoSink>,
        now: Instant,
    ) {
        self.receiving.attach_video(receiver_id, sink_id, sink, now);
        self.touch(now);
    }

    /// Nothing more goes to this sink; it is not told.
    pub fn detach_sink(&mut self, sink_id: u64) {
        self.receiving.detach(sink_id);
    }

    // ---- driving ----

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
        self.counters.packets_received += 1;
        self.counters.bytes_received += contents.len() as u64;
        if !self.receive(source, destination, contents) {
            self.counters.packets_discarded += 1;
        }
        self.settle(now);
    }

    fn receive(&mut self, source: SocketAddr, destination: SocketAddr, contents: &[u8]) -> bool {
        // Before the remote's credentials are known only STUN requests can be judged.
        if !self.connection.has_remote() && contents.get(..2) != Some(&[0, 1]) {
            return false;
        }
        let Ok(datagram) = DatagramRecv::try_from(contents) else {
            return false;
        };
        let receive = Receive {
            proto: Protocol::Udp,
            source,
            destination,
            contents: datagram,
        };
        let input = Input::Receive(self.now, receive);
        // RFC 7983: 0 to 3 is STUN.
        let is_stun = contents.first().is_some_and(|byte| *byte <= 3);
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
            Ok(()) => true,
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
        if self.deadline <= self.now {
            self.advance(now);
        }
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
            self.sending.poll_timeout(),
            self.receiving.poll_timeout(),
        ];
        others.into_iter().flatten().chain([self.deadline]).min()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        self.events.pop_front()
    }

    /// Let str0m know the time; its timers run.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if let Err(error) = self.rtc.handle_input(Input::Timeout(self.now)) {
            self.str0m_failed(&error);
        }
    }

    /// After a change that str0m must act on soon.
    fn touch(&mut self, now: Instant) {
        self.advance(now);
        self.settle(now);
    }

    /// Carry everything through until nothing moves.
    fn settle(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.drain();
        if self.channels.pump(&mut self.rtc) {
            self.drain();
        }
        let writable = self.channels.writable(&mut self.rtc);
        self.events
            .extend(writable.into_iter().map(PeerEvent::ChannelWritable));
        if self.state == State::Open && self.connection.update(&self.rtc) {
            self.events.push_back(PeerEvent::Connected);
            self.sending.connected(&self.jobs, self.now);
        }
        self.take_results(self.now);
        if self.state == State::Open
            && let Some(reason) = self.connection.given_up(self.now)
        {
            self.fail(reason);
        }
    }

    fn take_results(&mut self, now: Instant) {
        // Inline runners finish follow-up jobs at once, so look again; real ones find it empty.
        for _ in 0..64 {
            if self.state != State::Open || self.jobs.inbox.is_empty() {
                return;
            }
            for (key, outcome) in self.jobs.inbox.take() {
                self.job_finished(key, outcome, now);
            }
        }
    }

    fn job_finished(&mut self, key: crate::jobs::JobKey, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Decoded(_) => self.receiving.finished(&self.jobs, key.owner, outcome, now),
            Outcome::Encoded(_) => self.encoded(key, outcome, now),
            // Owners are unique, so only one of the two has it.
            Outcome::Lost => {
                self.receiving.finished(&self.jobs, key.owner, Outcome::Lost, now);
                self.encoded(key, Outcome::Lost, now);
            }
        }
    }

    fn encoded(&mut self, key: crate::jobs::JobKey, outcome: Outcome, now: Instant) {
        let sending = self.connection.connected;
        self.sending
            .finished(&mut self.rtc, &self.jobs, key, outcome, sending, now);
        self.advance(now);
        self.drain();
    }

    /// Take everything out of str0m; it must be empty before it gets the next input.
    fn drain(&mut self) {
        let horizon = self.now + DUE_WITHIN;
        let mut errors = 0;
        for _ in 0..DRAIN_STEPS_LIMIT {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => self.queue_transmit(transmit),
                Ok(Output::Event(event)) => self.handle_event(event),
                Ok(Output::Timeout(deadline)) => {
                    self.deadline = deadline;
                    if deadline > horizon || !self.rtc.is_alive() {
                        return;
                    }
                    if let Err(error) = self.rtc.handle_input(Input::Timeout(deadline.max(self.now))) {
                        self.str0m_failed(&error);
                    }
                }
                Err(error) => {
                    errors += 1;
                    self.str0m_failed(&error);
                    if errors > DRAIN_ERRORS_LIMIT {
                        self.fail(format!("the connection fails again and again: {error}"));
                        return;
                    }
                }
            }
        }
        log::warn!("a peer asks for work without end; it goes on in a moment");
        self.deadline = self.now + DUE_WITHIN;
    }

    fn queue_transmit(&mut self, transmit: str0m::net::Transmit) {
        let contents: Vec<u8> = transmit.contents.into();
        self.counters.packets_sent += 1;
        self.counters.bytes_sent += contents.len() as u64;
        // The first byte of STUN is 0 or 1 (RFC 7983): checks go to many, the rest to the chosen one.
        if contents.first().is_some_and(|byte| *byte > 3) {
            self.path = Some((transmit.source, transmit.destination));
        }
        self.transmits.push_back(Transmit {
            source: transmit.source,
            destination: transmit.destination,
            contents,
        });
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

    fn fail(&mut self, reason: String) {
        if self.state != State::Open {
            return;
        }
        self.end(State::Failed);
        self.events.push_back(PeerEvent::IceState("failed"));
        self.events.push_back(PeerEvent::Failed(reason));
        self.rtc.disconnect();
    }

    fn end(&mut self, state: State) {
        self.state = state;
        self.connection.connected = false;
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

    // ---- what str0m reports ----

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::MediaData(data) => {
                let uptime = self.now.saturating_duration_since(self.started_at);
                let started = self.receiving.insert(&data, &self.jobs, self.now, uptime);
                self.events.extend(started.map(PeerEvent::ReceiverStarted));
            }
            Event::ChannelData(data) => {
                let number = self.channels.number(data.id);
                self.events
                    .extend(number.map(|number| PeerEvent::ChannelMessage(number, data.data)));
            }
            Event::ChannelOpen(id, label) => self.channel_opened(id, label),
            Event::ChannelClose(id) => self
                .events
                .extend(self.channels.closed(id).map(PeerEvent::ChannelClosed)),
            Event::IceConnectionStateChange(state) => {
                let changed = self.connection.ice_changed(state, self.now);
                self.events.extend(changed.map(PeerEvent::IceState));
            }
            Event::Connected => self.connection.dtls_connected = true,
            Event::Closed => self.fail("the remote closed the connection".into()),
            Event::KeyframeRequest(request) => self.sending.key_frame_requested(request),
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                self.sending.set_estimate(&mut self.rtc, estimate.as_u64());
            }
            Event::PeerStats(statistics) => {
                let pair = statistics.selected_candidate_pair.as_ref();
                if let Some(round_trip) = pair.and_then(|pair| pair.current_round_trip_time) {
                    self.channels.set_round_trip(round_trip);
                }
                self.peer_stats = Some(statistics);
            }
            Event::MediaEgressStats(statistics) => self.sending.note_statistics(statistics),
            Event::MediaIngressStats(statistics) => self.receiving.note_statistics(statistics),
            _ => {}
        }
    }

    fn channel_opened(&mut self, id: ChannelId, label: String) {
        let reliability = self
            .rtc
            .channel(id)
            .and_then(|channel| channel.config().map(|config| config.reliability));
        let reliable = reliability.is_none_or(|reliability| reliability == Reliability::Reliable);
        match self.channels.opened(id, reliable) {
            Some(number) => self.events.push_back(PeerEvent::ChannelOpen(number, label)),
            None => {
                log::warn!("the remote's channel {label:?} is refused: there are too many");
                self.rtc.direct_api().close_data_channel(id);
            }
        }
    }

    // ---- statistics ----

    /// Everything counted so far.
    pub fn statistics(&self) -> PeerStatistics {
        PeerStatistics {
            transport: self.transport_statistics(),
            senders: self.sending.statistics(&self.medias),
            receivers: self.receiving.statistics(&self.medias),
        }
    }

    fn transport_statistics(&self) -> TransportStatistics {
        let stats = self.peer_stats.as_ref();
        let pair_rtt =
            stats.and_then(|stats| stats.selected_candidate_pair.as_ref()?.current_round_trip_time);
        let round_trip_time = pair_rtt.or(stats.and_then(|stats| stats.rtt));
        TransportStatistics {
            ice_state: match self.state {
                State::Open => ice_state_name(self.connection.ice_state),
                State::Failed => "failed",
                State::Closed => "closed",
            },
            dtls_state: self.dtls_state(),
            bytes_sent: self.counters.bytes_sent,
            bytes_received: self.counters.bytes_received,
            packets_sent: self.counters.packets_sent,
            packets_received: self.counters.packets_received,
            packets_discarded: self.counters.packets_discarded,
            round_trip_time_s: round_trip_time.map(|rtt| rtt.as_secs_f64()),
            available_outgoing_bitrate_bps: stats
                .and_then(|stats| stats.bwe_tx)
                .map(|bitrate| bitrate.as_u64()),
            local_candidate: self.path.map(|(local, _)| local.to_string()),
            remote_candidate: self.path.map(|(_, remote)| remote.to_string()),
            candidate_pairs_tried: self.connection.pairs_tried(),
        }
    }

    fn dtls_state(&self) -> &'static str {
        match self.state {
            State::Failed => "failed",
            State::Closed => "closed",
            State::Open if self.connection.dtls_connected => "connected",
            State::Open
                if matches!(
                    self.connection.ice_state,
                    IceConnectionState::Connected | IceConnectionState::Completed
                ) =>
            {
                "connecting"
            }
            State::Open => "new",
        }
    }
}

//! The forwarding unit: transports, tracks, timers.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use greenroom_transport::{
    Certificate, ChannelConfig, ChannelId, IceCredentials, Protocol, Received, RemoteParameters, Transmit,
    Transport, TransportConfig, TransportEvent, TransportStatistics,
};

use crate::connection::{Connection, StreamBinding};
use crate::demultiplexer::Demultiplexer;
use crate::down_track::DownTrack;
use crate::error::{Result, SfuError};
use crate::handles::{Handle, HandleMap};
use crate::parameters::{HeaderExtension, Kind, PayloadType, ReceiveLayer};
use crate::statistics::{DownTrackStatistics, SfuStatistics, UpTrackStatistics};
use crate::up_track::UpTrack;

/// An address that every transport offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalCandidate {
    /// UDP, or passive TCP.
    pub protocol: Protocol,
    /// The bound address: the destination of datagrams that come in.
    pub address: SocketAddr,
    /// What the peer hears of.
    pub advertised: SocketAddr,
}

/// What a new transport needs.
#[derive(Debug, Clone)]
pub struct TransportParameters {
    /// Whether our ICE role is controlling.
    pub controlling: bool,
    /// Ours.
    pub ice_credentials: IceCredentials,
}

/// Credentials of the lengths that RFC 8839 section 5.4 asks for, and more random than it asks.
pub fn random_ice_credentials() -> IceCredentials {
    use rand::Rng;
    let mut random = rand::rng();
    let mut text = |length: usize| -> String {
        (0..length)
            .map(|_| char::from(random.sample(rand::distr::Alphanumeric)))
            .collect()
    };
    IceCredentials {
        ufrag: text(16),
        pwd: text(32),
    }
}

/// What a publisher's m-line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpTrackParameters {
    /// The publisher's transport.
    pub transport: Handle,
    /// The m-line.
    pub mid: String,
    /// Audio or video.
    pub kind: Kind,
    /// As negotiated.
    pub payload_types: Vec<PayloadType>,
    /// As negotiated.
    pub header_extensions: Vec<HeaderExtension>,
    /// Layers whose SSRC is declared, lowest first.
    pub layers: Vec<ReceiveLayer>,
    /// Layers that are bound by the mid and rid extensions, lowest first.
    pub rids: Vec<String>,
}

/// What a subscriber's m-line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownTrackParameters {
    /// The subscriber's transport.
    pub transport: Handle,
    /// The m-line.
    pub mid: String,
    /// What to forward.
    pub up_track: Handle,
    /// Under which SSRC.
    pub ssrc: u32,
    /// The SSRC of retransmissions.
    pub rtx_ssrc: Option<u32>,
    /// As answered.
    pub payload_types: Vec<PayloadType>,
    /// As answered.
    pub header_extensions: Vec<HeaderExtension>,
}

/// What happened; drained with [`Sfu::poll_event`].
#[derive(Debug, Clone, PartialEq)]
pub enum SfuEvent {
    /// Of a transport; never `Rtp` or `Rtcp`.
    Transport(Handle, TransportEvent),
    /// The first packet of an up track arrived.
    UpTrackStarted(Handle),
    /// Which layers of an up track flow, lowest first.
    UpTrackLayers(Handle, Vec<bool>),
    /// The first packet of a down track was forwarded.
    DownTrackStarted(Handle),
}

/// One server's forwarding unit.
pub struct Sfu {
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) candidates: Vec<LocalCandidate>,
    pub(crate) connections: HandleMap<Connection>,
    pub(crate) up_tracks: HandleMap<UpTrack>,
    pub(crate) down_tracks: HandleMap<DownTrack>,
    pub(crate) demultiplexer: Demultiplexer,
    pub(crate) events: VecDeque<SfuEvent>,
    pub(crate) statistics: SfuStatistics,
    /// Transports that may have something to send.
    pub(crate) dirty: Vec<Handle>,
    timers: BinaryHeap<Reverse<(Instant, Handle)>>,
    /// Transports that go once their last datagrams are taken.
    closing: Vec<Handle>,
    /// The packet being written, reused.
    pub(crate) scratch: Vec<u8>,
}

impl Sfu {
    /// A unit whose transports share these addresses and this certificate.
    pub fn new(certificate: Arc<Certificate>, candidates: Vec<LocalCandidate>) -> Sfu {
        Sfu {
            certificate,
            candidates,
            connections: HandleMap::default(),
            up_tracks: HandleMap::default(),
            down_tracks: HandleMap::default(),
            demultiplexer: Demultiplexer::default(),
            events: VecDeque::new(),
            statistics: SfuStatistics::default(),
            dirty: Vec::new(),
            timers: BinaryHeap::new(),
            closing: Vec::new(),
            scratch: Vec::with_capacity(1_500),
        }
    }

    // ---- transports ----

    /// Opens a transport.
    pub fn create_transport(&mut self, handle: Handle, parameters: TransportParameters, now: Instant) {
        let mut config = TransportConfig::new(Arc::clone(&self.certificate));
        config.controlling = parameters.controlling;
        config.ice_credentials = Some(parameters.ice_credentials);
        let mut transport = Transport::new(config, now);
        for candidate in &self.candidates {
            transport.add_local_host_candidate(candidate.protocol, candidate.address, candidate.advertised);
        }
        self.demultiplexer
            .add_fragment(&transport.local_credentials().ufrag, handle);
        self.connections
            .insert(handle, Connection::new(transport, rand::random(), now));
        self.drain(handle, now);
    }

    fn connection(&mut self, handle: Handle) -> Result<&mut Connection> {
        self.connections.get_mut(&handle).ok_or(SfuError::Unknown {
            what: "transport",
            handle,
        })
    }

    /// The peer's half of the negotiation; see [`Transport::set_remote`]. Gives our credentials, which an ICE
    /// restart by the peer renews.
    ///
    /// # Errors
    /// When the transport is gone or the parameters don't parse.
    pub fn set_remote(
        &mut self,
        handle: Handle,
        parameters: RemoteParameters,
        now: Instant,
    ) -> Result<IceCredentials> {
        let transport = &mut self.connection(handle)?.transport;
        let outcome = transport.set_remote(parameters, now);
        let credentials = transport.local_credentials().clone();
        self.demultiplexer.add_fragment(&credentials.ufrag, handle);
        self.drain(handle, now);
        outcome?;
        Ok(credentials)
    }

    /// A candidate of the peer.
    ///
    /// # Errors
    /// When the transport is gone or the line doesn't parse.
    pub fn add_remote_candidate(&mut self, handle: Handle, line: &str, now: Instant) -> Result<()> {
        let outcome = self.connection(handle)?.transport.add_remote_candidate(line);
        self.drain(handle, now);
        Ok(outcome?)
    }

    /// New credentials of ours for the next description.
    ///
    /// # Errors
    /// When the transport is gone.
    pub fn restart_ice(&mut self, handle: Handle, now: Instant) -> Result<IceCredentials> {
        let credentials = self.connection(handle)?.transport.restart_ice();
        self.demultiplexer.add_fragment(&credentials.ufrag, handle);
        self.drain(handle, now);
        Ok(credentials)
    }

    /// Opens a data channel.
    ///
    /// # Errors
    /// When the transport is gone.
    pub fn open_channel(&mut self, handle: Handle, config: ChannelConfig, now: Instant) -> Result<ChannelId> {
        let channel = self.connection(handle)?.transport.open_channel(config);
        self.drain(handle, now);
        Ok(channel)
    }

    /// Queues one message; see [`Transport::send_message`].
    ///
    /// # Errors
    /// When the transport or channel is gone, or the message too large.
    pub fn send_message(
        &mut self,
        handle: Handle,
        channel: ChannelId,
        data: &[u8],
        now: Instant,
    ) -> Result<bool> {
        let outcome = self.connection(handle)?.transport.send_message(channel, data);
        self.drain(handle, now);
        Ok(outcome?)
    }

    /// Bytes queued or not yet acknowledged on a channel; 0 for an unknown one.
    pub fn buffered_amount(&self, handle: Handle, channel: ChannelId) -> usize {
        self.connections
            .get(&handle)
            .map_or(0, |connection| connection.transport.buffered_amount(channel))
    }

    /// Counters of a transport, its ICE state, round trip and (local, remote) addresses in use.
    ///
    /// # Errors
    /// When the transport is gone.
    pub fn transport_statistics(&self, handle: Handle) -> Result<TransportSnapshot> {
        let connection = self.connections.get(&handle).ok_or(SfuError::Unknown {
            what: "transport",
            handle,
        })?;
        Ok(TransportSnapshot {
            counters: connection.transport.statistics(),
            ice_state: connection.ice_state,
            round_trip_s: connection
                .transport
                .round_trip_time()
                .map(|round_trip| round_trip.as_secs_f64()),
            selected_pair: connection.selected,
            estimated_bitrate_bps: connection.remb_bps,
        })
    }

    /// Says goodbye and forgets the transport with its up and down tracks. Does nothing for an unknown one.
    pub fn close_transport(&mut self, handle: Handle, now: Instant) {
        let Some(connection) = self.connections.get(&handle) else {
            return;
        };
        let (up_tracks, down_tracks) = (connection.up_tracks.clone(), connection.down_tracks.clone());
        for down_track in down_tracks {
            self.close_down_track(down_track);
        }
        for up_track in up_tracks {
            self.close_up_track(up_track);
        }
        self.demultiplexer.remove(handle);
        // It stays for one last round of `poll_transmit`, which carries the goodbye.
        if let Some(connection) = self.connections.get_mut(&handle) {
            connection.transport.close(now);
            connection.failed = true;
            connection.media_deadline = None;
            while connection.transport.poll_event().is_some() {}
            self.mark_dirty(handle);
            self.closing.push(handle);
        }
    }

    // ---- tracks ----

    /// Opens an up track, or updates it when its handle exists.
    ///
    /// # Errors
    /// When the transport is gone.
    pub fn set_up_track(&mut self, handle: Handle, parameters: &UpTrackParameters) -> Result<()> {
        let connection = self
            .connections
            .get_mut(&parameters.transport)
            .ok_or(SfuError::Unknown {
                what: "transport",
                handle: parameters.transport,
            })?;
        connection.extensions.merge(&parameters.header_extensions);
        let track = self.up_tracks.entry(handle).or_insert_with(|| {
            connection.up_tracks.push(handle);
            UpTrack::new(handle, parameters.transport, parameters)
        });
        for (ssrc, layer, is_rtx) in track.update(parameters) {
            connection.streams.insert(
                u64::from(ssrc),
                StreamBinding {
                    up_track: handle,
                    layer,
                    is_rtx,
                },
            );
        }
        let layers = track.layers.len();
        connection
            .streams
            .retain(|_, binding| binding.up_track != handle || usize::from(binding.layer) < layers);
        for down_track in &track.down_tracks {
            if let Some(down_track) = self.down_tracks.get_mut(down_track) {
                down_track.set_upstream(&track.payload_types);
            }
        }
        Ok(())
    }

    /// Closes an up track and its down tracks. Does nothing for an unknown one.
    pub fn close_up_track(&mut self, handle: Handle) {
        let Some(track) = self.up_tracks.remove(&handle) else {
            return;
        };
        for down_track in track.down_tracks {
            self.close_down_track(down_track);
        }
        if let Some(connection) = self.connections.get_mut(&track.transport) {
            connection.up_tracks.retain(|other| *other != handle);
            connection.streams.retain(|_, binding| binding.up_track != handle);
        }
    }

    /// Opens a down track.
    ///
    /// # Errors
    /// When transport or up track are gone, or the transport sends that SSRC already.
    pub fn add_down_track(
        &mut self,
        handle: Handle,
        parameters: &DownTrackParameters,
        now: Instant,
    ) -> Result<()> {
        let up_track = self
            .up_tracks
            .get_mut(&parameters.up_track)
            .ok_or(SfuError::Unknown {
                what: "up track",
                handle: parameters.up_track,
            })?;
        let connection = self
            .connections
            .get_mut(&parameters.transport)
            .ok_or(SfuError::Unknown {
                what: "transport",
                handle: parameters.transport,
            })?;
        let ssrcs = [Some(parameters.ssrc), parameters.rtx_ssrc];
        if let Some(taken) = ssrcs
            .iter()
            .flatten()
            .find(|ssrc| connection.down_by_ssrc.contains_key(&u64::from(**ssrc)))
        {
            return Err(SfuError::Parameter {
                what: "SSRC",
                value: taken.to_string(),
                expected: "one that this transport does not send yet",
            });
        }
        let cname = format!("greenroom-{}", up_track.transport);
        let rtx_start = rand::random::<u16>() & 0x7FFF;
        let retired = connection.retired(parameters.ssrc);
        let track = DownTrack::new(
            handle,
            parameters,
            up_track.kind,
            cname,
            &up_track.payload_types,
            retired,
            rtx_start,
        );
        for ssrc in ssrcs.into_iter().flatten() {
            connection.down_by_ssrc.insert(u64::from(ssrc), handle);
        }
        connection.down_tracks.push(handle);
        up_track.down_tracks.push(handle);
        self.down_tracks.insert(handle, track);
        self.ask_for_down_track(handle, now);
        Ok(())
    }

    /// Closes a down track at once. Does nothing for an unknown one.
    pub fn close_down_track(&mut self, handle: Handle) {
        let Some(track) = self.down_tracks.remove(&handle) else {
            return;
        };
        if let Some(up_track) = self.up_tracks.get_mut(&track.up_track) {
            up_track.down_tracks.retain(|other| *other != handle);
        }
        if let Some(connection) = self.connections.get_mut(&track.transport) {
            connection.down_tracks.retain(|other| *other != handle);
            connection.down_by_ssrc.retain(|_, owner| *owner != handle);
            if let Some(retired) = track.retire() {
                connection.retire(track.ssrc, retired);
            }
        }
    }

    /// The publisher muted or unmuted. Does nothing for an unknown track.
    pub fn set_up_track_muted(&mut self, handle: Handle, muted: bool, now: Instant) {
        let Some(track) = self.up_tracks.get_mut(&handle) else {
            return;
        };
        if track.muted == muted {
            return;
        }
        track.set_muted(muted);
        for down_handle in track.down_tracks.clone() {
            if let Some(down_track) = self.down_tracks.get_mut(&down_handle) {
                down_track.set_publisher_muted(muted, now);
            }
            self.touch_down_track(down_handle, now);
        }
    }

    /// The subscriber does or does not want media. Does nothing for an unknown track.
    pub fn set_down_track_enabled(&mut self, handle: Handle, enabled: bool, now: Instant) {
        if let Some(track) = self.down_tracks.get_mut(&handle) {
            track.set_enabled(enabled, now);
            self.touch_down_track(handle, now);
        }
    }

    /// See [`DownTrack::set_max_layer`]. Does nothing for an unknown track.
    pub fn set_max_layer(&mut self, handle: Handle, spatial: u8, temporal: u8, now: Instant) {
        if let Some(track) = self.down_tracks.get_mut(&handle) {
            track.set_max_layer(spatial, temporal);
            self.touch_down_track(handle, now);
        }
    }

    fn touch_down_track(&mut self, handle: Handle, now: Instant) {
        self.ask_for_down_track(handle, now);
        let Some(track) = self.down_tracks.get(&handle) else {
            return;
        };
        let (transport, deadline) = (track.transport, track.deadline());
        if let Some(connection) = self.connections.get_mut(&transport) {
            connection.lower_deadline(deadline);
        }
        self.mark_dirty(transport);
    }

    /// (linear level, is speaking) of an up track.
    ///
    /// # Errors
    /// When the track is gone.
    pub fn audio_level(&self, handle: Handle, now: Instant) -> Result<(f64, bool)> {
        let track = self.up_tracks.get(&handle).ok_or(SfuError::Unknown {
            what: "up track",
            handle,
        })?;
        Ok(track.audio_level(now))
    }

    /// A snapshot of an up track.
    ///
    /// # Errors
    /// When the track is gone.
    pub fn up_track_statistics(&self, handle: Handle) -> Result<UpTrackStatistics> {
        let track = self.up_tracks.get(&handle).ok_or(SfuError::Unknown {
            what: "up track",
            handle,
        })?;
        Ok(track.statistics())
    }

    /// A snapshot of a down track.
    ///
    /// # Errors
    /// When the track is gone.
    pub fn down_track_statistics(&self, handle: Handle) -> Result<DownTrackStatistics> {
        let track = self.down_tracks.get(&handle).ok_or(SfuError::Unknown {
            what: "down track",
            handle,
        })?;
        Ok(track.statistics())
    }

    /// Counters of the whole unit.
    pub fn statistics(&self) -> SfuStatistics {
        SfuStatistics {
            transports: (self.connections.len() - self.closing.len()) as u64,
            up_tracks: self.up_tracks.len() as u64,
            down_tracks: self.down_tracks.len() as u64,
            ..self.statistics
        }
    }

    // ---- input, output and time ----

    /// Takes one datagram. Never fails: what is malformed or of no transport is counted and dropped.
    pub fn handle_datagram(&mut self, now: Instant, received: Received<'_>) {
        self.statistics.packets_received += 1;
        self.statistics.bytes_received += received.contents.len() as u64;
        let Some(handle) =
            self.demultiplexer
                .route(now, received.protocol, received.source, received.contents)
        else {
            self.statistics.packets_dropped_unknown += 1;
            return;
        };
        self.guarded(handle, |transport| transport.handle_datagram(now, received));
        if let Some(connection) = self.connections.get_mut(&handle) {
            connection.selected = Some((received.destination, received.source));
        }
        self.drain(handle, now);
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((at, handle))) =
            self.timers.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            self.timers.pop();
            let Some(connection) = self.connections.get_mut(&handle) else {
                continue;
            };
            if connection.scheduled != Some(at) {
                continue;
            }
            connection.scheduled = None;
            if connection.transport.poll_timeout().is_some_and(|due| due <= now) {
                self.guarded(handle, |transport| transport.handle_timeout(now));
            }
            self.drain(handle, now);
            let due = self
                .connections
                .get(&handle)
                .and_then(|connection| connection.media_deadline);
            if due.is_some_and(|due| due <= now) {
                self.run_media(handle, now);
            }
        }
    }

    /// When `handle_timeout` is wanted; may be in the past. Exact only after `poll_transmit` gave None.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<SfuEvent> {
        self.events.pop_front()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        while let Some(handle) = self.dirty.last().copied() {
            let Some(connection) = self.connections.get_mut(&handle) else {
                self.dirty.pop();
                continue;
            };
            if let Some(transmit) = connection.transport.poll_transmit() {
                self.statistics.packets_sent += 1;
                self.statistics.bytes_sent += transmit.contents.len() as u64;
                self.demultiplexer.sent(&transmit.contents, handle);
                return Some(transmit);
            }
            self.dirty.pop();
            connection.dirty = false;
            if self.closing.contains(&handle) {
                self.closing.retain(|other| *other != handle);
                self.connections.remove(&handle);
            } else {
                self.schedule(handle);
            }
        }
        None
    }

    fn schedule(&mut self, handle: Handle) {
        let Some(connection) = self.connections.get_mut(&handle) else {
            return;
        };
        let wanted = [connection.transport.poll_timeout(), connection.media_deadline]
            .into_iter()
            .flatten()
            .min();
        let Some(at) = wanted else { return };
        if connection.scheduled.is_none_or(|scheduled| at < scheduled) {
            connection.scheduled = Some(at);
            self.timers.push(Reverse((at, handle)));
        }
    }

    pub(crate) fn mark_dirty(&mut self, handle: Handle) {
        if let Some(connection) = self.connections.get_mut(&handle)
            && !connection.dirty
        {
            connection.dirty = true;
            self.dirty.push(handle);
        }
    }

    /// Runs a step of one transport; if it panics only this transport fails.
    fn guarded(&mut self, handle: Handle, step: impl FnOnce(&mut Transport)) {
        let Some(connection) = self
            .connections
            .get_mut(&handle)
            .filter(|connection| !connection.failed)
        else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(|| step(&mut connection.transport))).is_err() {
            connection.failed = true;
            let reason = "internal error in the transport; see the log".to_owned();
            log::error!("transport {handle}: {reason}");
            self.demultiplexer.remove(handle);
            self.events
                .push_back(SfuEvent::Transport(handle, TransportEvent::Failed(reason)));
        }
    }

    /// Handles what a transport has to say, until it is silent.
    pub(crate) fn drain(&mut self, handle: Handle, now: Instant) {
        self.mark_dirty(handle);
        while let Some(event) = self
            .connections
            .get_mut(&handle)
            .and_then(|connection| connection.transport.poll_event())
        {
            match event {
                TransportEvent::Rtp(packet) => self.handle_rtp(now, handle, packet),
                TransportEvent::Rtcp(compound) => self.handle_rtcp(now, handle, &compound),
                other => self.handle_transport_event(handle, other),
            }
        }
    }

    fn handle_transport_event(&mut self, handle: Handle, event: TransportEvent) {
        if let Some(connection) = self.connections.get_mut(&handle) {
            match &event {
                TransportEvent::IceState(state) => connection.ice_state = *state,
                TransportEvent::Failed(_) => {
                    connection.failed = true;
                    connection.media_deadline = None;
                    self.demultiplexer.remove(handle);
                }
                _ => {}
            }
        }
        self.events.push_back(SfuEvent::Transport(handle, event));
    }
}

/// A transport's state for statistics.
#[derive(Debug, Clone, Copy)]
pub struct TransportSnapshot {
    /// Its counters.
    pub counters: TransportStatistics,
    /// Its path.
    pub ice_state: greenroom_transport::IceState,
    /// Of the nominated pair.
    pub round_trip_s: Option<f64>,
    /// (local, remote) of the last datagram received.
    pub selected_pair: Option<(SocketAddr, SocketAddr)>,
    /// What the subscriber thinks it can receive (REMB).
    pub estimated_bitrate_bps: Option<u64>,
}

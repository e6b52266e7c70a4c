//! What a caller does to a transport: negotiation, data channels, its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use greenroom_transport::{
    ChannelConfig, ChannelId, IceCredentials, IceState, RemoteParameters, Transport, TransportConfig,
    TransportStatistics,
};

use super::Sfu;
use crate::connection::Connection;
use crate::error::{Result, SfuError};
use crate::handles::Handle;

/// What a new transport needs.
#[derive(Debug, Clone)]
pub struct TransportParameters {
    /// Whether our ICE role is controlling.
    pub controlling: bool,
    /// Ours.
    pub ice_credentials: IceCredentials,
}

/// A transport's state for statistics.
#[derive(Debug, Clone, Copy)]
pub struct TransportSnapshot {
    /// Its counters.
    pub counters: TransportStatistics,
    /// Its path.
    pub ice_state: IceState,
    /// Of the nominated pair.
    pub round_trip_s: Option<f64>,
    /// (local, remote) addresses that packets go between.
    pub selected_pair: Option<(SocketAddr, SocketAddr)>,
    /// What the subscriber thinks it can receive (REMB).
    pub estimated_bitrate_bps: Option<u64>,
    /// What its video may take; None while nothing is known to be scarce.
    pub available_bitrate_bps: Option<u64>,
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

impl Sfu {
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

    pub(super) fn connection(&mut self, handle: Handle) -> Result<&mut Connection> {
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
        let transport = &mut self.connection(handle)?.transport;
        let before = transport.statistics().messages_displaced;
        let outcome = transport.send_message(channel, data);
        let displaced = transport.statistics().messages_displaced - before;
        self.statistics.messages_displaced += displaced;
        self.drain(handle, now);
        Ok(outcome?)
    }

    /// Bytes queued or not yet acknowledged on a channel; 0 for an unknown one.
    pub fn buffered_amount(&self, handle: Handle, channel: ChannelId) -> usize {
        self.connections
            .get(&handle)
            .map_or(0, |connection| connection.transport.buffered_amount(channel))
    }

    /// Bytes queued that SCTP does not have yet; 0 for an unknown one.
    pub fn queued_amount(&self, handle: Handle, channel: ChannelId) -> usize {
        self.connections
            .get(&handle)
            .map_or(0, |connection| connection.transport.queued_amount(channel))
    }

    /// Whether messages of a channel may get lost.
    pub fn is_lossy(&self, handle: Handle, channel: ChannelId) -> bool {
        let connection = self.connections.get(&handle);
        connection.is_some_and(|connection| connection.transport.is_lossy(channel))
    }

    /// What the peer is offered to send; see [`Transport::limit_receive_window`]. Does nothing for an unknown one.
    pub fn limit_receive_window(&mut self, handle: Handle, bytes: u32) {
        if let Some(connection) = self.connections.get_mut(&handle) {
            connection.transport.limit_receive_window(bytes);
            self.mark_dirty(handle);
        }
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
            selected_pair: connection.transport.selected_pair(),
            estimated_bitrate_bps: connection.remb_bps,
            available_bitrate_bps: connection.bandwidth.capacity_bps(),
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
}

//! The connection: everything the peer and the application can do to it.
#![allow(unused_variables)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::statistics::TransportStatistics;
use crate::types::{
    ChannelConfig, ChannelId, IceCredentials, Protocol, Received, RemoteParameters, Transmit,
    TransportConfig, TransportEvent,
};

/// One connection to one peer.
#[derive(Debug)]
pub struct Transport {
    config: TransportConfig,
}

impl Transport {
    /// A connection that waits for candidates and the remote description.
    pub fn new(config: TransportConfig, now: Instant) -> Transport {
        Transport { config }
    }

    /// Our current ICE credentials: what the next description has to say.
    pub fn local_credentials(&self) -> &IceCredentials {
        unimplemented!()
    }

    /// The SDP `candidate:` lines of our host candidates, with their advertised addresses.
    pub fn local_candidate_lines(&self) -> Vec<String> {
        unimplemented!()
    }

    /// Adds an address of ours. `Received::destination` of packets for it has to equal `address`;
    /// the peer hears of `advertised`. TCP candidates are passive: the peer connects.
    pub fn add_local_host_candidate(
        &mut self,
        protocol: Protocol,
        address: SocketAddr,
        advertised: SocketAddr,
    ) {
        unimplemented!()
    }

    /// Adds a candidate of the peer: `candidate:..`, with or without `a=`; empty text is the end of them.
    /// Candidates we cannot use (mDNS names, TCP, other components) are ignored.
    pub fn add_remote_candidate(&mut self, line: &str) -> Result<()> {
        unimplemented!()
    }

    /// Sets what signalling says about the peer. The first call starts the connection; a later one
    /// with other ICE credentials is an ICE restart: unless [`Transport::restart_ice`] was called
    /// before it, it also renews our credentials, so read [`Transport::local_credentials`] after it.
    pub fn set_remote(&mut self, parameters: RemoteParameters, now: Instant) -> Result<()> {
        unimplemented!()
    }

    /// Starts an ICE restart from our side and returns our new credentials, for the offer.
    /// Media keeps flowing on the old path until the new one works.
    pub fn restart_ice(&mut self) -> IceCredentials {
        unimplemented!()
    }

    /// Whether a STUN binding request is addressed to us by its username.
    pub fn accepts_stun_from(&self, contents: &[u8]) -> bool {
        unimplemented!()
    }

    /// Takes one packet. Never fails: whatever is malformed is counted and dropped.
    pub fn handle_datagram(&mut self, now: Instant, received: Received<'_>) {
        unimplemented!()
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        unimplemented!()
    }

    /// When [`Transport::handle_timeout`] wants to be called; may be in the past.
    pub fn poll_timeout(&self) -> Option<Instant> {
        unimplemented!()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        unimplemented!()
    }

    /// The next packet for the network.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        unimplemented!()
    }

    /// Whether media and channels flow.
    pub fn is_connected(&self) -> bool {
        unimplemented!()
    }

    /// Encrypts and queues one RTP packet; when not connected it is counted and dropped.
    pub fn send_rtp(&mut self, packet: &[u8]) -> Result<()> {
        unimplemented!()
    }

    /// Encrypts and queues one compound RTCP packet; when not connected it is counted and dropped.
    pub fn send_rtcp(&mut self, compound: &[u8]) -> Result<()> {
        unimplemented!()
    }

    /// Opens a channel, before or after connecting.
    pub fn open_channel(&mut self, config: ChannelConfig) -> ChannelId {
        unimplemented!()
    }

    /// Closes a channel of either side; [`TransportEvent::ChannelClosed`] follows.
    pub fn close_channel(&mut self, id: ChannelId) {
        unimplemented!()
    }

    /// Queues one binary message. `false` means full: nothing was queued and
    /// [`TransportEvent::ChannelWritable`] follows. Allowed before the channel is open.
    pub fn send_message(&mut self, id: ChannelId, data: &[u8]) -> Result<bool> {
        unimplemented!()
    }

    /// How many bytes wait on the channel, sent but unacknowledged ones included.
    pub fn buffered_amount(&self, id: ChannelId) -> usize {
        unimplemented!()
    }

    /// The last measured round trip time of the nominated pair.
    pub fn round_trip_time(&self) -> Option<Duration> {
        unimplemented!()
    }

    /// The counters so far.
    pub fn statistics(&self) -> TransportStatistics {
        unimplemented!()
    }

    /// Ends the connection: close_notify is queued, then nothing more is sent or taken.
    pub fn close(&mut self, now: Instant) {
        unimplemented!()
    }
}

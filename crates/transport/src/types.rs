//! Plain values that cross the boundary of the crate.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::certificate::Certificate;

/// What carries a datagram. TCP connections are framed by RFC 4571 outside this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// One packet is one UDP datagram.
    Udp,
    /// One packet is one RFC 4571 frame of a TCP connection that the peer opened.
    Tcp,
}

/// One packet from the network, borrowed for the call.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// What carried the packet.
    pub protocol: Protocol,
    /// The address of the peer.
    pub source: SocketAddr,
    /// The local address as given to [`crate::Transport::add_local_host_candidate`] (the bound one).
    pub destination: SocketAddr,
    /// The bytes of one datagram or one frame.
    pub contents: &'a [u8],
}

/// One packet for the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// What has to carry the packet.
    pub protocol: Protocol,
    /// The local (bound) address to send from.
    pub source: SocketAddr,
    /// The address of the peer.
    pub destination: SocketAddr,
    /// The bytes of one datagram or one frame.
    pub contents: Vec<u8>,
}

/// The name and secret of one side of an ICE session (RFC 8445 section 5.3).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// The username fragment, 4 to 256 characters.
    pub ufrag: String,
    /// The password, 22 to 256 characters.
    pub pwd: String,
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("IceCredentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive()
    }
}

/// What a [`crate::Transport`] needs to exist.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    /// Whether our side starts in the controlling ICE role (the offerer of the session).
    pub controlling: bool,
    /// The certificate of the process.
    pub certificate: Arc<Certificate>,
    /// Our ICE credentials; random ones are made when absent.
    pub ice_credentials: Option<IceCredentials>,
    /// The largest data channel message accepted from the peer, in bytes.
    pub max_message_size_bytes: u32,
}

impl TransportConfig {
    /// A controlled side with random credentials that accepts messages of up to 65,536 bytes.
    pub fn new(certificate: Arc<Certificate>) -> TransportConfig {
        TransportConfig {
            controlling: false,
            certificate,
            ice_credentials: None,
            max_message_size_bytes: crate::DEFAULT_MAX_MESSAGE_SIZE_BYTES,
        }
    }
}

/// What signalling told about the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteParameters {
    /// The ICE username fragment of the peer.
    pub ice_ufrag: String,
    /// The ICE password of the peer.
    pub ice_pwd: String,
    /// The certificate fingerprint as in SDP: `sha-256 AB:CD:..`; sha-384 and sha-512 work too.
    pub fingerprint: String,
    /// Whether *our* DTLS role is client (we send the first flight).
    pub dtls_active: bool,
    /// Whether the peer is an ICE-lite agent; then we take the controlling role.
    pub ice_lite: bool,
    /// The largest data channel message the peer accepts, in bytes; 0 is unlimited.
    pub max_message_size: u32,
}

/// The state of the path to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IceState {
    /// Nothing known about the peer yet.
    New,
    /// Looking for a working pair (also during a restart that has lost the old path).
    Checking,
    /// A pair is nominated and the peer consents to traffic.
    Connected,
    /// No sign of consent for about 10 seconds; may recover by itself.
    Disconnected,
    /// No sign of consent for about 15 seconds, or no pair found for 30; an ICE restart can recover it.
    Failed,
    /// Closed by [`crate::Transport::close`] or by the peer's close_notify.
    Closed,
}

/// Names a data channel of one [`crate::Transport`], never reused by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub u32);

/// A data channel to open (RFC 8832 section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelConfig {
    /// The label, up to 65,535 bytes of UTF-8.
    pub label: String,
    /// Whether messages arrive in the order they were sent.
    pub ordered: bool,
    /// How often a lost message is sent again before it is given up; `None` is reliable.
    pub max_retransmits: Option<u16>,
}

/// What happened; drained with [`crate::Transport::poll_event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEvent {
    /// The path changed state.
    IceState(IceState),
    /// DTLS is up and the peer's certificate is the announced one; media and channels flow.
    Connected,
    /// The connection is over and cannot be recovered; the text says why.
    Failed(String),
    /// One decrypted RTP packet.
    Rtp(Vec<u8>),
    /// One decrypted compound RTCP packet.
    Rtcp(Vec<u8>),
    /// A channel is usable, ours (acknowledged by the peer) or one the peer opened.
    ChannelOpen {
        /// The channel.
        id: ChannelId,
        /// Its label.
        label: String,
    },
    /// One whole message, sent as text or binary.
    ChannelMessage {
        /// The channel.
        id: ChannelId,
        /// The payload.
        data: Vec<u8>,
    },
    /// The channel was closed by the peer or by the end of the association.
    ChannelClosed(ChannelId),
    /// The channel refused a message before and has drained to half of its bound.
    ChannelWritable(ChannelId),
}

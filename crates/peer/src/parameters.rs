//! What the owner of a peer says about it: what negotiation agreed on, without any SDP.

use std::sync::Arc;

use greenroom_e2ee::FrameCryptor;
use greenroom_media::video::Codec;

/// A payload type of the session, with its retransmission payload type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadType {
    /// 0..=127.
    pub payload_type: u8,
    /// Lower case: opus, red, pcmu, pcma, vp8, vp9, h264, h265, av1.
    pub codec: String,
    /// RTP clock.
    pub clock_rate_hz: u32,
    pub channels: Option<u8>,
    /// The fmtp text, empty when there is none.
    pub format_parameters: String,
    pub rtx_payload_type: Option<u8>,
    /// rtcp-fb values, as "nack" and "nack pli".
    pub feedback: Vec<String>,
}

/// An RTP header extension (RFC 8285).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderExtension {
    /// 1..=14.
    pub id: u8,
    pub uri: String,
}

/// What is fixed when a peer is made.
#[derive(Debug, Clone, Default)]
pub struct PeerConfig {
    /// ICE role (RFC 8445 section 6.1.1).
    pub controlling: bool,
    pub payload_types: Vec<PayloadType>,
    pub header_extensions_audio: Vec<HeaderExtension>,
    pub header_extensions_video: Vec<HeaderExtension>,
    /// For simulations: timers are the same in every run, at the price of DTLS nonces that can be guessed.
    pub repeatable: bool,
}

/// Which of our candidates are used (W3C `RTCIceTransportPolicy`, and libwebrtc's third).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TransportPolicy {
    #[default]
    All,
    /// Addresses of this machine are not told.
    NoHost,
    /// Everything goes through TURN servers.
    Relay,
}

/// The remote's half of the transport description.
#[derive(Debug, Clone)]
pub struct RemoteParameters {
    pub ice_ufrag: String,
    pub ice_pwd: String,
    /// `sha-256 AB:CD:…`.
    pub fingerprint: String,
    /// Our DTLS role is client.
    pub dtls_active: bool,
    /// The remote is ICE-lite: it never checks, so we control.
    pub ice_lite: bool,
    /// Bytes; 0 means no limit of the remote's.
    pub max_message_size: u32,
}

/// A data channel to open (RFC 8832).
#[derive(Debug, Clone)]
pub struct ChannelConfig {
    pub label: String,
    pub ordered: bool,
    pub max_retransmits: Option<u16>,
}

/// One Opus stream to send.
#[derive(Debug, Clone)]
pub struct AudioSenderConfig {
    pub ssrc: u32,
    pub payload_type: u8,
    pub bitrate_bps: u32,
    pub stereo: bool,
    pub dtx: bool,
    pub fec: bool,
    /// Encrypts what is sent; None sends it in the clear.
    pub cryptor: Option<Arc<FrameCryptor>>,
}

/// One encoding of a video sender.
#[derive(Debug, Clone, PartialEq)]
pub struct SendLayer {
    /// None for a track of one layer.
    pub rid: Option<String>,
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    /// At least 1.0.
    pub scale_down_by: f64,
    pub max_bitrate_bps: u32,
    /// Frames per second; 0 means no limit.
    pub max_framerate: f64,
}

/// One video track to send, lowest layer first.
#[derive(Debug, Clone)]
pub struct VideoSenderConfig {
    pub codec: Codec,
    pub payload_type: u8,
    pub layers: Vec<SendLayer>,
    pub is_screencast: bool,
    /// Encrypts what is sent; None sends it in the clear.
    pub cryptor: Option<Arc<FrameCryptor>>,
}

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackKind {
    Audio,
    Video,
}

impl TrackKind {
    /// As in SDP.
    pub fn name(self) -> &'static str {
        match self {
            TrackKind::Audio => "audio",
            TrackKind::Video => "video",
        }
    }
}

/// One stream to expect.
#[derive(Debug, Clone, Copy)]
pub struct ReceiverConfig {
    /// The owner's name for it, unique within the peer.
    pub id: u64,
    pub kind: TrackKind,
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
}

//! The client's peer connection: str0m in frame mode, plus the media pipelines around it.
//!
//! Sans-IO: no sockets, threads or clock. The owner hands in datagrams, timeouts and media with the time they
//! happened, then drains what came of it:
//!
//! ```text
//!  datagrams ──► handle_datagram ┐                        ┌► poll_transmit ──► sockets
//!  deadlines ──► handle_timeout  ├─► Peer (str0m inside) ─┼► poll_event ─────► the session
//!  PCM, pictures ─► push_*       ┘        │    ▲          └► poll_timeout
//!                                     jobs│    │results (Inbox, then wake)
//!                                         ▼    │
//!                              JobRunner: video encoding and decoding
//! ```
//!
//! Audio is encoded and decoded inside the peer (a few ten microseconds a packet); pictures go through
//! [`JobRunner`], one job at a time per encoder and per decoder, so that order holds without locks.
//! What is decoded goes to [`AudioSink`]s and [`VideoSink`]s.
#![forbid(unsafe_code)]

mod allocation;
mod audio_receiver;
mod audio_sender;
mod certificate;
mod channels;
mod connection;
mod eager_checks;
mod error;
mod jobs;
mod key_frame_budget;
mod local_candidates;
mod media_table;
mod parameters;
mod peer;
mod receiving;
mod repeatable_dtls;
mod rtc_config;
mod rtp_clock;
mod sending;
mod silence;
mod sinks;
mod statistics;
mod tcp_paths;
mod video_layer;
mod video_receiver;
mod video_sender;

pub use certificate::{certificate_fingerprint, share_certificate};
pub use channels::{ChannelSender, ChannelTable, SendOutcome};
pub use error::{PeerError, Result};
pub use jobs::{JobRunner, Wake};
pub use parameters::{
    AudioSenderConfig, ChannelConfig, HeaderExtension, PayloadType, PeerConfig, ReceiverConfig,
    RemoteParameters, SendLayer, TrackKind, TransportPolicy, VideoSenderConfig,
};
pub use peer::{Opening, Order, Peer, PeerEvent, Protocol, Transmit};
pub use sinks::{AudioSink, VideoSink};
pub use statistics::{PeerStatistics, ReceiverStatistics, SenderStatistics, TransportStatistics};

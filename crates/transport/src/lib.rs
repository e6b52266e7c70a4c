//! The server's side of a peer connection as a state machine without I/O: ICE, DTLS, SRTP and SCTP.
//!
//! Feed packets with [`Transport::handle_datagram`] and time with [`Transport::handle_timeout`]; after
//! each such call, and after any other mutation, drain [`Transport::poll_event`] and
//! [`Transport::poll_transmit`], then sleep until [`Transport::poll_timeout`].
#![forbid(unsafe_code)]

mod buffer_pool;
mod certificate;
mod connection;
mod demultiplexer;
mod dtls;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod ice;
mod sctp;
mod srtp;
mod statistics;
mod types;

pub use buffer_pool::BufferPool;
pub use certificate::Certificate;
pub use connection::Transport;
pub use demultiplexer::stun_request_ufrag;
pub use error::{Result, TransportError};
pub use statistics::TransportStatistics;
pub use types::{
    ChannelConfig, ChannelId, IceCredentials, IceState, Protocol, Received, RemoteParameters, Transmit,
    TransportConfig, TransportEvent,
};

/// The largest data channel message accepted from the peer unless configured otherwise, in bytes.
pub const DEFAULT_MAX_MESSAGE_SIZE_BYTES: u32 = 65_536;

/// The most that protection adds to an RTP packet, in bytes.
pub const RTP_OVERHEAD_BYTES: usize = srtp::MAX_OVERHEAD_BYTES;

/// How many bytes may wait on a reliable channel, beside those that SCTP has, before [`Transport::send_message`] returns
/// false. What is urgent waits behind them.
pub const MAX_QUEUED_RELIABLE_BYTES: usize = 512 * 1024;

/// A channel that refused a message is writable again when this many bytes of its queue have gone: what waits elsewhere follows
/// little by little, also on a slow path.
pub const WRITABLE_STEP_BYTES: usize = 64 * 1024;

/// How many bytes a lossy channel may hold, those in SCTP included, before its oldest that wait make room for new ones.
pub const MAX_BUFFERED_LOSSY_BYTES: usize = 256 * 1024;

/// What the peer may send before it is read: see [`Transport::limit_receive_window`].
pub const RECEIVE_WINDOW_BYTES: u32 = 1024 * 1024;

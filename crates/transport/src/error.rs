//! The errors of the crate.

use thiserror::Error;

use crate::types::ChannelId;

/// The result of a fallible call of this crate.
pub type Result<T> = std::result::Result<T, TransportError>;

/// What can go wrong with a call; nothing the network sends ends up here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TransportError {
    /// The certificate could not be made.
    #[error("could not generate the DTLS certificate: {0}")]
    Certificate(String),
    /// A value of the remote description does not parse.
    #[error("remote {what} `{value}` is not usable: {expected}")]
    RemoteParameter {
        /// Which value.
        what: &'static str,
        /// The value as given.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// An ICE candidate line does not parse.
    #[error("ICE candidate `{line}` does not parse: {reason}; expected RFC 8839 `candidate:..` syntax")]
    Candidate {
        /// The line as given.
        line: String,
        /// Why.
        reason: String,
    },
    /// An outgoing RTP or RTCP packet is malformed.
    #[error("outgoing {kind} packet of {length} bytes is malformed: {reason}")]
    Packet {
        /// `RTP` or `RTCP`.
        kind: &'static str,
        /// Its length in bytes.
        length: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The channel does not exist (any more).
    #[error("data channel {0:?} does not exist or is closed; open a new one")]
    UnknownChannel(ChannelId),
    /// The message is larger than the peer accepts.
    #[error("message of {length} bytes exceeds the peer's maximum of {maximum} bytes; send smaller messages")]
    MessageTooLarge {
        /// The length in bytes.
        length: usize,
        /// What the peer announced, in bytes.
        maximum: usize,
    },
    /// The connection was closed or has failed.
    #[error("the connection is over: {0}")]
    Closed(String),
    /// A cryptographic primitive refused to work.
    #[error("SRTP {operation} failed; the keys of this connection are unusable")]
    Crypto {
        /// What was being done.
        operation: &'static str,
    },
}

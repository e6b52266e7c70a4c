//! What can be refused.

/// Shorthand of this crate.
pub type Result<T> = std::result::Result<T, PeerError>;

/// Each variant names what failed, the value, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    #[error("the {name} {value} can't be used: {reason}")]
    Parameter {
        name: &'static str,
        value: String,
        reason: String,
    },
    #[error(
        "no payload type {payload_type} for {codec} was given when the peer was made; add it to payload_types"
    )]
    UnknownPayloadType { payload_type: u8, codec: &'static str },
    #[error("ssrc {ssrc} is in use on mid {mid:?} already; pick another")]
    DuplicateSsrc { ssrc: u32, mid: String },
    #[error("mid {mid:?} is {existing}, not {wanted}; remove what is on it first")]
    MediaKind {
        mid: String,
        existing: &'static str,
        wanted: &'static str,
    },
    #[error("mid {mid:?} has a sender already; remove it first")]
    SenderExists { mid: String },
    #[error("there is no sender on mid {mid:?}")]
    UnknownSender { mid: String },
    #[error("the sender on mid {mid:?} has no layer {rid:?}")]
    UnknownLayer { mid: String, rid: String },
    #[error("there is no channel {0}; it was never opened on this peer")]
    UnknownChannel(u32),
    #[error("channel {0} is closed; open a new one")]
    ChannelClosed(u32),
    #[error("a message of {length} bytes is above the {limit} bytes that the remote accepts; split it up")]
    MessageTooLarge { length: usize, limit: usize },
    #[error("an empty message can't be sent on channel {0}; send at least one byte")]
    EmptyMessage(u32),
    #[error("the candidate {line:?} is malformed: {reason}")]
    Candidate { line: String, reason: String },
    #[error("the address {address} can't be a candidate: {reason}")]
    LocalAddress { address: String, reason: String },
    #[error("this peer is closed")]
    Closed,
}

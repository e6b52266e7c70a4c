//! What can go wrong.

use thiserror::Error;

/// The result of an operation on an association or a stream.
pub type Result<T> = core::result::Result<T, Error>;

/// Errors of operations on an association.
#[derive(Debug, Error, Eq, Clone, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A stream of this number is in use.
    #[error("the stream is open already")]
    ErrStreamAlreadyExist,
    /// An earlier stream of this number is still being reset.
    #[error("the stream is still being reset")]
    ErrStreamResetPending,
    /// There is no such stream.
    #[error("there is no such stream")]
    ErrStreamNotExisted,
    /// The stream takes no more messages, or gives none.
    #[error("the stream is closed")]
    ErrStreamClosed,
    /// A message is larger than the peer takes.
    #[error("the message is larger than the peer accepts")]
    ErrOutboundPacketTooLarge,
    /// Only an established association can be shut down.
    #[error("the association is not established")]
    ErrShutdownNonEstablished,
    /// The buffer for a message is too small.
    #[error("the buffer is too small for the message")]
    ErrShortBuffer,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Why an association ended.
#[non_exhaustive]
#[derive(Debug, Error, Clone, PartialEq)]
pub enum AssociationError {
    /// The peer does not answer.
    #[error("the peer does not answer")]
    TimedOut,
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
    /// More arrived than the receive buffer holds before a message was whole.
    #[error("the receive buffer is full before a message is whole")]
    ReceiveBufferExhausted,
    /// The peer aborted the association.
    #[error("aborted by the peer")]
    AssociationClosed,
    /// The peer shut the association down.
    #[error("shut down by the peer")]
    ApplicationClosed,
}

/// Why no association could be made.
#[derive(Debug, Error, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConnectError {
    /// An endpoint has one association.
    #[error("the endpoint has an association already")]
    TooManyAssociations,
}

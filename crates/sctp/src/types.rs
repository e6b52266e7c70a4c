//! What goes in and comes out: messages, events, packets.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use crate::{AssociationError, Error, Result};

/// The number of a stream.
pub type StreamId = u16;

/// What a message is (RFC 8831 section 8).
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
pub enum PayloadProtocolIdentifier {
    /// Of the channel establishment protocol.
    Dcep = 50,
    /// Text.
    String = 51,
    /// Bytes.
    Binary = 53,
    /// Text of no length, with one byte in its place.
    StringEmpty = 56,
    /// No bytes, with one byte in their place.
    BinaryEmpty = 57,
    /// Anything else.
    #[default]
    Unknown = 0,
}

impl From<u32> for PayloadProtocolIdentifier {
    fn from(number: u32) -> Self {
        match number {
            50 => Self::Dcep,
            51 => Self::String,
            53 => Self::Binary,
            56 => Self::StringEmpty,
            57 => Self::BinaryEmpty,
            _ => Self::Unknown,
        }
    }
}

/// When a lost message is given up.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
pub enum ReliabilityType {
    /// Never.
    #[default]
    Reliable = 0,
    /// After a number of retransmissions.
    Rexmit = 1,
    /// After a number of milliseconds.
    Timed = 2,
}

impl From<u8> for ReliabilityType {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Rexmit,
            2 => Self::Timed,
            _ => Self::Reliable,
        }
    }
}

/// A message that arrived, in the pieces it arrived in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunks {
    /// What it is.
    pub ppi: PayloadProtocolIdentifier,
    pieces: Vec<Bytes>,
    length: usize,
}

impl Chunks {
    pub(crate) fn new(ppi: PayloadProtocolIdentifier, pieces: Vec<Bytes>) -> Chunks {
        let length = pieces.iter().map(Bytes::len).sum();
        Chunks { ppi, pieces, length }
    }

    /// Its bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies it into `buffer` and returns its length.
    ///
    /// # Errors
    /// [`Error::ErrShortBuffer`] when it does not fit.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let mut rest = buffer.get_mut(..self.length).ok_or(Error::ErrShortBuffer)?;
        for piece in &self.pieces {
            let (start, end) = rest.split_at_mut(piece.len());
            start.copy_from_slice(piece);
            rest = end;
        }
        Ok(self.length)
    }

    /// Its bytes in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length);
        self.pieces
            .iter()
            .for_each(|piece| bytes.extend_from_slice(piece));
        bytes
    }
}

/// What happened to an association.
#[non_exhaustive]
#[derive(Debug)]
pub enum Event {
    /// The handshake is complete.
    Connected,
    /// There never was an association.
    HandshakeFailed {
        /// Why.
        reason: AssociationError,
    },
    /// The association is over, and not by us.
    AssociationLost {
        /// Why.
        reason: AssociationError,
    },
    /// Something about a stream.
    Stream(StreamEvent),
}

/// What happened to a stream.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// A message can be read.
    Readable {
        /// The stream.
        id: StreamId,
    },
    /// The stream takes messages.
    Writable {
        /// The stream.
        id: StreamId,
    },
    /// The peer has reset the stream, and it is being reset from our side; everything was read.
    Finished {
        /// The stream.
        id: StreamId,
    },
    /// The peer wants us to send no more.
    Stopped {
        /// The stream.
        id: StreamId,
    },
    /// Both directions are reset; the number may be used again. Always after `Finished`.
    ResetComplete {
        /// The stream.
        id: StreamId,
    },
    /// No more is buffered than [`crate::Stream::set_buffered_amount_low_threshold`] says.
    BufferedAmountLow {
        /// The stream.
        id: StreamId,
    },
}

/// What is in a [`Transmit`].
#[derive(Debug)]
pub enum Payload {
    /// Packets, each for one DTLS record.
    RawEncode(Vec<Bytes>),
}

/// Packets to send.
#[derive(Debug)]
pub struct Transmit {
    /// When they were made.
    pub now: Instant,
    /// Where they go: the address that the endpoint was given.
    pub remote: SocketAddr,
    /// The packets.
    pub payload: Payload,
}

/// Explicit congestion notification; taken and not looked at.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum EcnCodepoint {}

/// A packet on its way from the endpoint to its association.
#[derive(Debug)]
pub struct AssociationEvent {
    pub(crate) now: Instant,
    pub(crate) packet: Bytes,
}

/// What an association tells its endpoint: nothing.
#[derive(Debug)]
pub enum EndpointEvent {}

/// Names the association of an endpoint.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssociationHandle(pub usize);

/// Where a packet belongs.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub enum DatagramEvent {
    /// To a new association.
    NewAssociation(crate::Association),
    /// To the one that is there.
    AssociationEvent(AssociationEvent),
}

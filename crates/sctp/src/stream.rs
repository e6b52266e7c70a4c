//! A stream of an association, as its owner sees it.

use bytes::Bytes;

use crate::send_queue::Delivery;
use crate::{Association, Chunks, PayloadProtocolIdentifier, ReliabilityType, Result, StreamId};

/// One stream, for as long as the association is borrowed.
#[derive(Debug)]
pub struct Stream<'a> {
    pub(crate) id: StreamId,
    pub(crate) association: &'a mut Association,
}

impl Stream<'_> {
    /// Its number.
    pub fn stream_identifier(&self) -> StreamId {
        self.id
    }

    /// The next message.
    ///
    /// # Errors
    /// The stream is closed.
    pub fn read(&mut self) -> Result<Option<Chunks>> {
        self.association.read(self.id)
    }

    /// Queues a message without copying it; returns its length.
    ///
    /// # Errors
    /// The stream is closed, or the message is larger than the peer accepts.
    pub fn write_sctp(&mut self, payload: &Bytes, protocol: PayloadProtocolIdentifier) -> Result<usize> {
        self.association.write(self.id, payload.clone(), Some(protocol))
    }

    /// Queues a message; returns its length.
    ///
    /// # Errors
    /// As [`Stream::write_sctp`].
    pub fn write_with_ppi(&mut self, payload: &[u8], protocol: PayloadProtocolIdentifier) -> Result<usize> {
        let payload = Bytes::copy_from_slice(payload);
        self.association.write(self.id, payload, Some(protocol))
    }

    /// Queues a message of the kind the stream was opened with; returns its length.
    ///
    /// # Errors
    /// As [`Stream::write_sctp`].
    pub fn write(&mut self, payload: &[u8]) -> Result<usize> {
        self.association
            .write(self.id, Bytes::copy_from_slice(payload), None)
    }

    /// Whether messages are taken.
    pub fn is_writable(&self) -> bool {
        self.association.is_writable(self.id)
    }

    /// Whether messages can come.
    pub fn is_readable(&self) -> bool {
        self.association.is_readable(self.id)
    }

    /// How messages written from now on are delivered: in order or not, and when a lost one is given up.
    ///
    /// # Errors
    /// The stream is closed.
    pub fn set_reliability_params(
        &mut self,
        is_unordered: bool,
        reliability: ReliabilityType,
        limit: u32,
    ) -> Result<()> {
        let delivery = Delivery {
            is_unordered,
            reliability,
            limit,
        };
        self.association.set_delivery(self.id, delivery)
    }

    /// Bytes written that the peer has not acknowledged.
    ///
    /// # Errors
    /// The stream is closed.
    pub fn buffered_amount(&self) -> Result<usize> {
        self.association.buffered(self.id)
    }

    /// When to tell that little is buffered (default 0).
    ///
    /// # Errors
    /// The stream is closed.
    pub fn set_buffered_amount_low_threshold(&mut self, bytes: usize) -> Result<()> {
        self.association.set_low_threshold(self.id, bytes)
    }

    /// Closes the stream once what was written is sent. The peer closes its side in turn;
    /// [`crate::StreamEvent::Finished`] and [`crate::StreamEvent::ResetComplete`] follow.
    ///
    /// # Errors
    /// The association is not established.
    pub fn close(&mut self) -> Result<()> {
        self.association.close_stream(self.id)
    }
}

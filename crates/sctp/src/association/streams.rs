//! What a [`crate::Stream`] does with its association: messages in and out, and what is buffered.

use bytes::Bytes;

use super::Association;
use crate::send_queue::Delivery;
use crate::{Chunks, Error, Event, PayloadProtocolIdentifier, Result, StreamEvent, StreamId};

impl Association {
    pub(crate) fn is_writable(&self, id: StreamId) -> bool {
        let is_open = self.streams.get(&id).is_some_and(|stream| !stream.is_closed);
        is_open && !self.resetting.is_pending(id)
    }

    pub(crate) fn is_readable(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(|stream| !stream.is_closed)
    }

    pub(crate) fn read(&mut self, id: StreamId) -> Result<Option<Chunks>> {
        let stream = self
            .streams
            .get_mut(&id)
            .filter(|stream| !stream.is_closed)
            .ok_or(Error::ErrStreamClosed)?;
        let message = stream.reassembly.read();
        if let Some(message) = &message {
            self.received_bytes -= message.len();
            self.window_grew();
        }
        Ok(message)
    }

    pub(crate) fn write(
        &mut self,
        id: StreamId,
        payload: Bytes,
        protocol: Option<PayloadProtocolIdentifier>,
    ) -> Result<usize> {
        if !self.is_writable(id) || self.is_closing() || self.is_closed() {
            return Err(Error::ErrStreamClosed);
        }
        if payload.len() > self.max_send_bytes {
            return Err(Error::ErrOutboundPacketTooLarge);
        }
        let stream = self.streams.get_mut(&id).ok_or(Error::ErrStreamClosed)?;
        // SCTP has no empty messages: one byte stands for none (RFC 8831 section 6.6).
        let length = payload.len();
        let payload = if payload.is_empty() {
            Bytes::from_static(&[0])
        } else {
            payload
        };
        stream.buffered += payload.len();
        let protocol = protocol.unwrap_or(stream.default_protocol);
        self.queue.push(id, payload, protocol, stream.delivery);
        Ok(length)
    }

    pub(crate) fn set_delivery(&mut self, id: StreamId, delivery: Delivery) -> Result<()> {
        let stream = self.streams.get_mut(&id).ok_or(Error::ErrStreamClosed)?;
        stream.delivery = delivery;
        Ok(())
    }

    pub(crate) fn buffered(&self, id: StreamId) -> Result<usize> {
        let stream = self.streams.get(&id).ok_or(Error::ErrStreamClosed)?;
        Ok(stream.buffered)
    }

    pub(crate) fn set_low_threshold(&mut self, id: StreamId, bytes: usize) -> Result<()> {
        let stream = self.streams.get_mut(&id).ok_or(Error::ErrStreamClosed)?;
        stream.low_threshold = bytes;
        Ok(())
    }

    /// The bytes of a stream that need not be kept any more.
    pub(super) fn release(&mut self, id: StreamId, bytes: usize) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let before = stream.buffered;
        stream.buffered = before.saturating_sub(bytes);
        if before > stream.low_threshold && stream.buffered <= stream.low_threshold && !stream.is_closed {
            self.events
                .push_back(Event::Stream(StreamEvent::BufferedAmountLow { id }));
        }
    }

    pub(super) fn announce_readable(&mut self, id: StreamId) {
        let has_messages = self
            .streams
            .get(&id)
            .is_some_and(|stream| stream.reassembly.is_readable() && !stream.is_closed);
        if has_messages && self.readable.insert(id) {
            self.events.push_back(Event::Stream(StreamEvent::Readable { id }));
        }
    }
}

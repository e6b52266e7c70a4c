//! Opening our channels and sending their messages in turn.

use bytes::Bytes;
use sctp_proto::{Association, PayloadProtocolIdentifier};

use super::super::channel::ChannelState;
use super::{MAX_CHANNELS, Sctp, SctpEvent, UNSENT_BYTES};
use crate::types::ChannelId;

impl Sctp {
    pub(super) fn open_waiting(&mut self) {
        let waiting: Vec<ChannelId> = self
            .channels
            .values()
            .filter(|channel| channel.state == ChannelState::Waiting)
            .map(|channel| channel.id)
            .collect();
        for id in waiting {
            match self.open_free_stream() {
                Some(stream) => self.announce(id, stream),
                None => self.remove(id),
            }
        }
    }

    /// Opens the next stream of our parity (RFC 8832 section 6); streams still being reset are skipped.
    pub(super) fn open_free_stream(&mut self) -> Option<u16> {
        let association = self.association.as_mut()?;
        for _ in 0..MAX_CHANNELS {
            let stream = self.next_stream;
            // 65,535 is not a valid stream of a data channel.
            self.next_stream = if stream >= u16::MAX - 2 {
                u16::from(!self.is_client)
            } else {
                stream + 2
            };
            if association
                .open_stream(stream, PayloadProtocolIdentifier::Binary)
                .is_ok()
            {
                return Some(stream);
            }
        }
        None
    }

    pub(super) fn announce(&mut self, id: ChannelId, stream: u16) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        channel.stream = Some(stream);
        channel.state = ChannelState::Opening;
        let bytes = channel.open.to_bytes();
        self.by_stream.insert(stream, id);
        self.write_dcep(id, stream, &bytes);
    }

    /// Looks at what the peer has acknowledged since.
    pub(super) fn read_acknowledged(&mut self) {
        let Some(association) = &mut self.association else {
            return;
        };
        for channel in self.channels.values_mut() {
            if channel.in_association_bytes > 0
                && let Some(stream) = channel.stream
            {
                let buffered = association
                    .stream(stream)
                    .and_then(|stream| stream.buffered_amount());
                channel.in_association_bytes = buffered.unwrap_or(0);
            }
        }
    }

    /// One message per channel and round, lossy channels first, while the association has room.
    pub(super) fn send_queued(&mut self) {
        let mut sending: Vec<ChannelId> = Vec::new();
        for is_lossy in [true, false] {
            let with_messages = self.channels.values().filter(|channel| {
                channel.is_lossy() == is_lossy && channel.may_send() && !channel.queue.is_empty()
            });
            let start = sending.len();
            sending.extend(with_messages.map(|channel| channel.id));
            let after = sending[start..].partition_point(|id| *id <= self.last_served);
            sending[start..].rotate_left(after);
        }
        while !sending.is_empty() && self.has_room() {
            sending.retain(|id| self.send_one(*id));
        }
        for channel in self.channels.values_mut() {
            if channel.take_writable() {
                self.events.push_back(SctpEvent::Writable(channel.id));
            }
        }
    }

    /// Messages that could go now.
    pub(super) fn has_queued(&self) -> bool {
        let mut channels = self.channels.values();
        channels.any(|channel| channel.may_send() && !channel.queue.is_empty())
    }

    pub(super) fn has_room(&self) -> bool {
        let unsent = self.association.as_ref().map_or(0, Association::unsent_bytes);
        unsent < UNSENT_BYTES
    }

    /// Hands one message to the association; `false` when the channel has no more to send for now.
    pub(super) fn send_one(&mut self, id: ChannelId) -> bool {
        if !self.has_room() {
            return false;
        }
        let (Some(association), Some(channel)) = (&mut self.association, self.channels.get_mut(&id)) else {
            return false;
        };
        let (Some(stream), Some(message)) = (channel.stream, channel.dequeue()) else {
            return false;
        };
        self.last_served = id;
        // SCTP has no empty messages: one byte stands for none (RFC 8831 section 6.6).
        let (data, kind) = if message.is_empty() {
            (Bytes::from_static(&[0]), PayloadProtocolIdentifier::BinaryEmpty)
        } else {
            (Bytes::from(message), PayloadProtocolIdentifier::Binary)
        };
        let written = association
            .stream(stream)
            .and_then(|mut stream| stream.write_sctp(&data, kind));
        match written {
            Ok(_) => {
                channel.in_association_bytes += data.len();
                true
            }
            Err(error) => {
                log::debug!("data channel message is lost with its stream: {error}");
                false
            }
        }
    }
}

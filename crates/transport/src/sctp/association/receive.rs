//! Messages from the peer, those of the establishment protocol included.

use sctp_proto::PayloadProtocolIdentifier;

use super::super::channel::{Channel, ChannelState};
use super::super::dcep::Message;
use super::{MAX_CHANNELS, Sctp, SctpEvent};
use crate::types::ChannelId;

impl Sctp {
    pub(super) fn read(&mut self, stream: u16) {
        loop {
            let message = match self
                .association
                .as_mut()
                .map(|association| association.stream(stream))
            {
                Some(Ok(mut stream)) => stream.read(),
                _ => return,
            };
            let Ok(Some(chunks)) = message else {
                return;
            };
            let kind = chunks.ppi;
            if chunks.len() > self.max_receive_bytes {
                self.events.push_back(SctpEvent::Refused);
                continue;
            }
            let mut data = vec![0; chunks.len()];
            if chunks.read(&mut data).is_ok() {
                self.dispatch(stream, kind, data);
            }
        }
    }

    pub(super) fn dispatch(&mut self, stream: u16, kind: PayloadProtocolIdentifier, data: Vec<u8>) {
        let Some(id) = self.channel_of(stream) else {
            self.events.push_back(SctpEvent::Refused);
            self.reset(stream);
            return;
        };
        match kind {
            PayloadProtocolIdentifier::Dcep => self.handle_dcep(id, stream, &data),
            PayloadProtocolIdentifier::String | PayloadProtocolIdentifier::Binary => self.deliver(id, data),
            PayloadProtocolIdentifier::StringEmpty | PayloadProtocolIdentifier::BinaryEmpty => {
                self.deliver(id, Vec::new());
            }
            _ => self.events.push_back(SctpEvent::Refused),
        }
    }

    pub(super) fn channel_of(&mut self, stream: u16) -> Option<ChannelId> {
        if let Some(id) = self.by_stream.get(&stream) {
            return Some(*id);
        }
        if self.channels.len() >= MAX_CHANNELS {
            return None;
        }
        let id = self.new_channel_id();
        self.channels.insert(id, Channel::theirs(id, stream));
        self.by_stream.insert(stream, id);
        Some(id)
    }

    pub(super) fn deliver(&mut self, id: ChannelId, data: Vec<u8>) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        let is_early = channel.state == ChannelState::Unannounced;
        let event = match (is_early, is_early && channel.keep_early(data.clone())) {
            (false, _) => SctpEvent::Message(id, data),
            (true, false) => SctpEvent::Refused,
            (true, true) => return,
        };
        self.events.push_back(event);
    }

    pub(super) fn handle_dcep(&mut self, id: ChannelId, stream: u16, data: &[u8]) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        match (Message::parse(data), channel.state) {
            (Some(Message::Open(open)), ChannelState::Unannounced) => {
                channel.state = ChannelState::Open;
                self.events.push_back(SctpEvent::Open(id, open.label.clone()));
                let early = std::mem::take(&mut channel.early);
                self.events
                    .extend(early.into_iter().map(|data| SctpEvent::Message(id, data)));
                channel.open = open;
                self.write_dcep(id, stream, &Message::ACKNOWLEDGEMENT_BYTES);
            }
            (Some(Message::Acknowledgement), ChannelState::Opening) => {
                channel.state = ChannelState::Open;
                self.events
                    .push_back(SctpEvent::Open(id, channel.open.label.clone()));
            }
            (Some(Message::Acknowledgement), _) => {}
            _ => {
                self.events.push_back(SctpEvent::Refused);
                self.reset(stream);
                self.remove(id);
            }
        }
    }

    /// Writes a message of the establishment protocol and applies the channel's reliability after
    /// it: the message itself has to be ordered and reliable.
    pub(super) fn write_dcep(&mut self, id: ChannelId, stream: u16, bytes: &[u8]) {
        let (Some(association), Some(channel)) = (&mut self.association, self.channels.get(&id)) else {
            return;
        };
        let (kind, number) = channel.open.reliability.parts();
        let unordered = !channel.open.ordered;
        let written = association.stream(stream).and_then(|mut stream| {
            stream.write_with_ppi(bytes, PayloadProtocolIdentifier::Dcep)?;
            stream.set_reliability_params(unordered, kind, number)
        });
        if let Err(error) = written {
            log::debug!("data channel on stream {stream} cannot be set up: {error}");
            self.remove(id);
        }
    }
}

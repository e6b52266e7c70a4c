//! The SCTP association and the channels on it.

mod close;
mod receive;
mod send;
mod setup;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;
use sctp_proto::{Association, AssociationHandle, DatagramEvent, Endpoint, Event, Payload, StreamEvent};

use super::channel::{Channel, ChannelState};
use crate::error::{Result, TransportError};
use crate::types::{ChannelConfig, ChannelId};

/// How much waits in the association for the congestion window: enough for its next growth, and no more, since
/// messages of other channels do not overtake it.
const UNSENT_BYTES: usize = 128 * 1024;
const MAX_CHANNELS: usize = 1024;
/// The library wants addresses; there is only one path, that of DTLS.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5000);

/// What happened to the channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SctpEvent {
    Open(ChannelId, String),
    Message(ChannelId, Vec<u8>),
    Closed(ChannelId),
    Writable(ChannelId),
    Refused,
}

/// SCTP of one connection.
pub(crate) struct Sctp {
    endpoint: Option<Endpoint>,
    handle: AssociationHandle,
    association: Option<Association>,
    is_established: bool,
    is_over: bool,
    is_client: bool,
    max_receive_bytes: usize,
    receive_window_bytes: u32,
    max_send_bytes: usize,
    channels: BTreeMap<ChannelId, Channel>,
    by_stream: BTreeMap<u16, ChannelId>,
    next_channel: u32,
    next_stream: u16,
    /// Channel after which the next round of sending starts, for fairness.
    last_served: ChannelId,
    events: VecDeque<SctpEvent>,
    has_work: bool,
}

impl Sctp {
    pub(crate) fn new(max_receive_bytes: usize) -> Sctp {
        Sctp {
            endpoint: None,
            handle: AssociationHandle(0),
            association: None,
            is_established: false,
            is_over: false,
            is_client: false,
            max_receive_bytes,
            receive_window_bytes: u32::MAX,
            max_send_bytes: crate::DEFAULT_MAX_MESSAGE_SIZE_BYTES as usize,
            channels: BTreeMap::new(),
            by_stream: BTreeMap::new(),
            next_channel: 1,
            next_stream: 0,
            last_served: ChannelId(0),
            events: VecDeque::new(),
            has_work: false,
        }
    }

    /// What the peer accepts; 0 is unlimited.
    pub(crate) fn set_max_send_bytes(&mut self, bytes: u32) {
        let bytes = if bytes == 0 { u32::MAX } else { bytes };
        self.max_send_bytes = bytes as usize;
        if let Some(association) = &mut self.association {
            association.set_max_send_message_size(bytes);
        }
    }

    /// The most that the peer is offered to send from now on.
    pub(crate) fn limit_receive_window(&mut self, bytes: u32) {
        if self.receive_window_bytes != bytes {
            self.receive_window_bytes = bytes;
            if let Some(association) = &mut self.association {
                association.limit_receive_window(bytes);
                self.has_work = true;
            }
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<SctpEvent> {
        self.events.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.association.as_ref()?.poll_timeout()
    }

    /// Whether [`Sctp::process`] has something to do.
    pub(crate) fn has_work(&self) -> bool {
        self.has_work
    }

    /// Adds a channel; its opening message goes out as soon as the association is up.
    pub(crate) fn open_channel(&mut self, config: ChannelConfig) -> ChannelId {
        let id = self.new_channel_id();
        if self.is_over {
            self.events.push_back(SctpEvent::Closed(id));
        } else {
            self.channels.insert(id, Channel::ours(id, config));
        }
        self.has_work = true;
        id
    }

    fn new_channel_id(&mut self) -> ChannelId {
        let id = ChannelId(self.next_channel);
        self.next_channel += 1;
        id
    }

    pub(crate) fn close_channel(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        match channel.state {
            ChannelState::Waiting => self.remove(id),
            _ => channel.state = ChannelState::Closing,
        }
        self.has_work = true;
    }

    /// Queues a message, or says that there is no room; gives also how many older ones it displaced.
    pub(crate) fn send_message(&mut self, id: ChannelId, data: &[u8]) -> Result<(bool, u64)> {
        let channel = self
            .channels
            .get_mut(&id)
            .filter(|channel| channel.state != ChannelState::Closing);
        let channel = channel.ok_or(TransportError::UnknownChannel(id))?;
        if data.len() > self.max_send_bytes {
            return Err(TransportError::MessageTooLarge {
                length: data.len(),
                maximum: self.max_send_bytes,
            });
        }
        if !channel.has_room_for(data.len()) {
            return Ok((false, 0));
        }
        let displaced = channel.displace(data.len());
        channel.enqueue(data);
        self.has_work = true;
        Ok((true, displaced))
    }

    pub(crate) fn is_lossy(&self, id: ChannelId) -> bool {
        self.channels.get(&id).is_some_and(Channel::is_lossy)
    }

    pub(crate) fn queued_bytes(&self, id: ChannelId) -> usize {
        self.channels.get(&id).map_or(0, Channel::queued_bytes)
    }

    pub(crate) fn buffered_bytes(&self, id: ChannelId) -> usize {
        self.channels.get(&id).map_or(0, Channel::buffered_bytes)
    }

    /// Takes an SCTP packet out of DTLS.
    pub(crate) fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        let Some(endpoint) = &mut self.endpoint else {
            return;
        };
        self.has_work = true;
        match endpoint.handle(now, PEER, None, None, Bytes::copy_from_slice(packet)) {
            Some((handle, DatagramEvent::NewAssociation(association))) if self.association.is_none() => {
                self.adopt(handle, association);
            }
            Some((handle, DatagramEvent::AssociationEvent(event))) if handle == self.handle => {
                if let Some(association) = &mut self.association {
                    association.handle_event(event);
                }
            }
            // A second association of a peer that repeats its INIT.
            _ => {}
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let Some(association) = &mut self.association else {
            return;
        };
        if association.poll_timeout().is_some_and(|deadline| deadline <= now) {
            association.handle_timeout(now);
            self.has_work = true;
        }
    }

    /// Moves everything on and hands the packets to send to `sink`.
    pub(crate) fn process(&mut self, now: Instant, sink: &mut dyn FnMut(&[u8])) {
        if !self.has_work {
            return;
        }
        self.has_work = false;
        self.take_association_events();
        if self.is_established {
            self.open_waiting();
            self.read_acknowledged();
            self.send_queued();
            self.close_finished();
        }
        self.flush(now, sink);
        // A burst of acknowledgements may let go of more than the association was given.
        while self.is_established && self.has_room() && self.has_queued() {
            self.send_queued();
            self.flush(now, sink);
        }
    }

    fn flush(&mut self, now: Instant, sink: &mut dyn FnMut(&[u8])) {
        while let Some(transmit) = self.endpoint.as_mut().and_then(Endpoint::poll_transmit) {
            emit(transmit.payload, sink);
        }
        let Some(association) = &mut self.association else {
            return;
        };
        // One call gathers all there is.
        if let Some(transmit) = association.poll_transmit(now) {
            emit(transmit.payload, sink);
        }
        while let Some(event) = association.poll_endpoint_event() {
            if let Some(answer) = self
                .endpoint
                .as_mut()
                .and_then(|endpoint| endpoint.handle_event(self.handle, event))
            {
                association.handle_event(answer);
            }
        }
    }

    fn take_association_events(&mut self) {
        while let Some(event) = self.association.as_mut().and_then(Association::poll) {
            match event {
                Event::Connected => self.is_established = true,
                Event::HandshakeFailed { reason } | Event::AssociationLost { reason } => {
                    log::debug!("SCTP association is over: {reason}");
                    self.end();
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Finished { id } | StreamEvent::Stopped { id, .. }) => {
                    if let Some(channel) = self.by_stream.get(&id) {
                        self.remove(*channel);
                    }
                }
                _ => {}
            }
        }
    }
}

fn emit(payload: Payload, sink: &mut dyn FnMut(&[u8])) {
    let Payload::RawEncode(packets) = payload;
    packets.iter().for_each(|packet| sink(packet));
}

impl fmt::Debug for Sctp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sctp")
            .field("is_established", &self.is_established)
            .field("is_over", &self.is_over)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

//! The forwarding unit on its worker thread.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use greenroom_net::{Endpoint, EventPort, Payload, Transmit, TransmitQueue};
use greenroom_sfu::{Handle, Sfu, SfuEvent};
use greenroom_transport::{ChannelId, IceState, RECEIVE_WINDOW_BYTES, TransportEvent};

use super::channels::{Held, SharedGates};
use super::shards::Place;
use crate::event_kinds;

/// What a message counts for beside its bytes, until it is released.
const MESSAGE_OVERHEAD_BYTES: usize = 64;

struct Member {
    gates: SharedGates,
    failed: bool,
    /// Bytes of messages reported and not released.
    unreleased: usize,
    /// The most that the peer is to be offered, as the owner says.
    window: u32,
    /// Admitted messages that the transport had no room for, per channel.
    backlog: HashMap<u32, VecDeque<Vec<u8>>>,
}

/// Adapts the unit to the worker that drives it.
pub struct SfuEndpoint {
    pub sfu: Sfu,
    port: EventPort,
    transports: HashMap<Handle, Member>,
    /// Channels that hold bytes, looked at after each batch.
    active: Vec<(Handle, u32)>,
    /// Among the other units of the server; None: it is the only one.
    place: Option<Place>,
    /// Datagrams of other units, over TCP.
    of_others: Vec<Transmit>,
}

pub fn ice_state_name(state: IceState) -> &'static str {
    match state {
        IceState::New => "new",
        IceState::Checking => "checking",
        IceState::Connected => "connected",
        IceState::Disconnected => "disconnected",
        IceState::Failed => "failed",
        IceState::Closed => "closed",
    }
}

impl SfuEndpoint {
    pub fn new(mut sfu: Sfu, port: EventPort, place: Option<Place>) -> SfuEndpoint {
        if place.is_some() {
            sfu.watch_routes();
        }
        SfuEndpoint {
            place,
            of_others: Vec::new(),
            sfu,
            port,
            transports: HashMap::new(),
            active: Vec::new(),
        }
    }

    /// A transport was created.
    pub fn add_transport(&mut self, handle: Handle, gates: SharedGates) {
        self.transports.insert(
            handle,
            Member {
                gates,
                failed: false,
                unreleased: 0,
                window: RECEIVE_WINDOW_BYTES,
                backlog: HashMap::new(),
            },
        );
    }

    /// Closes a transport with all its tracks.
    pub fn close_transport(&mut self, handle: Handle, now: Instant) {
        self.sfu.close_transport(handle, now);
        self.transports.remove(&handle);
        self.port.forget(handle);
    }

    /// Closes every transport.
    pub fn close_all(&mut self, now: Instant) {
        let handles: Vec<Handle> = self.transports.keys().copied().collect();
        for handle in handles {
            self.close_transport(handle, now);
        }
    }

    /// Hands an admitted message to the transport, after those before it.
    pub fn send(&mut self, handle: Handle, channel: u32, data: Vec<u8>, now: Instant) {
        let Some(member) = self.transports.get_mut(&handle) else {
            return;
        };
        if !self.active.contains(&(handle, channel)) {
            self.active.push((handle, channel));
        }
        let queue = member.backlog.entry(channel).or_default();
        queue.push_back(data);
        self.flush(handle, channel, now);
    }

    fn flush(&mut self, handle: Handle, channel: u32, now: Instant) {
        let Some(member) = self.transports.get_mut(&handle) else {
            return;
        };
        let Some(queue) = member.backlog.get_mut(&channel) else {
            return;
        };
        while let Some(data) = queue.front() {
            match self.sfu.send_message(handle, ChannelId(channel), data, now) {
                Ok(false) => return,
                Ok(true) => {}
                Err(error) => log::debug!(
                    "transport {handle}, channel {channel}: message of {} bytes dropped: {error}",
                    data.len()
                ),
            }
            // Counted in the transport before it is discounted here: never too low.
            member.gates.refresh(channel, held(&self.sfu, handle, channel));
            member.gates.handed_over(channel, data.len());
            queue.pop_front();
        }
    }

    /// What the channels hold now; tells of those that have room again.
    fn refresh_channels(&mut self) {
        let (sfu, transports, port) = (&self.sfu, &self.transports, &self.port);
        self.active.retain(|(handle, channel)| {
            let Some(member) = transports.get(handle) else {
                return false;
            };
            if member.gates.refresh(*channel, held(sfu, *handle, *channel)) {
                port.push(
                    *handle,
                    event_kinds::CHANNEL_WRITABLE,
                    Payload::Integer((*channel).into()),
                );
            }
            let waiting = member.backlog.get(channel).is_some_and(|queue| !queue.is_empty());
            waiting || member.gates.buffered(*channel).is_some_and(|bytes| bytes > 0)
        });
    }

    /// The owner is done with so many messages, of so many bytes together.
    pub fn release(&mut self, handle: Handle, messages: usize, bytes: usize) {
        if let Some(member) = self.transports.get_mut(&handle) {
            let released = bytes.saturating_add(messages.saturating_mul(MESSAGE_OVERHEAD_BYTES));
            member.unreleased = member.unreleased.saturating_sub(released);
        }
        self.offer_window(handle);
    }

    /// The most that the peer is to be offered from now on.
    pub fn limit_receive_window(&mut self, handle: Handle, bytes: u32) {
        if let Some(member) = self.transports.get_mut(&handle) {
            member.window = bytes;
        }
        self.offer_window(handle);
    }

    fn offer_window(&mut self, handle: Handle) {
        if let Some(member) = self.transports.get(&handle) {
            let unreleased = u32::try_from(member.unreleased).unwrap_or(u32::MAX);
            let left = RECEIVE_WINDOW_BYTES.saturating_sub(unreleased);
            self.sfu.limit_receive_window(handle, left.min(member.window));
        }
    }

    /// A message was refused: the channel is looked at until it has room.
    pub fn watch(&mut self, handle: Handle, channel: u32) {
        if !self.active.contains(&(handle, channel)) {
            self.active.push((handle, channel));
        }
    }

    /// Takes a datagram that is this unit's.
    pub fn take(&mut self, now: Instant, received: greenroom_transport::Received<'_>) {
        self.sfu.handle_datagram(now, received);
        self.report(now);
    }

    /// Another unit sends this over connections that are this one's.
    pub fn send_for_another(&mut self, transmits: Vec<Transmit>) {
        self.of_others.extend(transmits);
    }

    /// Every transport has failed.
    pub fn fail_all(&mut self, reason: &str) {
        for (handle, member) in &mut self.transports {
            if !std::mem::replace(&mut member.failed, true) {
                self.port
                    .push(*handle, event_kinds::FAILED, Payload::Text(reason.into()));
            }
        }
    }

    fn note_routes(&mut self) {
        if let Some(place) = &self.place {
            place.note_routes(self.sfu.take_route_changes());
        }
    }

    /// Tells the owner what happened.
    pub fn report(&mut self, now: Instant) {
        self.note_routes();
        while let Some(event) = self.sfu.poll_event() {
            match event {
                SfuEvent::Transport(handle, event) => self.report_transport(handle, event, now),
                SfuEvent::UpTrackStarted(handle) => {
                    self.port
                        .push(handle, event_kinds::UP_TRACK_STARTED, Payload::None);
                }
                SfuEvent::UpTrackLayers(handle, layers) => {
                    self.port
                        .push(handle, event_kinds::UP_TRACK_LAYERS, Payload::Layers(layers));
                }
                SfuEvent::DownTrackStarted(handle) => {
                    self.port
                        .push(handle, event_kinds::DOWN_TRACK_STARTED, Payload::None);
                }
                SfuEvent::DownTrackPaused(handle, paused) => {
                    let payload = Payload::Integer(paused.into());
                    self.port.push(handle, event_kinds::DOWN_TRACK_PAUSED, payload);
                }
            }
        }
    }

    fn report_transport(&mut self, handle: Handle, event: TransportEvent, now: Instant) {
        let Some(member) = self.transports.get_mut(&handle).filter(|member| !member.failed) else {
            return;
        };
        let (kind, payload) = match event {
            TransportEvent::IceState(state) => (
                event_kinds::ICE_STATE,
                Payload::Text(ice_state_name(state).into()),
            ),
            TransportEvent::Connected => (event_kinds::CONNECTED, Payload::None),
            TransportEvent::Failed(reason) => {
                member.failed = true;
                (event_kinds::FAILED, Payload::Text(reason))
            }
            TransportEvent::ChannelOpen { id, label } => {
                member.gates.open(id.0, !self.sfu.is_lossy(handle, id));
                (event_kinds::CHANNEL_OPEN, Payload::Channel(id.0, label))
            }
            TransportEvent::ChannelMessage { id, data } => {
                member.unreleased += data.len() + MESSAGE_OVERHEAD_BYTES;
                (event_kinds::CHANNEL_MESSAGE, Payload::Message(id.0, data))
            }
            TransportEvent::ChannelClosed(id) => {
                member.gates.close(id.0);
                member.backlog.remove(&id.0);
                (event_kinds::CHANNEL_CLOSED, Payload::Integer(id.0.into()))
            }
            // Python hears of room from the gates, which also know what is on its way.
            TransportEvent::ChannelWritable(id) => return self.flush(handle, id.0, now),
            TransportEvent::Rtp(_) | TransportEvent::Rtcp(_) => return,
        };
        let is_message = kind == event_kinds::CHANNEL_MESSAGE;
        let pushed = self.port.push(handle, kind, payload);
        if is_message {
            self.offer_window(handle);
        }
        if !pushed {
            // The owner does not read its events: the port has told it that this failed.
            self.close_transport(handle, now);
        }
    }
}

fn held(sfu: &Sfu, handle: Handle, channel: u32) -> Held {
    let channel = ChannelId(channel);
    Held {
        queued: sfu.queued_amount(handle, channel),
        buffered: sfu.buffered_amount(handle, channel),
    }
}

impl Endpoint for SfuEndpoint {
    fn handle_datagram(&mut self, now: Instant, received: greenroom_net::Received<'_>) {
        let protocol = match received.protocol {
            greenroom_net::Protocol::Udp => greenroom_transport::Protocol::Udp,
            greenroom_net::Protocol::Tcp => greenroom_transport::Protocol::Tcp,
            // It opens no connections.
            greenroom_net::Protocol::Stream => return,
        };
        let received = greenroom_transport::Received {
            protocol,
            source: received.source,
            destination: received.destination,
            contents: received.contents,
        };
        let passed_on = self
            .place
            .as_mut()
            .is_some_and(|place| place.passes_on(now, &received));
        if !passed_on {
            self.take(now, received);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.sfu.handle_timeout(now);
        self.report(now);
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.sfu.poll_timeout()
    }

    fn poll_transmit(&mut self, out: &mut TransmitQueue) {
        while let Some(transmit) = self.sfu.poll_transmit() {
            let protocol = match transmit.protocol {
                greenroom_transport::Protocol::Udp => greenroom_net::Protocol::Udp,
                greenroom_transport::Protocol::Tcp => greenroom_net::Protocol::Tcp,
            };
            let transmit = Transmit {
                protocol,
                source: transmit.source,
                destination: transmit.destination,
                contents: transmit.contents,
            };
            match &mut self.place {
                Some(place) if !place.is_first() && protocol == greenroom_net::Protocol::Tcp => {
                    place.send_tcp(transmit);
                }
                _ => out.push(transmit),
            }
        }
        // Requests of ours are among them, and their answers come to the first unit.
        self.note_routes();
        self.of_others.drain(..).for_each(|transmit| out.push(transmit));
        if let Some(place) = &mut self.place {
            place.flush();
        }
        self.refresh_channels();
    }

    fn woken(&mut self, now: Instant) {
        let Some(batch) = self.place.as_mut().map(Place::take_handed_over) else {
            return;
        };
        for received in batch.received() {
            self.take(now, received);
        }
        if let Some(place) = &mut self.place {
            place.worked_off(batch);
        }
    }

    fn take_back(&mut self, sent: &mut TransmitQueue) {
        for transmit in sent.drain() {
            self.sfu.give_back(transmit.contents);
        }
    }

    fn failed(&mut self, reason: &str) {
        self.fail_all(reason);
        if let Some(place) = self.place.as_ref().filter(|place| place.is_first()) {
            place.fail_others(reason);
        }
    }
}

impl Drop for SfuEndpoint {
    fn drop(&mut self) {
        for handle in self.transports.keys() {
            self.port.forget(*handle);
        }
    }
}

//! One association: its state and what its owner can do with it.

mod acknowledging;
mod handshake;
mod incoming;
mod outgoing;
mod resetting;
mod shutting_down;
mod streams;
mod timers;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::config::{DATA_OVERHEAD_BYTES, TransportConfig};
use crate::congestion::Congestion;
use crate::in_flight::InFlight;
use crate::reassembly::Reassembly;
use crate::received::Received;
use crate::round_trip::RoundTrip;
use crate::send_queue::{Delivery, SendQueue};
use crate::stream::Stream;
use crate::types::{AssociationEvent, EndpointEvent, Payload, Transmit};
use crate::{AssociationError, Error, Event, PayloadProtocolIdentifier, Result, StreamEvent, StreamId};

use acknowledging::Acknowledging;
use resetting::Resetting;
use timers::{Timer, Timers};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The peer begins, its INIT is answered.
    Listening,
    /// Our INIT is sent.
    CookieWait,
    /// The peer's cookie is sent back.
    CookieEchoed,
    Established,
    /// Ends once everything is acknowledged.
    ShutdownPending,
    ShutdownSent,
    /// The peer ends it; what is on its way still has to arrive.
    ShutdownReceived,
    ShutdownAckSent,
    Closed,
}

/// Both directions of one stream.
#[derive(Debug, Default)]
struct StreamState {
    reassembly: Reassembly,
    delivery: Delivery,
    default_protocol: PayloadProtocolIdentifier,
    /// Payload bytes that wait or are not acknowledged.
    buffered: usize,
    low_threshold: usize,
    /// Closed by us: nothing is read or written any more.
    is_closed: bool,
}

/// What the INIT of the peer said.
#[derive(Debug, Clone, Copy, Default)]
struct PeerInfo {
    tag: u32,
    can_forward: bool,
    can_reset: bool,
}

/// An SCTP association.
///
/// After every call that changes it, take its events with [`Association::poll`], its packets with
/// [`Association::poll_transmit`], and ask [`Association::poll_timeout`] when to call
/// [`Association::handle_timeout`].
#[derive(Debug)]
pub struct Association {
    config: Arc<TransportConfig>,
    remote: SocketAddr,
    state: State,
    tag: u32,
    peer: PeerInfo,
    cookie: Bytes,
    /// The cookie of the peer, to be sent back.
    peer_cookie: Bytes,
    /// Bytes of a whole packet.
    packet_bytes: usize,
    max_send_bytes: usize,

    streams: HashMap<StreamId, StreamState>,
    queue: SendQueue,
    in_flight: InFlight,
    congestion: Congestion,
    round_trip: RoundTrip,
    /// What the peer can take, as it last said.
    peer_window: usize,
    /// Until this number is acknowledged, losses are of the same event.
    recovery_end: Option<u32>,
    is_window_used: bool,
    next_packet: u64,
    last_sent_at: Option<Instant>,
    timeouts_in_a_row: usize,
    wants_forward: bool,

    received: Received,
    /// Payload bytes that arrived and are not read.
    received_bytes: usize,
    /// The most that the peer is offered to send.
    offered_bytes: u32,
    acknowledging: Acknowledging,

    resetting: Resetting,
    timers: Timers,
    /// Whole packets of control chunks.
    control: VecDeque<Bytes>,
    wants_init: bool,
    wants_cookie_echo: bool,
    wants_shutdown: bool,
    events: VecDeque<Event>,
    /// Streams with an event that is not taken yet.
    readable: HashSet<StreamId>,
}

impl Association {
    pub(crate) fn new(
        config: Arc<TransportConfig>,
        payload_bytes: usize,
        remote: SocketAddr,
        is_client: bool,
    ) -> Association {
        let nonzero = || rand::random::<u32>().max(1);
        let first_tsn = nonzero();
        let packet_bytes = (payload_bytes & !3) + DATA_OVERHEAD_BYTES;
        Association {
            remote,
            state: if is_client {
                State::CookieWait
            } else {
                State::Listening
            },
            tag: nonzero(),
            peer: PeerInfo::default(),
            cookie: Bytes::copy_from_slice(&rand::random::<[u8; 16]>()),
            peer_cookie: Bytes::new(),
            packet_bytes,
            max_send_bytes: config.send_message_bytes as usize,
            streams: HashMap::new(),
            queue: SendQueue::default(),
            in_flight: InFlight::starting_at(first_tsn),
            congestion: Congestion::new(packet_bytes),
            round_trip: RoundTrip::new(
                config.initial_timeout,
                config.minimum_timeout,
                config.maximum_timeout,
            ),
            peer_window: 0,
            recovery_end: None,
            is_window_used: false,
            next_packet: 0,
            last_sent_at: None,
            timeouts_in_a_row: 0,
            wants_forward: false,
            received: Received::default(),
            received_bytes: 0,
            offered_bytes: config.receive_buffer_bytes,
            acknowledging: Acknowledging::default(),
            resetting: Resetting::starting_at(first_tsn),
            timers: Timers::default(),
            control: VecDeque::new(),
            wants_init: is_client,
            wants_cookie_echo: false,
            wants_shutdown: false,
            events: VecDeque::new(),
            readable: HashSet::new(),
            config,
        }
    }

    /// The next event.
    #[must_use]
    pub fn poll(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            if let Event::Stream(StreamEvent::Readable { id }) = &event {
                self.readable.remove(id);
            }
            return Some(event);
        }
        self.finish_read_streams()
    }

    /// The packets to send now.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let packets = self.packets(now);
        (!packets.is_empty()).then(|| Transmit {
            now,
            remote: self.remote,
            payload: Payload::RawEncode(packets),
        })
    }

    /// When [`Association::handle_timeout`] is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Takes a packet, from [`crate::Endpoint::handle`].
    pub fn handle_event(&mut self, event: AssociationEvent) {
        self.handle_packet(&event.packet, event.now);
    }

    /// Nothing: there is one association in an endpoint.
    pub fn poll_endpoint_event(&mut self) -> Option<EndpointEvent> {
        None
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether it is being shut down.
    pub fn is_closing(&self) -> bool {
        matches!(
            self.state,
            State::ShutdownPending | State::ShutdownSent | State::ShutdownReceived | State::ShutdownAckSent
        )
    }

    /// Whether the handshake is still going on.
    pub fn is_handshaking(&self) -> bool {
        matches!(
            self.state,
            State::Listening | State::CookieWait | State::CookieEchoed
        )
    }

    /// What the peer accepts; 0 is unlimited.
    pub fn set_max_send_message_size(&mut self, bytes: u32) {
        self.max_send_bytes = if bytes == 0 { u32::MAX } else { bytes } as usize;
    }

    /// Offers the peer no more than this many bytes to send, whatever there is room for: 0 stops it once it has heard.
    /// What it was offered before is taken all the same. At first as much as there is room for.
    pub fn limit_receive_window(&mut self, bytes: u32) {
        self.offered_bytes = bytes;
        self.window_grew();
    }

    /// Payload bytes of all streams that are not sent yet: what waits for the congestion window.
    pub fn unsent_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// The number is in use, or still being reset.
    pub fn open_stream(&mut self, id: StreamId, protocol: PayloadProtocolIdentifier) -> Result<Stream<'_>> {
        if self.resetting.is_pending(id) {
            return Err(Error::ErrStreamResetPending);
        }
        if self.streams.contains_key(&id) {
            return Err(Error::ErrStreamAlreadyExist);
        }
        let state = StreamState {
            default_protocol: protocol,
            ..StreamState::default()
        };
        self.streams.insert(id, state);
        Ok(Stream {
            id,
            association: self,
        })
    }

    /// A stream of either side.
    ///
    /// # Errors
    /// There is none of this number.
    pub fn stream(&mut self, id: StreamId) -> Result<Stream<'_>> {
        if self.streams.contains_key(&id) {
            Ok(Stream {
                id,
                association: self,
            })
        } else {
            Err(Error::ErrStreamNotExisted)
        }
    }

    pub(crate) fn own_tag(&self) -> u32 {
        self.tag
    }

    fn is_alive(&self) -> bool {
        matches!(self.state, State::Established) || self.is_closing()
    }

    /// Ends it without a word.
    fn lose(&mut self, reason: AssociationError) {
        if self.state == State::Closed {
            return;
        }
        let event = if self.is_handshaking() {
            Event::HandshakeFailed { reason }
        } else {
            Event::AssociationLost { reason }
        };
        self.close();
        self.events.push_back(event);
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.timers = Timers::default();
        self.control.clear();
        (self.wants_init, self.wants_cookie_echo, self.wants_shutdown) = (false, false, false);
    }

    fn start_timer(&mut self, timer: Timer, now: Instant) {
        self.timers.set(timer, now + self.round_trip.timeout());
    }
}

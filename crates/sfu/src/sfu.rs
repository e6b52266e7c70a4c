//! The forwarding unit: the tables of transports, up tracks and down tracks, and the ways through them.
//!
//! In: datagrams, time, and what negotiation says. Out: datagrams ([`Sfu::poll_transmit`]), events
//! ([`Sfu::poll_event`]) and the next deadline ([`Sfu::poll_timeout`]). One file for each way: `drive` moves datagrams
//! and time, `transports`, `up_tracks` and `down_tracks` do what the caller asks for, `forwarding` takes media from a
//! publisher to the subscribers (`binding` tells whose it is), `data_tracks` does so with data, `feedback` takes RTCP, `allocating` shares
//! a subscriber's bandwidth, `key_frames` asks for them, and `reports` writes RTCP by the
//! clock.

mod allocating;
mod binding;
mod data_tracks;
mod delivery;
mod down_tracks;
mod drive;
mod feedback;
mod forwarding;
mod key_frames;
mod reports;
mod transports;
mod up_tracks;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use greenroom_transport::{BufferPool, Certificate, Protocol, TransportEvent};

pub use self::allocating::BandwidthPolicy;
pub(crate) use self::data_tracks::DataSubscription;
pub use self::down_tracks::DownTrackParameters;
pub use self::transports::{TransportParameters, TransportSnapshot, random_ice_credentials};
pub use self::up_tracks::UpTrackParameters;
use crate::connection::Connection;
use crate::demultiplexer::{Demultiplexer, RouteChange};
use crate::down_track::DownTrack;
use crate::handles::{Handle, HandleMap};
use crate::rtcp::ReportBlock;
use crate::statistics::SfuStatistics;
use crate::up_track::UpTrack;

/// An address that every transport offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalCandidate {
    /// UDP, or passive TCP.
    pub protocol: Protocol,
    /// The bound address: the destination of datagrams that come in.
    pub address: SocketAddr,
    /// What the peer hears of.
    pub advertised: SocketAddr,
}

/// What happened; drained with [`Sfu::poll_event`].
#[derive(Debug, Clone, PartialEq)]
pub enum SfuEvent {
    /// Of a transport; never `Rtp` or `Rtcp`.
    Transport(Handle, TransportEvent),
    /// The first packet of an up track arrived.
    UpTrackStarted(Handle),
    /// Which layers of an up track flow, lowest first.
    UpTrackLayers(Handle, Vec<bool>),
    /// The first packet of a down track was forwarded.
    DownTrackStarted(Handle),
    /// A down track is held back for lack of bandwidth, or is not any more.
    DownTrackPaused(Handle, bool),
}

/// One server's forwarding unit.
pub struct Sfu {
    certificate: Arc<Certificate>,
    candidates: Vec<LocalCandidate>,
    connections: HandleMap<Connection>,
    up_tracks: HandleMap<UpTrack>,
    down_tracks: HandleMap<DownTrack>,
    demultiplexer: Demultiplexer,
    events: VecDeque<SfuEvent>,
    statistics: SfuStatistics,
    /// Transports that may have something to send.
    dirty: Vec<Handle>,
    timers: BinaryHeap<Reverse<(Instant, Handle)>>,
    /// Transports that go once their last datagrams are taken.
    closing: Vec<Handle>,
    buffers: BufferPool,
    /// The packet being written, in a buffer of the pool.
    scratch: Vec<u8>,
    lists: Lists,
}

/// What is filled anew whenever it is needed, kept for its memory.
#[derive(Default)]
struct Lists {
    up_tracks: Vec<Handle>,
    down_tracks: Vec<Handle>,
    lost: Vec<u16>,
    blocks: Vec<ReportBlock>,
}

impl Sfu {
    /// A unit whose transports share these addresses and this certificate.
    pub fn new(certificate: Arc<Certificate>, candidates: Vec<LocalCandidate>) -> Sfu {
        Sfu {
            certificate,
            candidates,
            connections: HandleMap::default(),
            up_tracks: HandleMap::default(),
            down_tracks: HandleMap::default(),
            demultiplexer: Demultiplexer::default(),
            events: VecDeque::new(),
            statistics: SfuStatistics::default(),
            dirty: Vec::new(),
            timers: BinaryHeap::new(),
            closing: Vec::new(),
            buffers: BufferPool::default(),
            scratch: Vec::new(),
            lists: Lists::default(),
        }
    }

    /// This unit shares its sockets with others: keep what changes in its routes, for `take_route_changes`.
    pub fn watch_routes(&mut self) {
        self.demultiplexer.watch();
    }

    /// What a table of all units has to know before anything more of this one is sent.
    pub fn take_route_changes(&mut self) -> Vec<RouteChange> {
        self.demultiplexer.take_changes()
    }

    /// Counters of the whole unit.
    pub fn statistics(&self) -> SfuStatistics {
        let mut statistics = SfuStatistics {
            transports: (self.connections.len() - self.closing.len()) as u64,
            up_tracks: self.up_tracks.len() as u64,
            down_tracks: self.down_tracks.len() as u64,
            ..self.statistics
        };
        for connection in self.connections.values() {
            statistics.add_refused(&connection.transport.statistics());
        }
        statistics
    }
}

//! The forwarding units of one server, each on a worker thread of its own, behind one port.
//!
//! A room lives on one unit. The first unit reads the sockets and accepts TCP connections; what is for a room of another
//! unit it hands over, in batches. Each unit sends UDP by itself, and TCP through the first.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use greenroom_net::Transmit;
use greenroom_sfu::{RouteChange, RouteTable};
use greenroom_transport::Received;

use super::calls::{Worker, lock};
use super::hand_over::{Batch, Inbox};

/// Datagrams on their way to one unit; more are dropped and counted, as a full socket drops them.
const MAX_WAITING: usize = 16_384;

/// What the units of a server share.
pub struct Shards {
    routes: Mutex<RouteTable>,
    /// In their order; the first has the sockets.
    units: OnceLock<Vec<Worker>>,
    loads: Vec<Load>,
    inboxes: Vec<Inbox>,
    handed_over: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Load {
    transports: AtomicUsize,
    /// Rooms that were put here, ever.
    rooms: AtomicUsize,
    /// Datagrams on their way here.
    waiting: AtomicUsize,
}

impl Shards {
    pub fn new(count: usize) -> Arc<Shards> {
        Arc::new(Shards {
            routes: Mutex::default(),
            units: OnceLock::new(),
            loads: (0..count).map(|_| Load::default()).collect(),
            inboxes: (0..count).map(|_| Inbox::default()).collect(),
            handed_over: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        })
    }

    /// The units run now.
    pub fn start(&self, units: Vec<Worker>) {
        let _ = self.units.set(units);
    }

    pub fn units(&self) -> &[Worker] {
        self.units.get().map_or(&[], Vec::as_slice)
    }

    /// The unit for a new room: of those that run, the one with the fewest transports, then rooms.
    pub fn place_room(&self) -> usize {
        let running = self.units().iter().zip(&self.loads).enumerate();
        let least = running
            .filter(|(_, (unit, _))| !unit.is_closed())
            .min_by_key(|(_, (_, load))| {
                (
                    load.transports.load(Ordering::Relaxed),
                    load.rooms.load(Ordering::Relaxed),
                )
            });
        let index = least.map_or(0, |(index, _)| index);
        self.loads[index].rooms.fetch_add(1, Ordering::Relaxed);
        index
    }

    pub fn transport_opened(&self, unit: usize) {
        self.loads[unit].transports.fetch_add(1, Ordering::Relaxed);
    }

    pub fn transport_closed(&self, unit: usize) {
        self.loads[unit].transports.fetch_sub(1, Ordering::Relaxed);
    }

    /// Datagrams that were handed over, and that could not be.
    pub fn counts(&self) -> (u64, u64) {
        (
            self.handed_over.load(Ordering::Relaxed),
            self.dropped.load(Ordering::Relaxed),
        )
    }
}

/// One unit's place among the others.
pub struct Place {
    shards: Arc<Shards>,
    index: usize,
    /// By unit: what is to be handed over with the next flush.
    batches: Vec<Batch>,
    /// What was handed over to this unit and is worked off.
    taken: Batch,
    /// For the first unit, which has the connections.
    tcp: Vec<Transmit>,
}

impl Place {
    pub fn new(shards: Arc<Shards>, index: usize) -> Place {
        Place {
            batches: shards.loads.iter().map(|_| Batch::default()).collect(),
            shards,
            index,
            taken: Batch::default(),
            tcp: Vec::new(),
        }
    }

    /// Whether the sockets are this unit's.
    pub fn is_first(&self) -> bool {
        self.index == 0
    }

    /// True: the datagram is another unit's, and on its way there. One that is nobody's stays, to be counted.
    pub fn passes_on(&mut self, now: Instant, received: &Received<'_>) -> bool {
        let unit = lock(&self.shards.routes).route(now, received);
        let Some(unit) = unit.filter(|unit| *unit != self.index) else {
            return false;
        };
        let waiting = &self.shards.loads[unit].waiting;
        if waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING {
            self.batches[unit].push(received);
        } else {
            waiting.fetch_sub(1, Ordering::Relaxed);
            self.shards.dropped.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// Tell the common table, before anything is sent that may be answered.
    pub fn note_routes(&self, changes: Vec<RouteChange>) {
        if !changes.is_empty() {
            lock(&self.shards.routes).apply(Instant::now(), self.index, changes);
        }
    }

    /// A datagram of this unit over a connection of the first one's.
    pub fn send_tcp(&mut self, transmit: Transmit) {
        self.tcp.push(transmit);
    }

    /// What was handed over to this unit; give it back with [`Place::worked_off`].
    pub fn take_handed_over(&mut self) -> Batch {
        let mut taken = std::mem::take(&mut self.taken);
        self.shards.inboxes[self.index].take(&mut taken);
        let waiting = &self.shards.loads[self.index].waiting;
        waiting.fetch_sub(taken.len(), Ordering::Relaxed);
        taken
    }

    pub fn worked_off(&mut self, mut taken: Batch) {
        taken.clear();
        self.taken = taken;
    }

    /// Hand over what has come together.
    pub fn flush(&mut self) {
        for (unit, batch) in self.batches.iter_mut().enumerate() {
            if !batch.is_empty() {
                self.shards.hand_over(unit, batch);
            }
        }
        let tcp = std::mem::take(&mut self.tcp);
        if let (false, Some(first)) = (tcp.is_empty(), self.shards.units().first()) {
            first.post(move |endpoint, _| endpoint.send_for_another(tcp));
        }
    }

    /// This unit has failed and the sockets were its: so have all others.
    pub fn fail_others(&self, reason: &str) {
        for unit in self.shards.units().iter().skip(1) {
            let reason = reason.to_owned();
            unit.post(move |endpoint, _| endpoint.fail_all(&reason));
            unit.close();
        }
    }
}

impl Shards {
    fn hand_over(&self, unit: usize, batch: &mut Batch) {
        let count = batch.len();
        if !self.inboxes[unit].put(batch) || self.units().get(unit).is_some_and(Worker::wake) {
            self.handed_over.fetch_add(count as u64, Ordering::Relaxed);
            return;
        }
        let mut refused = Batch::default();
        self.inboxes[unit].take(&mut refused);
        self.loads[unit]
            .waiting
            .fetch_sub(refused.len(), Ordering::Relaxed);
        self.dropped.fetch_add(refused.len() as u64, Ordering::Relaxed);
    }
}

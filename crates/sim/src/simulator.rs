//! The simulator as its users see it: a clock, a network and endpoints.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use greenroom_net::{Endpoint, EventPort};

use crate::endpoint::Slot;
use crate::fate::Faults;
use crate::handle::EndpointHandle;
use crate::network::{Bound, Direction, Network};
use crate::ticker::Callback;
use crate::trace::Trace;
use crate::world::World;

pub(crate) type Work = Box<dyn FnOnce(&mut dyn Any, Instant) + Send>;

pub(crate) enum Command {
    Spawn(u32, Box<Slot>),
    Run(u32, Work),
    Close(u32),
    Job(Box<dyn FnOnce() + Send>),
}

#[derive(Default)]
struct Queue {
    commands: VecDeque<Command>,
    ticks: Vec<Callback>,
    closed: bool,
}

pub(crate) struct Shared {
    /// When virtual time began.
    base: Instant,
    now_ns: AtomicU64,
    next_key: AtomicU32,
    queue: Mutex<Queue>,
    network: Mutex<Network>,
    pub(crate) world: Mutex<World>,
    ports: Mutex<Vec<EventPort>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn now_ns(&self) -> u64 {
        self.now_ns.load(Ordering::Relaxed)
    }

    pub(crate) fn instant(&self, at_ns: u64) -> Instant {
        self.base + Duration::from_nanos(at_ns)
    }

    /// 0 for what lies before the beginning.
    pub(crate) fn nanoseconds(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.base).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Never held while an endpoint is called.
    pub(crate) fn network(&self) -> MutexGuard<'_, Network> {
        lock(&self.network)
    }

    pub(crate) fn send(&self, command: Command) {
        let mut queue = lock(&self.queue);
        if !queue.closed {
            return queue.commands.push_back(command);
        }
        // What it owns may send again when it is dropped.
        drop(queue);
        drop(command);
    }

    pub(crate) fn take_commands(&self) -> (VecDeque<Command>, Vec<Callback>) {
        let mut queue = lock(&self.queue);
        (
            std::mem::take(&mut queue.commands),
            std::mem::take(&mut queue.ticks),
        )
    }

    fn has_events(&self) -> bool {
        let mut ports = lock(&self.ports);
        ports.retain(|port| port.fileno().is_some());
        ports.iter().any(|port| port.waiting() > 0)
    }
}

/// What there is, for tests of leaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Peers and forwarding units.
    pub endpoints: usize,
    /// Bound addresses.
    pub sockets: usize,
    /// Datagrams on their way.
    pub datagrams: usize,
    /// Callbacks of the media clock.
    pub tick_callbacks: usize,
}

/// A world of its own with its own time. Clones are the same one. Use it from one thread.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
}

impl Simulator {
    /// Time begins at `base`; the same `seed` makes the same network. `keep_lines`: for `take_trace`.
    pub fn new(seed: u64, base: Instant, keep_lines: bool) -> Simulator {
        Simulator {
            shared: Arc::new(Shared {
                base,
                now_ns: AtomicU64::new(0),
                next_key: AtomicU32::new(1),
                queue: Mutex::default(),
                network: Mutex::new(Network::new(seed, Trace::new(keep_lines))),
                world: Mutex::default(),
                ports: Mutex::default(),
            }),
        }
    }

    /// The present instant, for endpoints.
    pub fn now(&self) -> Instant {
        self.shared.instant(self.now_ns())
    }

    /// Nanoseconds since the beginning.
    pub fn now_ns(&self) -> u64 {
        self.shared.now_ns()
    }

    /// Take one port on all addresses, any free one when it is 0.
    pub fn bind(&self, addresses: &[IpAddr], port: u16) -> io::Result<Bound> {
        let addresses = self.shared.network().bind(addresses, port)?;
        Ok(Bound {
            shared: Arc::clone(&self.shared),
            addresses,
        })
    }

    /// Put an endpoint into the world. `make` runs at once.
    pub fn spawn<E: Endpoint>(
        &self,
        sockets: Bound,
        make: impl FnOnce(EndpointHandle<E>) -> E,
    ) -> EndpointHandle<E> {
        let key = self.shared.next_key.fetch_add(1, Ordering::Relaxed);
        let gone = Arc::new(AtomicBool::new(false));
        let handle = EndpointHandle::new(Arc::clone(&self.shared), key, Arc::clone(&gone));
        self.shared.network().own(&sockets.addresses, key);
        let slot = Slot::new(Box::new(make(handle.clone())), gone, sockets);
        self.shared.send(Command::Spawn(key, Box::new(slot)));
        handle
    }

    /// Call back every 10 ms, as the media clock does.
    pub fn every_tick(&self, callback: Box<dyn FnMut(Instant, u32) -> bool + Send>) {
        let mut queue = lock(&self.shared.queue);
        if !queue.closed {
            queue.ticks.push(callback);
        }
    }

    /// Run a job before time goes on, as the media pool does.
    pub fn submit(&self, job: Box<dyn FnOnce() + Send>) {
        self.shared.send(Command::Job(job));
    }

    /// `run` ends when this port has something to read.
    pub fn watch(&self, port: EventPort) {
        lock(&self.shared.ports).push(port);
    }

    /// Let the world go on: do what is due, and move the clock on, until an event port has something to read or
    /// `limit_ns` is reached. Without a limit: until nothing is left that could happen. False when that is so.
    pub fn run(&self, limit_ns: Option<u64>) -> bool {
        loop {
            let next = {
                let mut world = lock(&self.shared.world);
                world.settle(&self.shared);
                world.next_due_ns(&self.shared)
            };
            if self.shared.has_events() {
                return true;
            }
            let target = match (next, limit_ns) {
                (Some(next), Some(limit)) if next > limit => limit,
                (Some(next), _) => next,
                (None, Some(limit)) => limit,
                (None, None) => return false,
            };
            let target = target.max(self.now_ns());
            self.shared.now_ns.store(target, Ordering::Relaxed);
            if next.is_none_or(|next| next > target) {
                return true;
            }
        }
    }

    /// What one direction of a host's link does, to be changed.
    pub fn set_faults(&self, host: IpAddr, direction: Direction, faults: Faults) {
        *self.shared.network().faults(host, direction) = faults;
    }

    /// What one direction of a host's link does.
    pub fn faults(&self, host: IpAddr, direction: Direction) -> Faults {
        *self.shared.network().faults(host, direction)
    }

    /// The host's address translation forgets everything: its sockets come from other ports from now on.
    pub fn rebind(&self, host: IpAddr) {
        self.shared.network().rebind(host);
    }

    /// Add something to the trace.
    pub fn record(&self, text: &str) {
        let now_ns = self.now_ns();
        self.shared.network().trace.text(now_ns, text);
    }

    /// The hash of all that was traced, and how much that was.
    pub fn trace_hash(&self) -> (u64, u64) {
        let network = self.shared.network();
        (network.trace.hash(), network.trace.events())
    }

    /// The lines since the last call, when they are kept: at most 100,000.
    pub fn take_trace(&self) -> Vec<String> {
        self.shared.network().trace.take_lines()
    }

    /// What there is now.
    pub fn counts(&self) -> Counts {
        let world = lock(&self.shared.world);
        let network = self.shared.network();
        Counts {
            endpoints: world.endpoints(),
            sockets: network.bound(),
            datagrams: network.on_the_way(),
            tick_callbacks: world.ticker.len(),
        }
    }

    /// Drop every endpoint; nothing happens any more. Harmless twice.
    pub fn close(&self) {
        let mut world = lock(&self.shared.world);
        world.run_commands(&self.shared);
        world.clear();
        lock(&self.shared.queue).closed = true;
        lock(&self.shared.ports).clear();
    }
}

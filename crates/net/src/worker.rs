//! One worker thread: waits for commands, datagrams and deadlines, and runs its endpoints.

mod receiving;

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::endpoint::{Endpoint, Transmit, TransmitQueue};
use crate::handle::{Command, EndpointState, Work, WorkerShared, mark_worker_thread};
use crate::shared::{SHARED_KEY, SharedSockets};
use crate::slot::{Slot, Source};
use crate::sockets::{Sockets, local_addresses};
use crate::syscalls::{AddressWatch, Epoll, Readiness, ReceiveBatch};
use crate::timers::Timers;

/// The token of the wake-up descriptor; endpoints' tokens have their key in the upper half.
const WAKE_TOKEN: u64 = u64::MAX;
const ADDRESSES_TOKEN: u64 = u64::MAX - 1;
/// TCP is read through one buffer of this size.
const SCRATCH_BYTES: usize = 64 * 1024;

/// An endpoint whose type only its handles know.
pub(crate) trait AnyEndpoint: Endpoint {
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<E: Endpoint> AnyEndpoint for E {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

pub(crate) struct NewEndpoint {
    pub(crate) key: u32,
    pub(crate) state: Arc<EndpointState>,
    pub(crate) endpoint: Box<dyn AnyEndpoint>,
    pub(crate) sockets: Sockets,
}

/// What slots borrow from their worker: the set of descriptors, and buffers that all of them use.
pub(crate) struct WorkerIo {
    pub(crate) epoll: Epoll,
    pub(crate) shared: SharedSockets,
    pub(crate) received: ReceiveBatch,
    pub(crate) scratch: Vec<u8>,
    pub(crate) transmits: TransmitQueue,
    /// What is sent through one socket; empty between sends.
    pub(crate) batch: Vec<&'static Transmit>,
    /// Counts turns of the loop, for budgets per turn.
    pub(crate) turn: u64,
}

pub(crate) struct Worker {
    shared: Arc<WorkerShared>,
    /// None where the kernel gives none: then addresses stay as they were.
    address_watch: Option<AddressWatch>,
    io: WorkerIo,
    slots: HashMap<u32, Slot>,
    timers: Timers,
    /// Endpoints that had input in this turn.
    touched: Vec<u32>,
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown".to_owned())
}

impl Worker {
    pub(crate) fn new(shared: Arc<WorkerShared>) -> io::Result<Worker> {
        let epoll = Epoll::new()?;
        epoll.add(&shared.wake, WAKE_TOKEN)?;
        let address_watch = AddressWatch::new()
            .and_then(|watch| epoll.add(&watch, ADDRESSES_TOKEN).map(|()| watch))
            .inspect_err(|error| log::info!("changes of this machine's addresses are not seen: {error}"))
            .ok();
        let io = WorkerIo {
            epoll,
            shared: SharedSockets::default(),
            received: ReceiveBatch::new(),
            scratch: vec![0; SCRATCH_BYTES],
            transmits: TransmitQueue::new(),
            batch: Vec::new(),
            turn: 0,
        };
        Ok(Worker {
            shared,
            address_watch,
            io,
            slots: HashMap::new(),
            timers: Timers::default(),
            touched: Vec::new(),
        })
    }

    pub(crate) fn run(mut self) {
        mark_worker_thread();
        let mut ready = Vec::new();
        let mut commands = VecDeque::new();
        loop {
            let now = Instant::now();
            let timeout = self
                .timers
                .next_wake()
                .map(|wake| wake.saturating_duration_since(now));
            if let Err(error) = self.io.epoll.wait(timeout, &mut ready) {
                log::error!("waiting for sockets failed: {error}");
                std::thread::sleep(Duration::from_millis(10));
            }
            if !self.turn(&ready, &mut commands) {
                break;
            }
        }
        for key in self.slots.keys().copied().collect::<Vec<_>>() {
            self.close(key);
        }
    }

    /// One turn. False when the engine has stopped.
    fn turn(&mut self, ready: &[Readiness], commands: &mut VecDeque<Command>) -> bool {
        self.io.turn += 1;
        // Clear before taking: a command that comes in between signals again.
        if ready.iter().any(|readiness| readiness.token == WAKE_TOKEN) {
            self.shared.wake.clear();
        }
        let running = self.shared.take(commands);
        for command in commands.drain(..) {
            self.handle_command(command);
        }
        if ready.iter().any(|readiness| readiness.token == ADDRESSES_TOKEN) {
            self.addresses_changed();
        }
        let now = Instant::now();
        for readiness in ready.iter().filter(|readiness| readiness.token < ADDRESSES_TOKEN) {
            self.handle_readiness(*readiness, now);
        }
        let now = Instant::now();
        while let Some(key) = self.timers.pop_due(now) {
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.handle_timeout(&mut self.io, now);
                touch(&mut self.touched, key, slot);
            }
        }
        self.flush_touched(Instant::now());
        running
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Spawn(new) => self.insert(*new),
            Command::Run(key, state, work) => {
                state.waiting.fetch_sub(1, Ordering::AcqRel);
                self.run_work(key, work);
            }
            Command::Wake(key, state) => {
                state.waiting.fetch_sub(1, Ordering::AcqRel);
                self.wake(key);
            }
            Command::Close(key) => self.close(key),
        }
    }

    fn insert(&mut self, new: NewEndpoint) {
        let key = new.key;
        let mut slot = Slot::new(new);
        slot.register(&self.io.epoll);
        touch(&mut self.touched, key, &mut slot);
        self.slots.insert(key, slot);
    }

    fn run_work(&mut self, key: u32, work: Work) {
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.run(work, Instant::now());
            touch(&mut self.touched, key, slot);
        } else {
            drop_caught(work);
        }
    }

    fn wake(&mut self, key: u32) {
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.wake(Instant::now());
            touch(&mut self.touched, key, slot);
        }
    }

    fn handle_readiness(&mut self, readiness: Readiness, now: Instant) {
        let (key, source) = (
            (readiness.token >> 32) as u32,
            Source::from_token(readiness.token as u32),
        );
        if key == SHARED_KEY {
            self.receive_shared(readiness.token as u32, now);
        } else if let Some(slot) = self.slots.get_mut(&key) {
            slot.handle_readiness(&mut self.io, source, readiness, now);
            touch(&mut self.touched, key, slot);
        }
    }

    fn addresses_changed(&mut self) {
        if let Some(watch) = &self.address_watch {
            watch.clear();
        }
        let Ok(addresses) = local_addresses(true) else {
            return;
        };
        for (key, slot) in &mut self.slots {
            slot.addresses_changed(&addresses);
            touch(&mut self.touched, *key, slot);
        }
    }

    fn flush_touched(&mut self, now: Instant) {
        let mut touched = std::mem::take(&mut self.touched);
        for key in touched.drain(..) {
            let Some(slot) = self.slots.get_mut(&key) else {
                continue;
            };
            slot.touched = false;
            let deadline = slot.flush(&mut self.io, now);
            if slot.has_failed() {
                self.remove(key);
            } else {
                self.timers.set(key, deadline);
            }
        }
        self.touched = touched;
    }

    fn close(&mut self, key: u32) {
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.flush(&mut self.io, Instant::now());
            self.remove(key);
        }
    }

    fn remove(&mut self, key: u32) {
        self.timers.set(key, None);
        if let Some(slot) = self.slots.remove(&key) {
            slot.destroy(&mut self.io);
            self.shared.load.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn touch(touched: &mut Vec<u32>, key: u32, slot: &mut Slot) {
    if !slot.touched {
        slot.touched = true;
        touched.push(key);
    }
}

/// Drop something of an endpoint's, whose destructor may panic.
pub(crate) fn drop_caught<T>(value: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
        crate::statistics::COUNTERS.panics_caught.add(1);
    }
}

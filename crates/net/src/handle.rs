//! How other threads talk to an endpoint, and the queue that carries it.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::endpoint::Endpoint;
use crate::statistics::COUNTERS;
use crate::syscalls::EventFd;
use crate::worker::NewEndpoint;

/// Commands that may wait for one endpoint.
const COMMANDS_PER_ENDPOINT: usize = 65_536;

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// This thread runs endpoints, so it must not wait for one.
pub(crate) fn mark_worker_thread() {
    IS_WORKER.set(true);
}

/// Something an endpoint is to do, with the type of the endpoint erased.
pub(crate) type Work = Box<dyn FnOnce(&mut dyn Any, Instant) + Send>;

pub(crate) enum Command {
    Spawn(Box<NewEndpoint>),
    Run(u32, Arc<EndpointState>, Work),
    Wake(u32, Arc<EndpointState>),
    Close(u32),
}

/// What handles share with the worker about one endpoint.
#[derive(Default)]
pub(crate) struct EndpointState {
    pub(crate) gone: AtomicBool,
    /// Commands in the worker's queue.
    pub(crate) waiting: AtomicUsize,
}

/// The side of a worker that other threads see.
pub(crate) struct WorkerShared {
    pub(crate) wake: EventFd,
    /// Endpoints, now or soon.
    pub(crate) load: AtomicUsize,
    process_id: u32,
    queue: Mutex<CommandQueue>,
}

#[derive(Default)]
struct CommandQueue {
    commands: VecDeque<Command>,
    stopped: bool,
}

impl WorkerShared {
    pub(crate) fn new() -> std::io::Result<WorkerShared> {
        Ok(WorkerShared {
            wake: EventFd::new()?,
            load: AtomicUsize::new(0),
            process_id: std::process::id(),
            queue: Mutex::default(),
        })
    }

    /// Queue a command, or give it back to be dropped by the caller when the worker has stopped (or lives in the
    /// process that this one was forked from).
    pub(crate) fn send(&self, command: Command) -> Result<(), Command> {
        // Before the lock: a thread of the parent may have held it at the moment of the fork.
        if self.process_id != std::process::id() {
            return Err(command);
        }
        let mut queue = self.lock();
        if queue.stopped {
            return Err(command);
        }
        let was_empty = queue.commands.is_empty();
        queue.commands.push_back(command);
        drop(queue);
        if was_empty {
            self.wake.signal();
        }
        Ok(())
    }

    /// Move all commands into `into` (empty). False: stopped, and nothing comes any more.
    pub(crate) fn take(&self, into: &mut VecDeque<Command>) -> bool {
        let mut queue = self.lock();
        std::mem::swap(&mut queue.commands, into);
        !queue.stopped
    }

    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.wake.signal();
    }

    fn lock(&self) -> MutexGuard<'_, CommandQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to an endpoint from any thread. Clones reach the same endpoint; dropping them does not close it.
pub struct EndpointHandle<E> {
    worker: Arc<WorkerShared>,
    state: Arc<EndpointState>,
    key: u32,
    endpoint: PhantomData<fn(&mut E)>,
}

impl<E> Clone for EndpointHandle<E> {
    fn clone(&self) -> EndpointHandle<E> {
        EndpointHandle {
            worker: Arc::clone(&self.worker),
            state: Arc::clone(&self.state),
            key: self.key,
            endpoint: PhantomData,
        }
    }
}

impl<E: Endpoint> EndpointHandle<E> {
    pub(crate) fn new(worker: Arc<WorkerShared>, state: Arc<EndpointState>, key: u32) -> EndpointHandle<E> {
        EndpointHandle {
            worker,
            state,
            key,
            endpoint: PhantomData,
        }
    }

    /// Run `f` on the endpoint's worker, after everything posted before it; the endpoint is then asked for what to
    /// send. False when it is gone, or when 65,536 commands wait already: then `f` is dropped and never runs.
    pub fn post(&self, f: impl FnOnce(&mut E, Instant) + Send + 'static) -> bool {
        if !self.admits() {
            return false;
        }
        let work: Work = Box::new(move |endpoint, now| {
            if let Some(endpoint) = endpoint.downcast_mut::<E>() {
                f(endpoint, now);
            }
        });
        self.worker
            .send(Command::Run(self.key, Arc::clone(&self.state), work))
            .is_ok()
    }

    /// Have [`Endpoint::woken`] called on the endpoint's worker, after everything posted before it. As `post`, without an
    /// allocation.
    pub fn wake(&self) -> bool {
        let command = Command::Wake(self.key, Arc::clone(&self.state));
        self.admits() && self.worker.send(command).is_ok()
    }

    /// Whether one more command may wait; it counts as one that does.
    fn admits(&self) -> bool {
        if self.is_closed() {
            return false;
        }
        if self.state.waiting.fetch_add(1, Ordering::AcqRel) < COMMANDS_PER_ENDPOINT {
            return true;
        }
        self.state.waiting.fetch_sub(1, Ordering::AcqRel);
        COUNTERS.commands_refused.add(1);
        log::error!(
            "endpoint {}: {COMMANDS_PER_ENDPOINT} commands wait already, one is refused",
            self.key
        );
        false
    }

    /// Run `f` on the endpoint's worker and wait for what it returns. None when the endpoint is gone, or goes
    /// (closes, fails, shuts down) before `f` ran. On a worker thread this would wait for itself: it gives None.
    pub fn call<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut E, Instant) -> R + Send + 'static,
    ) -> Option<R> {
        if IS_WORKER.get() {
            log::error!(
                "endpoint {}: call() on a worker thread is refused; use post()",
                self.key
            );
            return None;
        }
        let (sender, receiver) = sync_channel(1);
        let posted = self.post(move |endpoint, now| {
            let _ = sender.send(f(endpoint, now));
        });
        // Whoever drops the command unrun drops the sender with it, so this always ends.
        if posted { receiver.recv().ok() } else { None }
    }

    /// Drop the endpoint on its worker, after what was posted before and a last `poll_transmit`; its sockets are
    /// freed. Does not wait. Harmless twice.
    pub fn close(&self) {
        self.state.gone.store(true, Ordering::Release);
        let _ = self.worker.send(Command::Close(self.key));
    }

    /// As `close`, and wait until the endpoint is dropped and its ports are free (on a worker thread: don't wait).
    pub fn close_and_wait(&self) {
        self.state.gone.store(true, Ordering::Release);
        if IS_WORKER.get() {
            return self.close();
        }
        let (sender, receiver) = sync_channel::<()>(1);
        let _ = self.worker.send(Command::Close(self.key));
        let work: Work = Box::new(move |_, _| drop(sender));
        self.state.waiting.fetch_add(1, Ordering::AcqRel);
        let _ = self
            .worker
            .send(Command::Run(self.key, Arc::clone(&self.state), work));
        let _ = receiver.recv();
    }

    /// Whether it was closed, has failed or was shut down.
    pub fn is_closed(&self) -> bool {
        self.state.gone.load(Ordering::Acquire)
    }
}

//! The process-wide set of threads: workers, media pool, media clock.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread::{self, JoinHandle};

use crate::endpoint::Endpoint;
use crate::handle::{Command, EndpointHandle, EndpointState, WorkerShared};
use crate::media_clock::MediaClock;
use crate::media_pool::{MediaPool, join_others};
use crate::sockets::Sockets;
use crate::syscalls;
use crate::worker::{NewEndpoint, Worker};

const MAX_WORKER_THREADS: usize = 64;

struct Global {
    engine: Option<Arc<Engine>>,
    /// None: one per core.
    worker_threads: Option<usize>,
}

static GLOBAL: Mutex<Global> = Mutex::new(Global {
    engine: None,
    worker_threads: None,
});

/// Why [`Engine::configure`] refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigureError {
    /// Not 1..=64 worker threads.
    OutOfRange(usize),
    /// The engine has been used already.
    Running,
}

impl fmt::Display for ConfigureError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigureError::OutOfRange(count) => {
                write!(
                    formatter,
                    "worker_threads is {count}; give 1 to {MAX_WORKER_THREADS}"
                )
            }
            ConfigureError::Running => {
                write!(
                    formatter,
                    "the engine runs already; call configure before its first use or after shutdown"
                )
            }
        }
    }
}

impl std::error::Error for ConfigureError {}

/// Worker threads that run endpoints, a pool for media jobs and the media clock.
pub struct Engine {
    workers: Vec<Arc<WorkerShared>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    media_pool: MediaPool,
    media_clock: MediaClock,
    next_key: AtomicU32,
    process_id: u32,
    stopped: AtomicBool,
    /// Why there are no threads.
    start_error: Option<String>,
}

impl Engine {
    /// The engine of this process, started now if it does not run. After a fork the child gets one of its own.
    ///
    /// When its threads can't be started, `spawn` says why, and the next call tries again.
    pub fn global() -> Arc<Engine> {
        register_fork_handlers();
        let mut global = lock_global();
        if let Some(engine) = &global.engine
            && engine.process_id == std::process::id()
        {
            return Arc::clone(engine);
        }
        std::mem::forget(global.engine.take());
        let worker_threads = global.worker_threads.unwrap_or_else(core_count);
        match Engine::start(worker_threads) {
            Ok(engine) => {
                let engine = Arc::new(engine);
                global.engine = Some(Arc::clone(&engine));
                engine
            }
            Err(error) => Arc::new(Engine::without_threads(&error)),
        }
    }

    /// Set the number of worker threads of the global engine, before it runs.
    pub fn configure(worker_threads: usize) -> Result<(), ConfigureError> {
        if !(1..=MAX_WORKER_THREADS).contains(&worker_threads) {
            return Err(ConfigureError::OutOfRange(worker_threads));
        }
        let mut global = lock_global();
        if global
            .engine
            .as_ref()
            .is_some_and(|engine| engine.process_id == std::process::id())
        {
            return Err(ConfigureError::Running);
        }
        global.worker_threads = Some(worker_threads);
        Ok(())
    }

    /// Stop the global engine and wait for its threads (but not for the calling one): every endpoint is dropped
    /// after a last `poll_transmit`. The next `global` starts anew. Harmless twice.
    pub fn shutdown() {
        let engine = lock_global().engine.take();
        match engine {
            Some(engine) if engine.process_id == std::process::id() => engine.stop(),
            of_another_process => std::mem::forget(of_another_process),
        }
    }

    /// An engine of one's own, for tests and tools.
    pub fn start(worker_threads: usize) -> io::Result<Engine> {
        let mut engine = Engine {
            workers: Vec::new(),
            threads: Mutex::default(),
            media_pool: MediaPool::new(core_count())?,
            media_clock: MediaClock::new()?,
            next_key: AtomicU32::new(1),
            process_id: std::process::id(),
            stopped: AtomicBool::new(false),
            start_error: None,
        };
        for number in 0..worker_threads.max(1) {
            let shared = Arc::new(WorkerShared::new()?);
            let worker = Worker::new(Arc::clone(&shared))?;
            let thread = thread::Builder::new()
                .name(format!("greenroom-net-{number}"))
                .spawn(move || worker.run())?;
            engine.workers.push(shared);
            lock(&engine.threads).push(thread);
        }
        Ok(engine)
    }

    fn without_threads(error: &io::Error) -> Engine {
        log::error!("the engine can't start: {error}");
        Engine {
            workers: Vec::new(),
            threads: Mutex::default(),
            media_pool: MediaPool::stopped(),
            media_clock: MediaClock::stopped(),
            next_key: AtomicU32::new(1),
            process_id: std::process::id(),
            stopped: AtomicBool::new(true),
            start_error: Some(format!(
                "the engine's threads can't be started: {error}; raise the process's limits"
            )),
        }
    }

    /// Put an endpoint on the least loaded worker. `make` runs at once, on this thread; it gets the handle, so that
    /// what the endpoint starts can post to it.
    pub fn spawn<E: Endpoint>(
        &self,
        sockets: Sockets,
        make: impl FnOnce(EndpointHandle<E>) -> E,
    ) -> io::Result<EndpointHandle<E>> {
        let Some(worker) = self
            .workers
            .iter()
            .min_by_key(|worker| worker.load.load(Ordering::Relaxed))
        else {
            return Err(io::Error::other(
                self.start_error
                    .clone()
                    .unwrap_or_else(|| "the engine has no workers".into()),
            ));
        };
        for socket in &sockets.udp {
            socket.set_nonblocking(true)?;
        }
        for listener in &sockets.tcp_listeners {
            listener.set_nonblocking(true)?;
        }
        worker.load.fetch_add(1, Ordering::Relaxed);
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let state = Arc::<EndpointState>::default();
        let handle = EndpointHandle::new(Arc::clone(worker), Arc::clone(&state), key);
        let endpoint = Box::new(make(handle.clone()));
        let new = NewEndpoint {
            key,
            state,
            endpoint,
            sockets,
        };
        worker.send(Command::Spawn(Box::new(new))).map_err(|_| {
            worker.load.fetch_sub(1, Ordering::Relaxed);
            io::Error::other("the engine has been shut down; use the one that Engine::global() gives now")
        })?;
        Ok(handle)
    }

    /// Threads for encoding and decoding video.
    pub fn media_pool(&self) -> &MediaPool {
        &self.media_pool
    }

    /// The 10 ms tick.
    pub fn media_clock(&self) -> &MediaClock {
        &self.media_clock
    }

    /// How many endpoints live on each worker.
    pub fn loads(&self) -> Vec<usize> {
        self.workers
            .iter()
            .map(|worker| worker.load.load(Ordering::Relaxed))
            .collect()
    }

    /// Stop all threads and wait for them (but not for the calling one). Harmless twice.
    pub fn stop(&self) {
        self.signal_stop();
        self.media_clock.join();
        self.media_pool.join();
        join_others(std::mem::take(&mut *lock(&self.threads)));
    }

    fn signal_stop(&self) {
        if !self.stopped.swap(true, Ordering::AcqRel) {
            self.media_clock.stop();
            self.media_pool.stop();
            for worker in &self.workers {
                worker.stop();
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.process_id == std::process::id() {
            self.signal_stop();
        }
    }
}

fn core_count() -> usize {
    thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_WORKER_THREADS)
}

fn lock_global() -> MutexGuard<'static, Global> {
    lock(&GLOBAL)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// Held across a fork, so that the child never finds the lock taken by a thread that it does not have.
    static FORK_GUARD: RefCell<Option<MutexGuard<'static, Global>>> = const { RefCell::new(None) };
}

fn register_fork_handlers() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        if let Err(error) = syscalls::on_fork(before_fork, after_fork_in_parent, after_fork_in_child) {
            log::warn!("no fork handlers: {error}");
        }
    });
}

extern "C" fn before_fork() {
    FORK_GUARD.with_borrow_mut(|held| *held = Some(lock_global()));
}

extern "C" fn after_fork_in_parent() {
    FORK_GUARD.with_borrow_mut(|held| *held = None);
}

extern "C" fn after_fork_in_child() {
    FORK_GUARD.with_borrow_mut(|held| {
        if let Some(mut global) = held.take() {
            // Its threads are the parent's: joining or waking them from here is not possible.
            std::mem::forget(global.engine.take());
        }
    });
}

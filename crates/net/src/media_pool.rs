//! Threads for encoding and decoding video, and lanes of jobs that run one after the other.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::statistics::COUNTERS;

/// Jobs outside lanes that may wait.
const MAX_WAITING_JOBS: usize = 4096;

/// A piece of work.
pub type Job = Box<dyn FnOnce() + Send>;

enum Task {
    Job(Job),
    /// A lane that has a job to run; at most once in the queue.
    Lane(Arc<LaneShared>),
}

#[derive(Default)]
struct PoolState {
    tasks: VecDeque<Task>,
    waiting_jobs: usize,
    stopped: bool,
}

struct PoolShared {
    process_id: u32,
    state: Mutex<PoolState>,
    filled: Condvar,
}

impl PoolShared {
    fn new() -> Arc<PoolShared> {
        let (state, filled) = (Mutex::default(), Condvar::new());
        Arc::new(PoolShared {
            process_id: std::process::id(),
            state,
            filled,
        })
    }

    /// In a forked child the threads don't exist, and a lock may have been held at the fork.
    fn is_of_parent(&self) -> bool {
        self.process_id != std::process::id()
    }
}

/// A few threads that run media jobs.
pub struct MediaPool {
    shared: Arc<PoolShared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl MediaPool {
    /// A pool of this many threads (at least one).
    pub fn new(threads: usize) -> io::Result<MediaPool> {
        let pool = MediaPool {
            shared: PoolShared::new(),
            threads: Mutex::default(),
        };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            let thread = Builder::new()
                .name(format!("greenroom-media-{number}"))
                .spawn(move || run(&shared))?;
            lock(&pool.threads).push(thread);
        }
        Ok(pool)
    }

    /// A pool without threads, that takes no job.
    pub(crate) fn stopped() -> MediaPool {
        let pool = MediaPool {
            shared: PoolShared::new(),
            threads: Mutex::default(),
        };
        pool.stop();
        pool
    }

    /// Run a job on any thread of the pool, in parallel with others. False when 4,096 wait already or the pool has
    /// stopped: then it is dropped and never runs.
    pub fn submit(&self, job: Job) -> bool {
        if self.shared.is_of_parent() {
            return false;
        }
        let mut state = lock(&self.shared.state);
        if state.stopped || state.waiting_jobs >= MAX_WAITING_JOBS {
            return false;
        }
        state.waiting_jobs += 1;
        state.tasks.push_back(Task::Job(job));
        self.shared.filled.notify_one();
        true
    }

    /// A new lane: its jobs run one at a time, in order. `capacity` (at least 1) is how many may wait.
    pub fn lane(&self, capacity: usize) -> Lane {
        let shared = LaneShared {
            pool: Arc::clone(&self.shared),
            capacity: capacity.max(1),
            state: Mutex::default(),
        };
        Lane {
            shared: Arc::new(shared),
        }
    }

    /// Stop: jobs that run finish, waiting ones are dropped.
    pub(crate) fn stop(&self) {
        let dropped = {
            let mut state = lock(&self.shared.state);
            state.stopped = true;
            self.shared.filled.notify_all();
            std::mem::take(&mut state.tasks)
        };
        // Outside the lock: what a job owns may submit again when it is dropped.
        for task in dropped {
            if let Task::Lane(lane) = task {
                lane.unschedule();
            }
        }
    }

    /// Wait for the threads to end.
    pub(crate) fn join(&self) {
        let threads = std::mem::take(&mut *lock(&self.threads));
        join_others(threads);
    }
}

/// Join all threads but the one that this runs on.
pub(crate) fn join_others(threads: Vec<JoinHandle<()>>) {
    let own = std::thread::current().id();
    for thread in threads.into_iter().filter(|thread| thread.thread().id() != own) {
        let _ = thread.join();
    }
}

#[derive(Default)]
struct LaneState {
    jobs: VecDeque<Job>,
    /// In the pool's queue, or running.
    scheduled: bool,
}

struct LaneShared {
    pool: Arc<PoolShared>,
    capacity: usize,
    state: Mutex<LaneState>,
}

/// A serial queue on the pool, such as the jobs of one decoder. Clones are the same lane.
#[derive(Clone)]
pub struct Lane {
    shared: Arc<LaneShared>,
}

impl Lane {
    /// Run a job after the lane's earlier ones. False when the lane is full or the pool has stopped: then it is
    /// dropped and never runs.
    pub fn submit(&self, job: Job) -> bool {
        if self.shared.pool.is_of_parent() {
            return false;
        }
        let mut state = lock(&self.shared.state);
        if state.jobs.len() >= self.shared.capacity {
            return false;
        }
        state.jobs.push_back(job);
        self.schedule(state)
    }

    /// Run a job instead of those that wait (not of the one that runs). How many were dropped for it, or None when
    /// the pool has stopped.
    pub fn submit_latest(&self, job: Job) -> Option<usize> {
        if self.shared.pool.is_of_parent() {
            return None;
        }
        let mut state = lock(&self.shared.state);
        let replaced = std::mem::replace(&mut state.jobs, VecDeque::from([job]));
        self.schedule(state).then_some(replaced.len())
    }

    /// Drop the jobs that wait; how many there were.
    pub fn clear(&self) -> usize {
        self.shared.clear()
    }

    /// Jobs that wait, without the one that runs.
    pub fn waiting(&self) -> usize {
        lock(&self.shared.state).jobs.len()
    }

    /// Whether nothing waits or runs.
    pub fn is_idle(&self) -> bool {
        !lock(&self.shared.state).scheduled
    }

    fn schedule(&self, mut state: MutexGuard<'_, LaneState>) -> bool {
        if state.scheduled {
            return true;
        }
        state.scheduled = true;
        drop(state);
        self.shared.enqueue()
    }
}

impl LaneShared {
    fn clear(&self) -> usize {
        let jobs = std::mem::take(&mut lock(&self.state).jobs);
        jobs.len()
    }

    /// The pool has stopped: nothing of this lane runs any more.
    fn unschedule(&self) {
        lock(&self.state).scheduled = false;
        self.clear();
    }

    /// Put the lane at the end of the pool's queue. False when the pool has stopped.
    fn enqueue(self: &Arc<Self>) -> bool {
        let mut pool = lock(&self.pool.state);
        if pool.stopped {
            drop(pool);
            self.unschedule();
            return false;
        }
        pool.tasks.push_back(Task::Lane(Arc::clone(self)));
        self.pool.filled.notify_one();
        true
    }

    fn run_one(self: &Arc<Self>) {
        let job = lock(&self.state).jobs.pop_front();
        if let Some(job) = job {
            run_caught(job);
        }
        let mut state = lock(&self.state);
        if state.jobs.is_empty() {
            state.scheduled = false;
            return;
        }
        drop(state);
        // At the end of the queue, so that a busy lane does not starve others.
        self.enqueue();
    }
}

fn run(shared: &PoolShared) {
    loop {
        let task = {
            let mut state = lock(&shared.state);
            loop {
                if state.stopped {
                    return;
                }
                if let Some(task) = state.tasks.pop_front() {
                    state.waiting_jobs -= usize::from(matches!(task, Task::Job(_)));
                    break task;
                }
                state = shared.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        };
        match task {
            Task::Job(job) => run_caught(job),
            Task::Lane(lane) => lane.run_one(),
        }
    }
}

fn run_caught(job: Job) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
        COUNTERS.panics_caught.add(1);
        log::error!(
            "a media job panicked: {}",
            crate::worker::panic_text(panic.as_ref())
        );
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

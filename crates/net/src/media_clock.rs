//! The 10 ms tick that audio is drained, mixed and played out by.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::media_pool::join_others;
use crate::statistics::COUNTERS;

/// The time between two ticks.
pub const TICK_INTERVAL: Duration = Duration::from_millis(10);
/// Ticks that a late wake-up makes up for; a longer stall (a suspended machine, a debugger) is skipped.
const MAX_TICKS_AT_ONCE: u32 = 20;

type Callback = Box<dyn FnMut(Instant, u32) -> bool + Send>;

/// When ticks are due, by deadlines that don't drift.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    next: Instant,
}

impl Schedule {
    fn start(now: Instant) -> Schedule {
        Schedule {
            next: now + TICK_INTERVAL,
        }
    }

    /// Ticks that are due at `now` (0: woken too early).
    fn take_due(&mut self, now: Instant) -> u32 {
        let Some(late) = now.checked_duration_since(self.next) else {
            return 0;
        };
        let due = u32::try_from(late.as_nanos() / TICK_INTERVAL.as_nanos() + 1).unwrap_or(u32::MAX);
        if due > MAX_TICKS_AT_ONCE {
            log::warn!("the media clock stalled for {} ms", late.as_millis());
            self.next = now + TICK_INTERVAL;
            return MAX_TICKS_AT_ONCE;
        }
        self.next += TICK_INTERVAL * due;
        due
    }
}

/// Call each callback; those that return false or panic are dropped.
fn run_callbacks(callbacks: &mut Vec<Callback>, now: Instant, ticks: u32) {
    callbacks.retain_mut(|callback| {
        catch_unwind(AssertUnwindSafe(|| callback(now, ticks))).unwrap_or_else(|panic| {
            COUNTERS.panics_caught.add(1);
            log::error!(
                "a clock callback panicked: {}",
                crate::worker::panic_text(panic.as_ref())
            );
            false
        })
    });
}

#[derive(Default)]
struct ClockState {
    /// Registered since the last tick.
    incoming: Vec<Callback>,
    stopped: bool,
}

#[derive(Default)]
struct ClockShared {
    state: Mutex<ClockState>,
    changed: Condvar,
}

/// One thread that calls back every 10 ms. It sleeps while nothing is registered.
pub struct MediaClock {
    shared: Arc<ClockShared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl MediaClock {
    /// A clock with its thread.
    pub fn new() -> io::Result<MediaClock> {
        let shared = Arc::<ClockShared>::default();
        let on_thread = Arc::clone(&shared);
        let thread = Builder::new()
            .name("greenroom-clock".to_owned())
            .spawn(move || run(&on_thread))?;
        Ok(MediaClock {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// A clock without a thread, that takes no callback.
    pub(crate) fn stopped() -> MediaClock {
        let clock = MediaClock {
            shared: Arc::default(),
            thread: Mutex::new(None),
        };
        clock.stop();
        clock
    }

    /// Call back every 10 ms with the time and the number of ticks that passed since the last call: 1, more after
    /// a late wake-up, at most 20 (what a stall took beyond that is skipped). Return false to end it; a panic
    /// ends it, too. Callbacks must be quick, for they share a thread. May be called from a callback. Once the
    /// engine has shut down the callback is dropped.
    pub fn register(&self, callback: Box<dyn FnMut(Instant, u32) -> bool + Send>) {
        let mut state = lock(&self.shared.state);
        if !state.stopped {
            state.incoming.push(callback);
            self.shared.changed.notify_one();
        }
    }

    pub(crate) fn stop(&self) {
        lock(&self.shared.state).stopped = true;
        self.shared.changed.notify_one();
    }

    pub(crate) fn join(&self) {
        let thread = lock(&self.thread).take();
        join_others(thread.into_iter().collect());
    }
}

fn run(shared: &ClockShared) {
    let mut callbacks = Vec::new();
    while wait_for_callback(shared, &mut callbacks) {
        let mut schedule = Schedule::start(Instant::now());
        while !callbacks.is_empty() {
            let now = Instant::now();
            match schedule.take_due(now) {
                0 => std::thread::sleep(schedule.next - now),
                ticks => run_callbacks(&mut callbacks, now, ticks),
            }
            if !take_incoming(shared, &mut callbacks) {
                return;
            }
        }
    }
}

/// False when stopped.
fn take_incoming(shared: &ClockShared, callbacks: &mut Vec<Callback>) -> bool {
    let mut state = lock(&shared.state);
    callbacks.append(&mut state.incoming);
    !state.stopped
}

/// Sleep until there is something to call. False when stopped.
fn wait_for_callback(shared: &ClockShared, callbacks: &mut Vec<Callback>) -> bool {
    let mut state = lock(&shared.state);
    while state.incoming.is_empty() && !state.stopped {
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    callbacks.append(&mut state.incoming);
    !state.stopped
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(base: Instant, count: u64) -> Instant {
        base + Duration::from_millis(count)
    }

    #[test]
    fn deadlines_do_not_drift_with_late_wake_ups() {
        let base = Instant::now();
        let mut schedule = Schedule::start(base);
        assert_eq!(schedule.take_due(ms(base, 9)), 0);
        assert_eq!(schedule.take_due(ms(base, 13)), 1);
        assert_eq!(schedule.next, ms(base, 20));
        assert_eq!(schedule.take_due(ms(base, 29)), 1);
        assert_eq!(schedule.next, ms(base, 30));
    }

    #[test]
    fn a_late_wake_up_gives_all_ticks_in_one_call() {
        let base = Instant::now();
        let mut schedule = Schedule::start(base);
        assert_eq!(schedule.take_due(ms(base, 45)), 4);
        assert_eq!(schedule.next, ms(base, 50));
    }

    #[test]
    fn a_stall_is_skipped() {
        let base = Instant::now();
        let mut schedule = Schedule::start(base);
        assert_eq!(schedule.take_due(ms(base, 5_003)), MAX_TICKS_AT_ONCE);
        assert_eq!(schedule.next, ms(base, 5_013));
        assert_eq!(schedule.take_due(ms(base, 5_013)), 1);
    }

    #[test]
    fn callbacks_that_end_or_panic_are_dropped_and_the_others_go_on() {
        let base = Instant::now();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let record = |name: &'static str, lives: usize| -> Callback {
            let calls = Arc::clone(&calls);
            let mut count = 0;
            Box::new(move |_, ticks| {
                calls.lock().unwrap().push((name, ticks));
                count += 1;
                assert!(name != "panics", "expected by the test");
                count < lives
            })
        };
        let mut callbacks = vec![record("ends", 1), record("panics", 9), record("stays", 9)];
        run_callbacks(&mut callbacks, base, 1);
        run_callbacks(&mut callbacks, base, 3);
        assert_eq!(
            *calls.lock().unwrap(),
            [("ends", 1), ("panics", 1), ("stays", 1), ("stays", 3)]
        );
    }
}

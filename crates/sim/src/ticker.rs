//! The 10 ms tick of media, in virtual time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The time between two ticks.
pub const TICK_INTERVAL: Duration = greenroom_net::TICK_INTERVAL;

/// As the media clock's: the time and the number of ticks (always 1 here); false ends it.
pub(crate) type Callback = Box<dyn FnMut(Instant, u32) -> bool + Send>;

#[derive(Default)]
pub(crate) struct Ticker {
    callbacks: Vec<Callback>,
    next_ns: Option<u64>,
}

impl Ticker {
    pub(crate) fn add(&mut self, now_ns: u64, callbacks: &mut Vec<Callback>) {
        if !callbacks.is_empty() && self.next_ns.is_none() {
            self.next_ns = Some(now_ns + TICK_INTERVAL.as_nanos() as u64);
        }
        self.callbacks.append(callbacks);
    }

    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.next_ns
    }

    pub(crate) fn len(&self) -> usize {
        self.callbacks.len()
    }

    /// Whether a tick was due.
    pub(crate) fn run(&mut self, now_ns: u64, now: Instant) -> bool {
        let Some(due) = self.next_ns.filter(|due| *due <= now_ns) else {
            return false;
        };
        self.callbacks.retain_mut(|callback| {
            catch_unwind(AssertUnwindSafe(|| callback(now, 1))).unwrap_or_else(|_| {
                log::error!("a clock callback panicked");
                false
            })
        });
        let following = due + TICK_INTERVAL.as_nanos() as u64;
        self.next_ns = (!self.callbacks.is_empty()).then_some(following);
        true
    }
}

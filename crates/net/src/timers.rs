//! Deadlines of many endpoints in one heap, with lazy re-arming.
//!
//! A deadline that moves later (the common case: every packet moves it) does not touch the heap; the entry is
//! looked at again when it comes up. So each key has one live entry; entries that an earlier deadline has
//! overtaken are dead and are dropped when they surface, or when too many have gathered.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Instant;

/// Dead entries that may gather, on top of one per key, before the heap is rebuilt.
const DEAD_ENTRIES: usize = 64;

#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64, u32)>>,
    deadlines: HashMap<u32, Deadline>,
    /// Orders equal times by when they were set.
    sequence: u64,
}

struct Deadline {
    wanted: Instant,
    /// The number and time of the live heap entry.
    live: u64,
    armed: Instant,
}

impl Timers {
    /// Set, move or (None) drop the deadline of a key.
    pub(crate) fn set(&mut self, key: u32, wanted: Option<Instant>) {
        let Some(wanted) = wanted else {
            self.deadlines.remove(&key);
            return;
        };
        if let Some(deadline) = self.deadlines.get_mut(&key) {
            deadline.wanted = wanted;
            if wanted >= deadline.armed {
                return;
            }
        }
        self.arm(key, wanted);
    }

    /// When to look again: never later than the earliest deadline.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((armed, _, _))| *armed)
    }

    /// Take out one key whose deadline has come, earliest first.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        while let Some(&Reverse((armed, number, key))) = self.heap.peek() {
            if armed > now {
                return None;
            }
            self.heap.pop();
            let Some(deadline) = self
                .deadlines
                .get(&key)
                .filter(|deadline| deadline.live == number)
            else {
                continue;
            };
            if deadline.wanted <= armed {
                self.deadlines.remove(&key);
                return Some(key);
            }
            let wanted = deadline.wanted;
            self.arm(key, wanted);
        }
        None
    }

    fn arm(&mut self, key: u32, wanted: Instant) {
        self.sequence += 1;
        let live = self.sequence;
        self.deadlines.insert(
            key,
            Deadline {
                wanted,
                live,
                armed: wanted,
            },
        );
        self.heap.push(Reverse((wanted, live, key)));
        if self.heap.len() > self.deadlines.len() + DEAD_ENTRIES {
            self.rebuild();
        }
    }

    fn rebuild(&mut self) {
        let deadlines = &self.deadlines;
        self.heap.retain(|Reverse((_, number, key))| {
            deadlines
                .get(key)
                .is_some_and(|deadline| deadline.live == *number)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ms(base: Instant, count: u64) -> Instant {
        base + Duration::from_millis(count)
    }

    fn due(timers: &mut Timers, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| timers.pop_due(now)).collect()
    }

    #[test]
    fn deadlines_come_in_order_of_time_then_of_setting() {
        let base = Instant::now();
        let mut timers = Timers::default();
        for (key, at) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            timers.set(key, Some(ms(base, at)));
        }
        assert_eq!(due(&mut timers, ms(base, 9)), [0u32; 0]);
        assert_eq!(due(&mut timers, ms(base, 25)), [2, 4, 3]);
        assert_eq!(timers.next_wake(), Some(ms(base, 30)));
        assert_eq!(due(&mut timers, ms(base, 30)), [1]);
        assert_eq!(timers.next_wake(), None);
    }

    #[test]
    fn a_deadline_moves_both_ways_and_fires_once() {
        let base = Instant::now();
        let mut timers = Timers::default();
        timers.set(7, Some(ms(base, 10)));
        timers.set(7, Some(ms(base, 50)));
        assert_eq!(due(&mut timers, ms(base, 40)), [0u32; 0]);
        timers.set(7, Some(ms(base, 45)));
        assert_eq!(due(&mut timers, ms(base, 45)), [7]);
        assert_eq!(due(&mut timers, ms(base, 1000)), [0u32; 0]);
    }

    #[test]
    fn a_dropped_deadline_does_not_fire_even_when_set_again_later() {
        let base = Instant::now();
        let mut timers = Timers::default();
        timers.set(7, Some(ms(base, 10)));
        timers.set(7, None);
        timers.set(7, Some(ms(base, 20)));
        assert_eq!(due(&mut timers, ms(base, 15)), [0u32; 0]);
        assert_eq!(due(&mut timers, ms(base, 20)), [7]);
    }

    #[test]
    fn moving_deadlines_do_not_grow_the_heap() {
        let base = Instant::now();
        let mut timers = Timers::default();
        for step in (0..10_000).rev() {
            timers.set(1, Some(ms(base, step)));
            timers.set(2, Some(ms(base, 20_000 - step)));
        }
        assert!(
            timers.heap.len() <= 2 + DEAD_ENTRIES,
            "{} entries",
            timers.heap.len()
        );
        assert_eq!(due(&mut timers, ms(base, 30_000)), [1, 2]);
    }
}

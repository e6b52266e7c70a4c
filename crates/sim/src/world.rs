//! The endpoints, and what is due when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use greenroom_net::{Endpoint, Protocol, Received, TransmitQueue};

use crate::endpoint::Slot;
use crate::simulator::{Command, Shared};
use crate::ticker::Ticker;

#[derive(Default)]
pub(crate) struct World {
    slots: BTreeMap<u32, Slot>,
    timers: BTreeSet<(u64, u32)>,
    pub(crate) ticker: Ticker,
    touched: Vec<u32>,
    transmits: TransmitQueue,
}

impl World {
    pub(crate) fn endpoints(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn next_due_ns(&self, shared: &Shared) -> Option<u64> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let arrival = shared.network().next_arrival_ns();
        [timer, arrival, self.ticker.next_ns()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Do everything that is due at the present instant, and what follows from it at once.
    pub(crate) fn settle(&mut self, shared: &Shared) {
        let now_ns = shared.now_ns();
        loop {
            let mut busy = self.run_commands(shared);
            busy |= self.ticker.run(now_ns, shared.instant(now_ns));
            busy |= self.receive(shared, now_ns);
            busy |= self.run_timeouts(shared, now_ns);
            self.flush(shared);
            if !busy {
                return;
            }
        }
    }

    /// Whether there were any.
    pub(crate) fn run_commands(&mut self, shared: &Shared) -> bool {
        let mut any = false;
        loop {
            let (commands, mut ticks) = shared.take_commands();
            self.ticker.add(shared.now_ns(), &mut ticks);
            if commands.is_empty() {
                return any;
            }
            any = true;
            for command in commands {
                self.run_command(shared, command);
            }
        }
    }

    fn run_command(&mut self, shared: &Shared, command: Command) {
        let now = shared.instant(shared.now_ns());
        match command {
            Command::Spawn(key, slot) => {
                self.slots.insert(key, *slot);
                self.touch(key);
            }
            Command::Run(key, work) => {
                if let Some(slot) = self.slots.get_mut(&key) {
                    slot.call(|endpoint| work(endpoint.as_any(), now));
                    self.touch(key);
                }
            }
            Command::Close(key) => {
                self.flush_one(shared, key);
                self.remove(key);
            }
            Command::Job(job) => {
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                    log::error!("a media job panicked");
                }
            }
        }
    }

    pub(crate) fn call<E: Endpoint, R>(
        &mut self,
        shared: &Shared,
        key: u32,
        f: impl FnOnce(&mut E, Instant) -> R,
    ) -> Option<R> {
        let now = shared.instant(shared.now_ns());
        let slot = self.slots.get_mut(&key)?;
        let result = slot.call(|endpoint| endpoint.as_any().downcast_mut::<E>().map(|own| f(own, now)));
        self.touch(key);
        result.flatten()
    }

    fn receive(&mut self, shared: &Shared, now_ns: u64) -> bool {
        let now = shared.instant(now_ns);
        let mut any = false;
        loop {
            let received = shared.network().receive(now_ns);
            let Some((key, destination, datagram)) = received else {
                return any;
            };
            any = true;
            let received = Received {
                protocol: Protocol::Udp,
                source: datagram.source,
                destination,
                contents: &datagram.contents,
            };
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.call(|endpoint| endpoint.handle_datagram(now, received));
                self.touch(key);
            }
        }
    }

    fn run_timeouts(&mut self, shared: &Shared, now_ns: u64) -> bool {
        let now = shared.instant(now_ns);
        let mut any = false;
        while let Some((at, key)) = self.timers.first().copied() {
            if at > now_ns {
                break;
            }
            any = true;
            self.timers.remove(&(at, key));
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.deadline_ns = None;
                slot.call(|endpoint| endpoint.handle_timeout(now));
                self.touch(key);
            }
        }
        any
    }

    fn touch(&mut self, key: u32) {
        if let Some(slot) = self.slots.get_mut(&key)
            && !std::mem::replace(&mut slot.touched, true)
        {
            self.touched.push(key);
        }
    }

    fn flush(&mut self, shared: &Shared) {
        for key in std::mem::take(&mut self.touched) {
            self.flush_one(shared, key);
            if self.slots.get(&key).is_some_and(Slot::has_failed) {
                self.remove(key);
            }
        }
    }

    fn flush_one(&mut self, shared: &Shared, key: u32) {
        let now_ns = shared.now_ns();
        let Some(slot) = self.slots.get_mut(&key) else {
            return;
        };
        slot.touched = false;
        slot.call(|endpoint| endpoint.poll_transmit(&mut self.transmits));
        let mut network = shared.network();
        for transmit in self.transmits.drain() {
            network.send(now_ns, transmit);
        }
        drop(network);
        if let Some(old) = slot.deadline_ns.take() {
            self.timers.remove(&(old, key));
        }
        let deadline = slot.call(|endpoint| endpoint.poll_timeout()).flatten();
        slot.arm(deadline.map(|at| shared.nanoseconds(at)), now_ns);
        if let Some(at) = slot.deadline_ns {
            self.timers.insert((at, key));
        }
    }

    fn remove(&mut self, key: u32) {
        if let Some(slot) = self.slots.remove(&key) {
            if let Some(at) = slot.deadline_ns {
                self.timers.remove(&(at, key));
            }
            slot.destroy();
        }
    }

    pub(crate) fn clear(&mut self) {
        for key in self.slots.keys().copied().collect::<Vec<_>>() {
            self.remove(key);
        }
        self.ticker = Ticker::default();
    }
}

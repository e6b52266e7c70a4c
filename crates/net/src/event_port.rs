//! The way from worker threads to one event loop: a bounded queue behind one file descriptor.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::syscalls::EventFd;

/// Events one handle may have queued before it is failed.
const EVENTS_PER_HANDLE: usize = 65_536;
/// Payload bytes one handle may have queued before it is failed.
const BYTES_PER_HANDLE: usize = 256 * 1024 * 1024;

/// What an event carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing.
    None,
    /// A number: a ticket, a channel.
    Integer(i64),
    /// A state or a reason.
    Text(String),
    /// A data channel and its label.
    Channel(u32, String),
    /// A data channel and a message of it.
    Message(u32, Vec<u8>),
    /// Which layers flow, lowest first.
    Layers(Vec<bool>),
}

impl Payload {
    fn byte_count(&self) -> usize {
        match self {
            Payload::Text(text) | Payload::Channel(_, text) => text.len(),
            Payload::Message(_, data) => data.len(),
            Payload::Layers(layers) => layers.len(),
            Payload::None | Payload::Integer(_) => 0,
        }
    }
}

/// One report of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which object, by [`next_handle`].
    pub handle: u64,
    /// What happened; the numbers belong to the owner of the port.
    pub kind: u16,
    /// Details.
    pub payload: Payload,
}

/// A number that no other object of this process has. Never 0.
pub fn next_handle() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A queue of events behind one eventfd. Clones are the same port.
///
/// The descriptor becomes readable once per batch: when the queue goes from empty to filled. A handle with more
/// than 65,536 queued events (or 256 MiB of payload) gets one last event of the port's failure kind; what it
/// reports after that is dropped, until [`EventPort::forget`].
#[derive(Clone)]
pub struct EventPort {
    shared: Arc<Shared>,
}

struct Shared {
    failed_kind: u16,
    events_per_handle: usize,
    state: Mutex<State>,
}

struct State {
    /// None once closed.
    descriptor: Option<EventFd>,
    queue: VecDeque<Event>,
    shares: HashMap<u64, Share>,
    wakes: u64,
}

#[derive(Default)]
struct Share {
    events: usize,
    bytes: usize,
    overflowed: bool,
}

impl EventPort {
    /// A port whose failure events (see the type) have this kind. Fails when the process is out of descriptors.
    pub fn new(failed_kind: u16) -> io::Result<EventPort> {
        EventPort::with_share(failed_kind, EVENTS_PER_HANDLE)
    }

    /// As `new`, with another bound on the events that one handle may have queued.
    pub fn with_share(failed_kind: u16, events_per_handle: usize) -> io::Result<EventPort> {
        let state = State {
            descriptor: Some(EventFd::new()?),
            queue: VecDeque::new(),
            shares: HashMap::new(),
            wakes: 0,
        };
        Ok(EventPort {
            shared: Arc::new(Shared {
                failed_kind,
                events_per_handle,
                state: Mutex::new(state),
            }),
        })
    }

    /// The descriptor to wait on, or None once closed.
    pub fn fileno(&self) -> Option<RawFd> {
        self.lock().descriptor.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Queue one event. False when it was dropped: the port is closed, or the handle's share has overflowed (its
    /// owner should close the object).
    pub fn push(&self, handle: u64, kind: u16, payload: Payload) -> bool {
        let mut state = self.lock();
        if state.descriptor.is_none() {
            return false;
        }
        let bytes = payload.byte_count();
        let share = state.shares.entry(handle).or_default();
        if share.overflowed {
            return false;
        }
        if share.events >= self.shared.events_per_handle || share.bytes + bytes > BYTES_PER_HANDLE {
            share.overflowed = true;
            let reason = format!(
                "event queue overflow: {} events ({} bytes) of this object wait to be read; is the event loop blocked?",
                share.events, share.bytes
            );
            log::error!("object {handle}: {reason}");
            state.append(Event {
                handle,
                kind: self.shared.failed_kind,
                payload: Payload::Text(reason),
            });
            return false;
        }
        share.events += 1;
        share.bytes += bytes;
        state.append(Event {
            handle,
            kind,
            payload,
        });
        true
    }

    /// Up to `limit` events, oldest first. The descriptor stays readable when more are left.
    pub fn drain(&self, limit: usize) -> Vec<Event> {
        let mut state = self.lock();
        let count = limit.min(state.queue.len());
        let events: Vec<Event> = state.queue.drain(..count).collect();
        for event in &events {
            state.release(event);
        }
        if state.queue.is_empty()
            && let Some(descriptor) = &state.descriptor
        {
            descriptor.clear();
        }
        events
    }

    /// The object is gone: free what is kept about it, at once or when its queued events (which stay) are read.
    pub fn forget(&self, handle: u64) {
        let mut state = self.lock();
        let Some(share) = state.shares.get_mut(&handle) else {
            return;
        };
        share.overflowed = false;
        if share.events == 0 {
            state.shares.remove(&handle);
        }
    }

    /// Free the descriptor and drop what is queued; later events are dropped. Harmless twice.
    pub fn close(&self) {
        let mut state = self.lock();
        state.descriptor = None;
        state.queue = VecDeque::new();
        state.shares = HashMap::new();
    }

    /// Events that wait to be read.
    pub fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// How often the descriptor was written to.
    pub fn wake_count(&self) -> u64 {
        self.lock().wakes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, event: Event) {
        if self.queue.is_empty()
            && let Some(descriptor) = &self.descriptor
        {
            descriptor.signal();
            self.wakes += 1;
        }
        self.queue.push_back(event);
    }

    fn release(&mut self, event: &Event) {
        let Some(share) = self.shares.get_mut(&event.handle) else {
            return;
        };
        share.events = share.events.saturating_sub(1);
        share.bytes = share.bytes.saturating_sub(event.payload.byte_count());
        if share.events == 0 && !share.overflowed {
            self.shares.remove(&event.handle);
        }
    }
}

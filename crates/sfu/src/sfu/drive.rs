//! Datagrams and time through the unit: demultiplexing, timers, and draining the transports that have work.
//!
//! A transport with something to send is dirty; its deadline goes into the heap once it is drained. A heap entry
//! that no longer is its transport's deadline is void; many void ones are dropped.

use std::cmp::Reverse;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use greenroom_transport::{BufferPool, Received, Transmit, Transport, TransportEvent};

use super::{Sfu, SfuEvent};
use crate::handles::Handle;

/// Void entries that may gather in the heap, on top of one per transport.
const VOID_TIMERS: usize = 64;

impl Sfu {
    /// Takes one datagram. Never fails: what is malformed or of no transport is counted and dropped.
    pub fn handle_datagram(&mut self, now: Instant, received: Received<'_>) {
        self.statistics.packets_received += 1;
        self.statistics.bytes_received += received.contents.len() as u64;
        let Some(handle) =
            self.demultiplexer
                .route(now, received.protocol, received.source, received.contents)
        else {
            self.statistics.packets_dropped_unknown += 1;
            return;
        };
        let mut is_authentic_stun = false;
        self.guarded(handle, |transport, buffers| {
            is_authentic_stun = transport.handle_datagram(now, received, buffers);
        });
        if is_authentic_stun {
            self.demultiplexer
                .claim(now, received.protocol, received.source, handle);
        }
        self.drain(handle, now);
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((at, handle))) =
            self.timers.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            self.timers.pop();
            let Some(connection) = self.connections.get_mut(&handle) else {
                continue;
            };
            if connection.scheduled != Some(at) {
                continue;
            }
            connection.scheduled = None;
            if connection.transport.poll_timeout().is_some_and(|due| due <= now) {
                self.guarded(handle, |transport, _| transport.handle_timeout(now));
            }
            self.drain(handle, now);
            let due = self
                .connections
                .get(&handle)
                .and_then(|connection| connection.media_deadline);
            if due.is_some_and(|due| due <= now) {
                self.run_media(handle, now);
            }
        }
    }

    /// When `handle_timeout` is wanted; may be in the past. Exact only after `poll_transmit` gave None.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<SfuEvent> {
        self.events.pop_front()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        while let Some(handle) = self.dirty.last().copied() {
            let Some(connection) = self.connections.get_mut(&handle) else {
                self.dirty.pop();
                continue;
            };
            if let Some(transmit) = connection.transport.poll_transmit() {
                self.statistics.packets_sent += 1;
                self.statistics.bytes_sent += transmit.contents.len() as u64;
                self.demultiplexer.sent(&transmit.contents, handle);
                return Some(transmit);
            }
            self.send_data_tracks(handle);
            self.dirty.pop();
            if let Some(connection) = self.connections.get_mut(&handle) {
                connection.dirty = false;
            }
            if self.closing.contains(&handle) {
                self.closing.retain(|other| *other != handle);
                if let Some(gone) = self.connections.remove(&handle) {
                    self.statistics.add_refused(&gone.transport.statistics());
                }
            } else {
                self.schedule(handle);
            }
        }
        None
    }

    /// The contents of a datagram that has been sent, or never will be: the next packet is written into them.
    pub fn give_back(&mut self, contents: Vec<u8>) {
        self.buffers.give_back(contents);
    }

    fn schedule(&mut self, handle: Handle) {
        let Some(connection) = self.connections.get_mut(&handle) else {
            return;
        };
        let wanted = [connection.transport.poll_timeout(), connection.media_deadline]
            .into_iter()
            .flatten()
            .min();
        let Some(at) = wanted else { return };
        if connection.scheduled.is_none_or(|scheduled| at < scheduled) {
            connection.scheduled = Some(at);
            self.timers.push(Reverse((at, handle)));
        }
        if self.timers.len() > 2 * self.connections.len() + VOID_TIMERS {
            self.drop_void_timers();
        }
    }

    /// Leaves one heap entry for each transport that has a deadline.
    fn drop_void_timers(&mut self) {
        let mut entries = std::mem::take(&mut self.timers).into_vec();
        entries.retain(|Reverse((at, handle))| {
            let connection = self.connections.get(handle);
            connection.is_some_and(|connection| connection.scheduled == Some(*at))
        });
        entries.sort_unstable();
        entries.dedup();
        self.timers = entries.into();
    }

    pub(super) fn mark_dirty(&mut self, handle: Handle) {
        if let Some(connection) = self.connections.get_mut(&handle)
            && !connection.dirty
        {
            connection.dirty = true;
            self.dirty.push(handle);
        }
    }

    /// Runs a step of one transport; if it panics only this transport fails.
    fn guarded(&mut self, handle: Handle, step: impl FnOnce(&mut Transport, &mut BufferPool)) {
        let Some(connection) = self
            .connections
            .get_mut(&handle)
            .filter(|connection| !connection.failed)
        else {
            return;
        };
        let buffers = &mut self.buffers;
        if catch_unwind(AssertUnwindSafe(|| step(&mut connection.transport, buffers))).is_err() {
            connection.failed = true;
            let reason = "internal error in the transport; see the log".to_owned();
            log::error!("transport {handle}: {reason}");
            self.demultiplexer.remove(handle);
            self.events
                .push_back(SfuEvent::Transport(handle, TransportEvent::Failed(reason)));
        }
    }

    /// Handles what a transport has to say, until it is silent.
    pub(super) fn drain(&mut self, handle: Handle, now: Instant) {
        self.mark_dirty(handle);
        while let Some(event) = self
            .connections
            .get_mut(&handle)
            .and_then(|connection| connection.transport.poll_event())
        {
            match event {
                TransportEvent::Rtp(mut packet) => {
                    self.handle_rtp(now, handle, &mut packet);
                    self.buffers.give_back(packet);
                }
                TransportEvent::Rtcp(compound) => {
                    self.handle_rtcp(now, handle, &compound);
                    self.buffers.give_back(compound);
                }
                TransportEvent::ChannelMessage { id, data } if self.carries_data_tracks(handle, id) => {
                    self.forward_data_track(handle, data);
                }
                other => self.handle_transport_event(handle, other),
            }
        }
    }

    fn handle_transport_event(&mut self, handle: Handle, event: TransportEvent) {
        if let Some(connection) = self.connections.get_mut(&handle) {
            match &event {
                TransportEvent::IceState(state) => connection.ice_state = *state,
                TransportEvent::Failed(_) => {
                    self.statistics.transports_failed += 1;
                    connection.failed = true;
                    connection.media_deadline = None;
                    self.demultiplexer.remove(handle);
                }
                _ => {}
            }
        }
        self.events.push_back(SfuEvent::Transport(handle, event));
    }
}

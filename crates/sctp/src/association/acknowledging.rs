//! Acknowledgements: when ours are due, and what the peer's change.

use std::time::{Duration, Instant};

use super::timers::Timers;
use super::{Association, Timer};
use crate::serial::before;
use crate::wire::{PacketWriter, Sack};

/// A single packet may wait this long for a second.
const DELAY: Duration = Duration::from_millis(100);
/// Several wait this long for more, once the flow is steady.
const BUNDLING_DELAY: Duration = Duration::from_millis(2);
/// While the peer probes for the path's capacity it needs an acknowledgement for every second packet; after this
/// many packets without a gap one for every `STEADY_PACKETS` does.
const QUICK_PACKETS: u32 = 512;
const STEADY_PACKETS: u32 = 8;
/// Runs that are named in one acknowledgement.
const MAX_GAPS: usize = 128;

/// When to acknowledge.
#[derive(Debug, Default)]
pub(super) struct Acknowledging {
    pub(super) is_due: bool,
    /// Packets since the last acknowledgement.
    waiting: u32,
    /// Packets since the last gap.
    steady: u32,
    last_arrival: Option<Instant>,
    /// As last told to the peer.
    window: Option<u32>,
}

impl Acknowledging {
    pub(super) fn packet_arrived(&mut self, now: Instant, has_gaps: bool, timers: &mut Timers) {
        let is_resumed = self
            .last_arrival
            .is_some_and(|last| now.saturating_duration_since(last) > Duration::from_millis(500));
        self.last_arrival = Some(now);
        self.waiting += 1;
        self.steady = if has_gaps || is_resumed {
            0
        } else {
            self.steady.saturating_add(1)
        };
        let most = if self.steady < QUICK_PACKETS {
            2
        } else {
            STEADY_PACKETS
        };
        if has_gaps || self.waiting >= most {
            self.is_due = true;
        } else if self.waiting == 1 {
            timers.set(Timer::Acknowledgement, now + DELAY);
        } else {
            timers.set(Timer::Acknowledgement, now + BUNDLING_DELAY);
        }
    }
}

impl Association {
    /// A window that was nearly closed and opens again is told at once, not byte by byte.
    pub(super) fn window_grew(&mut self) {
        let (window, whole) = (self.receive_window(), self.config.receive_buffer_bytes);
        let is_due = |told: u32| told < whole / 4 && window >= (2 * told).max(whole / 16);
        self.acknowledging.is_due |= self.acknowledging.window.is_some_and(is_due);
    }

    /// Adds an acknowledgement when it is due.
    pub(super) fn write_sack(&mut self, writer: &mut PacketWriter) {
        if !std::mem::take(&mut self.acknowledging.is_due) || self.peer.tag == 0 {
            return;
        }
        self.acknowledging.waiting = 0;
        self.timers.stop(Timer::Acknowledgement);
        let window = self.receive_window();
        self.acknowledging.window = Some(window);
        let room = self.packet_bytes.saturating_sub(writer.len() + 16 + 64) / 4;
        let gaps = self.received.gaps(room.min(MAX_GAPS));
        let duplicates = self.received.take_duplicates();
        writer.sack(self.received.cumulative(), window, &gaps, &duplicates);
    }

    pub(super) fn handle_sack(&mut self, sack: &Sack, now: Instant) {
        if !self.is_alive() {
            return;
        }
        let Some(acknowledged) = self.in_flight.acknowledge(sack, now) else {
            return;
        };
        self.peer_window = sack.window_bytes as usize;
        for (stream, bytes) in &acknowledged.by_stream {
            self.release(*stream, *bytes);
        }
        if acknowledged.bytes > 0 || acknowledged.cumulative_moved {
            self.timeouts_in_a_row = 0;
        }
        if let Some(sample) = acknowledged.round_trip {
            self.round_trip.measured(sample, now);
            self.congestion.delay_measured(sample);
        }
        if let Some(end) = self.recovery_end
            && before(end.wrapping_sub(2), sack.cumulative)
        {
            self.recovery_end = None;
        }
        if acknowledged.bytes > 0 {
            self.congestion.acknowledged(
                now,
                acknowledged.bytes,
                self.is_window_used,
                self.recovery_end.is_some(),
                self.round_trip.smoothed(),
            );
        }
        if let Some(highest) = self.in_flight.find_losses(now) {
            self.note_loss(highest);
            self.after_losses();
        }
        self.wants_forward = self.peer.can_forward && self.in_flight.forward().is_some();
        if self.in_flight.is_empty() {
            self.timers.stop(Timer::Data);
        } else if acknowledged.bytes > 0 || acknowledged.cumulative_moved {
            self.start_timer(Timer::Data, now);
        }
        self.move_on();
    }
}

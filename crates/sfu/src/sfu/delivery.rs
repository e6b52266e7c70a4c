//! One packet on its way to one subscriber.

use std::time::Instant;

use greenroom_transport::BufferPool;

use crate::connection::Connection;
use crate::down_track::{DownTrack, Outcome};
use crate::layer_selector::MAX_LAYERS;
use crate::up_track::{ForwardPacket, TrackView, UpTrack};

/// One packet on its way to one subscriber.
pub(super) struct Delivery<'a> {
    pub(super) down_track: &'a mut DownTrack,
    pub(super) connection: &'a mut Connection,
    pub(super) view: &'a TrackView,
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) buffers: &'a mut BufferPool,
    pub(super) errors: u64,
    pub(super) wanted: &'a mut [bool; MAX_LAYERS],
}

impl Delivery<'_> {
    /// True when at least one packet was sent.
    pub(super) fn deliver(&mut self, now: Instant, track: &UpTrack, packet: &ForwardPacket<'_>) -> bool {
        match self.forward(now, packet) {
            Outcome::Dropped => false,
            Outcome::NeedsKeyFrame(layer) => {
                self.want(layer);
                false
            }
            Outcome::Written { switched, wants } => {
                if let Some(layer) = wants {
                    self.want(layer);
                }
                if switched && !packet.newest {
                    self.catch_up(now, track, packet);
                }
                true
            }
        }
    }

    fn want(&mut self, layer: u8) {
        if let Some(wanted) = self.wanted.get_mut(usize::from(layer)) {
            *wanted = true;
        }
    }

    fn forward(&mut self, now: Instant, packet: &ForwardPacket<'_>) -> Outcome {
        let outcome =
            self.down_track
                .forward(now, packet, self.view, &mut self.connection.egress, self.scratch);
        if matches!(outcome, Outcome::Written { .. }) {
            self.down_track.started = true;
            let packet = self.buffers.exchange(self.scratch);
            if self.connection.transport.send_rtp(packet).is_err() {
                self.errors += 1;
            }
            self.connection.lower_deadline(self.down_track.deadline());
        }
        outcome
    }

    /// The key frame's first packet came late: what follows it is here already and was not forwarded.
    fn catch_up(&mut self, now: Instant, track: &UpTrack, packet: &ForwardPacket<'_>) {
        let layer_index = packet.source.layer;
        let highest = track
            .layers
            .get(usize::from(layer_index))
            .and_then(|layer| layer.highest())
            .unwrap_or(0);
        for sequence in packet.sequence + 1..=highest {
            match track.forward_packet(layer_index, sequence, true) {
                Some(next) => {
                    self.forward(now, &next);
                }
                None => {
                    let stored = track
                        .layers
                        .get(usize::from(layer_index))
                        .and_then(|layer| layer.history.get(sequence));
                    // Known to be without media, rather than missing.
                    if stored.is_some() {
                        self.down_track.skip_number(packet.source, sequence);
                    }
                }
            }
        }
    }
}

//! A packet of the publisher becomes one of this subscriber: selected, renumbered, written and remembered.

use std::time::{Duration, Instant};

use super::DownTrack;
use crate::egress::Egress;
use crate::layer_selector::Selection;
use crate::parameters::Kind;
use crate::route::Route;
use crate::rtp_header::RtpHeader;
use crate::sequencer::SentPacket;
use crate::timestamp_munger::Change;
use crate::up_track::{ForwardPacket, Source, TrackView};

const MIN_KEY_FRAME_INTERVAL: Duration = Duration::from_millis(200);
const MAX_KEY_FRAME_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_ROUND_TRIP: Duration = Duration::from_millis(70);

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Not for this subscriber.
    Dropped,
    /// Dropped, and a key frame of this layer is needed.
    NeedsKeyFrame(u8),
    /// Written; a key frame of `wants` would be good to have, to climb to it.
    Written {
        /// The packet began a new source.
        switched: bool,
        /// A layer to ask for.
        wants: Option<u8>,
    },
}

impl DownTrack {
    /// Forwards one packet: on [`Outcome::Written`] `out` holds the plain RTP packet to encrypt and send.
    pub fn forward(
        &mut self,
        now: Instant,
        packet: &ForwardPacket<'_>,
        track: &TrackView,
        egress: &mut Egress,
        out: &mut Vec<u8>,
    ) -> Outcome {
        if !self.enabled || track.muted || self.is_paused() {
            return Outcome::Dropped;
        }
        let Some(route) = self.route_for(packet.view.payload_type) else {
            self.statistics.packets_without_codec += 1;
            self.skip(packet);
            return Outcome::Dropped;
        };
        let (selection, wants) = self.select(now, packet, track);
        let needed = || wants.map_or(Outcome::Dropped, Outcome::NeedsKeyFrame);
        let switched = match selection {
            Selection::Drop => return needed(),
            Selection::Forward => false,
            Selection::Switch => {
                if !self.switch_timestamps(now, packet, track, route) {
                    return Outcome::NeedsKeyFrame(packet.source.layer);
                }
                true
            }
        };
        let after_gap = packet.newest && !self.sequence.follows(packet.sequence);
        if switched && let Some(vp8) = &packet.vp8 {
            self.vp8.switch(vp8, self.temporal_limit());
        }
        let mut indices = None;
        if let Some(vp8) = &packet.vp8 {
            indices = self.vp8.munge(vp8, self.temporal_limit(), after_gap && !switched);
            if indices.is_none() {
                self.skip(packet);
                return Outcome::Dropped;
            }
        }
        let number = if switched {
            Some(self.sequence.switch(packet.sequence))
        } else {
            self.sequence.forward(packet.sequence)
        };
        let Some(number) = number else {
            return Outcome::Dropped;
        };
        let timestamp = self.timestamps.translate(packet.view.timestamp);
        let header = RtpHeader {
            marker: packet.view.marker,
            payload_type: route.payload_type,
            sequence_number: number as u16,
            timestamp,
            ssrc: self.ssrc,
        };
        if let Some(delay) = &mut self.playout_delay {
            delay.sending(now, header.sequence_number);
        }
        if !self.write(
            now,
            header,
            None,
            &packet.view,
            &packet.extensions,
            (route, packet.vp8, indices),
            egress,
            out,
        ) {
            return Outcome::Dropped;
        }
        self.timestamps.sent(timestamp, now);
        self.route = Some(route);
        if route.nack {
            let sent = SentPacket::new(
                number,
                packet.sequence,
                (packet.source.layer, packet.source.generation),
                timestamp,
                indices,
                now,
            );
            self.sequencer
                .push(sent, self.kind == Kind::Video && packet.begins_key_frame);
        }
        self.count(now, packet.view.payload.len());
        Outcome::Written {
            switched,
            wants: if switched { None } else { wants },
        }
    }

    /// A packet of the current source that is not forwarded: numbers close up over it.
    pub fn skip(&mut self, packet: &ForwardPacket<'_>) {
        self.skip_number(packet.source, packet.sequence);
    }

    /// As `skip`, for a packet without media.
    pub fn skip_number(&mut self, source: Source, sequence: u64) {
        if self.source == Some(source) {
            self.sequence.skip(sequence);
        }
    }

    fn select(
        &mut self,
        now: Instant,
        packet: &ForwardPacket<'_>,
        track: &TrackView,
    ) -> (Selection, Option<u8>) {
        if self.kind == Kind::Audio {
            let same = self.source == Some(packet.source);
            return (
                if same {
                    Selection::Forward
                } else {
                    Selection::Switch
                },
                None,
            );
        }
        // The same layer from a restarted encoder needs a key frame like any other.
        if self.source.is_some_and(|source| {
            source.layer == packet.source.layer && source.generation != packet.source.generation
        }) {
            self.source = None;
            self.selector.stop();
        }
        let target = self.selector.target(track.declared, track.present, now);
        self.descends = self.selector.current().is_some_and(|current| current > target);
        let selection = self
            .selector
            .select(packet.source.layer, packet.begins_key_frame, target);
        let arrives = selection == Selection::Switch && packet.source.layer == target;
        let wants = (self.selector.current() != Some(target) && !arrives).then_some(target);
        (selection, wants.filter(|_| self.may_ask(now)))
    }

    fn may_ask(&mut self, now: Instant) -> bool {
        let interval = (self.round_trip.unwrap_or(DEFAULT_ROUND_TRIP) * 2)
            .clamp(MIN_KEY_FRAME_INTERVAL, MAX_KEY_FRAME_INTERVAL);
        let may = self
            .asked_at
            .is_none_or(|at| now.saturating_duration_since(at) >= interval);
        if may {
            self.asked_at = Some(now);
        }
        may
    }

    fn switch_timestamps(
        &mut self,
        now: Instant,
        packet: &ForwardPacket<'_>,
        track: &TrackView,
        route: Route,
    ) -> bool {
        self.timestamps.set_clock_rate(route.clock_rate_hz);
        let change = if self.source.is_some() {
            Change::Layer
        } else {
            self.change
        };
        let reference = self
            .last_source
            .and_then(|last| self.reference(last, packet, track, route));
        if !self
            .timestamps
            .switch(packet.view.timestamp, reference, change, now)
        {
            return false;
        }
        self.selector.switched(packet.source.layer);
        self.source = Some(packet.source);
        self.last_source = self.source;
        self.change = Change::AfterPause;
        true
    }

    /// Where the publisher's clock puts the packet in our output time.
    fn reference(
        &self,
        last: Source,
        packet: &ForwardPacket<'_>,
        track: &TrackView,
        route: Route,
    ) -> Option<u32> {
        if last == packet.source {
            return Some(self.timestamps.translate(packet.view.timestamp));
        }
        if last.layer == packet.source.layer {
            return None;
        }
        let clock = |layer: u8| track.clocks.get(usize::from(layer)).copied().flatten();
        let (old, new) = (clock(last.layer)?, clock(packet.source.layer)?);
        Some(
            self.timestamps
                .translate(old.translate(&new, packet.view.timestamp, route.clock_rate_hz)),
        )
    }

    /// The layer that a key frame is needed of before anything more can be forwarded or climbed to.
    pub fn wanted_key_frame(&mut self, track: &TrackView, now: Instant) -> Option<u8> {
        if self.kind == Kind::Audio || !self.enabled || track.muted || self.is_paused() {
            return None;
        }
        let target = self.selector.target(track.declared, track.present, now);
        (self.selector.current() != Some(target)).then_some(target)
    }
}

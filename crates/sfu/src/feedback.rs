//! RTCP in and out, and everything that happens by the clock.

use std::time::{Duration, Instant};

use crate::handles::Handle;
use crate::parameters::Kind;
use crate::rtcp::{self, Feedback};
use crate::sender_report::SenderClock;
use crate::sfu::{Sfu, SfuEvent};

const RECEIVER_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// An RTCP compound is closed when it reaches this size.
const MAX_COMPOUND_BYTES: usize = 1_000;

impl Sfu {
    /// Takes one decrypted RTCP compound.
    pub(crate) fn handle_rtcp(&mut self, now: Instant, handle: Handle, compound: &[u8]) {
        let mut found = Vec::new();
        if !rtcp::parse(compound, |feedback| found.push(feedback)) {
            self.statistics.packets_dropped_malformed += 1;
        }
        for feedback in found {
            self.handle_feedback(now, handle, feedback);
        }
    }

    fn handle_feedback(&mut self, now: Instant, handle: Handle, feedback: Feedback) {
        match feedback {
            Feedback::SenderReport {
                ssrc,
                ntp_time,
                rtp_time,
            } => self.handle_sender_report(now, handle, ssrc, ntp_time, rtp_time),
            Feedback::Report(block) => {
                let Some(down_handle) = self.down_track_of(handle, block.ssrc) else {
                    return;
                };
                if let Some(track) = self
                    .down_tracks
                    .get_mut(&down_handle)
                    .filter(|track| track.ssrc == block.ssrc)
                {
                    track.reported(now, &block);
                }
            }
            Feedback::Nack { ssrc, pairs } => self.handle_nack(now, handle, ssrc, &pairs),
            Feedback::KeyFrame { ssrc } => self.handle_key_frame_request(now, handle, ssrc),
            Feedback::Remb { bitrate_bps } => {
                if let Some(connection) = self.connections.get_mut(&handle) {
                    connection.remb_bps = Some(bitrate_bps);
                }
            }
            Feedback::TransportWide { base, count } => {
                if let Some(connection) = self.connections.get_mut(&handle) {
                    connection.last_transport_feedback = Some((base, count));
                }
            }
            Feedback::Goodbye { .. } => {}
        }
    }

    fn down_track_of(&self, handle: Handle, ssrc: u32) -> Option<Handle> {
        self.connections
            .get(&handle)?
            .down_by_ssrc
            .get(&u64::from(ssrc))
            .copied()
    }

    fn handle_sender_report(
        &mut self,
        now: Instant,
        handle: Handle,
        ssrc: u32,
        ntp_time: u64,
        rtp_time: u32,
    ) {
        let binding = self
            .connections
            .get(&handle)
            .and_then(|connection| connection.streams.get(&u64::from(ssrc)).copied());
        let Some(binding) = binding.filter(|binding| !binding.is_rtx) else {
            return;
        };
        let Some(track) = self.up_tracks.get_mut(&binding.up_track) else {
            return;
        };
        let Some(layer) = track.layers.get_mut(usize::from(binding.layer)) else {
            return;
        };
        // Some senders report before they have a clock, with RTP time 0.
        let plausible = layer
            .statistics
            .as_ref()
            .is_some_and(|seen| seen.is_plausible(now, rtp_time));
        if ntp_time != 0 && plausible {
            layer.clock = Some(SenderClock {
                ntp_time,
                rtp_time,
                received_at: now,
            });
        }
    }

    fn handle_nack(&mut self, now: Instant, handle: Handle, ssrc: u32, pairs: &[(u16, u16)]) {
        self.statistics.nacks_received += 1;
        let Some(down_handle) = self.down_track_of(handle, ssrc) else {
            return;
        };
        let (Some(down_track), Some(connection)) = (
            self.down_tracks.get_mut(&down_handle),
            self.connections.get_mut(&handle),
        ) else {
            return;
        };
        let Some(up_track) = self.up_tracks.get(&down_track.up_track) else {
            return;
        };
        for (first, bitmap) in pairs {
            let others = (0..16)
                .filter(|bit| bitmap >> bit & 1 != 0)
                .map(|bit| first.wrapping_add(bit + 1));
            for number in std::iter::once(*first).chain(others) {
                let Some(sent) = down_track.requested(number, now) else {
                    continue;
                };
                let Some(stored) = up_track.forward_packet(sent.layer, sent.source_sequence, false) else {
                    continue;
                };
                if stored.source.generation != sent.generation {
                    continue;
                }
                if down_track.retransmit(now, &sent, &stored, &mut connection.egress, &mut self.scratch)
                    && connection.transport.send_rtp(&self.scratch).is_err()
                {
                    self.statistics.send_errors += 1;
                }
            }
        }
    }

    fn handle_key_frame_request(&mut self, now: Instant, handle: Handle, ssrc: u32) {
        self.statistics.plis_received += 1;
        let Some(down_handle) = self.down_track_of(handle, ssrc) else {
            return;
        };
        let Some(down_track) = self.down_tracks.get_mut(&down_handle) else {
            return;
        };
        let (up_track, layer) = (down_track.up_track, down_track.key_frame_requested());
        match layer {
            Some(layer) => self.request_key_frame_of(up_track, layer, now),
            None => self.ask_for_down_track(down_handle, now),
        }
    }

    /// Asks for what a down track needs to begin or to climb.
    pub(crate) fn ask_for_down_track(&mut self, handle: Handle, now: Instant) {
        let Some(down_track) = self.down_tracks.get_mut(&handle) else {
            return;
        };
        let Some(up_track) = self.up_tracks.get(&down_track.up_track) else {
            return;
        };
        let wanted = down_track.wanted_key_frame(&up_track.view(), now);
        if let Some(layer) = wanted {
            let up_handle = down_track.up_track;
            self.request_key_frame_of(up_handle, layer, now);
        }
    }

    /// A key frame of every layer that flows, throttled. Nothing for audio or an unknown track.
    pub fn request_key_frame(&mut self, handle: Handle, now: Instant) {
        let Some(track) = self.up_tracks.get(&handle) else {
            return;
        };
        let count = track.layers.len() as u8;
        for layer in 0..count {
            self.request_key_frame_of(handle, layer, now);
        }
    }

    pub(crate) fn request_key_frame_of(&mut self, handle: Handle, layer: u8, now: Instant) {
        let Some(track) = self
            .up_tracks
            .get_mut(&handle)
            .filter(|track| track.kind == Kind::Video && !track.muted)
        else {
            return;
        };
        let Some(layer) = track.layers.get_mut(usize::from(layer)) else {
            return;
        };
        layer.key_frame_request.request(now);
        let (transport, due) = (track.transport, layer.key_frame_request.deadline());
        if due.is_some_and(|due| due <= now) {
            self.send_key_frame_requests(transport, handle, now);
        } else if let Some(connection) = self.connections.get_mut(&transport) {
            connection.lower_deadline(due);
            self.mark_dirty(transport);
        }
    }

    fn send_key_frame_requests(&mut self, transport: Handle, up_track: Handle, now: Instant) {
        let (Some(connection), Some(track)) = (
            self.connections.get_mut(&transport),
            self.up_tracks.get_mut(&up_track),
        ) else {
            return;
        };
        let full_intra = track.wants_full_intra();
        let mut compound = Vec::new();
        for layer in &mut track.layers {
            // Without an SSRC there is nobody to ask; the request stays and is made when there is.
            let Some(ssrc) = layer.ssrc.filter(|_| connection.transport.is_connected()) else {
                continue;
            };
            if !layer.key_frame_request.poll(now) {
                connection.lower_deadline(layer.key_frame_request.deadline());
                continue;
            }
            connection.lower_deadline(layer.key_frame_request.deadline());
            self.statistics.plis_sent += 1;
            if full_intra {
                connection.full_intra_number = connection.full_intra_number.wrapping_add(1);
                rtcp::write_full_intra(
                    &mut compound,
                    connection.own_ssrc,
                    ssrc,
                    connection.full_intra_number,
                );
            } else {
                rtcp::write_picture_loss(&mut compound, connection.own_ssrc, ssrc);
            }
        }
        if !compound.is_empty() && connection.transport.send_rtcp(&compound).is_err() {
            self.statistics.send_errors += 1;
        }
        self.mark_dirty(transport);
    }

    /// Everything of one transport that is due by the clock.
    pub(crate) fn run_media(&mut self, handle: Handle, now: Instant) {
        let Some(connection) = self
            .connections
            .get_mut(&handle)
            .filter(|connection| !connection.failed)
        else {
            return;
        };
        connection.media_deadline = None;
        let (up_tracks, down_tracks) = (connection.up_tracks.clone(), connection.down_tracks.clone());
        for up_track in &up_tracks {
            self.send_nacks(handle, *up_track, now);
            self.watch_layers(handle, *up_track, now);
            self.send_key_frame_requests(handle, *up_track, now);
        }
        self.send_receiver_reports(handle, &up_tracks, now);
        self.send_transport_feedback(handle, now);
        self.send_down_tracks(handle, &down_tracks, now);
        self.mark_dirty(handle);
    }

    fn send_nacks(&mut self, handle: Handle, up_track: Handle, now: Instant) {
        let (Some(connection), Some(track)) = (
            self.connections.get_mut(&handle),
            self.up_tracks.get_mut(&up_track),
        ) else {
            return;
        };
        let round_trip = connection.transport.round_trip_time();
        let (mut lost, mut compound) = (Vec::new(), Vec::new());
        for layer in &mut track.layers {
            let Some(ssrc) = layer.ssrc else { continue };
            layer.nacks.set_round_trip(round_trip);
            lost.clear();
            layer.nacks.collect(now, &mut lost);
            if !lost.is_empty() {
                self.statistics.nacks_sent += 1;
                rtcp::write_nack(&mut compound, connection.own_ssrc, ssrc, &lost);
            }
            connection.lower_deadline(layer.nacks.deadline());
        }
        if !compound.is_empty() && connection.transport.send_rtcp(&compound).is_err() {
            self.statistics.send_errors += 1;
        }
    }

    fn watch_layers(&mut self, handle: Handle, up_track: Handle, now: Instant) {
        let (Some(connection), Some(track)) = (
            self.connections.get_mut(&handle),
            self.up_tracks.get_mut(&up_track),
        ) else {
            return;
        };
        let muted = track.muted;
        let mut changed = false;
        for layer in &mut track.layers {
            if muted {
                layer.tracker.hold(now);
            } else {
                changed |= layer.tracker.tick(now);
            }
            connection.lower_deadline(layer.tracker.deadline());
        }
        if !changed {
            return;
        }
        self.events
            .push_back(SfuEvent::UpTrackLayers(up_track, track.presence()));
        for down_track in track.down_tracks.clone() {
            self.ask_for_down_track(down_track, now);
        }
    }

    fn send_receiver_reports(&mut self, handle: Handle, up_tracks: &[Handle], now: Instant) {
        let Some(connection) = self.connections.get_mut(&handle) else {
            return;
        };
        let Some(due) = connection.next_report_at else {
            return;
        };
        if due > now {
            connection.lower_deadline(Some(due));
            return;
        }
        connection.next_report_at = Some(now + RECEIVER_REPORT_INTERVAL);
        connection.lower_deadline(connection.next_report_at);
        let mut blocks = Vec::new();
        for up_track in up_tracks {
            let Some(track) = self.up_tracks.get_mut(up_track) else {
                continue;
            };
            for layer in &mut track.layers {
                if let (Some(ssrc), Some(statistics)) = (layer.ssrc, layer.statistics.as_mut()) {
                    blocks.push(statistics.report(now, ssrc, layer.clock.as_ref()));
                }
            }
        }
        for group in blocks.chunks(31) {
            let mut compound = Vec::new();
            rtcp::write_receiver_reports(&mut compound, connection.own_ssrc, group);
            if connection.transport.send_rtcp(&compound).is_err() {
                self.statistics.send_errors += 1;
            }
        }
    }

    fn send_transport_feedback(&mut self, handle: Handle, now: Instant) {
        let Some(connection) = self.connections.get_mut(&handle) else {
            return;
        };
        for body in connection.feedback.collect(now) {
            let mut compound = Vec::new();
            rtcp::write_transport_wide(
                &mut compound,
                connection.own_ssrc,
                connection.feedback_ssrc,
                &body,
            );
            if connection.transport.send_rtcp(&compound).is_err() {
                self.statistics.send_errors += 1;
            }
        }
        connection.lower_deadline(connection.feedback.deadline());
    }

    fn send_down_tracks(&mut self, handle: Handle, down_tracks: &[Handle], now: Instant) {
        let Some(connection) = self.connections.get_mut(&handle) else {
            return;
        };
        let mut compound = Vec::new();
        for down_handle in down_tracks {
            let Some(track) = self.down_tracks.get_mut(down_handle) else {
                continue;
            };
            while track.write_silence(now, &mut connection.egress, &mut self.scratch) {
                if connection.transport.send_rtp(&self.scratch).is_err() {
                    self.statistics.send_errors += 1;
                }
            }
            if let Some(up_track) = self.up_tracks.get(&track.up_track)
                && track.deadline().is_some_and(|due| due <= now)
            {
                track.write_report(now, &up_track.view(), &mut compound);
            }
            connection.lower_deadline(track.deadline());
            if compound.len() >= MAX_COMPOUND_BYTES {
                if connection.transport.send_rtcp(&compound).is_err() {
                    self.statistics.send_errors += 1;
                }
                compound.clear();
            }
        }
        if !compound.is_empty() && connection.transport.send_rtcp(&compound).is_err() {
            self.statistics.send_errors += 1;
        }
    }
}

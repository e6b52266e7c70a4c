//! What a transport sends by the clock: NACKs, receiver and sender reports, transport-wide feedback, silence.

use std::time::{Duration, Instant};

use super::{Sfu, SfuEvent};
use crate::handles::Handle;
use crate::rtcp::{self, ReportBlock};

const RECEIVER_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// An RTCP compound is closed when it reaches this size.
const MAX_COMPOUND_BYTES: usize = 1_000;

impl Sfu {
    /// Everything of one transport that is due by the clock.
    pub(super) fn run_media(&mut self, handle: Handle, now: Instant) {
        let Some(connection) = self
            .connections
            .get_mut(&handle)
            .filter(|connection| !connection.failed)
        else {
            return;
        };
        connection.media_deadline = None;
        let mut lists = std::mem::take(&mut self.lists);
        lists.up_tracks.clone_from(&connection.up_tracks);
        lists.down_tracks.clone_from(&connection.down_tracks);
        self.share_bandwidth(handle, &lists.down_tracks, now);
        self.send_padding(handle, now);
        for up_track in &lists.up_tracks {
            self.send_nacks(handle, *up_track, &mut lists.lost, now);
            self.watch_layers(handle, *up_track, now);
            self.send_key_frame_requests(handle, *up_track, now);
        }
        self.send_receiver_reports(handle, &lists.up_tracks, &mut lists.blocks, now);
        self.send_transport_feedback(handle, now);
        self.send_down_tracks(handle, &lists.down_tracks, now);
        self.lists = lists;
        self.mark_dirty(handle);
    }

    fn send_nacks(&mut self, handle: Handle, up_track: Handle, lost: &mut Vec<u16>, now: Instant) {
        let (Some(connection), Some(track)) = (
            self.connections.get_mut(&handle),
            self.up_tracks.get_mut(&up_track),
        ) else {
            return;
        };
        let round_trip = connection.transport.round_trip_time();
        let mut compound = self.buffers.take();
        for layer in &mut track.layers {
            let Some(ssrc) = layer.ssrc else { continue };
            layer.nacks.set_round_trip(round_trip);
            lost.clear();
            layer.nacks.collect(now, lost);
            if !lost.is_empty() {
                self.statistics.nacks_sent += 1;
                rtcp::write_nack(&mut compound, connection.own_ssrc, ssrc, lost);
            }
            connection.lower_deadline(layer.nacks.deadline());
        }
        self.send_compound(handle, compound);
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
                layer.rate.tick(now);
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
        self.reallocate_subscribers(up_track, now);
    }

    fn send_receiver_reports(
        &mut self,
        handle: Handle,
        up_tracks: &[Handle],
        blocks: &mut Vec<ReportBlock>,
        now: Instant,
    ) {
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
        blocks.clear();
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
            let mut compound = self.buffers.take();
            rtcp::write_receiver_reports(&mut compound, connection.own_ssrc, group);
            if connection.transport.send_rtcp(compound).is_err() {
                self.statistics.send_errors += 1;
            }
        }
    }

    fn send_transport_feedback(&mut self, handle: Handle, now: Instant) {
        let Some(connection) = self.connections.get_mut(&handle) else {
            return;
        };
        let (transport, own_ssrc, media_ssrc) = (
            &mut connection.transport,
            connection.own_ssrc,
            connection.feedback_ssrc,
        );
        connection.feedback.collect(now, |body| {
            let mut compound = self.buffers.take();
            rtcp::write_transport_wide(&mut compound, own_ssrc, media_ssrc, body);
            if transport.send_rtcp(compound).is_err() {
                self.statistics.send_errors += 1;
            }
        });
        connection.lower_deadline(connection.feedback.deadline());
    }

    fn send_down_tracks(&mut self, handle: Handle, down_tracks: &[Handle], now: Instant) {
        let Some(connection) = self.connections.get_mut(&handle) else {
            return;
        };
        let mut compound = self.buffers.take();
        for down_handle in down_tracks {
            let Some(track) = self.down_tracks.get_mut(down_handle) else {
                continue;
            };
            while track.write_silence(now, &mut connection.egress, &mut self.scratch) {
                let packet = self.buffers.exchange(&mut self.scratch);
                if connection.transport.send_rtp(packet).is_err() {
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
                let full = self.buffers.exchange(&mut compound);
                if connection.transport.send_rtcp(full).is_err() {
                    self.statistics.send_errors += 1;
                }
            }
        }
        self.send_compound(handle, compound);
    }

    /// Sends what was written into a buffer of the pool, if anything was.
    pub(super) fn send_compound(&mut self, handle: Handle, compound: Vec<u8>) {
        let connection = self.connections.get_mut(&handle);
        let Some(connection) = connection.filter(|_| !compound.is_empty()) else {
            return self.buffers.give_back(compound);
        };
        if connection.transport.send_rtcp(compound).is_err() {
            self.statistics.send_errors += 1;
        }
    }
}

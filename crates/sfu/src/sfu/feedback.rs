//! RTCP that comes in: reports and requests of subscribers, sender reports of publishers.

use std::time::Instant;

use super::Sfu;
use crate::handles::Handle;
use crate::rtcp::{self, Feedback, LostPackets};
use crate::sender_report::SenderClock;

impl Sfu {
    /// Takes one decrypted RTCP compound.
    pub(super) fn handle_rtcp(&mut self, now: Instant, handle: Handle, compound: &[u8]) {
        if !rtcp::parse(compound, |feedback| self.handle_feedback(now, handle, feedback)) {
            self.statistics.packets_dropped_malformed += 1;
        }
    }

    fn handle_feedback(&mut self, now: Instant, handle: Handle, feedback: Feedback<'_>) {
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
            Feedback::Nack { ssrc, lost } => self.handle_nack(now, handle, ssrc, lost),
            Feedback::KeyFrame { ssrc } => self.handle_key_frame_request(now, handle, ssrc),
            Feedback::Remb { bitrate_bps } => {
                if let Some(connection) = self.connections.get_mut(&handle) {
                    connection.remb_bps = Some(bitrate_bps);
                    let sent_bytes = connection.egress.video_bytes;
                    if connection.bandwidth.remb(now, bitrate_bps, sent_bytes) {
                        self.reallocate(handle, now);
                    }
                }
            }
            Feedback::TransportWide { body } => {
                if let Some(connection) = self.connections.get_mut(&handle)
                    && connection
                        .bandwidth
                        .feedback(now, body, &mut connection.egress.sent)
                {
                    self.reallocate(handle, now);
                }
            }
            Feedback::Goodbye { .. } => {}
        }
    }

    pub(super) fn down_track_of(&self, handle: Handle, ssrc: u32) -> Option<Handle> {
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

    fn handle_nack(&mut self, now: Instant, handle: Handle, ssrc: u32, lost: LostPackets<'_>) {
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
        for number in lost.numbers() {
            let Some(sent) = down_track.requested(number, now) else {
                continue;
            };
            let Some(stored) = up_track.forward_packet(sent.layer, sent.source_sequence, false) else {
                continue;
            };
            if stored.source.generation != sent.generation
                || !down_track.retransmit(now, &sent, &stored, &mut connection.egress, &mut self.scratch)
            {
                continue;
            }
            let packet = self.buffers.exchange(&mut self.scratch);
            if connection.transport.send_rtp(packet).is_err() {
                self.statistics.send_errors += 1;
            }
        }
    }
}

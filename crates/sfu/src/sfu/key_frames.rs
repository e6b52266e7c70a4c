//! Key frames: who needs one, and asking the publisher for it, throttled (RFC 4585 PLI, RFC 5104 FIR).

use std::time::Instant;

use super::Sfu;
use crate::handles::Handle;
use crate::parameters::Kind;
use crate::rtcp;

impl Sfu {
    pub(super) fn handle_key_frame_request(&mut self, now: Instant, handle: Handle, ssrc: u32) {
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
    pub(super) fn ask_for_down_track(&mut self, handle: Handle, now: Instant) {
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

    pub(super) fn request_key_frame_of(&mut self, handle: Handle, layer: u8, now: Instant) {
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

    pub(super) fn send_key_frame_requests(&mut self, transport: Handle, up_track: Handle, now: Instant) {
        let (Some(connection), Some(track)) = (
            self.connections.get_mut(&transport),
            self.up_tracks.get_mut(&up_track),
        ) else {
            return;
        };
        let full_intra = track.wants_full_intra();
        let mut compound = self.buffers.take();
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
        self.send_compound(transport, compound);
        self.mark_dirty(transport);
    }
}

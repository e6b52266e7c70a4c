//! The way of a media packet: bind, accept, fan out.

use std::time::Instant;

use super::delivery::Delivery;
use super::{Sfu, SfuEvent};
use crate::connection::{Connection, StreamBinding};
use crate::handles::Handle;
use crate::layer_selector::MAX_LAYERS;
use crate::rtp_header::RtpView;
use crate::rtx;
use crate::up_layer::UpLayer;
use crate::up_track::{Source, UpTrack};

impl Sfu {
    /// Takes one decrypted RTP packet of a publisher.
    pub(super) fn handle_rtp(&mut self, now: Instant, handle: Handle, packet: &mut Vec<u8>) {
        let Some(connection) = self.connections.get_mut(&handle) else {
            return;
        };
        let Some(view) = RtpView::parse(packet) else {
            self.statistics.packets_dropped_malformed += 1;
            return;
        };
        note_transport_sequence(connection, &view, now);
        if view.ssrc == 0 {
            return;
        }
        let known = connection.streams.get(&u64::from(view.ssrc)).copied();
        let Some(binding) = known.or_else(|| self.bind(handle, &view)) else {
            self.statistics.packets_dropped_unknown += 1;
            return;
        };
        let Some(track) = self.up_tracks.get_mut(&binding.up_track) else {
            return;
        };
        if binding.is_rtx && unwrap_rtx(track, binding.layer, packet).is_none() {
            return;
        }
        let Some(accepted) = track.receive(now, binding.layer, packet) else {
            return;
        };
        self.after_arrival(now, handle, binding);
        if accepted.padding_only {
            self.skip_padding(binding, accepted.sequence);
        } else {
            self.fan_out(now, binding, accepted.sequence, accepted.newest);
        }
    }

    fn after_arrival(&mut self, now: Instant, handle: Handle, binding: StreamBinding) {
        let (Some(track), Some(connection)) = (
            self.up_tracks.get_mut(&binding.up_track),
            self.connections.get_mut(&handle),
        ) else {
            return;
        };
        let Some(layer) = track.layers.get_mut(usize::from(binding.layer)) else {
            return;
        };
        if let Some(ssrc) = layer.ssrc {
            connection.feedback_ssrc = ssrc;
        }
        connection.next_report_at.get_or_insert(now);
        connection.lower_deadline(connection.next_report_at);
        connection.lower_deadline(layer.nacks.deadline());
        let changed = layer.tracker.packet(now);
        connection.lower_deadline(layer.tracker.deadline());
        if !track.started {
            track.started = true;
            self.events.push_back(SfuEvent::UpTrackStarted(track.handle));
        }
        if changed {
            self.events
                .push_back(SfuEvent::UpTrackLayers(track.handle, track.presence()));
            self.reallocate_subscribers(binding.up_track, now);
        }
    }

    fn skip_padding(&mut self, binding: StreamBinding, sequence: u64) {
        let Some(track) = self.up_tracks.get(&binding.up_track) else {
            return;
        };
        let Some(layer) = track.layers.get(usize::from(binding.layer)) else {
            return;
        };
        let source = Source {
            layer: binding.layer,
            generation: layer.generation,
        };
        for down_track in &track.down_tracks {
            if let Some(down_track) = self.down_tracks.get_mut(down_track) {
                down_track.skip_number(source, sequence);
            }
        }
    }

    /// Forwards a stored packet to every subscriber.
    fn fan_out(&mut self, now: Instant, binding: StreamBinding, sequence: u64, newest: bool) {
        let Some(track) = self.up_tracks.get(&binding.up_track) else {
            return;
        };
        let Some(packet) = track.forward_packet(binding.layer, sequence, newest) else {
            self.statistics.packets_dropped_malformed += 1;
            self.skip_padding(binding, sequence);
            return;
        };
        let begins_key_frame = packet.begins_key_frame;
        let temporal = packet.vp8.and_then(|vp8| vp8.temporal_id).unwrap_or(0);
        let size_bytes = packet.view.payload_offset + packet.view.payload.len();
        let view = track.view();
        let mut wanted = [false; MAX_LAYERS];
        for down_handle in &track.down_tracks {
            let Some(down_track) = self.down_tracks.get_mut(down_handle) else {
                continue;
            };
            let Some(connection) = self.connections.get_mut(&down_track.transport) else {
                continue;
            };
            if connection.failed {
                continue;
            }
            let mut delivery = Delivery {
                down_track,
                connection,
                view: &view,
                scratch: &mut self.scratch,
                buffers: &mut self.buffers,
                errors: 0,
                wanted: &mut wanted,
            };
            let first = !delivery.down_track.started;
            let written = delivery.deliver(now, track, &packet);
            self.statistics.send_errors += delivery.errors;
            if !written {
                continue;
            }
            if first {
                self.events.push_back(SfuEvent::DownTrackStarted(*down_handle));
            }
            if !connection.dirty {
                connection.dirty = true;
                self.dirty.push(down_track.transport);
            }
        }
        if let Some(layer) = self.layer_of(binding) {
            layer.rate.count(now, temporal, size_bytes);
            if begins_key_frame {
                layer.key_frame_request.key_frame_received();
            }
        }
        for (layer, is_wanted) in wanted.into_iter().enumerate() {
            if is_wanted {
                self.request_key_frame_of(binding.up_track, layer as u8, now);
            }
        }
    }

    fn layer_of(&mut self, binding: StreamBinding) -> Option<&mut UpLayer> {
        let track = self.up_tracks.get_mut(&binding.up_track)?;
        track.layers.get_mut(usize::from(binding.layer))
    }
}

fn note_transport_sequence(connection: &mut Connection, view: &RtpView<'_>, now: Instant) {
    let value = view.extension(connection.extensions.transport_wide_cc);
    if let Some(number) = value
        .and_then(|value| value.try_into().ok())
        .map(u16::from_be_bytes)
    {
        connection.feedback.record(now, number, view.marker);
        connection.lower_deadline(connection.feedback.deadline());
    }
}

fn unwrap_rtx(track: &UpTrack, layer: u8, packet: &mut Vec<u8>) -> Option<()> {
    let ssrc = track.layers.get(usize::from(layer))?.ssrc?;
    let payload_type = track.media_of_rtx(RtpView::parse(packet)?.payload_type)?;
    rtx::unwrap(packet, ssrc, payload_type)
}

/// The way of the fuzz targets past the encryption.
#[cfg(fuzzing)]
impl Sfu {
    /// As if the transport had decrypted this RTP packet.
    pub fn fuzz_rtp(&mut self, now: Instant, handle: Handle, packet: &[u8]) {
        self.handle_rtp(now, handle, &mut packet.to_vec());
    }

    /// As if the transport had decrypted this RTCP compound.
    pub fn fuzz_rtcp(&mut self, now: Instant, handle: Handle, compound: &[u8]) {
        self.handle_rtcp(now, handle, compound);
    }
}

//! The way of a media packet: bind, accept, fan out.

use std::time::Instant;

use crate::connection::{Connection, StreamBinding};
use crate::down_track::{DownTrack, Outcome};
use crate::handles::Handle;
use crate::layer_selector::MAX_LAYERS;
use crate::rtp_header::RtpView;
use crate::rtx;
use crate::sfu::{Sfu, SfuEvent};
use crate::up_track::{ForwardPacket, Source, TrackView, UpTrack};

/// SSRCs that one transport may have bound.
const MAX_STREAMS: usize = 1_024;

impl Sfu {
    /// Takes one decrypted RTP packet of a publisher.
    pub(crate) fn handle_rtp(&mut self, now: Instant, handle: Handle, mut packet: Vec<u8>) {
        let Some(connection) = self.connections.get_mut(&handle) else {
            return;
        };
        let Some(view) = RtpView::parse(&packet) else {
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
        if binding.is_rtx && unwrap_rtx(track, binding.layer, &mut packet).is_none() {
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

    /// Binds an unknown SSRC by the mid and rid extensions, or by payload type when only one track can be meant.
    fn bind(&mut self, handle: Handle, view: &RtpView<'_>) -> Option<StreamBinding> {
        let connection = self.connections.get_mut(&handle)?;
        if connection.streams.len() >= MAX_STREAMS {
            return None;
        }
        let ids = connection.extensions;
        let mid = view.text_extension(ids.mid);
        let (rid, repaired) = (
            view.text_extension(ids.rid),
            view.text_extension(ids.repaired_rid),
        );
        let tracks = connection
            .up_tracks
            .iter()
            .filter_map(|track| self.up_tracks.get(track));
        let found = match mid {
            Some(mid) => tracks
                .filter(|track| track.mid == mid)
                .find_map(|track| binding_in(track, view, rid, repaired)),
            None => {
                let mut candidates = tracks.filter_map(|track| binding_in(track, view, rid, repaired));
                candidates.next().filter(|_| candidates.next().is_none())
            }
        }?;
        let layer = self
            .up_tracks
            .get_mut(&found.up_track)?
            .layers
            .get_mut(usize::from(found.layer))?;
        if found.is_rtx {
            layer.rtx_ssrc = Some(view.ssrc);
        } else {
            // Another SSRC for the same layer replaces the one before.
            if let Some(before) = layer.ssrc {
                connection.streams.remove(&u64::from(before));
            }
            layer.rebind(view.ssrc);
        }
        connection.streams.insert(u64::from(view.ssrc), found);
        Some(found)
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
        self.note_key_frames(now, binding, begins_key_frame, wanted);
    }

    fn note_key_frames(
        &mut self,
        now: Instant,
        binding: StreamBinding,
        begins_key_frame: bool,
        wanted: [bool; MAX_LAYERS],
    ) {
        let Some(track) = self.up_tracks.get_mut(&binding.up_track) else {
            return;
        };
        if begins_key_frame && let Some(layer) = track.layers.get_mut(usize::from(binding.layer)) {
            layer.key_frame_request.key_frame_received();
        }
        for (layer, is_wanted) in wanted.into_iter().enumerate() {
            if is_wanted {
                self.request_key_frame_of(binding.up_track, layer as u8, now);
            }
        }
    }
}

/// One packet on its way to one subscriber.
struct Delivery<'a> {
    down_track: &'a mut DownTrack,
    connection: &'a mut Connection,
    view: &'a TrackView,
    scratch: &'a mut Vec<u8>,
    errors: u64,
    wanted: &'a mut [bool; MAX_LAYERS],
}

impl Delivery<'_> {
    /// True when at least one packet was sent.
    fn deliver(&mut self, now: Instant, track: &UpTrack, packet: &ForwardPacket<'_>) -> bool {
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
            if self.connection.transport.send_rtp(self.scratch).is_err() {
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

/// How a packet with an unknown SSRC fits a track.
fn binding_in(
    track: &UpTrack,
    view: &RtpView<'_>,
    rid: Option<&str>,
    repaired: Option<&str>,
) -> Option<StreamBinding> {
    let is_media = track.payload_type(view.payload_type).is_some();
    let is_rtx = !is_media && track.media_of_rtx(view.payload_type).is_some();
    if !is_media && !is_rtx {
        return None;
    }
    let named = if is_rtx { repaired.or(rid) } else { rid };
    let layer = match named {
        Some(rid) => track
            .layer_of_rid(rid)
            .or_else(|| (track.layers.len() == 1 && track.layers[0].rid.is_none()).then_some(0))?,
        None if track.layers.len() == 1 => 0,
        None => return None,
    };
    Some(StreamBinding {
        up_track: track.handle,
        layer,
        is_rtx,
    })
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
        self.handle_rtp(now, handle, packet.to_vec());
    }

    /// As if the transport had decrypted this RTCP compound.
    pub fn fuzz_rtcp(&mut self, now: Instant, handle: Handle, compound: &[u8]) {
        self.handle_rtcp(now, handle, compound);
    }
}

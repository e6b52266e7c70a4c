//! One track forwarded to one subscriber: selects, rewrites and remembers.

use std::time::{Duration, Instant};

use crate::egress::Egress;
use crate::handles::Handle;
use crate::layer_selector::{LayerSelector, Selection};
use crate::parameters::{ExtensionIds, Kind, PayloadType};
use crate::red;
use crate::route::Route;
use crate::rtcp::{self, ReportBlock};
use crate::rtp_header::{ExtensionList, RtpHeader, RtpView};
use crate::rtx::RtxSequence;
use crate::sender_report::SentReports;
use crate::sequence_munger::SequenceMunger;
use crate::sequencer::{SentPacket, Sequencer};
use crate::sfu::DownTrackParameters;
use crate::silence;
use crate::statistics::DownTrackStatistics;
use crate::timestamp_munger::{Change, TimestampMunger};
use crate::up_track::{ForwardPacket, Source, TrackView};
use crate::vp8_descriptor::Vp8Indices;
use crate::vp8_munger::Vp8Munger;

const VIDEO_SEQUENCER_PACKETS: usize = 1_024;
const AUDIO_SEQUENCER_PACKETS: usize = 128;
const VIDEO_REPORT_INTERVAL: Duration = Duration::from_secs(1);
const AUDIO_REPORT_INTERVAL: Duration = Duration::from_secs(3);
/// A report that could not be made (the publisher's clock is not known yet) is tried again.
const REPORT_RETRY: Duration = Duration::from_millis(200);
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

/// Where an earlier down track with the same SSRC stopped: its numbers must not be used again under one key.
#[derive(Debug, Clone, Copy)]
pub struct Retired {
    last_sequence: u64,
    next_rtx: u16,
    last_timestamp: Option<(u32, Instant)>,
}

/// One down track.
#[derive(Debug)]
pub struct DownTrack {
    /// Its name.
    pub handle: Handle,
    /// The subscriber's transport.
    pub transport: Handle,
    /// What is forwarded.
    pub up_track: Handle,
    /// The media SSRC.
    pub ssrc: u32,
    /// The SSRC of retransmissions.
    pub rtx_ssrc: Option<u32>,
    /// Whether the first packet has been forwarded.
    pub started: bool,
    kind: Kind,
    mid: String,
    cname: String,
    answered: Vec<PayloadType>,
    routes: Vec<Route>,
    extensions: ExtensionIds,
    enabled: bool,
    max_temporal: u8,
    selector: LayerSelector,
    source: Option<Source>,
    last_source: Option<Source>,
    change: Change,
    sequence: SequenceMunger,
    timestamps: TimestampMunger,
    vp8: Vp8Munger,
    sequencer: Sequencer,
    rtx: RtxSequence,
    route: Option<Route>,
    silence_left: u32,
    next_silence_at: Option<Instant>,
    next_report_at: Option<Instant>,
    sent_reports: SentReports,
    round_trip: Option<Duration>,
    asked_at: Option<Instant>,
    packets: u64,
    octets: u64,
    statistics: DownTrackStatistics,
}

impl DownTrack {
    /// A track that forwards an up track with these payload types.
    pub fn new(
        handle: Handle,
        parameters: &DownTrackParameters,
        kind: Kind,
        cname: String,
        upstream: &[PayloadType],
        retired: Option<Retired>,
        rtx_start: u16,
    ) -> DownTrack {
        let capacity = if kind == Kind::Video {
            VIDEO_SEQUENCER_PACKETS
        } else {
            AUDIO_SEQUENCER_PACKETS
        };
        let mut timestamps = TimestampMunger::new(90_000);
        if let Some((timestamp, at)) = retired.and_then(|retired| retired.last_timestamp) {
            timestamps.sent(timestamp, at);
        }
        let mut track = DownTrack {
            handle,
            transport: parameters.transport,
            up_track: parameters.up_track,
            ssrc: parameters.ssrc,
            rtx_ssrc: parameters.rtx_ssrc,
            started: false,
            kind,
            mid: parameters.mid.clone(),
            cname,
            answered: parameters.payload_types.clone(),
            routes: Vec::new(),
            extensions: ExtensionIds::from_list(&parameters.header_extensions),
            enabled: true,
            max_temporal: 3,
            selector: LayerSelector::new(2),
            source: None,
            last_source: None,
            change: Change::AfterPause,
            sequence: retired.map_or_else(SequenceMunger::default, |retired| {
                SequenceMunger::resume_after(retired.last_sequence)
            }),
            timestamps,
            vp8: Vp8Munger::default(),
            sequencer: Sequencer::new(capacity),
            rtx: RtxSequence::new(retired.map_or(rtx_start, |retired| retired.next_rtx)),
            route: None,
            silence_left: 0,
            next_silence_at: None,
            next_report_at: None,
            sent_reports: SentReports::default(),
            round_trip: None,
            asked_at: None,
            packets: 0,
            octets: 0,
            statistics: DownTrackStatistics::default(),
        };
        track.set_upstream(upstream);
        track
    }

    /// The publisher's payload types, by which routes are made.
    pub fn set_upstream(&mut self, upstream: &[PayloadType]) {
        self.routes = upstream
            .iter()
            .filter_map(|wanted| Route::new(wanted, upstream, &self.answered))
            .collect();
    }

    fn route_for(&self, upstream: u8) -> Option<Route> {
        self.routes
            .iter()
            .find(|route| route.upstream == upstream)
            .copied()
    }

    /// Forwards one packet: on [`Outcome::Written`] `out` holds the plain RTP packet to encrypt and send.
    pub fn forward(
        &mut self,
        now: Instant,
        packet: &ForwardPacket<'_>,
        track: &TrackView,
        egress: &mut Egress,
        out: &mut Vec<u8>,
    ) -> Outcome {
        if !self.enabled || track.muted {
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
            self.vp8.switch(vp8, self.max_temporal);
        }
        let mut indices = None;
        if let Some(vp8) = &packet.vp8 {
            indices = self.vp8.munge(vp8, self.max_temporal, after_gap && !switched);
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

    fn count(&mut self, now: Instant, payload_length: usize) {
        self.packets += 1;
        self.octets += payload_length as u64;
        self.next_report_at.get_or_insert(now);
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

    /// Writes header and payload; with `original` as a retransmission of that sequence number (RFC 4588).
    #[allow(clippy::too_many_arguments)]
    fn write(
        &self,
        now: Instant,
        header: RtpHeader,
        original: Option<u16>,
        view: &RtpView<'_>,
        upstream: &ExtensionIds,
        payload: (
            Route,
            Option<crate::vp8_descriptor::Vp8Descriptor>,
            Option<Vp8Indices>,
        ),
        egress: &mut Egress,
        out: &mut Vec<u8>,
    ) -> bool {
        out.clear();
        self.write_header(now, header, Some((view, upstream)), egress, out);
        if let Some(number) = original {
            out.extend_from_slice(&number.to_be_bytes());
        }
        match payload {
            (_, Some(vp8), Some(indices)) => {
                vp8.write(&indices, out);
                out.extend_from_slice(view.payload.get(vp8.length..).unwrap_or(&[]));
            }
            (route, _, _) if route.extract_primary => {
                let Some((_, block)) = red::primary_block(view.payload) else {
                    return false;
                };
                out.extend_from_slice(block);
            }
            _ => out.extend_from_slice(view.payload),
        }
        true
    }

    fn write_header(
        &self,
        now: Instant,
        header: RtpHeader,
        source: Option<(&RtpView<'_>, &ExtensionIds)>,
        egress: &mut Egress,
        out: &mut Vec<u8>,
    ) {
        let ids = &self.extensions;
        let send_time = egress.absolute_send_time(now);
        let number = if ids.transport_wide_cc == 0 {
            [0, 0]
        } else {
            egress.next_number()
        };
        let mut list = ExtensionList::default();
        list.push(ids.mid, self.mid.as_bytes());
        list.push(ids.abs_send_time, &send_time);
        list.push(ids.transport_wide_cc, &number);
        if let Some((view, upstream)) = source {
            // Without the optional clock offset, which is between the publisher and us.
            let capture_time = view
                .extension(upstream.abs_capture_time)
                .and_then(|value| value.get(..8));
            list.push(ids.abs_capture_time, capture_time.unwrap_or(&[]));
            list.push(
                ids.dependency_descriptor,
                view.extension(upstream.dependency_descriptor).unwrap_or(&[]),
            );
            list.push(
                ids.video_orientation,
                view.extension(upstream.video_orientation).unwrap_or(&[]),
            );
        }
        header.write(&list, out);
    }

    /// What to send again for a NACK of `sequence`.
    pub fn requested(&mut self, sequence: u16, now: Instant) -> Option<SentPacket> {
        self.statistics.nacked += 1;
        self.sequencer.request(sequence, self.round_trip, now)
    }

    /// Writes a packet again, as RTX when that was negotiated. `stored` is the publisher's packet.
    pub fn retransmit(
        &mut self,
        now: Instant,
        sent: &SentPacket,
        stored: &ForwardPacket<'_>,
        egress: &mut Egress,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(route) = self.route_for(stored.view.payload_type) else {
            return false;
        };
        let original = sent.output_sequence as u16;
        let mut header = RtpHeader {
            marker: stored.view.marker,
            payload_type: route.payload_type,
            sequence_number: original,
            timestamp: sent.timestamp,
            ssrc: self.ssrc,
        };
        let mut wrapped = None;
        if let (Some(ssrc), Some(payload_type)) = (self.rtx_ssrc, route.rtx_payload_type) {
            (header.ssrc, header.payload_type, header.sequence_number) =
                (ssrc, payload_type, self.rtx.take());
            wrapped = Some(original);
        }
        self.statistics.retransmitted += 1;
        self.write(
            now,
            header,
            wrapped,
            &stored.view,
            &stored.extensions,
            (route, stored.vp8, sent.vp8),
            egress,
            out,
        )
    }

    /// The subscriber can't decode: nothing is repaired until the next key frame. The layer to ask for, if any.
    pub fn key_frame_requested(&mut self) -> Option<u8> {
        self.statistics.plis += 1;
        self.sequencer.stop_until_key_frame();
        self.source
            .filter(|_| self.kind == Kind::Video)
            .map(|source| source.layer)
    }

    /// A report block of the subscriber about this track.
    pub fn reported(&mut self, now: Instant, block: &ReportBlock) {
        self.statistics.fraction_lost = f64::from(block.fraction_lost) / 256.0;
        let round_trip = self.sent_reports.round_trip(
            block.last_sender_report,
            block.delay_since_last_sender_report,
            now,
        );
        if let Some(round_trip) = round_trip {
            self.round_trip = Some(
                self.round_trip
                    .map_or(round_trip, |before| (before * 7 + round_trip) / 8),
            );
        }
    }

    /// The subscriber does or does not want media now.
    pub fn set_enabled(&mut self, enabled: bool, now: Instant) {
        if self.enabled != enabled {
            self.enabled = enabled;
            self.pause_changed(!enabled, Change::AfterPause, now);
        }
    }

    /// The publisher muted or unmuted.
    pub fn set_publisher_muted(&mut self, muted: bool, now: Instant) {
        self.pause_changed(muted, Change::AfterMute, now);
    }

    fn pause_changed(&mut self, paused: bool, change: Change, now: Instant) {
        self.asked_at = None;
        if !paused {
            self.silence_left = 0;
            self.next_silence_at = None;
            return;
        }
        if self.source.take().is_some() {
            self.selector.stop();
            self.change = change;
            if self.kind == Kind::Audio {
                self.silence_left = silence::FRAMES_AFTER_MUTE;
                self.next_silence_at = Some(now + Duration::from_millis(u64::from(silence::FRAME_MS)));
            }
        }
    }

    /// The best layers wanted: spatial 0..=2, temporal 0..=3.
    pub fn set_max_layer(&mut self, spatial: u8, temporal: u8) {
        self.selector.set_max_spatial(spatial);
        self.max_temporal = temporal.min(3);
        self.asked_at = None;
    }

    /// The layer that a key frame is needed of before anything more can be forwarded or climbed to.
    pub fn wanted_key_frame(&mut self, track: &TrackView, now: Instant) -> Option<u8> {
        if self.kind == Kind::Audio || !self.enabled || track.muted {
            return None;
        }
        let target = self.selector.target(track.declared, track.present, now);
        (self.selector.current() != Some(target)).then_some(target)
    }

    /// The next frame of silence, when one is due: `out` holds the packet to send.
    pub fn write_silence(&mut self, now: Instant, egress: &mut Egress, out: &mut Vec<u8>) -> bool {
        if self.next_silence_at.is_none_or(|at| at > now) {
            return false;
        }
        let Some(route) = self.route else {
            return false;
        };
        let step = route.clock_rate_hz / 1_000 * silence::FRAME_MS;
        let (Some(number), Some(timestamp)) = (self.sequence.inject(), self.timestamps.inject(step, now))
        else {
            self.next_silence_at = None;
            return false;
        };
        let header = RtpHeader {
            marker: false,
            payload_type: route.payload_type,
            sequence_number: number as u16,
            timestamp,
            ssrc: self.ssrc,
        };
        out.clear();
        self.write_header(now, header, None, egress, out);
        let before = out.len();
        let written = silence::write_frame(route.codec, route.red_primary, out);
        self.silence_left = if written {
            self.silence_left.saturating_sub(1)
        } else {
            0
        };
        let next = self
            .next_silence_at
            .map(|at| (at + Duration::from_millis(u64::from(silence::FRAME_MS))).max(now));
        self.next_silence_at = next.filter(|_| self.silence_left > 0);
        if written {
            self.count(now, out.len() - before);
        }
        written
    }

    /// Appends a sender report when one is due: the publisher's clock, our counts. Nothing before media.
    pub fn write_report(&mut self, now: Instant, track: &TrackView, out: &mut Vec<u8>) {
        if self.next_report_at.is_none_or(|at| at > now) {
            return;
        }
        let interval = if self.kind == Kind::Video {
            VIDEO_REPORT_INTERVAL
        } else {
            AUDIO_REPORT_INTERVAL
        };
        self.next_report_at = Some(now + interval);
        let clock = self
            .source
            .and_then(|source| track.clocks.get(usize::from(source.layer)).copied().flatten());
        let (Some(clock), Some(route)) = (clock, self.route) else {
            self.next_report_at = Some(
                now + if self.source.is_some() {
                    REPORT_RETRY
                } else {
                    interval
                },
            );
            return;
        };
        let (ntp_time, rtp_time) = clock.at(now, route.clock_rate_hz);
        let rtp_time = self.timestamps.translate(rtp_time);
        rtcp::write_sender_report(
            out,
            self.ssrc,
            ntp_time,
            rtp_time,
            self.packets as u32,
            self.octets as u32,
            &self.cname,
        );
        self.sent_reports.sent(ntp_time, now);
    }

    /// When silence or a report is due.
    pub fn deadline(&self) -> Option<Instant> {
        [self.next_silence_at, self.next_report_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Where the numbers of this SSRC stand, for a later down track that uses it again.
    pub fn retire(&self) -> Option<Retired> {
        let last_sequence = self.sequence.last_output()?;
        Some(Retired {
            last_sequence,
            next_rtx: self.rtx.peek(),
            last_timestamp: self.timestamps.last(),
        })
    }

    /// A snapshot.
    pub fn statistics(&self) -> DownTrackStatistics {
        DownTrackStatistics {
            packets_sent: self.packets,
            bytes_sent: self.octets,
            spatial_layer: self.source.map(|source| source.layer),
            round_trip_s: self.round_trip.map(|round_trip| round_trip.as_secs_f64()),
            ..self.statistics
        }
    }
}

//! One track forwarded to one subscriber: selects, rewrites and remembers.
//!
//! In: packets of the up track, NACKs and reports of the subscriber, what it wants. Out: plain RTP packets for its
//! transport, sender reports, and key frames to ask for. The small machines do the work: the layer selector chooses,
//! the sequence, timestamp and VP8 mungers rewrite, the sequencer remembers for retransmission.

mod allotment;
mod forward;
mod pause;
mod reports;
mod retransmit;
mod write;

use std::time::{Duration, Instant};

pub use self::forward::Outcome;
use crate::allocation::{Allotment, USUAL_PRIORITY};
use crate::handles::Handle;
use crate::layer_rates::Layer;
use crate::layer_selector::LayerSelector;
use crate::parameters::{ExtensionIds, Kind, PayloadType};
use crate::playout_delay::PlayoutDelay;
use crate::route::Route;
use crate::rtx::RtxSequence;
use crate::sender_report::SentReports;
use crate::sequence_munger::SequenceMunger;
use crate::sequencer::Sequencer;
use crate::sfu::DownTrackParameters;
use crate::statistics::DownTrackStatistics;
use crate::timestamp_munger::{Change, TimestampMunger};
use crate::up_track::Source;
use crate::vp8_munger::Vp8Munger;

const VIDEO_SEQUENCER_PACKETS: usize = 1_024;
const AUDIO_SEQUENCER_PACKETS: usize = 128;
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
    priority: u8,
    wanted: Layer,
    allotment: Allotment,
    /// When it had to give something up.
    lowered_at: Option<Instant>,
    /// Waits for a key frame of a lower layer.
    descends: bool,
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
    /// Behind each frame of silence.
    frame_trailer: Vec<u8>,
    playout_delay: Option<PlayoutDelay>,
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
            priority: USUAL_PRIORITY,
            wanted: Layer::BEST,
            allotment: Allotment::UpTo(Layer::BEST),
            lowered_at: None,
            descends: false,
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
            frame_trailer: parameters.frame_trailer.clone(),
            playout_delay: parameters
                .playout_delay
                .filter(|_| kind == Kind::Video)
                .map(PlayoutDelay::new),
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

    fn count(&mut self, now: Instant, payload_length: usize) {
        self.packets += 1;
        self.octets += payload_length as u64;
        self.next_report_at.get_or_insert(now);
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

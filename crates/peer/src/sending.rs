//! The senders of a peer: from pipelines into str0m, and from the bandwidth estimate into the encoders.

use std::collections::HashMap;
use std::time::Instant;

use greenroom_media::video::{Codec, I420Frame};
use str0m::Rtc;
use str0m::bwe::Bitrate;
use str0m::media::{Frequency, KeyframeRequest, KeyframeRequestKind, MediaTime, Mid, Rid};
use str0m::stats::MediaEgressStats;

use crate::allocation::{Demand, allocate};
use crate::audio_sender::AudioSender;
use crate::jobs::{JobKey, Jobs, Outcome};
use crate::media_table::{MediaTable, Way};
use crate::rtc_config::INITIAL_ESTIMATE_BPS;
use crate::video_layer::VideoLayer;
use crate::video_sender::{VideoFrame, VideoSender};
use crate::{AudioSenderConfig, PeerError, Result, SenderStatistics, TrackKind, VideoSenderConfig};

/// Share of the estimate that encoders get; the rest is for headers and retransmissions.
const ENCODER_PERCENT: u64 = 92;
/// Headers of an audio packet, every 20 ms.
const AUDIO_OVERHEAD_BPS: u64 = 20_000;
const LAYERS_LIMIT: usize = 8;

enum Pipeline {
    Audio(Box<AudioSender>),
    Video(Box<VideoSender>),
}

struct Sender {
    pipeline: Pipeline,
    /// SSRCs announced to str0m: not before their first packet, since str0m sends reports about them from then on.
    declared: Vec<u32>,
}

/// All senders of a peer.
#[derive(Default)]
pub(crate) struct Sending {
    senders: HashMap<Mid, Sender>,
    egress: HashMap<(Mid, Option<Rid>), MediaEgressStats>,
    estimate_bps: Option<u64>,
    estimating: bool,
}

fn random_rtp_time() -> u32 {
    rand::random::<u32>() >> 1
}

impl Sending {
    /// `estimating`: there is bandwidth estimation.
    pub fn new(estimating: bool) -> Self {
        Self {
            estimating,
            ..Self::default()
        }
    }

    pub fn add_audio(
        &mut self,
        rtc: &mut Rtc,
        medias: &mut MediaTable,
        name: &str,
        config: AudioSenderConfig,
    ) -> Result<()> {
        let mid = self.check_new(
            rtc,
            medias,
            name,
            TrackKind::Audio,
            config.payload_type,
            "opus",
            &[config.ssrc],
        )?;
        let ssrc = config.ssrc;
        let sender = AudioSender::new(config, random_rtp_time())?;
        medias.acquire(rtc, mid, name, TrackKind::Audio, Way::Send, &[ssrc]);
        self.senders.insert(
            mid,
            Sender {
                pipeline: Pipeline::Audio(Box::new(sender)),
                declared: vec![],
            },
        );
        self.allocate(rtc);
        Ok(())
    }

    pub fn add_video(
        &mut self,
        rtc: &mut Rtc,
        medias: &mut MediaTable,
        name: &str,
        owner: u64,
        config: VideoSenderConfig,
    ) -> Result<()> {
        check_layers(&config)?;
        let ssrcs: Vec<u32> = config
            .layers
            .iter()
            .flat_map(|layer| [Some(layer.ssrc), layer.rtx_ssrc])
            .flatten()
            .collect();
        let codec = codec_name(config.codec);
        let mid = self.check_new(
            rtc,
            medias,
            name,
            TrackKind::Video,
            config.payload_type,
            codec,
            &ssrcs,
        )?;
        medias.acquire(rtc, mid, name, TrackKind::Video, Way::Send, &ssrcs);
        let sender = VideoSender::new(owner, config, random_rtp_time());
        self.senders.insert(
            mid,
            Sender {
                pipeline: Pipeline::Video(Box::new(sender)),
                declared: vec![],
            },
        );
        self.allocate(rtc);
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn check_new(
        &self,
        rtc: &Rtc,
        medias: &MediaTable,
        name: &str,
        kind: TrackKind,
        payload_type: u8,
        codec: &'static str,
        ssrcs: &[u32],
    ) -> Result<Mid> {
        let mid = MediaTable::mid(name)?;
        if self.senders.contains_key(&mid) {
            return Err(PeerError::SenderExists { mid: name.into() });
        }
        let known = rtc.codec_config().find(|params| {
            *params.pt() == payload_type && params.spec().codec.to_string().eq_ignore_ascii_case(codec)
        });
        if known.is_none() {
            return Err(PeerError::UnknownPayloadType { payload_type, codec });
        }
        medias.check_kind(mid, kind)?;
        medias.check_ssrcs(Way::Send, ssrcs, None)?;
        Ok(mid)
    }

    pub fn remove(&mut self, rtc: &mut Rtc, medias: &mut MediaTable, name: &str) {
        let Ok(mid) = MediaTable::mid(name) else {
            return;
        };
        if self.senders.remove(&mid).is_some() {
            medias.release(rtc, mid, Way::Send);
            self.egress.retain(|(other, _), _| *other != mid);
            self.allocate(rtc);
        }
    }

    fn get_mut(&mut self, name: &str) -> Result<&mut Sender> {
        let mid = MediaTable::mid(name)?;
        self.senders
            .get_mut(&mid)
            .ok_or_else(|| PeerError::UnknownSender { mid: name.into() })
    }

    fn video_mut(&mut self, name: &str) -> Result<&mut VideoSender> {
        match &mut self.get_mut(name)?.pipeline {
            Pipeline::Video(video) => Ok(video),
            Pipeline::Audio(_) => Err(PeerError::MediaKind {
                mid: name.into(),
                existing: "audio",
                wanted: "video",
            }),
        }
    }

    pub fn set_muted(
        &mut self,
        rtc: &mut Rtc,
        jobs: &Jobs,
        name: &str,
        muted: bool,
        sending: bool,
        now: Instant,
    ) -> Result<()> {
        match &mut self.get_mut(name)?.pipeline {
            Pipeline::Audio(audio) => audio.muted = muted,
            Pipeline::Video(video) => {
                let unmuted = video.muted && !muted;
                video.set_muted(muted);
                if unmuted && sending {
                    video.restart(now, jobs);
                }
            }
        }
        self.allocate(rtc);
        Ok(())
    }

    pub fn set_layer_active(&mut self, rtc: &mut Rtc, name: &str, rid: &str, active: bool) -> Result<()> {
        self.video_mut(name)?.set_layer_active(name, rid, active)?;
        self.allocate(rtc);
        Ok(())
    }

    /// PCM of the sender's source.
    pub fn push_audio(
        &mut self,
        rtc: &mut Rtc,
        name: &str,
        (pcm, rate_hz, channels): (&[i16], u32, usize),
        sending: bool,
        now: Instant,
    ) -> Result<()> {
        let mid = MediaTable::mid(name)?;
        let Some(sender) = self.senders.get_mut(&mid) else {
            return Ok(());
        };
        let Pipeline::Audio(audio) = &mut sender.pipeline else {
            return Ok(());
        };
        for packet in audio.push(pcm, rate_hz, channels, sending)? {
            if !sender.declared.contains(&audio.config.ssrc) {
                rtc.direct_api()
                    .declare_stream_tx(audio.config.ssrc.into(), None, mid, None);
                sender.declared.push(audio.config.ssrc);
            }
            let Some(writer) = rtc.writer(mid) else { break };
            let time = MediaTime::new(packet.rtp_time, Frequency::FORTY_EIGHT_KHZ);
            let written = writer
                .audio_level(-(packet.level_dbov as i8), packet.voice)
                .start_of_talkspurt(packet.start_of_talkspurt)
                .write(audio.config.payload_type.into(), now, time, packet.payload);
            if let Err(error) = written {
                log::warn!("mid {name}: an audio packet was not sent: {error}");
            }
        }
        Ok(())
    }

    /// An upright picture of the sender's source.
    pub fn push_video(
        &mut self,
        jobs: &Jobs,
        name: &str,
        frame: I420Frame,
        timestamp_us: i64,
        sending: bool,
        now: Instant,
    ) {
        if let Ok(video) = self.video_mut(name) {
            video.push(frame, timestamp_us, now, sending, jobs);
        }
    }

    /// An encoder is back: send what it made. Nothing happens when it belongs to no sender.
    pub fn finished(
        &mut self,
        rtc: &mut Rtc,
        jobs: &Jobs,
        JobKey { owner, layer }: JobKey,
        outcome: Outcome,
        sending: bool,
        now: Instant,
    ) {
        let found = self
            .senders
            .iter_mut()
            .find_map(|(mid, sender)| match &mut sender.pipeline {
                Pipeline::Video(video) if video.owner == owner => Some((*mid, video, &mut sender.declared)),
                _ => None,
            });
        let Some((mid, video, declared)) = found else {
            return;
        };
        let Some(frame) = video.finished(layer, outcome, jobs) else {
            return;
        };
        if sending && let Err(error) = write_video(rtc, mid, video, declared, frame, now) {
            log::warn!("mid {mid}: a frame was not sent: {error}");
        }
    }

    pub fn key_frame_requested(&mut self, request: KeyframeRequest) {
        let Some(sender) = self.senders.get_mut(&request.mid) else {
            return;
        };
        let Pipeline::Video(video) = &mut sender.pipeline else {
            return;
        };
        let rid = request.rid.map(|rid| rid.to_string());
        let Some(layer) = video.layer_by_rid(rid.as_deref()) else {
            return;
        };
        match request.kind {
            KeyframeRequestKind::Pli => layer.pli_count += 1,
            KeyframeRequestKind::Fir => layer.fir_count += 1,
        }
        layer.want_key_frame();
    }

    /// The connection is up: start with key frames, of the pictures at hand.
    pub fn connected(&mut self, jobs: &Jobs, now: Instant) {
        for sender in self.senders.values_mut() {
            if let Pipeline::Video(video) = &mut sender.pipeline {
                video.restart(now, jobs);
            }
        }
    }

    pub fn set_estimate(&mut self, rtc: &mut Rtc, estimate_bps: u64) {
        self.estimate_bps = Some(estimate_bps);
        self.allocate(rtc);
    }

    fn allocate(&mut self, rtc: &mut Rtc) {
        let mut audio_bps = 0;
        let mut layers: Vec<(Demand, &mut VideoLayer)> = vec![];
        for sender in self.senders.values_mut() {
            match &mut sender.pipeline {
                Pipeline::Audio(audio) if !audio.muted => {
                    audio_bps += u64::from(audio.config.bitrate_bps) + AUDIO_OVERHEAD_BPS
                }
                Pipeline::Video(video) if !video.muted => {
                    let active = video.layers.iter_mut().filter(|layer| layer.active);
                    layers.extend(active.enumerate().map(|(rank, layer)| {
                        let max_bitrate_bps = layer.send.max_bitrate_bps;
                        (
                            Demand {
                                rank,
                                max_bitrate_bps,
                                running: layer.bitrate_bps > 0,
                            },
                            layer,
                        )
                    }));
                }
                Pipeline::Audio(_) | Pipeline::Video(_) => {}
            }
        }
        let demands: Vec<Demand> = layers.iter().map(|(demand, _)| *demand).collect();
        let known = self
            .estimate_bps
            .or(self.estimating.then_some(INITIAL_ESTIMATE_BPS));
        let budget = known.map(|estimate| (estimate * ENCODER_PERCENT / 100).saturating_sub(audio_bps));
        for ((_, layer), bitrate_bps) in layers.iter_mut().zip(allocate(budget, &demands)) {
            layer.set_bitrate(bitrate_bps);
        }
        if self.estimating {
            let desired = demands
                .iter()
                .map(|demand| u64::from(demand.max_bitrate_bps))
                .sum::<u64>()
                + audio_bps;
            rtc.bwe().set_bitrate(
                Bitrate::bps(audio_bps),
                Bitrate::bps(desired * 100 / ENCODER_PERCENT),
            );
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.senders
            .values()
            .filter_map(|sender| sender.video()?.poll_timeout())
            .min()
    }

    pub fn handle_timeout(&mut self, jobs: &Jobs, now: Instant) {
        for sender in self.senders.values_mut() {
            if let Pipeline::Video(video) = &mut sender.pipeline {
                video.handle_timeout(now, jobs);
            }
        }
    }

    pub fn note_statistics(&mut self, statistics: MediaEgressStats) {
        if self.senders.contains_key(&statistics.mid) {
            self.egress.insert((statistics.mid, statistics.rid), statistics);
        }
    }

    pub fn clear(&mut self) {
        self.senders.clear();
    }

    pub fn statistics(&self, medias: &MediaTable) -> Vec<SenderStatistics> {
        let mut all: Vec<SenderStatistics> = vec![];
        for (mid, sender) in &self.senders {
            match &sender.pipeline {
                Pipeline::Audio(audio) => all.push(SenderStatistics {
                    ssrc: audio.config.ssrc,
                    codec: "opus",
                    frames_encoded: audio.packets_encoded,
                    target_bitrate_bps: audio.config.bitrate_bps,
                    ..self.stream_statistics(medias, *mid, None)
                }),
                Pipeline::Video(video) => all.extend(video.layers.iter().map(|layer| SenderStatistics {
                    ssrc: layer.send.ssrc,
                    codec: codec_name(video.config.codec),
                    frames_encoded: layer.frames_encoded,
                    frames_dropped: layer.frames_dropped,
                    key_frames_encoded: layer.key_frames_encoded,
                    frame_width: layer.size.0,
                    frame_height: layer.size.1,
                    target_bitrate_bps: if layer.is_running() { layer.bitrate_bps } else { 0 },
                    pli_count: layer.pli_count,
                    fir_count: layer.fir_count,
                    ..self.stream_statistics(medias, *mid, layer.send.rid.as_deref())
                })),
            }
        }
        all.sort_by(|a, b| (&a.mid, a.ssrc).cmp(&(&b.mid, b.ssrc)));
        all
    }

    fn stream_statistics(&self, medias: &MediaTable, mid: Mid, rid: Option<&str>) -> SenderStatistics {
        let base = SenderStatistics {
            mid: medias.name(mid).into(),
            rid: rid.map(Into::into),
            ..SenderStatistics::default()
        };
        match self.egress.get(&(mid, rid.map(Rid::from))) {
            None => base,
            Some(egress) => SenderStatistics {
                packets_sent: egress.packets,
                bytes_sent: egress.bytes,
                nack_count: egress.nacks,
                round_trip_time_s: egress.rtt.map(|rtt| rtt.as_secs_f64()),
                fraction_lost: egress.loss.map(f64::from),
                ..base
            },
        }
    }
}

impl Sender {
    fn video(&self) -> Option<&VideoSender> {
        match &self.pipeline {
            Pipeline::Video(video) => Some(video),
            Pipeline::Audio(_) => None,
        }
    }
}

fn write_video(
    rtc: &mut Rtc,
    mid: Mid,
    video: &VideoSender,
    declared: &mut Vec<u32>,
    frame: VideoFrame,
    now: Instant,
) -> std::result::Result<(), str0m::RtcError> {
    let layer = &video.layers[frame.layer].send;
    let rid = layer.rid.as_deref().map(Rid::from);
    if !declared.contains(&layer.ssrc) {
        rtc.direct_api()
            .declare_stream_tx(layer.ssrc.into(), layer.rtx_ssrc.map(Into::into), mid, rid);
        declared.push(layer.ssrc);
    }
    let Some(mut writer) = rtc.writer(mid) else {
        return Ok(());
    };
    if let Some(rid) = rid {
        writer = writer.rid(rid);
    }
    let time = MediaTime::new(frame.rtp_time, Frequency::NINETY_KHZ);
    writer.write(
        video.config.payload_type.into(),
        frame.captured_at.min(now),
        time,
        frame.data,
    )
}

fn check_layers(config: &VideoSenderConfig) -> Result<()> {
    let refuse = |value: String, reason: &str| {
        Err(PeerError::Parameter {
            name: "video layers",
            value,
            reason: reason.into(),
        })
    };
    let layers = &config.layers;
    if layers.is_empty() || layers.len() > LAYERS_LIMIT {
        return refuse(layers.len().to_string(), "there must be 1 to 8");
    }
    for (index, layer) in layers.iter().enumerate() {
        let rid = layer.rid.as_deref();
        if rid.is_some_and(|rid| {
            rid.is_empty() || rid.len() > 8 || !rid.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }) {
            return refuse(
                format!("{rid:?}"),
                "a rid must be 1 to 8 ASCII letters and digits",
            );
        }
        if layers[..index].iter().any(|other| other.rid == layer.rid) || (layers.len() > 1 && rid.is_none()) {
            return refuse(
                format!("{rid:?}"),
                "each of several layers must have a rid of its own",
            );
        }
        if layer.max_bitrate_bps == 0 {
            return refuse("0 bit/s".into(), "max_bitrate_bps must be above 0");
        }
    }
    Ok(())
}

fn codec_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Vp8 => "vp8",
        Codec::H264 => "h264",
    }
}

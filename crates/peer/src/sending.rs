//! The senders of a peer: from pipelines into str0m, and from the bandwidth estimate into the encoders.

mod bitrate;
mod expected_loss;
mod layers;
mod statistics;
mod video_packets;

use std::collections::HashMap;
use std::time::Instant;

use greenroom_e2ee::FrameCodec;
use greenroom_media::video::{Codec, I420Frame};
use str0m::Rtc;
use str0m::media::{Frequency, KeyframeRequest, KeyframeRequestKind, MediaTime, Mid, Rid};
use str0m::stats::MediaEgressStats;

use crate::audio_sender::AudioSender;
use crate::jobs::{JobKey, Jobs, Outcome};
use crate::media_table::{MediaTable, Way};
use crate::video_sender::VideoSender;
use crate::{AudioSenderConfig, PeerError, Result, TrackKind, VideoSenderConfig};

pub(crate) use expected_loss::ExpectedLoss;
use layers::check_layers;
use video_packets::write_video;

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
    /// When estimation began anew.
    restarted_at: Option<Instant>,
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
            let Some(payload) = sealed_audio(&audio.config, packet.rtp_time, packet.payload) else {
                continue;
            };
            let Some(writer) = rtc.writer(mid) else { break };
            let time = MediaTime::new(packet.rtp_time, Frequency::FORTY_EIGHT_KHZ);
            let written = writer
                .audio_level(-(packet.level_dbov as i8), packet.voice)
                .start_of_talkspurt(packet.start_of_talkspurt)
                .write(audio.config.payload_type.into(), now, time, payload);
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
        let Some(sender) = self.senders.get_mut(&statistics.mid) else {
            return;
        };
        if let (Pipeline::Audio(audio), Some(loss)) = (&mut sender.pipeline, statistics.loss) {
            audio.expect_loss(loss);
        }
        self.egress.insert((statistics.mid, statistics.rid), statistics);
    }

    pub fn clear(&mut self) {
        self.senders.clear();
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

/// None: nothing may be sent.
fn sealed_audio(config: &AudioSenderConfig, rtp_time: u64, payload: Vec<u8>) -> Option<Vec<u8>> {
    match &config.cryptor {
        Some(cryptor) => cryptor.seal(FrameCodec::Audio, config.ssrc, rtp_time as u32, payload),
        None => Some(payload),
    }
}

fn codec_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Vp8 => "vp8",
        Codec::H264 => "h264",
    }
}

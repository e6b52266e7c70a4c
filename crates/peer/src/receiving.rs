//! The receivers of a peer: from str0m's frames into the decoders, and from what these lack into requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenroom_e2ee::{FrameCodec, FrameCryptor};
use greenroom_media::video::Codec;
use str0m::Rtc;
use str0m::format::Codec as WireCodec;
use str0m::media::{KeyframeRequestKind, MediaData, Mid};
use str0m::stats::MediaIngressStats;

use crate::audio_receiver::AudioReceiver;
use crate::jobs::{JobKey, Jobs, Outcome};
use crate::media_table::{MediaTable, Way};
use crate::video_receiver::{ReceivedFrame, VideoReceiver};
use crate::{AudioSink, ReceiverConfig, ReceiverStatistics, Result, TrackKind, VideoSink};

enum Pipeline {
    Audio(Box<AudioReceiver>),
    Video(Box<VideoReceiver>),
}

struct Receiver {
    config: ReceiverConfig,
    owner: u64,
    pipeline: Pipeline,
    /// Decrypts what arrives; None takes it as it is.
    cryptor: Option<Arc<FrameCryptor>>,
    started: bool,
    codec: &'static str,
    clock_rate_hz: u32,
    frames_lost_before: u64,
    first_time_us: Option<i64>,
}

/// All receivers of a peer.
#[derive(Default)]
pub(crate) struct Receiving {
    receivers: HashMap<Mid, Receiver>,
    ingress: HashMap<Mid, MediaIngressStats>,
    nack_audio: bool,
}

impl Receiving {
    /// `nack_audio`: negotiated for Opus.
    pub fn new(nack_audio: bool) -> Self {
        Self {
            nack_audio,
            ..Self::default()
        }
    }

    /// Expect a stream. One that the mid has already ends.
    pub fn add(
        &mut self,
        rtc: &mut Rtc,
        medias: &mut MediaTable,
        name: &str,
        owner: u64,
        config: ReceiverConfig,
    ) -> Result<()> {
        let mid = MediaTable::mid(name)?;
        let replaced = self.receivers.get(&mid).map(|receiver| receiver.config.kind);
        if replaced.is_none_or(|kind| kind == config.kind) {
            medias.check_kind(mid, config.kind)?;
        }
        let ssrcs: Vec<u32> = [Some(config.ssrc), config.rtx_ssrc]
            .into_iter()
            .flatten()
            .collect();
        medias.check_ssrcs(Way::Receive, &ssrcs, Some(mid))?;
        self.remove(rtc, medias, name);
        medias.check_kind(mid, config.kind)?;
        medias.acquire(rtc, mid, name, config.kind, Way::Receive, &ssrcs);
        let mut api = rtc.direct_api();
        let stream = api.expect_stream_rx(config.ssrc.into(), config.rtx_ssrc.map(Into::into), mid, None);
        stream.suppress_nack(config.kind == TrackKind::Audio && !self.nack_audio);
        let pipeline = match config.kind {
            TrackKind::Audio => Pipeline::Audio(Box::new(AudioReceiver::new())),
            TrackKind::Video => Pipeline::Video(Box::new(VideoReceiver::new())),
        };
        let receiver = Receiver {
            config,
            owner,
            pipeline,
            cryptor: None,
            started: false,
            codec: "",
            clock_rate_hz: if config.kind == TrackKind::Audio {
                48_000
            } else {
                90_000
            },
            frames_lost_before: 0,
            first_time_us: None,
        };
        self.receivers.insert(mid, receiver);
        Ok(())
    }

    pub fn remove(&mut self, rtc: &mut Rtc, medias: &mut MediaTable, name: &str) {
        let Ok(mid) = MediaTable::mid(name) else {
            return;
        };
        if let Some(mut receiver) = self.receivers.remove(&mid) {
            receiver.end();
            medias.release(rtc, mid, Way::Receive);
            self.ingress.remove(&mid);
        }
    }

    pub fn end_all(&mut self) {
        self.receivers
            .drain()
            .for_each(|(_, mut receiver)| receiver.end());
    }

    fn by_id(&mut self, id: u64) -> Option<&mut Receiver> {
        self.receivers
            .values_mut()
            .find(|receiver| receiver.config.id == id)
    }

    /// Decrypt what arrives for the receiver of this id from now on, or no longer.
    pub fn set_cryptor(&mut self, receiver: u64, cryptor: Option<Arc<FrameCryptor>>) {
        if let Some(receiver) = self.by_id(receiver) {
            receiver.cryptor = cryptor;
        }
    }

    pub fn attach_audio(&mut self, receiver: u64, sink_id: u64, sink: Arc<dyn AudioSink>, now: Instant) {
        match self.by_id(receiver).map(|receiver| &mut receiver.pipeline) {
            Some(Pipeline::Audio(audio)) => audio.attach(sink_id, sink, now),
            _ => sink.end(),
        }
    }

    pub fn attach_video(&mut self, receiver: u64, sink_id: u64, sink: Arc<dyn VideoSink>, now: Instant) {
        match self.by_id(receiver).map(|receiver| &mut receiver.pipeline) {
            Some(Pipeline::Video(video)) => video.attach(sink_id, sink, now),
            _ => sink.end(),
        }
    }

    pub fn detach(&mut self, sink_id: u64) {
        for receiver in self.receivers.values_mut() {
            match &mut receiver.pipeline {
                Pipeline::Audio(audio) => audio.detach(sink_id),
                Pipeline::Video(video) => video.detach(sink_id),
            }
        }
    }

    /// A frame of str0m's. The receiver's id when it is its first. `uptime`: age of the peer.
    pub fn insert(&mut self, data: &MediaData, jobs: &Jobs, now: Instant, uptime: Duration) -> Option<u64> {
        // Receivers are bound by SSRC; layers that str0m bound by their rid are not what was asked for.
        let receiver = self.receivers.get_mut(&data.mid).filter(|_| data.rid.is_none())?;
        let first = !std::mem::replace(&mut receiver.started, true);
        let spec = data.params.spec();
        receiver.clock_rate_hz = data.time.denom().max(1);
        let key = JobKey {
            owner: receiver.owner,
            layer: 0,
        };
        let Some(codec) = wire_codec(spec.codec) else {
            receiver.frames_lost_before += 1;
            return first.then_some(receiver.config.id);
        };
        receiver.codec = codec.name;
        let opened = match &receiver.cryptor {
            Some(cryptor) => cryptor.open(codec.frame, &data.data).map(Arc::from),
            None => Some(data.data.clone()),
        };
        match (&mut receiver.pipeline, codec.video, opened) {
            (Pipeline::Audio(audio), None, Some(payload)) => {
                audio.insert(now, **data.seq_range.start(), data.time.numer() as u32, &payload);
            }
            (Pipeline::Video(video), Some(codec), Some(payload)) => {
                let time_us = (data.time.numer().wrapping_mul(100) / 9) as i64;
                let base_us = *receiver
                    .first_time_us
                    .get_or_insert(uptime.as_micros() as i64 - time_us);
                let frame = ReceivedFrame {
                    data: payload,
                    key_frame: data.is_keyframe(),
                    contiguous: data.contiguous,
                    timestamp_us: base_us.wrapping_add(time_us),
                    codec,
                };
                video.insert(frame, now, key, jobs);
            }
            (Pipeline::Video(video), Some(_), None) => video.skip(),
            _ => receiver.frames_lost_before += 1,
        }
        first.then_some(receiver.config.id)
    }

    pub fn finished(&mut self, jobs: &Jobs, owner: u64, outcome: Outcome, now: Instant) {
        let receiver = self
            .receivers
            .values_mut()
            .find(|receiver| receiver.owner == owner);
        if let Some(Pipeline::Video(video)) = receiver.map(|receiver| &mut receiver.pipeline) {
            video.finished(outcome, now, JobKey { owner, layer: 0 }, jobs);
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = |receiver: &Receiver| match &receiver.pipeline {
            Pipeline::Audio(audio) => audio.poll_timeout(),
            Pipeline::Video(video) => video.poll_timeout().filter(|_| receiver.started),
        };
        self.receivers.values().filter_map(next).min()
    }

    /// Play out what is due; ask for the key frames that are missing.
    pub fn handle_timeout(&mut self, rtc: &mut Rtc, now: Instant) {
        for receiver in self.receivers.values_mut() {
            match &mut receiver.pipeline {
                Pipeline::Audio(audio) => audio.handle_timeout(now),
                Pipeline::Video(video) => {
                    if receiver.started
                        && video.take_request(now)
                        && let Some(stream) = rtc.direct_api().stream_rx(&receiver.config.ssrc.into())
                    {
                        stream.request_keyframe(KeyframeRequestKind::Pli);
                    }
                }
            }
        }
    }

    pub fn note_statistics(&mut self, statistics: MediaIngressStats) {
        if self.receivers.contains_key(&statistics.mid) {
            self.ingress.insert(statistics.mid, statistics);
        }
    }

    pub fn statistics(&self, medias: &MediaTable) -> Vec<ReceiverStatistics> {
        let mut all: Vec<ReceiverStatistics> = self
            .receivers
            .iter()
            .map(|(mid, receiver)| self.one_statistics(medias, *mid, receiver))
            .collect();
        all.sort_by(|a, b| (&a.mid, a.ssrc).cmp(&(&b.mid, b.ssrc)));
        all
    }

    fn one_statistics(&self, medias: &MediaTable, mid: Mid, receiver: &Receiver) -> ReceiverStatistics {
        let mut statistics = ReceiverStatistics {
            mid: medias.name(mid).into(),
            ssrc: receiver.config.ssrc,
            kind: receiver.config.kind.name(),
            codec: receiver.codec,
            frames_dropped: receiver.frames_lost_before,
            ..ReceiverStatistics::default()
        };
        if let Some(ingress) = self.ingress.get(&mid) {
            statistics.packets_received = ingress.packets;
            statistics.bytes_received = ingress.bytes;
            statistics.nack_count = ingress.nacks;
            statistics.pli_count = ingress.plis;
            statistics.jitter_s = f64::from(ingress.jitter) / f64::from(receiver.clock_rate_hz);
            let lost_share = f64::from(ingress.loss.unwrap_or_default()).clamp(0.0, 0.99);
            statistics.packets_lost =
                (ingress.packets as f64 * lost_share / (1.0 - lost_share)).round() as u64;
        }
        match &receiver.pipeline {
            Pipeline::Audio(audio) => {
                statistics.audio_level = if audio.level >= 127 {
                    0.0
                } else {
                    10f64.powf(-f64::from(audio.level) / 20.0)
                };
                if let Some(jitter) = audio.jitter() {
                    let counted = jitter.statistics();
                    statistics.concealed_samples = counted.concealed_samples;
                    statistics.total_samples = counted.total_samples;
                    statistics.jitter_buffer_delay_s = counted.current_delay_ms / 1000.0;
                }
            }
            Pipeline::Video(video) => {
                statistics.frames_decoded = video.frames_decoded;
                statistics.key_frames_decoded = video.key_frames_decoded;
                statistics.frames_dropped += video.frames_dropped;
                (statistics.frame_width, statistics.frame_height) = video.size;
                statistics.pli_count = statistics.pli_count.max(video.requests);
            }
        }
        statistics
    }
}

struct PlayedCodec {
    name: &'static str,
    frame: FrameCodec,
    /// None for sound.
    video: Option<Codec>,
}

/// None for one that is not decoded.
fn wire_codec(codec: WireCodec) -> Option<PlayedCodec> {
    let (name, frame, video) = match codec {
        WireCodec::Opus => ("opus", FrameCodec::Audio, None),
        WireCodec::Vp8 => ("vp8", FrameCodec::Vp8, Some(Codec::Vp8)),
        WireCodec::H264 => ("h264", FrameCodec::H264, Some(Codec::H264)),
        _ => return None,
    };
    Some(PlayedCodec { name, frame, video })
}

impl Receiver {
    fn end(&mut self) {
        match &mut self.pipeline {
            Pipeline::Audio(audio) => audio.end(),
            Pipeline::Video(video) => video.end(),
        }
    }
}

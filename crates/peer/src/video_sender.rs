//! From captured pictures to encoded frames, one or several layers.

use std::time::{Duration, Instant};

use greenroom_media::video::I420Frame;

use crate::jobs::{Jobs, Outcome};
use crate::rtp_clock::RtpClock;
use crate::video_layer::{Picture, Setup, VideoLayer};
use crate::{PeerError, Result, VideoSenderConfig};

/// A picture that stands still this long is encoded again when a key frame is owed.
const STILL_AFTER: Duration = Duration::from_millis(200);

/// An encoded frame to write.
pub(crate) struct VideoFrame {
    pub layer: usize,
    pub data: Vec<u8>,
    pub rtp_time: u64,
    pub captured_at: Instant,
}

/// Encoders of one video track.
pub(crate) struct VideoSender {
    pub owner: u64,
    pub config: VideoSenderConfig,
    pub layers: Vec<VideoLayer>,
    pub muted: bool,
    clock: RtpClock,
    latest: Option<Picture>,
}

impl VideoSender {
    pub fn new(owner: u64, config: VideoSenderConfig, first_rtp_time: u32) -> Self {
        let layers = config.layers.iter().cloned().map(VideoLayer::new).collect();
        Self {
            owner,
            layers,
            config,
            muted: false,
            clock: RtpClock::new(first_rtp_time),
            latest: None,
        }
    }

    fn setup(&self, layer: usize) -> Setup {
        Setup {
            owner: self.owner,
            layer,
            codec: self.config.codec,
            is_screencast: self.config.is_screencast,
        }
    }

    /// A captured picture, upright. Nothing is encoded unless `sending`.
    pub fn push(&mut self, frame: I420Frame, timestamp_us: i64, now: Instant, sending: bool, jobs: &Jobs) {
        let rtp_time = self.clock.stamp(timestamp_us, now);
        let picture = Picture {
            frame,
            timestamp_us,
            rtp_time,
            captured_at: now,
        };
        self.latest = Some(picture.clone());
        if self.muted || !sending {
            return;
        }
        for layer in 0..self.layers.len() {
            let setup = self.setup(layer);
            self.layers[layer].offer(&picture, &setup, jobs);
        }
    }

    pub fn finished(&mut self, layer: usize, outcome: Outcome, jobs: &Jobs) -> Option<VideoFrame> {
        let setup = self.setup(layer);
        let (data, _, rtp_time, captured_at) = self.layers.get_mut(layer)?.finished(outcome, &setup, jobs)?;
        (!self.muted).then_some(VideoFrame {
            layer,
            data,
            rtp_time,
            captured_at,
        })
    }

    pub fn set_muted(&mut self, muted: bool) {
        if self.muted && !muted {
            self.want_key_frames();
        }
        self.muted = muted;
    }

    pub fn want_key_frames(&mut self) {
        self.layers.iter_mut().for_each(VideoLayer::want_key_frame);
    }

    pub fn layer_by_rid(&mut self, rid: Option<&str>) -> Option<&mut VideoLayer> {
        self.layers
            .iter_mut()
            .find(|layer| layer.send.rid.as_deref() == rid)
    }

    /// The only layer of a track without simulcast has the empty rid.
    pub fn set_layer_active(&mut self, mid: &str, rid: &str, active: bool) -> Result<()> {
        match self.layer_by_rid((!rid.is_empty()).then_some(rid)) {
            Some(layer) => layer.set_active(active),
            None => {
                return Err(PeerError::UnknownLayer {
                    mid: mid.into(),
                    rid: rid.into(),
                });
            }
        }
        Ok(())
    }

    /// When a key frame is owed that no new picture brings.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let still_at = self.latest.as_ref()?.captured_at + STILL_AFTER;
        if self.muted {
            return None;
        }
        self.layers
            .iter()
            .filter_map(VideoLayer::key_frame_owed_at)
            .min()
            .map(|owed| owed.max(still_at))
    }

    /// Encode a still picture again where a key frame is owed.
    pub fn handle_timeout(&mut self, now: Instant, jobs: &Jobs) {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return;
        }
        let Some(mut picture) = self.latest.clone() else {
            return;
        };
        let passed = now.saturating_duration_since(picture.captured_at);
        picture.timestamp_us = picture.timestamp_us.saturating_add(passed.as_micros() as i64);
        picture.rtp_time = self.clock.stamp(picture.timestamp_us, now);
        picture.captured_at = now;
        self.latest = Some(picture.clone());
        for layer in 0..self.layers.len() {
            let setup = self.setup(layer);
            if self.layers[layer]
                .key_frame_owed_at()
                .is_some_and(|due| due <= now)
            {
                self.layers[layer].repeat(&picture, &setup, jobs);
            }
        }
    }

    /// Encode the picture at hand for the first time: the connection is up, or the sender is unmuted.
    pub fn restart(&mut self, now: Instant, jobs: &Jobs) {
        self.want_key_frames();
        let Some(picture) = self.latest.take().filter(|_| !self.muted) else {
            return;
        };
        let passed = now.saturating_duration_since(picture.captured_at).as_micros() as i64;
        let timestamp_us = picture.timestamp_us.saturating_add(passed.max(1));
        self.push(picture.frame, timestamp_us, now, true, jobs);
    }
}

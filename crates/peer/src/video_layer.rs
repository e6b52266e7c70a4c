//! One encoding of a video track: what of the incoming pictures is encoded, when, and at which rate.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use greenroom_media::video::{self, Codec, EncoderConfig, I420Frame, VideoEncoder};

use crate::SendLayer;
use crate::jobs::{Encoded, JobKey, Jobs, Outcome};
use crate::key_frame_budget::KeyFrameBudget;

/// An encoder that fails this often in a row is given up.
const FAILURES_LIMIT: u32 = 5;
/// A frame may come this share of the interval early and still count as in time.
const EARLY_PERCENT: i64 = 20;
const DEFAULT_FRAMERATE: f32 = 30.0;

/// A picture on its way into the encoders.
#[derive(Clone)]
pub(crate) struct Picture {
    pub frame: I420Frame,
    pub timestamp_us: i64,
    pub rtp_time: u64,
    pub captured_at: Instant,
}

enum Encoder {
    /// None until the first frame, and after a failure.
    Idle(Option<Box<dyn VideoEncoder>>),
    Busy,
}

/// Encoding state of one layer.
pub(crate) struct VideoLayer {
    pub send: SendLayer,
    pub active: bool,
    /// Bit/s given by the allocation; 0 is off.
    pub bitrate_bps: u32,
    pub frames_encoded: u64,
    pub frames_dropped: u64,
    pub key_frames_encoded: u64,
    pub pli_count: u64,
    pub fir_count: u64,
    pub size: (u32, u32),
    encoder: Encoder,
    encoder_size: (u32, u32),
    applied_bitrate_bps: u32,
    waiting: Option<Picture>,
    key_frame_wanted: bool,
    key_frame_budget: KeyFrameBudget,
    next_due_us: Option<i64>,
    failures: u32,
}

impl VideoLayer {
    pub fn new(send: SendLayer) -> Self {
        Self {
            bitrate_bps: send.max_bitrate_bps,
            send,
            active: true,
            frames_encoded: 0,
            frames_dropped: 0,
            key_frames_encoded: 0,
            pli_count: 0,
            fir_count: 0,
            size: (0, 0),
            encoder: Encoder::Idle(None),
            encoder_size: (0, 0),
            applied_bitrate_bps: 0,
            waiting: None,
            key_frame_wanted: true,
            key_frame_budget: KeyFrameBudget::default(),
            next_due_us: None,
            failures: 0,
        }
    }

    /// Whether pictures are to be encoded.
    pub fn is_running(&self) -> bool {
        self.active && self.bitrate_bps > 0 && self.failures < FAILURES_LIMIT
    }

    pub fn want_key_frame(&mut self) {
        self.key_frame_wanted = true;
    }

    /// When the last picture should be encoded again because a key frame is owed and no new picture comes.
    pub fn key_frame_owed_at(&self) -> Option<Instant> {
        let owed = self.key_frame_wanted && self.is_running() && matches!(self.encoder, Encoder::Idle(_));
        let allowed_at = self.key_frame_budget.allowed_at()?;
        owed.then_some(allowed_at)
    }

    /// A bit rate from the allocation. A layer that comes back starts with a key frame.
    pub fn set_bitrate(&mut self, bitrate_bps: u32) {
        if self.bitrate_bps == 0 && bitrate_bps > 0 {
            self.key_frame_wanted = true;
        }
        self.bitrate_bps = bitrate_bps;
    }

    pub fn set_active(&mut self, active: bool) {
        if active && !self.active {
            self.key_frame_wanted = true;
            self.failures = 0;
        }
        self.active = active;
        if !active {
            self.waiting = None;
        }
    }

    /// A new picture. The latest wins while the encoder is busy.
    pub fn offer(&mut self, picture: &Picture, setup: &Setup, jobs: &Jobs) {
        if !self.is_running() {
            return;
        }
        if !self.is_due(picture.timestamp_us) {
            self.frames_dropped += 1;
            return;
        }
        if matches!(self.encoder, Encoder::Busy) {
            if self.waiting.replace(picture.clone()).is_some() {
                self.frames_dropped += 1;
            }
            return;
        }
        self.start(picture.clone(), setup, jobs);
    }

    /// Encode a picture that was encoded before, because a key frame is owed.
    pub fn repeat(&mut self, picture: &Picture, setup: &Setup, jobs: &Jobs) {
        if self.is_running() && matches!(self.encoder, Encoder::Idle(_)) {
            self.start(picture.clone(), setup, jobs);
        }
    }

    fn is_due(&mut self, timestamp_us: i64) -> bool {
        if self.send.max_framerate <= 0.0 || !self.send.max_framerate.is_finite() {
            return true;
        }
        let interval_us = (1_000_000.0 / self.send.max_framerate) as i64;
        let due_us = self.next_due_us.unwrap_or(timestamp_us);
        let early_us = due_us.saturating_sub(timestamp_us);
        // A clock that jumped back would otherwise stop the layer for as long as it jumped.
        if early_us > interval_us * EARLY_PERCENT / 100 && early_us < 2 * interval_us {
            return false;
        }
        let behind = early_us.unsigned_abs() > interval_us.unsigned_abs() * 2;
        self.next_due_us = Some(if behind { timestamp_us } else { due_us }.saturating_add(interval_us));
        true
    }

    fn start(&mut self, picture: Picture, setup: &Setup, jobs: &Jobs) {
        let size = scaled_size(&picture.frame, self.send.scale_down_by);
        let encoder = match std::mem::replace(&mut self.encoder, Encoder::Busy) {
            Encoder::Idle(Some(encoder)) if self.encoder_size == size => Some(encoder),
            _ => None,
        };
        let framerate = if self.send.max_framerate > 0.0 {
            self.send.max_framerate as f32
        } else {
            DEFAULT_FRAMERATE
        };
        let allowed = self.key_frame_budget.allows(picture.captured_at);
        let key_frame = encoder.is_none() || (self.key_frame_wanted && allowed);
        if key_frame {
            self.key_frame_wanted = false;
        }
        let new_rate =
            (encoder.is_some() && self.applied_bitrate_bps != self.bitrate_bps).then_some(self.bitrate_bps);
        self.applied_bitrate_bps = self.bitrate_bps;
        self.encoder_size = size;
        let task = EncodeTask {
            encoder,
            codec: setup.codec,
            config: EncoderConfig {
                width: size.0,
                height: size.1,
                bitrate_bps: self.bitrate_bps.max(1),
                framerate,
                is_screencast: setup.is_screencast,
                threads: 0,
            },
            new_rate,
            key_frame,
            picture,
        };
        jobs.submit(
            JobKey {
                owner: setup.owner,
                layer: setup.layer,
            },
            move || Outcome::Encoded(task.run()),
        );
    }

    /// The job is back: what is to be sent.
    pub fn finished(
        &mut self,
        outcome: Outcome,
        setup: &Setup,
        jobs: &Jobs,
    ) -> Option<(Vec<u8>, bool, u64, Instant)> {
        let encoded = match outcome {
            Outcome::Encoded(encoded) => encoded,
            _ => {
                self.encoder = Encoder::Idle(None);
                self.failed("the encoder's job was lost");
                return None;
            }
        };
        self.encoder = Encoder::Idle(encoded.encoder);
        let sent = match encoded.frame {
            Ok(Some(frame)) => {
                self.failures = 0;
                self.size = (encoded.width, encoded.height);
                self.frames_encoded += 1;
                if frame.key_frame {
                    self.key_frames_encoded += 1;
                    self.key_frame_budget.spend(encoded.captured_at);
                }
                Some((frame.data, frame.key_frame, encoded.rtp_time, encoded.captured_at))
            }
            Ok(None) => {
                self.frames_dropped += 1;
                None
            }
            Err(error) => {
                self.failed(&error);
                None
            }
        };
        if let Some(picture) = self.waiting.take().filter(|_| self.is_running()) {
            self.start(picture, setup, jobs);
        }
        sent
    }

    fn failed(&mut self, reason: &str) {
        self.failures += 1;
        self.frames_dropped += 1;
        self.key_frame_wanted = true;
        if self.failures == FAILURES_LIMIT {
            log::error!(
                "ssrc {}: video stops after {FAILURES_LIMIT} failures, the last: {reason}",
                self.send.ssrc
            );
        } else {
            log::warn!("ssrc {}: a frame was not encoded: {reason}", self.send.ssrc);
        }
    }
}

/// What the layers of a sender share, and which one is meant.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub owner: u64,
    pub layer: usize,
    pub codec: Codec,
    pub is_screencast: bool,
}

struct EncodeTask {
    encoder: Option<Box<dyn VideoEncoder>>,
    codec: Codec,
    config: EncoderConfig,
    new_rate: Option<u32>,
    key_frame: bool,
    picture: Picture,
}

impl EncodeTask {
    fn run(mut self) -> Encoded {
        let mut encoder = self.encoder.take();
        // A codec that panicked is thrown away, since its state can't be trusted.
        let frame = catch_unwind(AssertUnwindSafe(|| self.encode(&mut encoder)));
        let frame = frame.unwrap_or_else(|_| {
            encoder = None;
            Err("the encoder panicked".into())
        });
        Encoded {
            encoder: encoder.filter(|_| frame.is_ok()),
            frame,
            width: self.config.width,
            height: self.config.height,
            rtp_time: self.picture.rtp_time,
            captured_at: self.picture.captured_at,
        }
    }

    fn encode(
        &self,
        slot: &mut Option<Box<dyn VideoEncoder>>,
    ) -> Result<Option<video::EncodedFrame>, String> {
        let encoder = match slot {
            Some(encoder) => encoder,
            None => slot
                .insert(video::create_encoder(self.codec, self.config).map_err(|error| error.to_string())?),
        };
        if let Some(bitrate_bps) = self.new_rate {
            encoder.set_rates(bitrate_bps, self.config.framerate);
        }
        let source = &self.picture.frame;
        let (width, height) = (self.config.width, self.config.height);
        let scaled;
        let frame = if (source.width(), source.height()) == (width, height) {
            source
        } else {
            scaled = video::scale(source, width, height).map_err(|error| error.to_string())?;
            &scaled
        };
        encoder
            .encode(frame, self.key_frame, self.picture.timestamp_us)
            .map_err(|error| error.to_string())
    }
}

/// Even, at least 2 by 2.
fn scaled_size(frame: &I420Frame, scale_down_by: f64) -> (u32, u32) {
    let scale = if scale_down_by.is_finite() {
        scale_down_by.max(1.0)
    } else {
        1.0
    };
    let side = |length: u32| (((f64::from(length) / scale).round() as u32) & !1).max(2);
    (side(frame.width()), side(frame.height()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(max_framerate: f64) -> VideoLayer {
        VideoLayer::new(SendLayer {
            rid: None,
            ssrc: 1,
            rtx_ssrc: None,
            scale_down_by: 1.0,
            max_bitrate_bps: 1,
            max_framerate,
        })
    }

    #[test]
    fn the_frame_rate_is_limited_evenly() {
        for (limit, input_fps, expected) in [
            (15.0, 30, 15),
            (20.0, 30, 20),
            (30.0, 30, 30),
            (0.0, 60, 60),
            (30.0, 25, 25),
        ] {
            let mut layer = layer(limit);
            let taken = (0..input_fps * 4)
                .filter(|frame| layer.is_due(frame * 1_000_000 / input_fps))
                .count() as i64;
            assert!(
                (taken - expected * 4).abs() <= 2,
                "limit {limit}, input {input_fps}: {taken} in 4 s"
            );
        }
    }

    #[test]
    fn a_clock_that_jumps_does_not_stop_the_layer() {
        let mut layer = layer(30.0);
        assert!(layer.is_due(1_000_000_000));
        assert!(layer.is_due(5));
        assert!(layer.is_due(i64::MAX));
        assert!(layer.is_due(i64::MIN));
    }

    #[test]
    fn sizes_are_even_and_never_zero() {
        let frame = I420Frame::black(1279, 3).unwrap();
        assert_eq!(scaled_size(&frame, 1.0), (1278, 2));
        assert_eq!(scaled_size(&frame, 4.0), (320, 2));
        assert_eq!(scaled_size(&frame, f64::NAN), (1278, 2));
        assert_eq!(scaled_size(&frame, 1e9), (2, 2));
    }
}

//! Sharing the bandwidth estimate among the encoders.

use std::time::{Duration, Instant};

use str0m::Rtc;
use str0m::bwe::Bitrate;

use super::{Pipeline, Sender, Sending};
use crate::allocation::{Demand, allocate};
use crate::rtc_config::INITIAL_ESTIMATE_BPS;
use crate::video_layer::VideoLayer;

/// Share of the estimate that encoders get; the rest is for headers and retransmissions.
const ENCODER_PERCENT: u64 = 92;
/// Headers of an audio packet, every 20 ms.
const AUDIO_OVERHEAD_BPS: u64 = 20_000;
/// What the pacer has to let through beside sound so that the least video is sent at all, headers included.
const LEAST_VIDEO_BPS: u64 = 60_000;
/// Estimation begins anew at most this often: it probes.
const RESTART_INTERVAL: Duration = Duration::from_secs(4);

impl Sending {
    /// The estimate is of video alone (sound has no transport-wide numbers), but the pacer spends it on sound, too: below
    /// what both need at the least, no video would be sent, and nothing could raise it again.
    pub fn set_estimate(&mut self, rtc: &mut Rtc, estimate_bps: u64, now: Instant) {
        let least_bps = self.audio_bps() + LEAST_VIDEO_BPS;
        let is_stuck = estimate_bps < least_bps && self.has_video();
        let is_time = self
            .restarted_at
            .is_none_or(|at| now.saturating_duration_since(at) >= RESTART_INTERVAL);
        self.estimate_bps = Some(estimate_bps);
        if is_stuck && is_time {
            rtc.bwe().reset(Bitrate::bps(least_bps));
            self.restarted_at = Some(now);
            self.estimate_bps = Some(least_bps);
        }
        self.allocate(rtc);
    }

    fn has_video(&self) -> bool {
        let mut videos = self.senders.values().filter_map(Sender::video);
        videos.any(|video| !video.muted)
    }

    /// Of all sound that is sent, headers included.
    fn audio_bps(&self) -> u64 {
        let audible = |sender: &Sender| match &sender.pipeline {
            Pipeline::Audio(audio) if !audio.muted => {
                u64::from(audio.config.bitrate_bps) + AUDIO_OVERHEAD_BPS
            }
            Pipeline::Audio(_) | Pipeline::Video(_) => 0,
        };
        self.senders.values().map(audible).sum()
    }

    pub(super) fn allocate(&mut self, rtc: &mut Rtc) {
        let audio_bps = self.audio_bps();
        let mut layers: Vec<(Demand, &mut VideoLayer)> = vec![];
        for sender in self.senders.values_mut() {
            match &mut sender.pipeline {
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
}

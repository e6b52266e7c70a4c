//! Sharing the bandwidth estimate among the encoders.

use str0m::Rtc;
use str0m::bwe::Bitrate;

use super::{Pipeline, Sending};
use crate::allocation::{Demand, allocate};
use crate::rtc_config::INITIAL_ESTIMATE_BPS;
use crate::video_layer::VideoLayer;

/// Share of the estimate that encoders get; the rest is for headers and retransmissions.
const ENCODER_PERCENT: u64 = 92;
/// Headers of an audio packet, every 20 ms.
const AUDIO_OVERHEAD_BPS: u64 = 20_000;

impl Sending {
    pub(super) fn allocate(&mut self, rtc: &mut Rtc) {
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
}

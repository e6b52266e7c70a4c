//! Statistics of the streams that are sent.

use str0m::media::{Mid, Rid};

use super::{Pipeline, Sending, codec_name};
use crate::SenderStatistics;
use crate::media_table::MediaTable;

impl Sending {
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

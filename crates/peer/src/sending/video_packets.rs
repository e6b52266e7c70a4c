//! Encoded pictures into str0m, which packetizes them.

use std::time::Instant;

use str0m::Rtc;
use str0m::media::{Frequency, MediaTime, Mid, Rid};

use crate::video_sender::{VideoFrame, VideoSender};

pub(super) fn write_video(
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

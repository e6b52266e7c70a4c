//! Encoded pictures into str0m, which packetizes them.

use std::time::Instant;

use greenroom_e2ee::FrameCodec;
use greenroom_media::video::Codec;
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
    let Some(data) = sealed(video, layer.ssrc, frame.rtp_time, frame.data) else {
        return Ok(());
    };
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
        data,
    )
}

/// None: nothing may be sent.
fn sealed(video: &VideoSender, ssrc: u32, rtp_time: u64, data: Vec<u8>) -> Option<Vec<u8>> {
    match &video.config.cryptor {
        Some(cryptor) => cryptor.seal(frame_codec(video.config.codec), ssrc, rtp_time as u32, data),
        None => Some(data),
    }
}

pub(crate) fn frame_codec(codec: Codec) -> FrameCodec {
    match codec {
        Codec::Vp8 => FrameCodec::Vp8,
        Codec::H264 => FrameCodec::H264,
    }
}

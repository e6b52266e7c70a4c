//! H.264 constrained baseline by openh264, which is built along.

mod binding;
mod padding;

use super::codec::{Codec, EncodedFrame};
use super::decoder::RawDecoder;
use super::encoder::{FrameTime, RawEncoder, RawSettings};
use super::{I420Frame, Result, VideoError};
use padding::{coded_size, pad};

/// NAL unit types (ITU-T H.264 table 7-1).
const NAL_IDR_SLICE: u8 = 5;

fn failed(operation: &'static str, code: i64) -> VideoError {
    let detail = "see openh264's codec_def.h".to_string();
    VideoError::Codec {
        codec: Codec::H264,
        operation,
        code,
        detail,
    }
}

pub struct H264Encoder {
    raw: binding::Encoder,
    coded: (u32, u32),
}

impl RawEncoder for H264Encoder {
    fn open(settings: &RawSettings) -> Result<Self> {
        let coded = coded_size(settings.width, settings.height);
        let attempt = |threads: u32| {
            binding::Encoder::new(&RawSettings {
                width: coded.0,
                height: coded.1,
                threads,
                ..*settings
            })
        };
        // Some shapes can't be cut into slices for several threads.
        let raw = attempt(settings.threads)
            .or_else(|_| attempt(1))
            .map_err(|code| failed("encoder set-up (at most 36864 macroblocks of 16x16 pixels)", code))?;
        Ok(Self { raw, coded })
    }

    fn set_rates(&mut self, bitrate_bps: u32, framerate: f32) -> Result<()> {
        self.raw
            .set_rates(bitrate_bps, framerate)
            .map_err(|code| failed("change of the rates", code))
    }

    fn encode(
        &mut self,
        frame: &I420Frame,
        key_frame: bool,
        time: FrameTime,
    ) -> Result<Option<EncodedFrame>> {
        let timestamp_ms = time.start_us / 1000;
        let padded = pad(frame, self.coded)?;
        self.raw
            .encode(&padded, key_frame, timestamp_ms)
            .map_err(|code| failed("encoding", code))
    }
}

pub struct H264Decoder {
    raw: binding::Decoder,
}

impl RawDecoder for H264Decoder {
    const CODEC: Codec = Codec::H264;

    fn open() -> Result<Self> {
        Ok(Self {
            raw: binding::Decoder::new().map_err(|code| failed("decoder set-up", code))?,
        })
    }

    fn inspect(data: &[u8]) -> Result<bool> {
        Ok(nal_unit_types(data).any(|kind| kind == NAL_IDR_SLICE))
    }

    fn decode(&mut self, data: &[u8]) -> Result<Option<I420Frame>> {
        match self.raw.decode(data) {
            Ok(picture) => picture.transpose(),
            Err(code) => {
                let detail = format!("decoding state 0x{code:x}");
                Err(VideoError::Decode {
                    codec: Codec::H264,
                    length: data.len(),
                    detail,
                })
            }
        }
    }
}

/// The type of each NAL unit behind a start code (Annex B).
fn nal_unit_types(data: &[u8]) -> impl Iterator<Item = u8> + '_ {
    data.windows(4)
        .filter(|window| window[..3] == [0, 0, 1])
        .map(|window| window[3] & 0x1f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_nal_units_behind_both_start_codes() {
        let data = [0, 0, 0, 1, 0x67, 9, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65, 1, 0, 0, 1];
        assert_eq!(nal_unit_types(&data).collect::<Vec<_>>(), [7, 8, 5]);
        assert!(H264Decoder::inspect(&data).unwrap());
        assert!(!H264Decoder::inspect(&data[..10]).unwrap());
    }
}

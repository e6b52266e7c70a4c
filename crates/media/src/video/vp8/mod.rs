//! VP8 (RFC 6386) by the system's libvpx.

mod binding;

use super::codec::{Codec, DECODED_PIXELS_LIMIT, EncodedFrame};
use super::decoder::RawDecoder;
use super::encoder::{FrameTime, RawEncoder, RawSettings};
use super::{I420Frame, Result, VideoError};

/// Ticks per second of the timestamps given to the library.
const TIME_BASE_HZ: i64 = 90_000;

/// Bytes of a key frame up to and with its size (RFC 6386 section 9.1).
const KEY_FRAME_HEADER_BYTES: usize = 10;
const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];

fn failed(operation: &'static str, code: i32) -> VideoError {
    let detail = binding::error_text(code);
    VideoError::Codec {
        codec: Codec::Vp8,
        operation,
        code: i64::from(code),
        detail,
    }
}

pub struct Vp8Encoder {
    raw: binding::Encoder,
}

/// More speed for more pixels; the scale is libvpx's, -16 (fastest) to 16.
fn cpu_used(width: u32, height: u32) -> i32 {
    match u64::from(width) * u64::from(height) {
        0..=101_376 => -6,
        101_377..=500_000 => -8,
        _ => -10,
    }
}

impl RawEncoder for Vp8Encoder {
    fn open(settings: &RawSettings) -> Result<Self> {
        let raw = binding::Encoder::new(&binding::Settings {
            width: settings.width,
            height: settings.height,
            bitrate_kbps: settings.bitrate_bps / 1000,
            threads: settings.threads,
            cpu_used: cpu_used(settings.width, settings.height),
            screen_content_mode: u32::from(settings.is_screencast),
        });
        Ok(Self {
            raw: raw.map_err(|code| failed("encoder set-up", code))?,
        })
    }

    fn set_rates(&mut self, bitrate_bps: u32, _framerate: f32) -> Result<()> {
        // The frame rate is measured by the library from the timestamps.
        self.raw
            .set_bitrate(bitrate_bps / 1000)
            .map_err(|code| failed("change of the bitrate", code))
    }

    fn encode(
        &mut self,
        frame: &I420Frame,
        key_frame: bool,
        time: FrameTime,
    ) -> Result<Option<EncodedFrame>> {
        let ticks = |microseconds: i64| microseconds * TIME_BASE_HZ / 1_000_000;
        let start = ticks(time.start_us);
        let duration = ticks(time.duration_us).max(1) as u64;
        self.raw
            .encode(frame, start, duration, key_frame)
            .map_err(|code| failed("encoding", code))
    }
}

pub struct Vp8Decoder {
    raw: binding::Decoder,
}

impl RawDecoder for Vp8Decoder {
    const CODEC: Codec = Codec::Vp8;

    fn open() -> Result<Self> {
        Ok(Self {
            raw: binding::Decoder::new(1).map_err(|code| failed("decoder set-up", code))?,
        })
    }

    fn inspect(data: &[u8]) -> Result<bool> {
        // Bit 0 of the frame tag is clear in key frames.
        if data[0] & 1 != 0 {
            return Ok(false);
        }
        let refuse = |detail: &str| VideoError::Decode {
            codec: Codec::Vp8,
            length: data.len(),
            detail: detail.into(),
        };
        let header = data
            .get(..KEY_FRAME_HEADER_BYTES)
            .ok_or_else(|| refuse("key frame without a whole header"))?;
        if header[3..6] != START_CODE {
            return Err(refuse("key frame without the start code"));
        }
        // The upper two bits ask for upscaling, which is the viewer's business.
        let width = u32::from(u16::from_le_bytes([header[6], header[7]]) & 0x3fff);
        let height = u32::from(u16::from_le_bytes([header[8], header[9]]) & 0x3fff);
        if width == 0 || height == 0 {
            return Err(refuse("key frame of no size"));
        }
        if width as usize * height as usize > DECODED_PIXELS_LIMIT {
            return Err(VideoError::DecodedTooLarge {
                width,
                height,
                limit_pixels: DECODED_PIXELS_LIMIT,
            });
        }
        Ok(true)
    }

    fn decode(&mut self, data: &[u8]) -> Result<Option<I420Frame>> {
        let refuse = |detail: String| VideoError::Decode {
            codec: Codec::Vp8,
            length: data.len(),
            detail,
        };
        let decoded = self
            .raw
            .decode(data)
            .map_err(|code| refuse(binding::error_text(code)))?;
        if decoded.corrupted {
            return Err(refuse("it builds on damaged or missing data".into()));
        }
        decoded.picture.transpose()
    }
}

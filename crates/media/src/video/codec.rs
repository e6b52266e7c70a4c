//! What every codec offers, and how to make one.

use super::decoder::RealtimeDecoder;
use super::encoder::RealtimeEncoder;
use super::h264::{H264Decoder, H264Encoder};
use super::vp8::{Vp8Decoder, Vp8Encoder};
use super::{I420Frame, Result};

/// Smallest and largest side of a picture an encoder takes, in pixels.
pub const ENCODER_SIZE_RANGE: (u32, u32) = (2, 4096);

/// Most pixels of a decoded picture: bounds what a hostile stream can make us allocate.
pub const DECODED_PIXELS_LIMIT: usize = 64 << 20;

/// A video codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 6386.
    Vp8,
    /// ITU-T H.264, constrained baseline (profile-level-id 42e01f), start codes (Annex B) between NAL units.
    H264,
}

/// How to set up an encoder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EncoderConfig {
    /// 2 to 4096 pixels.
    pub width: u32,
    /// 2 to 4096 pixels.
    pub height: u32,
    /// Above 0.
    pub bitrate_bps: u32,
    /// Frames per second, above 0.
    pub framerate: f32,
    /// Sharp text rather than smooth motion.
    pub is_screencast: bool,
    /// 0: by the picture's size and the machine's processors.
    pub threads: u32,
}

/// One encoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    /// VP8: one frame (RFC 6386). H264: NAL units, each after a start code of 4 bytes; SPS and PPS precede every key frame.
    pub data: Vec<u8>,
    /// Decodable without any other.
    pub key_frame: bool,
}

/// Turns pictures into a stream. The first frame and the one after any change of size is a key frame; others are only on demand.
pub trait VideoEncoder: Send {
    /// Encode one picture; `timestamp_us` should grow. `None`: dropped to hold the bitrate (a dropped key frame is made up for by the next frame).
    fn encode(
        &mut self,
        frame: &I420Frame,
        key_frame: bool,
        timestamp_us: i64,
    ) -> Result<Option<EncodedFrame>>;

    /// Change the target from the next frame on. Values of 0 or below and those not finite are raised to the smallest possible.
    fn set_rates(&mut self, bitrate_bps: u32, framerate: f32);
}

/// Turns a stream into pictures.
pub trait VideoDecoder: Send {
    /// Decode one whole frame (H264: one access unit with start codes). `None`: nothing to show. An error means: ask for a key frame.
    fn decode(&mut self, data: &[u8]) -> Result<Option<I420Frame>>;
}

/// Make an encoder. Fails for sizes outside 2 to 4096, rates of 0, and (H264) above 9.4 million pixels.
pub fn create_encoder(codec: Codec, config: EncoderConfig) -> Result<Box<dyn VideoEncoder>> {
    Ok(match codec {
        Codec::Vp8 => Box::new(RealtimeEncoder::<Vp8Encoder>::new(config)?),
        Codec::H264 => Box::new(RealtimeEncoder::<H264Encoder>::new(config)?),
    })
}

/// Make a decoder.
pub fn create_decoder(codec: Codec) -> Result<Box<dyn VideoDecoder>> {
    Ok(match codec {
        Codec::Vp8 => Box::new(RealtimeDecoder::<Vp8Decoder>::new()?),
        Codec::H264 => Box::new(RealtimeDecoder::<H264Decoder>::new()?),
    })
}

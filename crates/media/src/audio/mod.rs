//! Audio: Opus, sample rate conversion, the adaptive jitter buffer and the queues at both ends of the engine.
//!
//! PCM is always interleaved native-endian `i16`, one or two channels. "Samples" are per channel unless a
//! text says otherwise. Nothing here reads a clock or does I/O.

mod capture_queue;
mod error;
mod frame_ring;
mod jitter;
mod level;
mod mix;
mod opus;
mod resampler;

pub use capture_queue::{CaptureQueue, Drained, Push};
pub use error::AudioError;
pub use frame_ring::FrameRing;
pub use jitter::{AudioPacket, JitterBuffer, JitterBufferConfig, JitterStatistics};
pub use level::level_dbov;
pub use mix::remix;
pub use opus::{
    MAX_PACKET_BYTES, MAX_PACKET_SAMPLES, OpusDecoder, OpusEncoder, OpusEncoderConfig, packet_samples,
};
pub use resampler::{Resampler, ResamplerQuality};

/// Sample rate of everything between the codec and the queues, in Hz.
pub const ENGINE_RATE_HZ: u32 = 48_000;
/// Samples per channel in one 10 ms block at [`ENGINE_RATE_HZ`].
pub const BLOCK_SAMPLES: usize = 480;
/// Samples per channel in one 20 ms packet at [`ENGINE_RATE_HZ`].
pub const PACKET_SAMPLES: usize = 960;
/// Lowest sample rate accepted anywhere, in Hz.
pub const MIN_RATE_HZ: u32 = 8_000;
/// Highest sample rate accepted anywhere, in Hz.
pub const MAX_RATE_HZ: u32 = 192_000;

/// Refuses a rate outside [`MIN_RATE_HZ`]..=[`MAX_RATE_HZ`].
fn check_rate(rate_hz: u32) -> Result<(), AudioError> {
    if (MIN_RATE_HZ..=MAX_RATE_HZ).contains(&rate_hz) {
        Ok(())
    } else {
        Err(AudioError::Rate(rate_hz))
    }
}

/// Refuses anything but mono and stereo.
fn check_channels(channels: usize) -> Result<(), AudioError> {
    if matches!(channels, 1 | 2) {
        Ok(())
    } else {
        Err(AudioError::Channels(channels))
    }
}

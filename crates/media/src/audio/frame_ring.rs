//! Decoded blocks on their way to one consumer, in the format it asked for.

use std::collections::VecDeque;

use super::{AudioError, ENGINE_RATE_HZ, Resampler, check_channels, check_rate, remix};

const MAX_FRAME_MS: u32 = 10_000;

/// Resamples, remixes and cuts 48 kHz blocks into frames of one size; full, it drops the oldest frame.
pub struct FrameRing {
    resampler: Resampler,
    channels: usize,
    frame_len: usize,
    capacity_frames: usize,
    mixed: Vec<i16>,
    partial: Vec<i16>,
    frames: VecDeque<Vec<i16>>,
    dropped: u64,
}

impl FrameRing {
    /// `frame_size_ms` 1..=10,000, `capacity_frames` at least 1.
    pub fn new(
        rate_hz: u32,
        channels: usize,
        frame_size_ms: u32,
        capacity_frames: usize,
    ) -> Result<Self, AudioError> {
        check_rate(rate_hz)?;
        check_channels(channels)?;
        if !(1..=MAX_FRAME_MS).contains(&frame_size_ms) {
            return Err(AudioError::Duration {
                what: "frame size",
                value: frame_size_ms,
                allowed: "1 to 10000 ms",
            });
        }
        if capacity_frames == 0 {
            return Err(AudioError::NoCapacity);
        }
        let frame_samples = (u64::from(rate_hz) * u64::from(frame_size_ms) / 1_000) as usize;
        Ok(Self {
            resampler: Resampler::new(ENGINE_RATE_HZ, channels, rate_hz, channels)?,
            channels,
            frame_len: frame_samples * channels,
            capacity_frames,
            mixed: Vec::new(),
            partial: Vec::new(),
            frames: VecDeque::new(),
            dropped: 0,
        })
    }

    /// Takes a block of 48 kHz PCM of any length, mono or stereo (this may change from block to block).
    pub fn push_block(&mut self, pcm: &[i16], channels: usize) {
        self.mixed.clear();
        remix(pcm, channels, self.channels, &mut self.mixed);
        self.resampler.process(&self.mixed, &mut self.partial);
        let mut start = 0;
        while self.partial.len() - start >= self.frame_len {
            let frame = self.partial[start..start + self.frame_len].to_vec();
            start += self.frame_len;
            self.store(frame);
        }
        self.partial.drain(..start);
    }

    /// The oldest frame, interleaved.
    pub fn pop(&mut self) -> Option<Vec<i16>> {
        self.frames.pop_front()
    }

    /// Frames that gave way to newer ones.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub fn len(&self) -> usize {
        self.frames.len()
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    fn store(&mut self, frame: Vec<i16>) {
        if self.frames.len() >= self.capacity_frames {
            self.frames.pop_front();
            self.dropped += 1;
        }
        self.frames.push_back(frame);
    }
}

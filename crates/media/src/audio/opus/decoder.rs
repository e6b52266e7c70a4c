//! Opus decoder with redundancy and concealment.

use super::ffi::{RawDecoder, packet_samples};
use super::{MAX_PACKET_BYTES, MAX_PACKET_SAMPLES, error};
use crate::audio::{AudioError, check_channels};

/// Lengths must be multiples of 2.5 ms for concealment.
const CONCEAL_STEP_SAMPLES: usize = 120;
const CORRUPTED: i32 = -4;

/// Decodes to 48 kHz PCM in the channel count it was made for, whatever the stream carries.
pub struct OpusDecoder {
    raw: RawDecoder,
    channels: usize,
}

impl OpusDecoder {
    /// Fails on a channel count other than 1 and 2, or when libopus has no memory.
    pub fn new(channels: usize) -> Result<Self, AudioError> {
        check_channels(channels)?;
        let raw = RawDecoder::new(channels).map_err(|code| error("decoder creation", code))?;
        Ok(Self { raw, channels })
    }

    /// Appends the decoded packet to `out`; returns samples per channel. On an error `out` is unchanged.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Result<usize, AudioError> {
        if payload.is_empty() || payload.len() > MAX_PACKET_BYTES {
            return Err(error("decoding", CORRUPTED));
        }
        let samples = packet_samples(payload).map_err(|code| error("decoding", code))?;
        self.run(Some(payload), samples, false, "decoding", out)
    }

    /// Appends the packet lost just before `payload`, of `samples` per channel, from its redundancy.
    ///
    /// Without redundancy in `payload` this is the same as [`conceal`](Self::conceal).
    pub fn decode_fec(
        &mut self,
        payload: &[u8],
        samples: usize,
        out: &mut Vec<i16>,
    ) -> Result<usize, AudioError> {
        if payload.is_empty() || payload.len() > MAX_PACKET_BYTES {
            return Err(error("decoding redundancy", CORRUPTED));
        }
        self.run(
            Some(payload),
            whole_steps(samples),
            true,
            "decoding redundancy",
            out,
        )
    }

    /// Appends a guess for `samples` per channel (rounded down to 2.5 ms, at most 120 ms), fading if it goes on.
    pub fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) -> Result<usize, AudioError> {
        self.run(None, whole_steps(samples), false, "concealment", out)
    }

    /// 1 or 2.
    pub fn channels(&self) -> usize {
        self.channels
    }

    fn run(
        &mut self,
        payload: Option<&[u8]>,
        samples: usize,
        fec: bool,
        operation: &'static str,
        out: &mut Vec<i16>,
    ) -> Result<usize, AudioError> {
        let start = out.len();
        out.resize(start + samples.min(MAX_PACKET_SAMPLES) * self.channels, 0);
        let decoded = self.raw.decode(payload, &mut out[start..], fec);
        out.truncate(start + decoded.as_ref().unwrap_or(&0) * self.channels);
        decoded.map_err(|code| error(operation, code))
    }
}

fn whole_steps(samples: usize) -> usize {
    samples.clamp(CONCEAL_STEP_SAMPLES, MAX_PACKET_SAMPLES) / CONCEAL_STEP_SAMPLES * CONCEAL_STEP_SAMPLES
}

//! Opus encoder for 20 ms packets.

use opusic_sys as sys;

use super::ffi::RawEncoder;
use super::{MAX_PACKET_BYTES, error};
use crate::audio::{AudioError, PACKET_SAMPLES, check_channels, level_dbov};

/// Complexity 0..=10. At the bitrates used 5 is hard to tell from 10, at a third of the time.
const COMPLEXITY: i32 = 5;
const MIN_BITRATE_BPS: u32 = 6_000;
const MAX_BITRATE_BPS: u32 = 510_000;
/// A payload this short is only a table of contents: silence under DTX (RFC 6716 section 2.1.9).
const DTX_MAX_BYTES: usize = 2;
/// DTX is armed only for blocks this quiet (-dBov) or quieter: below complexity 7 libopus takes a loud steady tone for
/// background noise and would cut it up.
const DTX_LEVEL_DBOV: u8 = 45;

/// What an encoder is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusEncoderConfig {
    /// 1 or 2.
    pub channels: usize,
    /// Clamped to 6,000..=510,000.
    pub bitrate_bps: u32,
    /// Stop sending during silence.
    pub dtx: bool,
    /// In-band redundancy once `set_expected_loss_percent` is above 0; of speech alone, see `voice`.
    pub fec: bool,
    /// Tuned for speech; otherwise for any sound, without redundancy: only libopus' mode for speech has that, and to switch
    /// to it for its sake would blur music and the sides of stereo.
    pub voice: bool,
}

impl Default for OpusEncoderConfig {
    /// Mono speech at 48 kbit/s with DTX and redundancy.
    fn default() -> Self {
        Self {
            channels: 1,
            bitrate_bps: 48_000,
            dtx: true,
            fec: true,
            voice: true,
        }
    }
}

/// Encodes 20 ms blocks of 48 kHz PCM.
pub struct OpusEncoder {
    raw: RawEncoder,
    channels: usize,
    dtx: bool,
    dtx_armed: bool,
    in_dtx: bool,
}

impl OpusEncoder {
    /// Fails on a channel count other than 1 and 2, or when libopus has no memory.
    pub fn new(config: OpusEncoderConfig) -> Result<Self, AudioError> {
        check_channels(config.channels)?;
        let (application, signal) = if config.voice {
            (sys::OPUS_APPLICATION_VOIP, sys::OPUS_SIGNAL_VOICE)
        } else {
            (sys::OPUS_APPLICATION_AUDIO, sys::OPUS_AUTO)
        };
        let raw =
            RawEncoder::new(config.channels, application).map_err(|code| error("encoder creation", code))?;
        let mut encoder = Self {
            raw,
            channels: config.channels,
            dtx: config.dtx,
            dtx_armed: false,
            in_dtx: false,
        };
        let controls = [
            (sys::OPUS_SET_SIGNAL_REQUEST, signal),
            (sys::OPUS_SET_COMPLEXITY_REQUEST, COMPLEXITY),
            (
                sys::OPUS_SET_INBAND_FEC_REQUEST,
                i32::from(config.fec && config.voice),
            ),
        ];
        for (request, value) in controls {
            encoder.control(request, value)?;
        }
        encoder.set_bitrate(config.bitrate_bps)?;
        Ok(encoder)
    }

    /// Encodes exactly 960 samples per channel, interleaved; `out` is replaced.
    ///
    /// Under DTX the first silent packet is one or two bytes long (send it: it tells the receiver that silence
    /// follows) and later ones are empty: send nothing and let the RTP timestamp run on.
    pub fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<(), AudioError> {
        let expected = PACKET_SAMPLES * self.channels;
        if pcm.len() != expected {
            return Err(AudioError::BlockSize {
                expected,
                actual: pcm.len(),
            });
        }
        self.arm_dtx(pcm)?;
        out.resize(MAX_PACKET_BYTES, 0);
        let encoded = self.raw.encode(pcm, out);
        out.truncate(*encoded.as_ref().unwrap_or(&0));
        let silent = encoded.map_err(|code| error("encoding", code))? <= DTX_MAX_BYTES;
        if silent && self.in_dtx {
            out.clear();
        }
        self.in_dtx = silent;
        Ok(())
    }

    fn arm_dtx(&mut self, pcm: &[i16]) -> Result<(), AudioError> {
        let armed = self.dtx && level_dbov(pcm) >= DTX_LEVEL_DBOV;
        if armed != self.dtx_armed {
            self.control(sys::OPUS_SET_DTX_REQUEST, i32::from(armed))?;
            self.dtx_armed = armed;
        }
        Ok(())
    }

    /// Target bitrate, clamped to 6,000..=510,000.
    pub fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), AudioError> {
        let bitrate_bps = bitrate_bps.clamp(MIN_BITRATE_BPS, MAX_BITRATE_BPS);
        self.control(sys::OPUS_SET_BITRATE_REQUEST, bitrate_bps as i32)
    }

    /// Loss the receiver reports, 0..=100 (clamped): how much of the bitrate redundancy may take.
    pub fn set_expected_loss_percent(&mut self, percent: u8) -> Result<(), AudioError> {
        self.control(
            sys::OPUS_SET_PACKET_LOSS_PERC_REQUEST,
            i32::from(percent.min(100)),
        )
    }

    /// 1 or 2.
    pub fn channels(&self) -> usize {
        self.channels
    }

    fn control(&mut self, request: i32, value: i32) -> Result<(), AudioError> {
        self.raw
            .set(request, value)
            .map_err(|code| error("encoder control", code))
    }
}

//! From captured PCM to Opus packets.

use greenroom_media::audio::{OpusEncoder, OpusEncoderConfig, Resampler, level_dbov};

use crate::sending::ExpectedLoss;
use crate::{AudioSenderConfig, PeerError, Result};

/// Samples per channel of one packet: 20 ms at 48 kHz.
const PACKET_SAMPLES: usize = 960;
const OPUS_RATE_HZ: u32 = 48_000;
/// Louder than this (-dBov) counts as voice in the level extension.
const VOICE_LEVEL_DBOV: u8 = 60;

/// One packet to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AudioPacket {
    pub payload: Vec<u8>,
    /// 48 kHz, not wrapped.
    pub rtp_time: u64,
    /// RFC 6464, 0 (loud) to 127.
    pub level_dbov: u8,
    pub voice: bool,
    pub start_of_talkspurt: bool,
}

struct Input {
    rate_hz: u32,
    channels: usize,
    resampler: Resampler,
}

/// Encoder of one audio track. RTP time advances with the samples drained from the source, whether they are sent or not.
pub(crate) struct AudioSender {
    pub config: AudioSenderConfig,
    pub muted: bool,
    pub packets_encoded: u64,
    channels: usize,
    encoder: OpusEncoder,
    input: Option<Input>,
    pending: Vec<i16>,
    rtp_time: u64,
    silent: bool,
    expected_loss: ExpectedLoss,
}

impl AudioSender {
    /// `first_rtp_time`: random.
    pub fn new(config: AudioSenderConfig, first_rtp_time: u32) -> Result<Self> {
        let channels = if config.stereo { 2 } else { 1 };
        let encoder = OpusEncoder::new(OpusEncoderConfig {
            channels,
            bitrate_bps: config.bitrate_bps,
            dtx: config.dtx,
            fec: config.fec,
            voice: !config.stereo,
        })
        .map_err(|error| PeerError::Parameter {
            name: "audio bitrate",
            value: config.bitrate_bps.to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            config,
            muted: false,
            packets_encoded: 0,
            channels,
            encoder,
            input: None,
            pending: vec![],
            rtp_time: u64::from(first_rtp_time),
            silent: true,
            expected_loss: ExpectedLoss::default(),
        })
    }

    /// The peer reports so much loss, from 0 to 1: packets repeat as much of the one before as that makes worth while.
    pub fn expect_loss(&mut self, loss: f32) {
        if let Some(percent) = self.expected_loss.update(loss)
            && let Err(error) = self.encoder.set_expected_loss_percent(percent)
        {
            log::warn!(
                "ssrc {}: {percent} % of loss not expected: {error}",
                self.config.ssrc
            );
        }
    }

    /// Take interleaved PCM as the source has it; the packets that are complete. Nothing is encoded unless `sending`.
    pub fn push(
        &mut self,
        pcm: &[i16],
        rate_hz: u32,
        channels: usize,
        sending: bool,
    ) -> Result<Vec<AudioPacket>> {
        self.resample(pcm, rate_hz, channels)?;
        let length = PACKET_SAMPLES * self.channels;
        let mut packets = vec![];
        let mut start = 0;
        while self.pending.len() - start >= length {
            let block = start..start + length;
            start += length;
            let rtp_time = self.rtp_time;
            self.rtp_time += PACKET_SAMPLES as u64;
            if self.muted || !sending {
                self.silent = true;
                continue;
            }
            if let Some(packet) = self.encode(block, rtp_time) {
                packets.push(packet);
            }
        }
        self.pending.drain(..start);
        Ok(packets)
    }

    fn encode(&mut self, block: std::ops::Range<usize>, rtp_time: u64) -> Option<AudioPacket> {
        let pcm = &self.pending[block];
        let mut payload = Vec::with_capacity(256);
        if let Err(error) = self.encoder.encode(pcm, &mut payload) {
            log::warn!("ssrc {}: 20 ms of audio are lost: {error}", self.config.ssrc);
            return None;
        }
        // Under DTX the first packet of a silence is a byte or two, which tells the receiver; the rest are empty.
        if payload.is_empty() {
            self.silent = true;
            return None;
        }
        self.packets_encoded += 1;
        let level = level_dbov(pcm).min(127);
        Some(AudioPacket {
            payload,
            rtp_time,
            level_dbov: level,
            voice: level <= VOICE_LEVEL_DBOV,
            start_of_talkspurt: std::mem::take(&mut self.silent),
        })
    }

    fn resample(&mut self, pcm: &[i16], rate_hz: u32, channels: usize) -> Result<()> {
        if rate_hz == OPUS_RATE_HZ && channels == self.channels {
            self.input = None;
            self.pending.extend_from_slice(pcm);
            return Ok(());
        }
        if !self
            .input
            .as_ref()
            .is_some_and(|input| input.rate_hz == rate_hz && input.channels == channels)
        {
            let resampler =
                Resampler::new(rate_hz, channels, OPUS_RATE_HZ, self.channels).map_err(|error| {
                    let value = format!("{rate_hz} Hz, {channels} channels");
                    PeerError::Parameter {
                        name: "audio format",
                        value,
                        reason: error.to_string(),
                    }
                })?;
            self.input = Some(Input {
                rate_hz,
                channels,
                resampler,
            });
        }
        if let Some(input) = &mut self.input {
            input.resampler.process(pcm, &mut self.pending);
        }
        Ok(())
    }
}

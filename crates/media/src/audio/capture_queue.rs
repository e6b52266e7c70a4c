//! The queue between a source's captures and the 10 ms drain.

use std::collections::VecDeque;

use super::{AudioError, check_channels, check_rate};

/// Ticks per second of the drain.
const TICKS_PER_SECOND: u64 = 100;
/// Without a queue, this many 10 ms blocks absorb the caller's timing; the oldest gives way to more.
const DIRECT_BLOCKS: usize = 5;

/// What became of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// Complete now.
    Done,
    /// Complete when [`Drained::completed_ticket`] or [`CaptureQueue::clear`] names this ticket (never 0).
    Wait(u64),
}

/// What one drain did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// False: the block is silence because less than 10 ms was queued.
    pub had_audio: bool,
    /// A capture that completed with this drain.
    pub completed_ticket: Option<u64>,
    /// The source went from holding something to having nothing left to play.
    pub became_empty: bool,
}

/// PCM waiting to be sent, with back-pressure above its threshold.
///
/// It holds `queue_size_ms` plus one capture: a capture is taken whole, and no other is taken until the level is
/// back at the threshold.
pub struct CaptureQueue {
    rate_hz: u32,
    channels: usize,
    threshold_samples: usize,
    direct: bool,
    pcm: VecDeque<i16>,
    open_ticket: Option<u64>,
    last_ticket: u64,
    tick: u64,
    filled: bool,
    dropped_samples: u64,
}

impl CaptureQueue {
    /// `queue_size_ms` is a multiple of 10. 0: only captures of exactly 10 ms, which never wait.
    pub fn new(rate_hz: u32, channels: usize, queue_size_ms: u32) -> Result<Self, AudioError> {
        check_rate(rate_hz)?;
        check_channels(channels)?;
        if !queue_size_ms.is_multiple_of(10) {
            return Err(AudioError::Duration {
                what: "queue size",
                value: queue_size_ms,
                allowed: "a multiple of 10 ms",
            });
        }
        Ok(Self {
            rate_hz,
            channels,
            threshold_samples: (u64::from(rate_hz) * u64::from(queue_size_ms) / 1_000) as usize,
            direct: queue_size_ms == 0,
            pcm: VecDeque::new(),
            open_ticket: None,
            last_ticket: 0,
            tick: 0,
            filled: false,
            dropped_samples: 0,
        })
    }

    /// Takes a capture of any whole number of frames (an empty one is complete). Fails while a ticket is open.
    pub fn push(&mut self, pcm: &[i16]) -> Result<Push, AudioError> {
        if pcm.is_empty() {
            return Ok(Push::Done);
        }
        if !pcm.len().is_multiple_of(self.channels) {
            return Err(AudioError::PartialFrame {
                samples: pcm.len(),
                channels: self.channels,
            });
        }
        if self.direct {
            return self.push_direct(pcm);
        }
        if self.open_ticket.is_some() {
            return Err(AudioError::CapturePending);
        }
        self.pcm.extend(pcm);
        self.filled = true;
        if self.queued_samples() <= self.threshold_samples {
            return Ok(Push::Done);
        }
        self.last_ticket += 1;
        self.open_ticket = Some(self.last_ticket);
        Ok(Push::Wait(self.last_ticket))
    }

    /// Replaces `out` with the next 10 ms (whole blocks only: a shorter tail waits for more) or with silence.
    ///
    /// Rates that are no multiple of 100 Hz get blocks that differ by one sample and add up exactly.
    pub fn drain_10ms(&mut self, out: &mut Vec<i16>) -> Drained {
        let wanted = self.block_samples(self.tick) * self.channels;
        self.tick += 1;
        let had_audio = self.pcm.len() >= wanted;
        out.clear();
        if had_audio {
            out.extend(self.pcm.drain(..wanted));
        } else {
            out.resize(wanted, 0);
        }
        let became_empty = self.filled && self.pcm.len() < self.block_samples(self.tick) * self.channels;
        if became_empty {
            self.filled = false;
        }
        let below = self.queued_samples() <= self.threshold_samples;
        let completed_ticket = if below { self.open_ticket.take() } else { None };
        Drained {
            had_audio,
            completed_ticket,
            became_empty,
        }
    }

    /// Drops everything queued; returns the ticket that completes by it.
    pub fn clear(&mut self) -> Option<u64> {
        self.pcm.clear();
        self.filled = false;
        self.open_ticket.take()
    }

    /// Samples per channel.
    pub fn queued_samples(&self) -> usize {
        self.pcm.len() / self.channels
    }

    /// Samples per channel that gave way to newer ones (only without a queue).
    pub fn dropped_samples(&self) -> u64 {
        self.dropped_samples
    }

    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    fn push_direct(&mut self, pcm: &[i16]) -> Result<Push, AudioError> {
        let expected = (self.rate_hz / TICKS_PER_SECOND as u32) as usize * self.channels;
        if pcm.len() != expected {
            return Err(AudioError::BlockSize {
                expected,
                actual: pcm.len(),
            });
        }
        if self.pcm.len() + expected > DIRECT_BLOCKS * expected {
            self.pcm.drain(..expected);
            self.dropped_samples += (expected / self.channels) as u64;
        }
        self.pcm.extend(pcm);
        self.filled = true;
        Ok(Push::Done)
    }

    fn block_samples(&self, tick: u64) -> usize {
        let rate = u64::from(self.rate_hz);
        if self.direct {
            return (rate / TICKS_PER_SECOND) as usize;
        }
        let phase = tick % TICKS_PER_SECOND;
        ((phase + 1) * rate / TICKS_PER_SECOND - phase * rate / TICKS_PER_SECOND) as usize
    }
}

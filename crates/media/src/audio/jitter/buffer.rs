//! The jitter buffer: packets in, 10 ms blocks out.

use std::time::Instant;

use super::delay::DelayEstimator;
use super::playout::Playout;
use super::statistics::JitterStatistics;
use super::store::{AudioPacket, Place, Store, Stored};
use crate::audio::{AudioError, BLOCK_SAMPLES, MAX_PACKET_BYTES, check_channels, packet_samples};

/// Samples per ms.
pub(super) const PER_MS: f64 = 48.0;

/// What a jitter buffer is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JitterBufferConfig {
    /// Channels handed out, 1 or 2, whatever the stream carries.
    pub channels: usize,
    /// Least delay, in ms; 20 suits packets of 20 ms.
    pub min_delay_ms: u32,
    /// Greatest delay, in ms: what is older is dropped.
    pub max_delay_ms: u32,
}

impl Default for JitterBufferConfig {
    fn default() -> Self {
        Self {
            channels: 1,
            min_delay_ms: 20,
            max_delay_ms: 1_000,
        }
    }
}

/// Orders, decodes and conceals one Opus stream with a delay that follows the jitter of its packets.
pub struct JitterBuffer {
    channels: usize,
    max_delay_ms: f64,
    first_instant: Option<Instant>,
    last_timestamp: Option<i64>,
    store: Store,
    delay: DelayEstimator,
    playout: Playout,
    statistics: JitterStatistics,
}

impl JitterBuffer {
    /// Fails on other channel counts than 1 and 2, or on delays that are not 10..=max and max..=10,000 ms.
    pub fn new(config: JitterBufferConfig) -> Result<Self, AudioError> {
        check_channels(config.channels)?;
        if !(10..=10_000).contains(&config.max_delay_ms) {
            let value = config.max_delay_ms;
            return Err(AudioError::Duration {
                what: "greatest delay",
                value,
                allowed: "10 to 10000 ms",
            });
        }
        if !(10..=config.max_delay_ms).contains(&config.min_delay_ms) {
            let value = config.min_delay_ms;
            return Err(AudioError::Duration {
                what: "least delay",
                value,
                allowed: "10 ms to the greatest delay",
            });
        }
        Ok(Self {
            channels: config.channels,
            max_delay_ms: f64::from(config.max_delay_ms),
            first_instant: None,
            last_timestamp: None,
            store: Store::default(),
            delay: DelayEstimator::new(config.min_delay_ms, config.max_delay_ms),
            playout: Playout::new(config.channels)?,
            statistics: JitterStatistics::default(),
        })
    }

    /// Takes a packet as it arrives, in any order. What cannot be used is counted and dropped.
    pub fn insert(&mut self, now: Instant, packet: AudioPacket) {
        let now_ms = self.milliseconds(now);
        self.statistics.packets_received += 1;
        let samples = match packet_samples(&packet.payload) {
            Ok(samples) if samples > 0 && packet.payload.len() <= MAX_PACKET_BYTES => samples,
            _ => {
                self.statistics.packets_discarded += 1;
                return;
            }
        };
        let timestamp = self.extend_timestamp(packet.timestamp);
        let place = self.store.place(packet.sequence);
        if place == Place::Duplicate {
            self.statistics.packets_duplicate += 1;
            return;
        }
        let media_ms = timestamp as f64 / PER_MS;
        let fits = self.delay.fits(now_ms, media_ms);
        if place == Place::Late && !fits {
            // What an abandoned timeline still delivers must not bring it back.
            self.statistics.packets_late += 1;
            return;
        }
        if place == Place::Foreign || !fits {
            self.reset();
        }
        self.last_timestamp = Some(self.last_timestamp.map_or(timestamp, |last| last.max(timestamp)));
        let late_ms = self.delay.observe(now_ms, media_ms);
        let stored = Stored {
            sequence: packet.sequence,
            timestamp,
            samples,
            payload: packet.payload,
        };
        self.keep(now_ms, late_ms, stored);
    }

    /// Replaces `out` with the next 10 ms at 48 kHz: 480 samples per channel, silence before the first packet.
    pub fn pull(&mut self, now: Instant, out: &mut Vec<i16>) {
        let now_ms = self.milliseconds(now);
        out.clear();
        self.statistics.total_samples += BLOCK_SAMPLES as u64;
        self.statistics.target_delay_ms = self.delay.target_ms(now_ms);
        if !self.playout.started() && !self.start(now_ms) {
            out.resize(BLOCK_SAMPLES * self.channels, 0);
            return;
        }
        self.limit_delay(now_ms);
        self.playout.pull(
            now_ms,
            &mut self.store,
            &mut self.delay,
            &mut self.statistics,
            out,
        );
    }

    /// Counters since creation.
    pub fn statistics(&self) -> JitterStatistics {
        self.statistics
    }

    fn keep(&mut self, now_ms: f64, late_ms: f64, stored: Stored) {
        let sequence = stored.sequence;
        let late = self.store.place(sequence) == Place::Late;
        let precedes = !self.playout.started() && self.store.may_precede(sequence);
        self.store.note(sequence);
        if late && !precedes {
            self.statistics.packets_late += 1;
            self.delay.boost(now_ms, late_ms);
            return;
        }
        self.statistics.packets_discarded += self.store.insert(stored);
        if !self.playout.started() {
            self.store.start_at_first();
        }
    }

    /// Begins playing once the first packet has had the wanted delay.
    fn start(&mut self, now_ms: f64) -> bool {
        let Some(first) = self.store.first() else {
            return false;
        };
        if self.delay.delay_ms(now_ms, first.timestamp as f64 / PER_MS) < self.delay.target_ms(now_ms) {
            return false;
        }
        self.playout.start(first.timestamp);
        true
    }

    /// Drops what is older than the greatest delay, down to the wanted one.
    fn limit_delay(&mut self, now_ms: f64) {
        if self.playout.delay_ms(now_ms, &self.delay) <= self.max_delay_ms {
            return;
        }
        let target_ms = self.delay.target_ms(now_ms);
        while let Some(first) = self.store.first() {
            let timestamp = first.timestamp;
            if self.delay.delay_ms(now_ms, timestamp as f64 / PER_MS) <= target_ms {
                self.playout.jump(timestamp, &mut self.statistics);
                break;
            }
            self.store.pop();
            self.statistics.packets_discarded += 1;
        }
    }

    fn reset(&mut self) {
        self.statistics.packets_discarded += self.store.clear();
        self.statistics.resets += 1;
        self.delay.restart();
        self.playout.stop(&mut self.statistics);
        self.last_timestamp = None;
    }

    fn milliseconds(&mut self, now: Instant) -> f64 {
        let first = *self.first_instant.get_or_insert(now);
        now.saturating_duration_since(first).as_secs_f64() * 1_000.0
    }

    /// The nearest value to the greatest timestamp so far that ends in these 32 bits.
    fn extend_timestamp(&self, timestamp: u32) -> i64 {
        let Some(last) = self.last_timestamp else {
            return i64::from(timestamp);
        };
        last + i64::from(timestamp.wrapping_sub(last as u32) as i32)
    }
}

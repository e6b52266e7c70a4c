//! The output side of the jitter buffer: decoding, concealment and time scaling.

use super::buffer::PER_MS;
use super::delay::DelayEstimator;
use super::statistics::JitterStatistics;
use super::store::{Store, Stored};
use super::stretch::{self, MAX_LAG};
use crate::audio::opus::packet_has_fec;
use crate::audio::{AudioError, BLOCK_SAMPLES, MAX_PACKET_SAMPLES, OpusDecoder, PACKET_SAMPLES};

/// A payload of a table of contents only announces silence.
const DTX_MAX_BYTES: usize = 2;
/// Concealment fades from here to there, in samples; announced silence keeps its comfort noise much longer.
const FADE_LOSS: (usize, usize) = (2_880, 9_600);
const FADE_DTX: (usize, usize) = (96_000, 144_000);
/// Sound that follows faded concealment rises over 5 ms.
const RISE_SAMPLES: usize = 240;
/// Delay this far above or below the target is worth a correction, in ms.
const SHRINK_ABOVE_MS: f64 = 12.0;
const GROW_BELOW_MS: f64 = -5.0;
/// Sound that must be decoded before it can be scaled, in samples.
const STRETCH_SAMPLES: usize = 1_440;

/// By how much the delay is off: (excess in ms from, ms between corrections, similarity needed).
const SHRINK_PACE: [(f64, f64, f32); 4] = [
    (200.0, 10.0, -1.0),
    (100.0, 20.0, 0.3),
    (40.0, 40.0, 0.7),
    (SHRINK_ABOVE_MS, 100.0, 0.9),
];
const GROW_PACE: (f64, f32) = (40.0, 0.6);

/// Decoded sound and where it is on the sender's timeline.
pub(super) struct Playout {
    decoder: OpusDecoder,
    channels: usize,
    started: bool,
    /// Decoded, not handed out yet.
    pcm: Vec<i16>,
    /// RTP timestamp of the sample after the last of `pcm`.
    end: i64,
    last_samples: usize,
    announced_silence: bool,
    /// Samples concealed since the last real sound.
    conceal_run: usize,
    /// The part of it, not yet explained, that did not move `end`.
    stalled: usize,
    stalled_silent: usize,
    next_stretch_ms: f64,
}

impl Playout {
    pub(super) fn new(channels: usize) -> Result<Self, AudioError> {
        Ok(Self {
            decoder: OpusDecoder::new(channels)?,
            channels,
            started: false,
            pcm: Vec::new(),
            end: 0,
            last_samples: PACKET_SAMPLES,
            announced_silence: false,
            conceal_run: 0,
            stalled: 0,
            stalled_silent: 0,
            next_stretch_ms: 0.0,
        })
    }

    pub(super) fn started(&self) -> bool {
        self.started
    }

    pub(super) fn start(&mut self, timestamp: i64) {
        self.started = true;
        self.end = timestamp + self.buffered() as i64;
    }

    /// Ends a timeline; what is decoded is dropped with it.
    pub(super) fn stop(&mut self, statistics: &mut JitterStatistics) {
        self.count_stall(statistics);
        self.started = false;
        self.pcm.clear();
    }

    /// Goes on at another place of the timeline.
    pub(super) fn jump(&mut self, timestamp: i64, statistics: &mut JitterStatistics) {
        self.count_stall(statistics);
        self.end = timestamp;
    }

    /// Delay of the next sample handed out.
    pub(super) fn delay_ms(&self, now_ms: f64, delay: &DelayEstimator) -> f64 {
        delay.delay_ms(now_ms, (self.end - self.buffered() as i64) as f64 / PER_MS)
    }

    pub(super) fn pull(
        &mut self,
        now_ms: f64,
        store: &mut Store,
        delay: &mut DelayEstimator,
        statistics: &mut JitterStatistics,
        out: &mut Vec<i16>,
    ) {
        self.fill(now_ms, BLOCK_SAMPLES, store, delay, statistics);
        self.adapt(now_ms, store, delay, statistics);
        self.fill(now_ms, BLOCK_SAMPLES, store, delay, statistics);
        if self.conceal_run == 0 {
            statistics.current_delay_ms = self.delay_ms(now_ms, delay);
            statistics.emitted_samples += BLOCK_SAMPLES as u64;
            let seconds = statistics.current_delay_ms.max(0.0) / 1_000.0;
            statistics.buffer_delay_seconds += seconds * BLOCK_SAMPLES as f64;
        }
        out.extend(self.pcm.drain(..BLOCK_SAMPLES * self.channels));
    }

    fn buffered(&self) -> usize {
        self.pcm.len() / self.channels
    }

    fn fill(
        &mut self,
        now_ms: f64,
        wanted: usize,
        store: &mut Store,
        delay: &mut DelayEstimator,
        statistics: &mut JitterStatistics,
    ) {
        while self.buffered() < wanted {
            self.step(now_ms, store, delay, statistics);
        }
    }

    /// Adds the next stretch of sound, by what the first waiting packet says.
    fn step(
        &mut self,
        now_ms: f64,
        store: &mut Store,
        delay: &mut DelayEstimator,
        statistics: &mut JitterStatistics,
    ) {
        let missing = store.missing();
        let Some(first) = store.first() else {
            return self.stall(statistics);
        };
        let gap = first.timestamp - self.end;
        let own_delay_ms = delay.delay_ms(now_ms, first.timestamp as f64 / PER_MS);
        if gap > 0 && missing == 0 {
            // The sender was silent: play on when the packet is due, in noise that is no concealment.
            if own_delay_ms < delay.target_ms(now_ms) {
                return self.stall(statistics);
            }
            (self.stalled, self.stalled_silent) = (0, 0);
        } else if gap > 0 {
            let gap = self.credit_stall(gap, statistics);
            if gap > 0 {
                return self.replace_lost(gap, missing, store, statistics);
            }
        } else if self.stalled > 0 {
            delay.boost(now_ms, own_delay_ms);
            self.count_stall(statistics);
        }
        if let Some(packet) = store.pop() {
            self.decode(&packet, statistics);
        }
    }

    /// What was concealed while nothing was here counts towards what turned out to be lost.
    fn credit_stall(&mut self, gap: i64, statistics: &mut JitterStatistics) -> i64 {
        let credit = gap.min(self.stalled as i64);
        self.count_stall(statistics);
        self.end += credit;
        gap - credit
    }

    fn decode(&mut self, packet: &Stored, statistics: &mut JitterStatistics) {
        let start = self.pcm.len();
        let rise = self.gain_at(self.conceal_run) < 1.0;
        match self.decoder.decode(&packet.payload, &mut self.pcm) {
            Ok(samples) => {
                statistics.packets_decoded += 1;
                self.end = packet.timestamp + samples as i64;
                self.last_samples = samples;
            }
            Err(error) => {
                log::debug!("packet {} concealed: {error}", packet.sequence);
                statistics.packets_discarded += 1;
                self.end = packet.timestamp;
                return self.conceal(packet.samples, statistics);
            }
        }
        if rise {
            ramp(&mut self.pcm[start..], self.channels, RISE_SAMPLES);
        }
        self.announced_silence = packet.payload.len() <= DTX_MAX_BYTES;
        self.conceal_run = 0;
    }

    /// Fills the last packet's length of a loss of `gap` samples, from redundancy if the next packet has it.
    fn replace_lost(&mut self, gap: i64, missing: u64, store: &mut Store, statistics: &mut JitterStatistics) {
        let gap = usize::try_from(gap).unwrap_or(0);
        let recoverable = missing == 1 && gap <= self.last_samples;
        let start = self.pcm.len();
        let payload = store
            .first()
            .filter(|next| recoverable && packet_has_fec(&next.payload))
            .map(|next| &next.payload);
        let recovered =
            payload.map(|payload| self.decoder.decode_fec(payload, self.last_samples, &mut self.pcm));
        if let Some(Ok(samples)) = recovered {
            // Its beginning was concealed already while the next packet was awaited.
            let surplus = samples.saturating_sub(gap) * self.channels;
            self.pcm.drain(start..start + surplus);
            self.end += gap as i64;
            self.conceal_run = 0;
            statistics.packets_recovered += 1;
        } else {
            self.pcm.truncate(start);
            self.conceal(gap.min(self.last_samples), statistics);
        }
        if missing > 1 || gap <= self.last_samples {
            store.skip(1);
        }
    }

    /// Conceals a known loss: time goes on.
    fn conceal(&mut self, samples: usize, statistics: &mut JitterStatistics) {
        statistics.concealment_events += u64::from(self.conceal_run == 0);
        let silent = self.make_up(samples.clamp(1, MAX_PACKET_SAMPLES));
        self.end += samples as i64;
        statistics.concealed_samples += samples as u64;
        statistics.silent_concealed_samples += if silent { samples as u64 } else { 0 };
    }

    /// Conceals while it is unknown whether anything is lost: the timeline waits, so the delay grows.
    fn stall(&mut self, statistics: &mut JitterStatistics) {
        statistics.concealment_events += u64::from(self.conceal_run == 0 && !self.announced_silence);
        let silent = self.make_up(BLOCK_SAMPLES);
        self.stalled += BLOCK_SAMPLES;
        self.stalled_silent += if silent { BLOCK_SAMPLES } else { 0 };
    }

    fn count_stall(&mut self, statistics: &mut JitterStatistics) {
        statistics.concealed_samples += self.stalled as u64;
        statistics.silent_concealed_samples += self.stalled_silent as u64;
        (self.stalled, self.stalled_silent) = (0, 0);
    }

    /// Appends made-up sound that fades; returns whether it is plain silence.
    fn make_up(&mut self, samples: usize) -> bool {
        let start = self.pcm.len();
        let (from, to) = (
            self.gain_at(self.conceal_run),
            self.gain_at(self.conceal_run + samples),
        );
        let wanted = start + samples * self.channels;
        if from > 0.0 {
            // libopus makes multiples of 2.5 ms; the rest is cut or left silent.
            let _ = self
                .decoder
                .conceal(samples.next_multiple_of(BLOCK_SAMPLES / 4), &mut self.pcm);
        }
        self.pcm.resize(wanted, 0);
        if to < 1.0 {
            for (index, frame) in self.pcm[start..].chunks_exact_mut(self.channels).enumerate() {
                let gain = from + (to - from) * index as f32 / samples as f32;
                frame
                    .iter_mut()
                    .for_each(|sample| *sample = (f32::from(*sample) * gain) as i16);
            }
        }
        self.conceal_run = self.conceal_run.saturating_add(samples);
        from <= 0.0
    }

    fn gain_at(&self, run: usize) -> f32 {
        let (hold, end) = if self.announced_silence {
            FADE_DTX
        } else {
            FADE_LOSS
        };
        1.0 - (run.saturating_sub(hold) as f32 / (end - hold) as f32).min(1.0)
    }

    /// Moves the delay towards its target by taking out or repeating a stretch.
    fn adapt(
        &mut self,
        now_ms: f64,
        store: &mut Store,
        delay: &mut DelayEstimator,
        statistics: &mut JitterStatistics,
    ) {
        if self.conceal_run > 0 || now_ms < self.next_stretch_ms {
            return;
        }
        let excess_ms = self.delay_ms(now_ms, delay) - delay.target_ms(now_ms);
        if let Some(&(_, pause_ms, similarity)) = SHRINK_PACE.iter().find(|pace| excess_ms > pace.0) {
            self.decode_ahead(store, statistics);
            let most = MAX_LAG.min(((excess_ms - GROW_BELOW_MS) * PER_MS) as usize - 1);
            let removed = stretch::accelerate(&mut self.pcm, self.channels, most, similarity);
            statistics.removed_samples += removed as u64;
            self.next_stretch_ms = now_ms + if removed > 0 { pause_ms } else { 0.0 };
        } else if excess_ms < GROW_BELOW_MS {
            let inserted = stretch::expand(&mut self.pcm, self.channels, MAX_LAG, GROW_PACE.1);
            statistics.inserted_samples += inserted as u64;
            self.next_stretch_ms = now_ms + if inserted > 0 { GROW_PACE.0 } else { 0.0 };
        }
    }

    /// Decodes packets that follow without a gap until there is enough sound to scale.
    fn decode_ahead(&mut self, store: &mut Store, statistics: &mut JitterStatistics) {
        while self.buffered() < STRETCH_SAMPLES && store.missing() == 0 {
            if store.first().is_none_or(|first| first.timestamp > self.end) {
                return;
            }
            let Some(packet) = store.pop() else { return };
            self.decode(&packet, statistics);
        }
    }
}

/// Raises the start of a block from silence.
fn ramp(pcm: &mut [i16], channels: usize, length: usize) {
    for (index, frame) in pcm.chunks_exact_mut(channels).take(length).enumerate() {
        let gain = index as f32 / length as f32;
        frame
            .iter_mut()
            .for_each(|sample| *sample = (f32::from(*sample) * gain) as i16);
    }
}

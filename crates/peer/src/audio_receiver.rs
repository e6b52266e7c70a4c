//! From Opus packets to 10 ms blocks for the streams attached.

use std::sync::Arc;
use std::time::{Duration, Instant};

use greenroom_media::audio::{AudioPacket, JitterBuffer, JitterBufferConfig, level_dbov};

use crate::AudioSink;

/// One block.
pub(crate) const BLOCK: Duration = Duration::from_millis(10);
/// After a stall this many blocks are made up for; the rest is skipped and the jitter buffer catches up.
const CATCH_UP_BLOCKS: u32 = 10;

/// Decoder side of one audio track. It decodes only while something listens.
pub(crate) struct AudioReceiver {
    sinks: Vec<(u64, Arc<dyn AudioSink>)>,
    jitter: Option<(usize, JitterBuffer)>,
    next_pull: Option<Instant>,
    block: Vec<i16>,
    pub level: u8,
}

impl AudioReceiver {
    pub fn new() -> Self {
        Self {
            sinks: vec![],
            jitter: None,
            next_pull: None,
            block: vec![],
            level: 127,
        }
    }

    pub fn attach(&mut self, id: u64, sink: Arc<dyn AudioSink>, now: Instant) {
        self.sinks.push((id, sink));
        self.next_pull.get_or_insert(now + BLOCK);
        self.fit_channels();
    }

    pub fn detach(&mut self, id: u64) {
        self.sinks.retain(|(other, _)| *other != id);
        if self.sinks.is_empty() {
            self.next_pull = None;
            self.jitter = None;
            self.level = 127;
        }
    }

    pub fn end(&mut self) {
        self.sinks.drain(..).for_each(|(_, sink)| sink.end());
        self.next_pull = None;
    }

    fn fit_channels(&mut self) {
        let wanted = if self.sinks.iter().any(|(_, sink)| sink.channels() > 1) {
            2
        } else {
            1
        };
        if self
            .jitter
            .as_ref()
            .is_some_and(|(channels, _)| *channels >= wanted)
        {
            return;
        }
        match JitterBuffer::new(JitterBufferConfig {
            channels: wanted,
            ..JitterBufferConfig::default()
        }) {
            Ok(jitter) => self.jitter = Some((wanted, jitter)),
            Err(error) => log::error!("no audio decoder: {error}"),
        }
    }

    /// A packet arrived; `sequence` is extended.
    pub fn insert(&mut self, now: Instant, sequence: u64, rtp_time: u32, payload: &[u8]) {
        if let Some((_, jitter)) = &mut self.jitter {
            jitter.insert(
                now,
                AudioPacket {
                    sequence,
                    timestamp: rtp_time,
                    payload: payload.to_vec(),
                },
            );
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_pull
    }

    /// Pull what is due and hand it to the streams.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(mut due) = self.next_pull else {
            return;
        };
        if now.saturating_duration_since(due) > BLOCK * CATCH_UP_BLOCKS {
            due = now - BLOCK * CATCH_UP_BLOCKS;
        }
        while due <= now {
            self.pull(due);
            due += BLOCK;
        }
        self.next_pull = Some(due);
    }

    fn pull(&mut self, due: Instant) {
        let Some((channels, jitter)) = &mut self.jitter else {
            return;
        };
        self.block.clear();
        jitter.pull(due, &mut self.block);
        self.level = level_dbov(&self.block).min(127);
        for (_, sink) in &self.sinks {
            sink.push_block(&self.block, *channels);
        }
    }

    pub fn jitter(&self) -> Option<&JitterBuffer> {
        self.jitter.as_ref().map(|(_, jitter)| jitter)
    }
}

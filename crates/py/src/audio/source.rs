//! `AudioSource`: captured PCM, paced by the media clock, to senders and local streams.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use greenroom_media::audio::{CaptureQueue, Push, Resampler};
use greenroom_net::{EventPort as Port, Payload, next_handle};
use greenroom_peer::AudioSink;
use pyo3::prelude::*;

use super::stream::StreamShared;
use super::{count, lock, rate, value_error};
use crate::buffer::{BufferBytes, samples_of};
use crate::error::{closed, engine_error};
use crate::event_kinds;
use crate::event_port::EventPort;
use crate::peer_endpoint::PeerBackend;

/// Blocks handed to a peer that it has not taken yet, beyond which new ones are dropped: 1 s.
const BLOCKS_IN_FLIGHT: usize = 50;
/// Ticks of 10 ms per block that a sender gets: one Opus packet.
const TICKS_PER_BLOCK: u32 = 2;

struct SenderFeed {
    peer_handle: u64,
    mid: String,
    backend: Weak<PeerBackend>,
    pending: Vec<i16>,
    ticks: u32,
    in_flight: Arc<AtomicUsize>,
}

impl SenderFeed {
    /// False: the peer is gone.
    fn push(&mut self, pcm: &[i16], rate_hz: u32, channels: usize) -> bool {
        self.pending.extend_from_slice(pcm);
        self.ticks += 1;
        if self.ticks < TICKS_PER_BLOCK {
            return true;
        }
        self.ticks = 0;
        let block = std::mem::take(&mut self.pending);
        let Some(backend) = self.backend.upgrade() else {
            return false;
        };
        if self.in_flight.fetch_add(1, Ordering::AcqRel) >= BLOCKS_IN_FLIGHT {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
            return true;
        }
        let (mid, in_flight) = (self.mid.clone(), self.in_flight.clone());
        backend.post(move |peer, now| {
            in_flight.fetch_sub(1, Ordering::AcqRel);
            peer.push_audio(&mid, &block, rate_hz, channels, now);
        })
    }
}

/// A stream that listens to a local source.
pub(super) struct Tap {
    pub(super) stream: Arc<StreamShared>,
    pub(super) resampler: Resampler,
    pub(super) resampled: Vec<i16>,
}

pub(super) struct SourceState {
    queue: CaptureQueue,
    senders: Vec<SenderFeed>,
    pub(super) taps: Vec<Tap>,
    pub(super) closed: bool,
}

/// A source without its Python object.
pub struct SourceShared {
    handle: u64,
    port: Port,
    pub(super) rate_hz: u32,
    pub(super) channels: usize,
    pub(super) state: Mutex<SourceState>,
}

impl SourceShared {
    /// One tick of the media clock. False: it is closed.
    fn tick(&self, block: &mut Vec<i16>) -> bool {
        let mut state = lock(&self.state);
        if state.closed {
            return false;
        }
        let drained = state.queue.drain_10ms(block);
        state
            .senders
            .retain_mut(|sender| sender.push(block, self.rate_hz, self.channels));
        for tap in &mut state.taps {
            tap.resampled.clear();
            tap.resampler.process(block, &mut tap.resampled);
            tap.stream.push_block(&tap.resampled, self.channels);
        }
        if let Some(ticket) = drained.completed_ticket {
            self.captured(ticket);
        }
        if drained.became_empty {
            self.port.push(self.handle, event_kinds::DRAINED, Payload::None);
        }
        true
    }

    fn captured(&self, ticket: u64) {
        self.port.push(
            self.handle,
            event_kinds::CAPTURED,
            Payload::Integer(ticket as i64),
        );
    }

    /// Feed a sender of a peer from now on.
    pub fn attach_sender(&self, peer_handle: u64, mid: &str, backend: &Arc<PeerBackend>) {
        lock(&self.state).senders.push(SenderFeed {
            peer_handle,
            mid: mid.into(),
            backend: Arc::downgrade(backend),
            pending: vec![],
            ticks: 0,
            in_flight: Arc::default(),
        });
    }

    pub fn detach_sender(&self, peer_handle: u64, mid: &str) {
        lock(&self.state)
            .senders
            .retain(|sender| sender.peer_handle != peer_handle || sender.mid != mid);
    }

    fn close(&self) {
        let (ticket, taps) = {
            let mut state = lock(&self.state);
            state.closed = true;
            state.senders.clear();
            (state.queue.clear(), std::mem::take(&mut state.taps))
        };
        if let Some(ticket) = ticket {
            self.captured(ticket);
        }
        taps.iter().for_each(|tap| tap.stream.end());
    }
}

/// PCM into the engine.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct AudioSource {
    pub shared: Arc<SourceShared>,
}

#[pymethods]
impl AudioSource {
    #[new]
    fn new(port: &EventPort, sample_rate_hz: i64, num_channels: i64, queue_size_ms: i64) -> PyResult<Self> {
        let (rate_hz, channels) = (rate(sample_rate_hz), count(num_channels));
        let queue = CaptureQueue::new(rate_hz, channels, rate(queue_size_ms)).map_err(value_error)?;
        let state = SourceState {
            queue,
            senders: vec![],
            taps: vec![],
            closed: false,
        };
        let shared = Arc::new(SourceShared {
            handle: next_handle(),
            port: port.port(),
            rate_hz,
            channels,
            state: Mutex::new(state),
        });
        let weak = Arc::downgrade(&shared);
        let mut block = Vec::new();
        port.driver().every_tick(Box::new(move |_, ticks| {
            let Some(shared) = weak.upgrade() else {
                return false;
            };
            (0..ticks).all(|_| shared.tick(&mut block))
        }));
        Ok(Self { shared })
    }

    #[getter]
    fn handle(&self) -> u64 {
        self.shared.handle
    }

    fn push(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<u64> {
        let data = BufferBytes::new(data)?;
        let bytes = data.as_slice();
        let pushed = py.detach(|| {
            let pcm = samples_of(bytes)?;
            let mut state = lock(&self.shared.state);
            Some(if state.closed {
                Ok(Push::Done)
            } else {
                state.queue.push(&pcm)
            })
        });
        match pushed {
            None => Err(engine_error(format_args!(
                "{} bytes are no whole int16 samples",
                bytes.len()
            ))),
            Some(Err(error)) => Err(engine_error(error)),
            Some(Ok(Push::Done)) => Ok(0),
            Some(Ok(Push::Wait(ticket))) => Ok(ticket),
        }
    }

    fn queued_samples(&self) -> usize {
        lock(&self.shared.state).queue.queued_samples()
    }

    fn clear(&self) {
        let ticket = lock(&self.shared.state).queue.clear();
        if let Some(ticket) = ticket {
            self.shared.captured(ticket);
        }
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.shared.close());
    }
}

impl Drop for AudioSource {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// For `add_audio_sender`.
pub fn open_source(source: &AudioSource) -> PyResult<Arc<SourceShared>> {
    if lock(&source.shared.state).closed {
        return Err(closed("AudioSource"));
    }
    Ok(source.shared.clone())
}

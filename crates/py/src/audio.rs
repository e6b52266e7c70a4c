//! `AudioSource`, `AudioStream`, `AudioResampler`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use greenroom_media::audio::{
    AudioError, CaptureQueue, ENGINE_RATE_HZ, FrameRing, Push, Resampler, ResamplerQuality,
};
use greenroom_net::{Engine, EventPort as Port, Payload, next_handle};
use greenroom_peer::AudioSink;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use crate::buffer::{BufferBytes, bytes_of, samples_of};
use crate::error::{closed, engine_error};
use crate::event_kinds;
use crate::event_port::EventPort;
use crate::peer::Receiver;
use crate::peer_endpoint::PeerBackend;

/// Blocks handed to a peer that it has not taken yet, beyond which new ones are dropped: 1 s.
const BLOCKS_IN_FLIGHT: usize = 50;
/// Ticks of 10 ms per block that a sender gets: one Opus packet.
const TICKS_PER_BLOCK: u32 = 2;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn value_error(error: AudioError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A number of channels or the like from Python; what does not fit becomes a value that is refused by name later.
pub fn count(value: i64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn rate(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

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
struct Tap {
    stream: Arc<StreamShared>,
    resampler: Resampler,
    resampled: Vec<i16>,
}

struct SourceState {
    queue: CaptureQueue,
    senders: Vec<SenderFeed>,
    taps: Vec<Tap>,
    closed: bool,
}

/// A source without its Python object.
pub struct SourceShared {
    handle: u64,
    port: Port,
    rate_hz: u32,
    channels: usize,
    state: Mutex<SourceState>,
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
            self.port
                .push(self.handle, event_kinds::DRAINED, Payload::None);
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
    fn new(
        port: &EventPort,
        sample_rate_hz: i64,
        num_channels: i64,
        queue_size_ms: i64,
    ) -> PyResult<Self> {
        let (rate_hz, channels) = (rate(sample_rate_hz), count(num_channels));
        let queue =
            CaptureQueue::new(rate_hz, channels, rate(queue_size_ms)).map_err(value_error)?;
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
        Engine::global()
            .media_clock()
            .register(Box::new(move |_, ticks| {
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

struct RingState {
    ring: FrameRing,
    ended: bool,
    closed: bool,
}

/// A stream without its Python object.
pub struct StreamShared {
    handle: u64,
    port: Port,
    channels: usize,
    state: Mutex<RingState>,
}

impl AudioSink for StreamShared {
    fn channels(&self) -> usize {
        self.channels
    }

    fn push_block(&self, pcm: &[i16], channels: usize) {
        let mut state = lock(&self.state);
        if state.ended || state.closed {
            return;
        }
        let was_empty = state.ring.is_empty();
        state.ring.push_block(pcm, channels);
        if was_empty && !state.ring.is_empty() {
            self.port
                .push(self.handle, event_kinds::STREAM_READY, Payload::None);
        }
    }

    fn end(&self) {
        let mut state = lock(&self.state);
        if !state.ended && !state.closed {
            state.ended = true;
            self.port
                .push(self.handle, event_kinds::STREAM_ENDED, Payload::None);
        }
    }
}

enum Origin {
    Receiver(Arc<PeerBackend>),
    Source(Weak<SourceShared>),
}

/// Decoded PCM in the format asked for.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct AudioStream {
    shared: Arc<StreamShared>,
    origin: Origin,
}

#[pymethods]
impl AudioStream {
    #[new]
    #[pyo3(signature = (port, origin, *, sample_rate_hz, num_channels, frame_size_ms = 10, capacity_frames))]
    fn new(
        port: &EventPort,
        origin: &Bound<'_, PyAny>,
        sample_rate_hz: i64,
        num_channels: i64,
        frame_size_ms: i64,
        capacity_frames: i64,
    ) -> PyResult<Self> {
        let channels = count(num_channels);
        let capacity = usize::try_from(capacity_frames).unwrap_or(0);
        let ring = FrameRing::new(
            rate(sample_rate_hz),
            channels,
            rate(frame_size_ms),
            capacity,
        )
        .map_err(value_error)?;
        let state = Mutex::new(RingState {
            ring,
            ended: false,
            closed: false,
        });
        let shared = Arc::new(StreamShared {
            handle: next_handle(),
            port: port.port(),
            channels,
            state,
        });
        let origin = attach(origin, &shared)?;
        Ok(Self { shared, origin })
    }

    #[getter]
    fn handle(&self) -> u64 {
        self.shared.handle
    }

    fn pop<'py>(&self, py: Python<'py>) -> Option<(Bound<'py, PyByteArray>, usize)> {
        let frame = lock(&self.shared.state).ring.pop()?;
        Some((
            PyByteArray::new(py, &bytes_of(&frame)),
            frame.len() / self.shared.channels,
        ))
    }

    #[getter]
    fn dropped_frames(&self) -> u64 {
        lock(&self.shared.state).ring.dropped()
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.detach());
    }
}

impl AudioStream {
    fn detach(&self) {
        let was_closed = std::mem::replace(&mut lock(&self.shared.state).closed, true);
        if was_closed {
            return;
        }
        let handle = self.shared.handle;
        match &self.origin {
            Origin::Receiver(backend) => {
                backend.post(move |peer, _| peer.detach_sink(handle));
            }
            Origin::Source(source) => {
                if let Some(source) = source.upgrade() {
                    lock(&source.state)
                        .taps
                        .retain(|tap| tap.stream.handle != handle);
                }
            }
        }
    }
}

impl Drop for AudioStream {
    fn drop(&mut self) {
        self.detach();
    }
}

fn attach(origin: &Bound<'_, PyAny>, shared: &Arc<StreamShared>) -> PyResult<Origin> {
    if let Ok(receiver) = origin.cast::<Receiver>() {
        let receiver = receiver.get();
        if receiver.kind() != "audio" {
            return Err(engine_error(format_args!(
                "the receiver on mid {:?} is video; use VideoStream",
                receiver.mid()
            )));
        }
        let (id, sink) = (receiver.handle(), shared.clone());
        let attached = receiver
            .backend()
            .post(move |peer, now| peer.attach_audio_sink(id, sink.handle, sink, now));
        if !attached {
            shared.end();
        }
        return Ok(Origin::Receiver(receiver.backend().clone()));
    }
    let Ok(source) = origin.cast::<AudioSource>() else {
        return Err(PyTypeError::new_err(format!(
            "origin must be a Receiver or an AudioSource, not {}",
            origin.get_type()
        )));
    };
    let source = &source.get().shared;
    let resampler = Resampler::new(
        source.rate_hz,
        source.channels,
        ENGINE_RATE_HZ,
        source.channels,
    )
    .map_err(value_error)?;
    let mut state = lock(&source.state);
    if state.closed {
        shared.end();
    } else {
        state.taps.push(Tap {
            stream: shared.clone(),
            resampler,
            resampled: vec![],
        });
    }
    Ok(Origin::Source(Arc::downgrade(source)))
}

const QUALITIES: &[(&str, ResamplerQuality)] = &[
    ("quick", ResamplerQuality::Quick),
    ("low", ResamplerQuality::Low),
    ("medium", ResamplerQuality::Medium),
    ("high", ResamplerQuality::High),
    ("very_high", ResamplerQuality::VeryHigh),
];

/// Streaming rate conversion.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct AudioResampler {
    channels: usize,
    resampler: Mutex<Resampler>,
}

#[pymethods]
impl AudioResampler {
    #[new]
    #[pyo3(signature = (input_rate_hz, output_rate_hz, num_channels, quality = "medium"))]
    fn new(
        input_rate_hz: i64,
        output_rate_hz: i64,
        num_channels: i64,
        quality: &str,
    ) -> PyResult<Self> {
        let Some((_, quality)) = QUALITIES.iter().find(|(name, _)| *name == quality) else {
            let names: Vec<&str> = QUALITIES.iter().map(|(name, _)| *name).collect();
            return Err(PyValueError::new_err(format!(
                "quality {quality:?} is unknown; use one of {}",
                names.join(", ")
            )));
        };
        let channels = count(num_channels);
        let resampler = Resampler::with_quality(
            rate(input_rate_hz),
            channels,
            rate(output_rate_hz),
            channels,
            *quality,
        )
        .map_err(value_error)?;
        Ok(Self {
            channels,
            resampler: Mutex::new(resampler),
        })
    }

    fn push<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyByteArray>> {
        let data = BufferBytes::new(data)?;
        let bytes = data.as_slice();
        let converted = py.detach(|| {
            let pcm = samples_of(bytes).filter(|pcm| pcm.len() % self.channels == 0)?;
            let mut out = Vec::new();
            lock(&self.resampler).process(&pcm, &mut out);
            Some(bytes_of(&out))
        });
        match converted {
            Some(bytes) => Ok(PyByteArray::new(py, &bytes)),
            None => {
                let text = format!(
                    "{} bytes are no whole int16 samples of {} channels",
                    bytes.len(),
                    self.channels
                );
                Err(engine_error(text))
            }
        }
    }

    fn flush<'py>(&self, py: Python<'py>) -> Bound<'py, PyByteArray> {
        let mut out = Vec::new();
        lock(&self.resampler).flush(&mut out);
        PyByteArray::new(py, &bytes_of(&out))
    }
}

/// For `add_audio_sender`.
pub fn open_source(source: &AudioSource) -> PyResult<Arc<SourceShared>> {
    if lock(&source.shared.state).closed {
        return Err(closed("AudioSource"));
    }
    Ok(source.shared.clone())
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<AudioSource>()?;
    module.add_class::<AudioStream>()?;
    module.add_class::<AudioResampler>()
}

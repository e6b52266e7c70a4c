//! `AudioStream`: a bounded ring of frames, from a receiver or a local source.

use std::sync::{Arc, Mutex, Weak};

use greenroom_media::audio::{ENGINE_RATE_HZ, FrameRing, Resampler};
use greenroom_net::{EventPort as Port, Payload, next_handle};
use greenroom_peer::AudioSink;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use super::source::{AudioSource, SourceShared, Tap};
use super::{count, lock, rate, value_error};
use crate::buffer::bytes_of;
use crate::error::engine_error;
use crate::event_kinds;
use crate::event_port::EventPort;
use crate::peer::Receiver;
use crate::peer_endpoint::PeerBackend;

struct RingState {
    ring: FrameRing,
    ended: bool,
    closed: bool,
}

/// A stream without its Python object.
pub struct StreamShared {
    pub(super) handle: u64,
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
        let ring = FrameRing::new(rate(sample_rate_hz), channels, rate(frame_size_ms), capacity)
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
                    lock(&source.state).taps.retain(|tap| tap.stream.handle != handle);
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
    let resampler = Resampler::new(source.rate_hz, source.channels, ENGINE_RATE_HZ, source.channels)
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

//! `VideoStream`: a bounded queue of pictures, from a receiver or a local source.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};

use greenroom_media::video::{self, BufferType, I420Frame};
use greenroom_net::{EventPort as Port, Payload, next_handle};
use greenroom_peer::VideoSink;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use super::source::{SourceShared, VideoSource};
use super::{Timed, buffer_type, count, lock};
use crate::error::engine_error;
use crate::event_kinds;
use crate::event_port::EventPort;
use crate::peer::Receiver;
use crate::peer_endpoint::PeerBackend;

struct RingState {
    frames: VecDeque<Timed>,
    dropped: u64,
    ended: bool,
    closed: bool,
}

/// A stream without its Python object.
pub struct StreamShared {
    pub(super) handle: u64,
    port: Port,
    capacity: usize,
    state: Mutex<RingState>,
}

impl VideoSink for StreamShared {
    fn push_frame(&self, frame: &I420Frame, timestamp_us: i64) {
        let mut state = lock(&self.state);
        if state.ended || state.closed {
            return;
        }
        if state.frames.len() >= self.capacity {
            state.frames.pop_front();
            state.dropped += 1;
        }
        let was_empty = state.frames.is_empty();
        state.frames.push_back((frame.clone(), timestamp_us));
        if was_empty {
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

/// Decoded pictures in the layout asked for.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct VideoStream {
    shared: Arc<StreamShared>,
    origin: Origin,
    buffer_type: BufferType,
}

type Popped<'py> = (Bound<'py, PyByteArray>, u32, u32, u32, i64, u32);

#[pymethods]
impl VideoStream {
    #[new]
    #[pyo3(signature = (port, origin, *, buffer_type = None, capacity_frames))]
    fn new(
        port: &EventPort,
        origin: &Bound<'_, PyAny>,
        buffer_type: Option<i64>,
        capacity_frames: i64,
    ) -> PyResult<Self> {
        let wanted =
            self::buffer_type(buffer_type.unwrap_or(BufferType::I420 as i64)).map_err(engine_error)?;
        if capacity_frames < 1 {
            return Err(PyValueError::new_err(format!(
                "capacity_frames is {capacity_frames}; give at least 1"
            )));
        }
        let state = RingState {
            frames: VecDeque::new(),
            dropped: 0,
            ended: false,
            closed: false,
        };
        let capacity = count(capacity_frames);
        let shared = Arc::new(StreamShared {
            handle: next_handle(),
            port: port.port(),
            capacity,
            state: Mutex::new(state),
        });
        let origin = attach(origin, &shared)?;
        Ok(Self {
            shared,
            origin,
            buffer_type: wanted,
        })
    }

    #[getter]
    fn handle(&self) -> u64 {
        self.shared.handle
    }

    fn pop<'py>(&self, py: Python<'py>) -> PyResult<Option<Popped<'py>>> {
        let Some((frame, timestamp_us)) = lock(&self.shared.state).frames.pop_front() else {
            return Ok(None);
        };
        let (width, height, wanted) = (frame.width(), frame.height(), self.buffer_type);
        let data = if wanted == BufferType::I420 {
            PyByteArray::new(py, frame.as_bytes())
        } else {
            let converted = py
                .detach(|| video::from_i420(&frame, wanted, false))
                .map_err(engine_error)?;
            PyByteArray::new(py, &converted)
        };
        // Rotation was applied before encoding.
        Ok(Some((data, width, height, wanted as u32, timestamp_us, 0)))
    }

    #[getter]
    fn dropped_frames(&self) -> u64 {
        lock(&self.shared.state).dropped
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.detach());
    }
}

impl VideoStream {
    fn detach(&self) {
        {
            let mut state = lock(&self.shared.state);
            if std::mem::replace(&mut state.closed, true) {
                return;
            }
            state.frames.clear();
        }
        let handle = self.shared.handle;
        match &self.origin {
            Origin::Receiver(backend) => {
                backend.post(move |peer, _| peer.detach_sink(handle));
            }
            Origin::Source(source) => {
                if let Some(source) = source.upgrade() {
                    lock(&source.state).taps.retain(|tap| tap.handle != handle);
                }
            }
        }
    }
}

impl Drop for VideoStream {
    fn drop(&mut self) {
        self.detach();
    }
}

fn attach(origin: &Bound<'_, PyAny>, shared: &Arc<StreamShared>) -> PyResult<Origin> {
    if let Ok(receiver) = origin.cast::<Receiver>() {
        let receiver = receiver.get();
        if receiver.kind() != "video" {
            return Err(engine_error(format_args!(
                "the receiver on mid {:?} is audio; use AudioStream",
                receiver.mid()
            )));
        }
        let (id, sink) = (receiver.handle(), shared.clone());
        let attached = receiver
            .backend()
            .post(move |peer, now| peer.attach_video_sink(id, sink.handle, sink, now));
        if !attached {
            shared.end();
        }
        return Ok(Origin::Receiver(receiver.backend().clone()));
    }
    let Ok(source) = origin.cast::<VideoSource>() else {
        return Err(PyTypeError::new_err(format!(
            "origin must be a Receiver or a VideoSource, not {}",
            origin.get_type()
        )));
    };
    let source = &source.get().shared;
    let mut state = lock(&source.state);
    if state.closed {
        shared.end();
    } else {
        state.taps.push(shared.clone());
    }
    Ok(Origin::Source(Arc::downgrade(source)))
}

//! `VideoSource`, `VideoStream`, and conversion between pixel layouts.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use greenroom_media::video::{self, BufferType, I420Frame, VideoError};
use greenroom_net::{EventPort as Port, Payload, next_handle};
use greenroom_peer::VideoSink;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use crate::audio::count;
use crate::buffer::BufferBytes;
use crate::error::{closed, engine_error};
use crate::event_kinds;
use crate::event_port::EventPort;
use crate::peer::Receiver;
use crate::peer_endpoint::PeerBackend;

type Timed = (I420Frame, i64);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Our clock, for pictures without a time of their own. Never 0.
fn now_us() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_micros() as i64 + 1
}

fn size(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn buffer_type(number: i64) -> Result<BufferType, VideoError> {
    BufferType::try_from(u32::try_from(number).unwrap_or(u32::MAX))
}

struct SenderFeed {
    peer_handle: u64,
    mid: String,
    backend: Weak<PeerBackend>,
    /// The latest picture that the peer has not taken yet.
    slot: Arc<Mutex<Option<Timed>>>,
}

impl SenderFeed {
    /// False: the peer is gone.
    fn push(&self, frame: &I420Frame, timestamp_us: i64) -> bool {
        let Some(backend) = self.backend.upgrade() else {
            return false;
        };
        let replaced = lock(&self.slot).replace((frame.clone(), timestamp_us));
        if replaced.is_some() {
            return true;
        }
        let (mid, slot) = (self.mid.clone(), self.slot.clone());
        let posted = backend.post(move |peer, now| {
            let latest = lock(&slot).take();
            if let Some((frame, timestamp_us)) = latest {
                peer.push_video(&mid, frame, timestamp_us, now);
            }
        });
        if !posted {
            lock(&self.slot).take();
        }
        posted
    }
}

#[derive(Default)]
struct SourceState {
    latest: Option<Timed>,
    senders: Vec<SenderFeed>,
    taps: Vec<Arc<StreamShared>>,
    closed: bool,
}

/// A source without its Python object.
pub struct SourceShared {
    handle: u64,
    state: Mutex<SourceState>,
}

impl SourceShared {
    fn push(&self, frame: I420Frame, timestamp_us: i64) {
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        state
            .senders
            .retain(|sender| sender.push(&frame, timestamp_us));
        state
            .taps
            .iter()
            .for_each(|tap| tap.push_frame(&frame, timestamp_us));
        state.latest = Some((frame, timestamp_us));
    }

    /// Feed a sender of a peer from now on, starting with the picture at hand.
    pub fn attach_sender(&self, peer_handle: u64, mid: &str, backend: &Arc<PeerBackend>) {
        let mut state = lock(&self.state);
        let feed = SenderFeed {
            peer_handle,
            mid: mid.into(),
            backend: Arc::downgrade(backend),
            slot: Arc::default(),
        };
        if let Some((frame, timestamp_us)) = &state.latest {
            feed.push(frame, *timestamp_us);
        }
        state.senders.push(feed);
    }

    pub fn detach_sender(&self, peer_handle: u64, mid: &str) {
        lock(&self.state)
            .senders
            .retain(|sender| sender.peer_handle != peer_handle || sender.mid != mid);
    }

    fn close(&self) {
        let state = std::mem::replace(
            &mut *lock(&self.state),
            SourceState {
                closed: true,
                ..SourceState::default()
            },
        );
        state.taps.iter().for_each(|tap| tap.end());
    }
}

/// Pictures into the engine.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct VideoSource {
    pub shared: Arc<SourceShared>,
}

#[pymethods]
impl VideoSource {
    #[new]
    #[pyo3(signature = (width, height, *, is_screencast = false))]
    fn new(width: i64, height: i64, is_screencast: bool) -> Self {
        // Size and kind are what the caller announces; pictures may have any size, and the sender says what it is for.
        let _ = (width, height, is_screencast);
        Self {
            shared: Arc::new(SourceShared {
                handle: next_handle(),
                state: Mutex::default(),
            }),
        }
    }

    #[getter]
    fn handle(&self) -> u64 {
        self.shared.handle
    }

    #[allow(clippy::too_many_arguments)]
    fn push(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        width: i64,
        height: i64,
        buffer_type: i64,
        timestamp_us: i64,
        rotation_degrees: i64,
    ) -> PyResult<()> {
        if lock(&self.shared.state).closed {
            return Ok(());
        }
        let data = BufferBytes::new(data)?;
        let bytes = data.as_slice();
        py.detach(|| {
            let frame = video::to_i420(
                bytes,
                size(width),
                size(height),
                self::buffer_type(buffer_type)?,
            )?;
            let upright =
                video::rotate(&frame, u32::try_from(rotation_degrees).unwrap_or(u32::MAX))?;
            self.shared.push(
                upright,
                if timestamp_us == 0 {
                    now_us()
                } else {
                    timestamp_us
                },
            );
            Ok(())
        })
        .map_err(|error: VideoError| engine_error(error))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.shared.close());
    }
}

impl Drop for VideoSource {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// For `add_video_sender`.
pub fn open_source(source: &VideoSource) -> PyResult<Arc<SourceShared>> {
    if lock(&source.shared.state).closed {
        return Err(closed("VideoSource"));
    }
    Ok(source.shared.clone())
}

struct RingState {
    frames: VecDeque<Timed>,
    dropped: u64,
    ended: bool,
    closed: bool,
}

/// A stream without its Python object.
pub struct StreamShared {
    handle: u64,
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
        let wanted = self::buffer_type(buffer_type.unwrap_or(BufferType::I420 as i64))
            .map_err(engine_error)?;
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

#[pyfunction]
#[pyo3(signature = (data, width, height, from_type, to_type, *, flip_y = false))]
fn convert_video<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    width: i64,
    height: i64,
    from_type: i64,
    to_type: i64,
    flip_y: bool,
) -> PyResult<Bound<'py, PyByteArray>> {
    let data = BufferBytes::new(data)?;
    let bytes = data.as_slice();
    let converted = py.detach(|| {
        let (from, to) = (buffer_type(from_type)?, buffer_type(to_type)?);
        video::convert(bytes, size(width), size(height), from, to, flip_y)
    });
    Ok(PyByteArray::new(
        py,
        &converted.map_err(|error: VideoError| engine_error(error))?,
    ))
}

#[pyfunction]
fn video_buffer_size(width: i64, height: i64, buffer_type: i64) -> PyResult<usize> {
    let wanted = self::buffer_type(buffer_type).map_err(engine_error)?;
    video::buffer_size(size(width), size(height), wanted).map_err(engine_error)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<VideoSource>()?;
    module.add_class::<VideoStream>()?;
    module.add_function(wrap_pyfunction!(convert_video, module)?)?;
    module.add_function(wrap_pyfunction!(video_buffer_size, module)?)
}

//! `DataTrackStream`: a bounded ring of frames for one reader.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};

use greenroom_datatrack::Frame;
use greenroom_net::{EventPort as Port, Payload, next_handle};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::lock;
use super::receiver::{DataTrackReceiver, ReceiverShared};
use crate::event_kinds;
use crate::event_port::EventPort;

#[derive(Default)]
struct Ring {
    frames: VecDeque<Arc<Frame>>,
    dropped: u64,
    ended: bool,
}

/// A stream without its Python object.
pub struct StreamShared {
    handle: u64,
    port: Port,
    capacity: usize,
    ring: Mutex<Ring>,
}

impl StreamShared {
    pub(super) fn push(&self, frame: Arc<Frame>) {
        let mut ring = lock(&self.ring);
        if ring.ended {
            return;
        }
        if ring.frames.len() >= self.capacity {
            ring.frames.pop_front();
            ring.dropped += 1;
        }
        ring.frames.push_back(frame);
        if ring.frames.len() == 1 {
            self.port
                .push(self.handle, event_kinds::STREAM_READY, Payload::None);
        }
    }

    pub(super) fn end(&self) {
        let mut ring = lock(&self.ring);
        if !ring.ended {
            ring.ended = true;
            self.port
                .push(self.handle, event_kinds::STREAM_ENDED, Payload::None);
        }
    }
}

type PyFrame<'py> = (
    Bound<'py, PyBytes>,
    Option<u64>,
    Option<(u8, Bound<'py, PyBytes>)>,
);

/// The frames of a remote data track for one reader.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct DataTrackStream {
    shared: Arc<StreamShared>,
    receiver: Weak<ReceiverShared>,
}

#[pymethods]
impl DataTrackStream {
    #[new]
    #[pyo3(signature = (port, receiver, *, capacity_frames))]
    fn new(port: &EventPort, receiver: &DataTrackReceiver, capacity_frames: usize) -> DataTrackStream {
        let shared = Arc::new(StreamShared {
            handle: next_handle(),
            port: port.port(),
            capacity: capacity_frames.max(1),
            ring: Mutex::default(),
        });
        lock(&receiver.shared.streams).push(Arc::clone(&shared));
        DataTrackStream {
            shared,
            receiver: Arc::downgrade(&receiver.shared),
        }
    }

    #[getter]
    fn handle(&self) -> u64 {
        self.shared.handle
    }

    fn pop<'py>(&self, py: Python<'py>) -> Option<PyFrame<'py>> {
        let frame = lock(&self.shared.ring).frames.pop_front()?;
        let encryption = frame.extensions.encryption;
        Some((
            PyBytes::new(py, &frame.payload),
            frame.extensions.user_timestamp,
            encryption.map(|encryption| (encryption.key_index, PyBytes::new(py, &encryption.iv))),
        ))
    }

    #[getter]
    fn dropped_frames(&self) -> u64 {
        lock(&self.shared.ring).dropped
    }

    fn close(&self) {
        self.detach();
    }
}

impl DataTrackStream {
    fn detach(&self) {
        if let Some(receiver) = self.receiver.upgrade() {
            lock(&receiver.streams).retain(|stream| stream.handle != self.shared.handle);
        }
        let mut ring = lock(&self.shared.ring);
        ring.ended = true;
        ring.frames.clear();
    }
}

impl Drop for DataTrackStream {
    fn drop(&mut self) {
        self.detach();
        self.shared.port.forget(self.shared.handle);
    }
}

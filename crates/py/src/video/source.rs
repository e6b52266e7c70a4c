//! `VideoSource`: captured pictures to senders and local streams.

use std::sync::{Arc, Mutex, Weak};

use greenroom_media::video::{self, I420Frame, VideoError};
use greenroom_net::next_handle;
use greenroom_peer::VideoSink;
use pyo3::prelude::*;

use super::stream::StreamShared;
use super::{Timed, buffer_type, lock, now_us, size};
use crate::buffer::BufferBytes;
use crate::error::{closed, engine_error};
use crate::peer_endpoint::PeerBackend;

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
pub(super) struct SourceState {
    latest: Option<Timed>,
    senders: Vec<SenderFeed>,
    pub(super) taps: Vec<Arc<StreamShared>>,
    pub(super) closed: bool,
}

/// A source without its Python object.
pub struct SourceShared {
    handle: u64,
    pub(super) state: Mutex<SourceState>,
}

impl SourceShared {
    fn push(&self, frame: I420Frame, timestamp_us: i64) {
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        state.senders.retain(|sender| sender.push(&frame, timestamp_us));
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
            let frame = video::to_i420(bytes, size(width), size(height), self::buffer_type(buffer_type)?)?;
            let upright = video::rotate(&frame, u32::try_from(rotation_degrees).unwrap_or(u32::MAX))?;
            self.shared
                .push(upright, if timestamp_us == 0 { now_us() } else { timestamp_us });
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

//! `UpTrack`: what a participant publishes on one m-line.

use std::sync::atomic::{AtomicBool, Ordering};

use greenroom_net::EventPort as NetEventPort;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::calls::{Worker, call, post};
use crate::error::closed;

/// What a participant publishes on one m-line.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct UpTrack {
    pub(super) handle: u64,
    pub(super) worker: Worker,
    pub(super) port: NetEventPort,
    pub(super) closed: AtomicBool,
}

impl UpTrack {
    fn open(&self) -> PyResult<()> {
        if self.closed.load(Ordering::Acquire) {
            Err(closed("UpTrack"))
        } else {
            Ok(())
        }
    }
}

#[pymethods]
impl UpTrack {
    #[getter]
    fn handle(&self) -> u64 {
        self.handle
    }

    #[getter]
    fn audio_level(&self, py: Python<'_>) -> PyResult<(f64, bool)> {
        self.open()?;
        let handle = self.handle;
        call(py, &self.worker, "UpTrack", move |endpoint, now| {
            endpoint.sfu.audio_level(handle, now)
        })
    }

    fn set_muted(&self, muted: bool) -> PyResult<()> {
        self.open()?;
        let handle = self.handle;
        post(&self.worker, "UpTrack", move |endpoint, now| {
            endpoint.sfu.set_up_track_muted(handle, muted, now)
        })
    }

    fn expect_layers(&self, max_spatial: u8) -> PyResult<()> {
        self.open()?;
        let handle = self.handle;
        post(&self.worker, "UpTrack", move |endpoint, _| {
            endpoint.sfu.expect_up_track_layers(handle, max_spatial)
        })
    }

    fn request_key_frame(&self) -> PyResult<()> {
        self.open()?;
        let handle = self.handle;
        post(&self.worker, "UpTrack", move |endpoint, now| {
            endpoint.sfu.request_key_frame(handle, now)
        })
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.open()?;
        let handle = self.handle;
        let snapshot = call(py, &self.worker, "UpTrack", move |endpoint, _| {
            endpoint.sfu.up_track_statistics(handle)
        })?;
        let layers = PyList::empty(py);
        for layer in snapshot.layers {
            let entry = PyDict::new(py);
            entry.set_item("rid", layer.rid)?;
            entry.set_item("ssrc", layer.ssrc)?;
            entry.set_item("packets", layer.packets)?;
            entry.set_item("bytes", layer.bytes)?;
            entry.set_item("packets_lost", layer.packets_lost)?;
            entry.set_item("jitter_s", layer.jitter_s)?;
            entry.set_item("width", layer.width)?;
            entry.set_item("height", layer.height)?;
            layers.append(entry)?;
        }
        let dict = PyDict::new(py);
        dict.set_item("codec", snapshot.codec)?;
        dict.set_item("layers", layers)?;
        Ok(dict)
    }

    fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            let (handle, port) = (self.handle, self.port.clone());
            self.worker.post(move |endpoint, _| {
                endpoint.sfu.close_up_track(handle);
                port.forget(handle);
            });
        }
    }
}

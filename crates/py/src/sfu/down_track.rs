//! `DownTrack`: one track forwarded to one participant.

use std::sync::atomic::{AtomicBool, Ordering};

use greenroom_net::EventPort as NetEventPort;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::calls::{Worker, call, post};
use crate::error::{closed, engine_error};

/// One track forwarded to one participant.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct DownTrack {
    pub(super) handle: u64,
    pub(super) worker: Worker,
    pub(super) port: NetEventPort,
    pub(super) closed: AtomicBool,
}

impl DownTrack {
    fn open(&self) -> PyResult<()> {
        if self.closed.load(Ordering::Acquire) {
            Err(closed("DownTrack"))
        } else {
            Ok(())
        }
    }
}

#[pymethods]
impl DownTrack {
    #[getter]
    fn handle(&self) -> u64 {
        self.handle
    }

    fn set_enabled(&self, enabled: bool) -> PyResult<()> {
        self.open()?;
        let handle = self.handle;
        post(&self.worker, "DownTrack", move |endpoint, now| {
            endpoint.sfu.set_down_track_enabled(handle, enabled, now)
        })
    }

    fn set_max_layer(&self, spatial: u8, temporal: u8) -> PyResult<()> {
        self.open()?;
        if spatial > 2 || temporal > 3 {
            return Err(engine_error(format_args!(
                "layer ({spatial}, {temporal}) is not usable: give spatial 0..=2 and temporal 0..=3"
            )));
        }
        let handle = self.handle;
        post(&self.worker, "DownTrack", move |endpoint, now| {
            endpoint.sfu.set_max_layer(handle, spatial, temporal, now)
        })
    }

    fn set_priority(&self, priority: u8) -> PyResult<()> {
        self.open()?;
        let handle = self.handle;
        post(&self.worker, "DownTrack", move |endpoint, now| {
            if let Err(error) = endpoint.sfu.set_priority(handle, priority, now) {
                log::debug!("priority {priority}: {error}");
            }
        })
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.open()?;
        let handle = self.handle;
        let snapshot = call(py, &self.worker, "DownTrack", move |endpoint, _| {
            endpoint.sfu.down_track_statistics(handle)
        })?;
        let dict = PyDict::new(py);
        dict.set_item("packets_sent", snapshot.packets_sent)?;
        dict.set_item("bytes_sent", snapshot.bytes_sent)?;
        dict.set_item("retransmitted", snapshot.retransmitted)?;
        dict.set_item("plis", snapshot.plis)?;
        dict.set_item("spatial_layer", snapshot.spatial_layer)?;
        dict.set_item("fraction_lost", snapshot.fraction_lost)?;
        Ok(dict)
    }

    fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            let (handle, port) = (self.handle, self.port.clone());
            self.worker.post(move |endpoint, _| {
                endpoint.sfu.close_down_track(handle);
                port.forget(handle);
            });
        }
    }
}

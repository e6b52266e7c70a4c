//! `DataTrackSender`: numbers the packets of one published track.

use std::sync::Mutex;

use greenroom_datatrack::Packetizer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::{PyEncryption, extensions, lock};
use crate::error::engine_error;

/// One published data track.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct DataTrackSender {
    packetizer: Mutex<Packetizer>,
}

#[pymethods]
impl DataTrackSender {
    #[new]
    fn new(handle: u16) -> PyResult<DataTrackSender> {
        if handle == 0 {
            return Err(PyValueError::new_err(
                "handle 0 names no data track: use 1 to 65535",
            ));
        }
        Ok(DataTrackSender {
            packetizer: Mutex::new(Packetizer::new(handle)),
        })
    }
}

impl DataTrackSender {
    /// The packets of a frame.
    pub fn packetize(
        &self,
        payload: &[u8],
        timestamp: u32,
        user_timestamp: Option<u64>,
        encryption: Option<PyEncryption>,
    ) -> PyResult<Vec<Vec<u8>>> {
        let extensions = extensions(user_timestamp, encryption)?;
        let packets = lock(&self.packetizer).packetize(payload, extensions, timestamp);
        packets.map_err(engine_error)
    }
}

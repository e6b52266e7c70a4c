//! `greenroom._engine`: the Python face of the Rust crates. Its contract is `python/greenroom/_engine.pyi`.
#![forbid(unsafe_code)]

mod audio;
mod buffer;
mod data_track;
mod driver;
mod e2ee;
mod engine;
mod error;
mod event_kinds;
mod event_port;
mod log_queue;
mod parameters;
mod peer;
mod peer_endpoint;
mod peer_sockets;
mod peer_statistics;
mod sfu;
mod simulator;
mod socket_choice;
mod trust;
mod video;

use pyo3::prelude::*;

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    error::register(module)?;
    log_queue::register(module)?;
    event_kinds::register(module)?;
    event_port::register(module)?;
    engine::register(module)?;
    simulator::register(module)?;
    audio::register(module)?;
    video::register(module)?;
    data_track::register(module)?;
    e2ee::register(module)?;
    peer::register(module)?;
    sfu::register(module)
}

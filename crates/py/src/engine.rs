//! The engine's own functions, and the certificate that the connections of this process share.

use std::sync::{Arc, Mutex, PoisonError};

use greenroom_net::Engine;
use greenroom_transport::Certificate;
use pyo3::prelude::*;

use crate::error::engine_error;

static CERTIFICATE: Mutex<Option<Arc<Certificate>>> = Mutex::new(None);

/// The certificate of this process, made at the first use.
pub fn certificate() -> PyResult<Arc<Certificate>> {
    let mut slot = CERTIFICATE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(certificate) = &*slot {
        return Ok(Arc::clone(certificate));
    }
    let certificate = Certificate::generate().map_err(engine_error)?;
    let (der, private_key) = certificate.der();
    greenroom_peer::share_certificate(der, private_key);
    *slot = Some(Arc::clone(&certificate));
    Ok(certificate)
}

#[pyfunction]
fn certificate_fingerprint() -> PyResult<String> {
    Ok(certificate()?.fingerprint().to_owned())
}

#[pyfunction]
#[pyo3(signature = (*, worker_threads))]
fn configure(worker_threads: i64) -> PyResult<()> {
    let count = usize::try_from(worker_threads)
        .map_err(|_| engine_error(format_args!("worker_threads is {worker_threads}; give 1 to 64")))?;
    Engine::configure(count).map_err(engine_error)
}

#[pyfunction]
fn shutdown(py: Python<'_>) {
    // Worker threads may be waiting for the GIL to drop an object of Python's.
    py.detach(Engine::shutdown);
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let stop = wrap_pyfunction!(shutdown, module)?;
    module.py().import("atexit")?.call_method1("register", (&stop,))?;
    module.add_function(stop)?;
    module.add_function(wrap_pyfunction!(certificate_fingerprint, module)?)?;
    module.add_function(wrap_pyfunction!(configure, module)?)
}

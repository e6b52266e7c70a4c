//! Calls from Python's threads to the worker that owns the unit.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use greenroom_sfu::SfuError;
use pyo3::prelude::*;

use super::endpoint::SfuEndpoint;
use crate::driver::EndpointHandle;
use crate::error::{closed, engine_error};

pub(super) type Worker = EndpointHandle<SfuEndpoint>;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Run `f` on the worker and wait without the GIL; what happened meanwhile is reported.
pub(super) fn call<R: Send + 'static>(
    py: Python<'_>,
    worker: &Worker,
    what: &'static str,
    f: impl FnOnce(&mut SfuEndpoint, Instant) -> Result<R, SfuError> + Send + 'static,
) -> PyResult<R> {
    let outcome = py.detach(|| {
        worker.call(move |endpoint, now| {
            let result = f(endpoint, now);
            endpoint.report(now);
            result
        })
    });
    match outcome {
        Some(result) => result.map_err(engine_error),
        None => Err(closed(what)),
    }
}

/// Run `f` on the worker soon. An EngineError when the Sfu is closed.
pub(super) fn post(
    worker: &Worker,
    what: &'static str,
    f: impl FnOnce(&mut SfuEndpoint, Instant) + Send + 'static,
) -> PyResult<()> {
    let posted = worker.post(move |endpoint, now| {
        f(endpoint, now);
        endpoint.report(now);
    });
    if posted { Ok(()) } else { Err(closed(what)) }
}

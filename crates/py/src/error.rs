//! The exception that this module raises.

use pyo3::PyErr;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(
    _engine,
    EngineError,
    PyException,
    "What failed, the value that was at fault, and what to do."
);

/// An `EngineError` that says this (or a Rust error's text).
pub fn engine_error(message: impl std::fmt::Display) -> PyErr {
    EngineError::new_err(message.to_string())
}

/// An `EngineError` for a call on a closed object: `what` is its class name.
pub fn closed(what: &str) -> PyErr {
    engine_error(format_args!("this {what} is closed; make a new one"))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("EngineError", module.py().get_type::<EngineError>())
}

//! `AudioSource`, `AudioStream`, `AudioResampler`.

mod resampler;
mod source;
mod stream;

use std::sync::{Mutex, MutexGuard, PoisonError};

use greenroom_media::audio::AudioError;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use resampler::AudioResampler;
pub use source::{AudioSource, SourceShared, open_source};
use stream::AudioStream;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn value_error(error: AudioError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A number of channels or the like from Python; what does not fit becomes a value that is refused by name later.
pub fn count(value: i64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn rate(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<AudioSource>()?;
    module.add_class::<AudioStream>()?;
    module.add_class::<AudioResampler>()
}

//! `VideoSource`, `VideoStream`, and conversion between pixel layouts.

mod convert;
mod source;
mod stream;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use greenroom_media::video::{BufferType, I420Frame, VideoError};
use pyo3::prelude::*;

use convert::{convert_video, video_buffer_size};
pub use source::{SourceShared, VideoSource, open_source};
use stream::VideoStream;

use crate::audio::count;

type Timed = (I420Frame, i64);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Our clock, for pictures without a time of their own. Never 0.
fn now_us() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_micros() as i64 + 1
}

fn size(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn buffer_type(number: i64) -> Result<BufferType, VideoError> {
    BufferType::try_from(u32::try_from(number).unwrap_or(u32::MAX))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<VideoSource>()?;
    module.add_class::<VideoStream>()?;
    module.add_function(wrap_pyfunction!(convert_video, module)?)?;
    module.add_function(wrap_pyfunction!(video_buffer_size, module)?)
}

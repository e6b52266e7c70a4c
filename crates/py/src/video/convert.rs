//! Conversion between pixel layouts.

use greenroom_media::video::{self, VideoError};
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use super::{buffer_type, size};
use crate::buffer::BufferBytes;
use crate::error::engine_error;

#[pyfunction]
#[pyo3(signature = (data, width, height, from_type, to_type, *, flip_y = false))]
pub(super) fn convert_video<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    width: i64,
    height: i64,
    from_type: i64,
    to_type: i64,
    flip_y: bool,
) -> PyResult<Bound<'py, PyByteArray>> {
    let data = BufferBytes::new(data)?;
    let bytes = data.as_slice();
    let converted = py.detach(|| {
        let (from, to) = (buffer_type(from_type)?, buffer_type(to_type)?);
        video::convert(bytes, size(width), size(height), from, to, flip_y)
    });
    Ok(PyByteArray::new(
        py,
        &converted.map_err(|error: VideoError| engine_error(error))?,
    ))
}

#[pyfunction]
pub(super) fn video_buffer_size(width: i64, height: i64, buffer_type: i64) -> PyResult<usize> {
    let wanted = self::buffer_type(buffer_type).map_err(engine_error)?;
    video::buffer_size(size(width), size(height), wanted).map_err(engine_error)
}

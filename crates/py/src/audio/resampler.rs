//! `AudioResampler`: streaming rate conversion.

use std::sync::Mutex;

use greenroom_media::audio::{Resampler, ResamplerQuality};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use super::{count, lock, rate, value_error};
use crate::buffer::{BufferBytes, bytes_of, samples_of};
use crate::error::engine_error;

const QUALITIES: &[(&str, ResamplerQuality)] = &[
    ("quick", ResamplerQuality::Quick),
    ("low", ResamplerQuality::Low),
    ("medium", ResamplerQuality::Medium),
    ("high", ResamplerQuality::High),
    ("very_high", ResamplerQuality::VeryHigh),
];

/// Streaming rate conversion.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct AudioResampler {
    channels: usize,
    resampler: Mutex<Resampler>,
}

#[pymethods]
impl AudioResampler {
    #[new]
    #[pyo3(signature = (input_rate_hz, output_rate_hz, num_channels, quality = "medium"))]
    fn new(input_rate_hz: i64, output_rate_hz: i64, num_channels: i64, quality: &str) -> PyResult<Self> {
        let Some((_, quality)) = QUALITIES.iter().find(|(name, _)| *name == quality) else {
            let names: Vec<&str> = QUALITIES.iter().map(|(name, _)| *name).collect();
            return Err(PyValueError::new_err(format!(
                "quality {quality:?} is unknown; use one of {}",
                names.join(", ")
            )));
        };
        let channels = count(num_channels);
        let resampler = Resampler::with_quality(
            rate(input_rate_hz),
            channels,
            rate(output_rate_hz),
            channels,
            *quality,
        )
        .map_err(value_error)?;
        Ok(Self {
            channels,
            resampler: Mutex::new(resampler),
        })
    }

    fn push<'py>(&self, py: Python<'py>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyByteArray>> {
        let data = BufferBytes::new(data)?;
        let bytes = data.as_slice();
        let converted = py.detach(|| {
            let pcm = samples_of(bytes).filter(|pcm| pcm.len() % self.channels == 0)?;
            let mut out = Vec::new();
            lock(&self.resampler).process(&pcm, &mut out);
            Some(bytes_of(&out))
        });
        match converted {
            Some(bytes) => Ok(PyByteArray::new(py, &bytes)),
            None => {
                let text = format!(
                    "{} bytes are no whole int16 samples of {} channels",
                    bytes.len(),
                    self.channels
                );
                Err(engine_error(text))
            }
        }
    }

    fn flush<'py>(&self, py: Python<'py>) -> Bound<'py, PyByteArray> {
        let mut out = Vec::new();
        lock(&self.resampler).flush(&mut out);
        PyByteArray::new(py, &bytes_of(&out))
    }
}

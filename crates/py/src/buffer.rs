//! Bytes from Python's buffers, and back. The limited API of Python 3.10 has no buffer protocol, so what is neither
//! `bytes` nor `bytearray` goes through `memoryview.tobytes`.

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};

/// What a caller handed in; usable without the GIL.
pub enum BufferBytes<'py> {
    /// Immutable, so borrowed.
    Bytes(Bound<'py, PyBytes>),
    Copied(Vec<u8>),
}

impl<'py> BufferBytes<'py> {
    pub fn new(data: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = data.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.clone()));
        }
        if let Ok(bytes) = data.cast::<PyByteArray>() {
            return Ok(Self::Copied(bytes.to_vec()));
        }
        let bytes = PyMemoryView::from(data)?.call_method0("tobytes")?;
        Ok(Self::Bytes(bytes.cast_into::<PyBytes>()?))
    }

    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.as_bytes(),
            Self::Copied(bytes) => bytes,
        }
    }
}

/// Native-endian samples; None when the bytes are no whole ones.
pub fn samples_of(bytes: &[u8]) -> Option<Vec<i16>> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|pair| i16::from_ne_bytes(*pair)).collect())
}

/// The bytes of samples.
pub fn bytes_of(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect()
}

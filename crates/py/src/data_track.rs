//! `DataTrackSender`, `DataTrackReceiver` and `DataTrackStream`: frames of data tracks, put into packets and taken out.

mod receiver;
mod sender;
mod stream;

use std::sync::{Mutex, MutexGuard, PoisonError};

use greenroom_datatrack::{Encryption, Extensions};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

pub use self::receiver::{DataTrackReceiver, DataTracks};
pub use self::sender::DataTrackSender;

/// (key index, initialization vector) of an encrypted frame.
pub type PyEncryption = (u8, Vec<u8>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn extensions(user_timestamp: Option<u64>, encryption: Option<PyEncryption>) -> PyResult<Extensions> {
    let encryption = encryption.map(|(key_index, iv)| {
        let iv = iv.try_into().map_err(|iv: Vec<u8>| {
            PyValueError::new_err(format!(
                "an initialization vector of {} bytes: it has 12",
                iv.len()
            ))
        })?;
        Ok::<_, PyErr>(Encryption { key_index, iv })
    });
    Ok(Extensions {
        encryption: encryption.transpose()?,
        user_timestamp,
    })
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<DataTrackSender>()?;
    module.add_class::<DataTrackReceiver>()?;
    module.add_class::<stream::DataTrackStream>()
}

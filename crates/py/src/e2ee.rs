//! `KeyProvider` and `FrameCryptor`: end-to-end encryption.

use std::sync::Arc;

use greenroom_e2ee::{CryptError, Derivation, KeyOwner, KeyProviderOptions};
use greenroom_net::{Engine, Payload, next_handle};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::engine_error;
use crate::event_kinds;
use crate::event_port::EventPort;

/// The keys of a room.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct KeyProvider {
    keys: Arc<greenroom_e2ee::KeyProvider>,
}

fn owner(identity: Option<&str>) -> KeyOwner<'_> {
    identity.map_or(KeyOwner::Shared, KeyOwner::Participant)
}

fn bytes<'py>(py: Python<'py>, value: Option<Vec<u8>>) -> Option<Bound<'py, PyBytes>> {
    value.map(|value| PyBytes::new(py, &value))
}

#[pymethods]
impl KeyProvider {
    #[new]
    #[pyo3(signature = (*, shared, ratchet_salt, ratchet_window_size, failure_tolerance, key_ring_size, derivation))]
    fn new(
        shared: bool,
        ratchet_salt: Vec<u8>,
        ratchet_window_size: u32,
        failure_tolerance: Option<u32>,
        key_ring_size: u32,
        derivation: &str,
    ) -> PyResult<Self> {
        let derivation = match derivation {
            "pbkdf2" => Derivation::Pbkdf2,
            "hkdf" => Derivation::Hkdf,
            _ => {
                let text = format!("derivation {derivation:?} is unknown; use pbkdf2 or hkdf");
                return Err(PyValueError::new_err(text));
            }
        };
        let options = KeyProviderOptions {
            shared,
            ratchet_salt,
            ratchet_window: ratchet_window_size,
            failure_tolerance,
            ring_size: key_ring_size,
            derivation,
        };
        let runner = Arc::new(|work| {
            Engine::global().media_pool().submit(work);
        });
        let keys = greenroom_e2ee::KeyProvider::new(options, runner);
        let keys = keys.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { keys })
    }

    fn set_key(&self, identity: Option<&str>, key: Vec<u8>, key_index: u32) {
        self.keys.set_key(owner(identity), key, key_index);
    }

    fn export_key<'py>(
        &self,
        py: Python<'py>,
        identity: Option<&str>,
        key_index: u32,
    ) -> Option<Bound<'py, PyBytes>> {
        bytes(py, self.keys.export_key(owner(identity), key_index))
    }

    fn ratchet_key<'py>(
        &self,
        py: Python<'py>,
        identity: Option<&str>,
        key_index: u32,
    ) -> Option<Bound<'py, PyBytes>> {
        let ratcheted = py.detach(|| self.keys.ratchet_key(owner(identity), key_index));
        bytes(py, ratcheted)
    }

    fn finish_derivations(&self, py: Python<'_>) {
        py.detach(|| self.keys.finish_derivations());
    }

    fn seal_data<'py>(
        &self,
        py: Python<'py>,
        identity: &str,
        data: Vec<u8>,
    ) -> PyResult<(Bound<'py, PyBytes>, u8, Bound<'py, PyBytes>)> {
        let sealed = py.detach(|| self.keys.seal_data(identity, data));
        let sealed = sealed.map_err(engine_error)?;
        let (iv, data) = (PyBytes::new(py, &sealed.iv), PyBytes::new(py, &sealed.sealed));
        Ok((iv, sealed.key_index, data))
    }

    #[pyo3(signature = (identity, iv, key_index, data, *, search))]
    fn open_data<'py>(
        &self,
        py: Python<'py>,
        identity: &str,
        iv: Vec<u8>,
        key_index: u32,
        data: Vec<u8>,
        search: bool,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let Ok(index) = u8::try_from(key_index) else {
            return Err(engine_error(format_args!("key index {key_index} is above 255")));
        };
        match py.detach(|| self.keys.open_data(identity, &iv, index, &data, search)) {
            Ok(plain) => Ok(Some(PyBytes::new(py, &plain))),
            Err(CryptError::KeyNotReady { .. }) => Ok(None),
            Err(error) => Err(engine_error(error)),
        }
    }
}

/// Encrypts or decrypts the frames of one track.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct FrameCryptor {
    handle: u64,
    cryptor: Arc<greenroom_e2ee::FrameCryptor>,
}

impl FrameCryptor {
    pub fn shared(&self) -> Arc<greenroom_e2ee::FrameCryptor> {
        self.cryptor.clone()
    }
}

#[pymethods]
impl FrameCryptor {
    #[new]
    #[pyo3(signature = (port, keys, identity, *, server_trailer))]
    fn new(port: &EventPort, keys: &KeyProvider, identity: &str, server_trailer: Vec<u8>) -> Self {
        let (port, handle) = (port.port(), next_handle());
        let on_state = Box::new(move |state| {
            let state = Payload::Integer(state as i64);
            port.push(handle, event_kinds::ENCRYPTION_STATE, state);
        });
        let cryptor = greenroom_e2ee::FrameCryptor::new(&keys.keys, identity, server_trailer, on_state);
        Self { handle, cryptor }
    }

    #[getter]
    fn handle(&self) -> u64 {
        self.handle
    }

    #[getter]
    fn enabled(&self) -> bool {
        self.cryptor.is_enabled()
    }

    fn set_enabled(&self, enabled: bool) {
        self.cryptor.set_enabled(enabled);
    }

    #[getter]
    fn key_index(&self) -> u8 {
        self.cryptor.key_index()
    }

    fn set_key_index(&self, key_index: u32) {
        self.cryptor.set_key_index(key_index);
    }

    #[getter]
    fn state(&self) -> u8 {
        self.cryptor.state() as u8
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<KeyProvider>()?;
    module.add_class::<FrameCryptor>()
}

//! `Receiver`: what a stream attaches to.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::e2ee::FrameCryptor;
use crate::peer_endpoint::PeerBackend;

/// What arrives on one m-line.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct Receiver {
    handle: u64,
    mid: String,
    kind: &'static str,
    backend: Arc<PeerBackend>,
}

impl Receiver {
    pub(super) fn new(handle: u64, mid: String, kind: &'static str, backend: Arc<PeerBackend>) -> Self {
        Self {
            handle,
            mid,
            kind,
            backend,
        }
    }

    pub fn backend(&self) -> &Arc<PeerBackend> {
        &self.backend
    }
}

#[pymethods]
impl Receiver {
    #[getter]
    pub fn handle(&self) -> u64 {
        self.handle
    }

    #[getter]
    pub fn mid(&self) -> &str {
        &self.mid
    }

    /// Decrypt what arrives from now on; None takes it as it is.
    pub fn set_cryptor(&self, cryptor: Option<&FrameCryptor>) {
        let (handle, cryptor) = (self.handle, cryptor.map(FrameCryptor::shared));
        self.backend
            .post(move |peer, _| peer.set_receiver_cryptor(handle, cryptor));
    }

    #[getter]
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

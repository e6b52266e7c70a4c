//! `Sfu`, `SfuTransport`, `UpTrack` and `DownTrack`: the server's forwarding unit.

mod calls;
mod channels;
mod convert;
mod down_track;
mod endpoint;
mod listen;
mod transport;
mod up_track;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use greenroom_net::{Engine, EventPort as NetEventPort, next_handle};
use greenroom_sfu::TransportParameters;
use greenroom_sfu::sfu::random_ice_credentials;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use self::calls::{Worker, call, post};
use self::channels::{ChannelGates, SharedGates};
use self::down_track::DownTrack;
use self::endpoint::SfuEndpoint;
use self::transport::SfuTransport;
use self::up_track::UpTrack;
use crate::driver::{Driver, EndpointHandle};
use crate::engine::certificate;
use crate::error::engine_error;
use crate::event_port::EventPort;
use crate::parameters::PayloadType;

/// Sockets and forwarding of one server.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct Sfu {
    worker: Worker,
    port: NetEventPort,
    fingerprint: String,
    listening: listen::Listening,
}

#[pymethods]
impl Sfu {
    #[new]
    #[pyo3(signature = (port, *, bind_addresses, udp_port = 0, tcp_port = Some(0), advertised_addresses = vec![]))]
    fn new(
        py: Python<'_>,
        port: &EventPort,
        bind_addresses: Vec<String>,
        udp_port: u16,
        tcp_port: Option<u16>,
        advertised_addresses: Vec<String>,
    ) -> PyResult<Self> {
        let certificate = certificate()?;
        let fingerprint = certificate.fingerprint().to_owned();
        let driver = port.driver();
        let port = port.port();
        let events = port.clone();
        let started = py.detach(move || {
            if let Driver::Simulator(simulator, _) = driver {
                let certificate = certificate.repeatable().map_err(|error| error.to_string())?;
                let (listening, sockets) =
                    listen::bind_simulated(&simulator, &bind_addresses, udp_port, &advertised_addresses)?;
                let sfu = greenroom_sfu::Sfu::new(certificate, listening.candidates.clone());
                let worker = simulator.spawn(sockets, move |_| SfuEndpoint::new(sfu, events));
                return Ok((listening, EndpointHandle::Simulated(worker)));
            }
            let (listening, sockets) =
                listen::bind(&bind_addresses, udp_port, tcp_port, &advertised_addresses)?;
            let sfu = greenroom_sfu::Sfu::new(certificate, listening.candidates.clone());
            let worker = Engine::global()
                .spawn(sockets, move |_| SfuEndpoint::new(sfu, events))
                .map_err(|error| format!("the forwarding unit can't be started: {error}"))?;
            Ok::<_, String>((listening, EndpointHandle::OnWorker(worker)))
        });
        let (listening, worker) = started.map_err(engine_error)?;
        Ok(Sfu {
            worker,
            port,
            fingerprint,
            listening,
        })
    }

    #[getter]
    fn udp_port(&self) -> u16 {
        self.listening.udp_port
    }

    #[getter]
    fn tcp_port(&self) -> Option<u16> {
        self.listening.tcp_port
    }

    #[getter]
    fn candidates(&self) -> Vec<String> {
        self.listening.lines()
    }

    #[pyo3(signature = (*, controlling = false, payload_types = vec![]))]
    fn create_transport(&self, controlling: bool, payload_types: Vec<PayloadType>) -> PyResult<SfuTransport> {
        // Payload types are given with each track.
        drop(payload_types);
        let handle = next_handle();
        let credentials = random_ice_credentials();
        let gates = SharedGates::new(ChannelGates::default());
        let (parameters, shared) = (
            TransportParameters {
                controlling,
                ice_credentials: credentials.clone(),
            },
            Arc::clone(&gates),
        );
        post(&self.worker, "Sfu", move |endpoint, now| {
            endpoint.add_transport(handle, shared);
            endpoint.sfu.create_transport(handle, parameters, now);
        })?;
        Ok(SfuTransport {
            handle,
            worker: self.worker.clone(),
            port: self.port.clone(),
            fingerprint: self.fingerprint.clone(),
            credentials: Mutex::new(credentials),
            max_message_size: Mutex::new(0),
            gates,
            up_tracks: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = call(py, &self.worker, "Sfu", |endpoint, _| {
            Ok(endpoint.sfu.statistics())
        })?;
        let net = greenroom_net::statistics();
        let table = [
            ("packets_received", counters.packets_received),
            ("packets_sent", counters.packets_sent),
            ("bytes_received", counters.bytes_received),
            ("bytes_sent", counters.bytes_sent),
            ("packets_dropped_malformed", counters.packets_dropped_malformed),
            ("packets_dropped_unknown", counters.packets_dropped_unknown),
            ("packets_dropped_stun", counters.packets_dropped_stun),
            ("packets_dropped_dtls", counters.packets_dropped_dtls),
            (
                "packets_dropped_unauthenticated",
                counters.packets_dropped_unauthenticated,
            ),
            ("packets_dropped_replayed", counters.packets_dropped_replayed),
            ("transports_failed", counters.transports_failed),
            ("tcp_connections_accepted", net.tcp_connections_accepted),
            ("tcp_connections_refused", net.tcp_connections_refused),
            ("tcp_connections_aborted", net.tcp_connections_aborted),
            ("nacks_received", counters.nacks_received),
            ("nacks_sent", counters.nacks_sent),
            ("plis_received", counters.plis_received),
            ("plis_sent", counters.plis_sent),
            ("data_track_packets_sent", counters.data_track_packets_sent),
            ("data_track_packets_dropped", counters.data_track_packets_dropped),
            ("transports", counters.transports),
            ("up_tracks", counters.up_tracks),
            ("down_tracks", counters.down_tracks),
            ("send_errors", counters.send_errors),
        ];
        let dict = PyDict::new(py);
        for (name, value) in table {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            self.worker.post(|endpoint, now| endpoint.close_all(now));
            self.worker.close_and_wait();
        });
    }
}

impl Drop for Sfu {
    fn drop(&mut self) {
        self.worker.close();
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Sfu>()?;
    module.add_class::<SfuTransport>()?;
    module.add_class::<UpTrack>()?;
    module.add_class::<DownTrack>()
}

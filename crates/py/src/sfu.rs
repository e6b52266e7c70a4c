//! `Sfu`, `SfuTransport`, `UpTrack` and `DownTrack`: the server's forwarding unit.

mod calls;
mod channels;
mod convert;
mod down_track;
mod endpoint;
mod hand_over;
mod listen;
mod shards;
mod transport;
mod up_track;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use greenroom_net::{Engine, EventPort as NetEventPort, next_handle};
use greenroom_sfu::sfu::random_ice_credentials;
use greenroom_sfu::{SfuStatistics, TransportParameters};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use self::calls::{Worker, call, post};
use self::channels::{ChannelGates, SharedGates};
use self::down_track::DownTrack;
use self::endpoint::SfuEndpoint;
use self::shards::{Place, Shards};
use self::transport::SfuTransport;
use self::up_track::UpTrack;
use crate::driver::{Driver, EndpointHandle};
use crate::engine::certificate;
use crate::error::{closed, engine_error};
use crate::event_port::EventPort;
use crate::parameters::PayloadType;

/// Units of one server at most, one a worker thread.
const MAX_SHARDS: usize = 64;

/// Sockets and forwarding of one server.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct Sfu {
    shards: Arc<Shards>,
    port: NetEventPort,
    fingerprint: String,
    listening: listen::Listening,
}

#[pymethods]
impl Sfu {
    #[new]
    #[pyo3(signature = (port, *, bind_addresses, udp_port = 0, tcp_port = Some(0), advertised_addresses = vec![], shards = 0))]
    fn new(
        py: Python<'_>,
        port: &EventPort,
        bind_addresses: Vec<String>,
        udp_port: u16,
        tcp_port: Option<u16>,
        advertised_addresses: Vec<String>,
        shards: usize,
    ) -> PyResult<Self> {
        if shards > MAX_SHARDS {
            return Err(PyValueError::new_err(format!(
                "shards is {shards}; give 0 (one per worker thread) to {MAX_SHARDS}"
            )));
        }
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
                let worker = simulator.spawn(sockets, move |_| SfuEndpoint::new(sfu, events, None));
                let shards = Shards::new(1);
                shards.start(vec![EndpointHandle::Simulated(worker)]);
                return Ok((listening, shards));
            }
            let engine = Engine::global();
            let count = if shards == 0 {
                engine.loads().len().max(1)
            } else {
                shards
            };
            let (listening, sockets) =
                listen::bind(&bind_addresses, udp_port, tcp_port, &advertised_addresses)?;
            let shards = Shards::new(count);
            let mut units: Vec<Worker> = Vec::new();
            for (index, sockets) in listen::share(sockets, count)?.into_iter().enumerate() {
                let place = (count > 1).then(|| Place::new(Arc::clone(&shards), index));
                let sfu = greenroom_sfu::Sfu::new(Arc::clone(&certificate), listening.candidates.clone());
                let events = events.clone();
                let unit = engine.spawn(sockets, move |_| SfuEndpoint::new(sfu, events, place));
                match unit {
                    Ok(unit) => units.push(EndpointHandle::OnWorker(unit)),
                    Err(error) => {
                        units.iter().for_each(EndpointHandle::close);
                        return Err(format!("a forwarding unit can't be started: {error}"));
                    }
                }
            }
            shards.start(units);
            Ok::<_, String>((listening, shards))
        });
        let (listening, shards) = started.map_err(engine_error)?;
        Ok(Sfu {
            shards,
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

    /// How many units there are.
    #[getter]
    fn shards(&self) -> usize {
        self.shards.units().len()
    }

    fn place_room(&self) -> usize {
        self.shards.place_room()
    }

    #[pyo3(signature = (*, controlling = false, payload_types = vec![], shard = 0))]
    fn create_transport(
        &self,
        controlling: bool,
        payload_types: Vec<PayloadType>,
        shard: usize,
    ) -> PyResult<SfuTransport> {
        // Payload types are given with each track.
        drop(payload_types);
        let Some(worker) = self.shards.units().get(shard) else {
            let count = self.shards.units().len();
            return Err(PyValueError::new_err(format!(
                "shard is {shard}; there are {count}, from 0"
            )));
        };
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
        post(worker, "Sfu", move |endpoint, now| {
            endpoint.add_transport(handle, shared);
            endpoint.sfu.create_transport(handle, parameters, now);
        })?;
        self.shards.transport_opened(shard);
        Ok(SfuTransport {
            handle,
            worker: worker.clone(),
            shards: Arc::clone(&self.shards),
            shard,
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
        let mut counters = SfuStatistics::default();
        // One that has failed has lost its rooms, and its numbers; the others are still asked.
        let running: Vec<&Worker> = self
            .shards
            .units()
            .iter()
            .filter(|unit| !unit.is_closed())
            .collect();
        if running.is_empty() {
            return Err(closed("Sfu"));
        }
        for unit in running {
            counters += call(py, unit, "Sfu", |endpoint, _| Ok(endpoint.sfu.statistics()))?;
        }
        let (handed_over, not_handed_over) = self.shards.counts();
        let net = greenroom_net::statistics();
        let table = [
            ("datagrams_handed_over", handed_over),
            ("datagrams_not_handed_over", not_handed_over),
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
            ("messages_displaced", counters.messages_displaced),
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
            // The first last: goodbyes of the others over TCP go through it.
            for unit in self.shards.units().iter().rev() {
                unit.post(|endpoint, now| endpoint.close_all(now));
                unit.close_and_wait();
            }
        });
    }
}

impl Drop for Sfu {
    fn drop(&mut self) {
        self.shards.units().iter().rev().for_each(EndpointHandle::close);
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Sfu>()?;
    module.add_class::<SfuTransport>()?;
    module.add_class::<UpTrack>()?;
    module.add_class::<DownTrack>()
}

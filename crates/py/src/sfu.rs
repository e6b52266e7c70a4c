//! `Sfu`, `SfuTransport`, `UpTrack` and `DownTrack`: the server's forwarding unit.

mod channels;
mod endpoint;
mod listen;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use greenroom_net::{EndpointHandle, Engine, EventPort as NetEventPort, next_handle};
use greenroom_sfu::sfu::random_ice_credentials;
use greenroom_sfu::{DownTrackParameters, Kind, SfuError, TransportParameters, UpTrackParameters};
use greenroom_transport::{ChannelConfig, IceCredentials, RemoteParameters};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use self::channels::{Admission, ChannelGates, SharedGates};
use self::endpoint::SfuEndpoint;
use crate::engine::certificate;
use crate::error::{closed, engine_error};
use crate::event_port::EventPort;
use crate::parameters::{HeaderExtension, PayloadType, ReceiveLayer};

type Worker = EndpointHandle<SfuEndpoint>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn payload_types(list: Vec<PayloadType>) -> Vec<greenroom_sfu::PayloadType> {
    let convert = |payload: PayloadType| greenroom_sfu::PayloadType {
        payload_type: payload.payload_type,
        codec: payload.codec,
        clock_rate_hz: payload.clock_rate_hz,
        format_parameters: payload.format_parameters,
        rtx_payload_type: payload.rtx_payload_type,
        feedback: payload.feedback,
    };
    list.into_iter().map(convert).collect()
}

fn header_extensions(list: Vec<HeaderExtension>) -> Vec<greenroom_sfu::HeaderExtension> {
    let convert = |extension: HeaderExtension| greenroom_sfu::HeaderExtension {
        id: extension.id,
        uri: extension.uri,
    };
    list.into_iter().map(convert).collect()
}

/// Run `f` on the worker and wait without the GIL; what happened meanwhile is reported.
fn call<R: Send + 'static>(
    py: Python<'_>,
    worker: &Worker,
    what: &'static str,
    f: impl FnOnce(&mut SfuEndpoint, Instant) -> Result<R, SfuError> + Send + 'static,
) -> PyResult<R> {
    let outcome = py.detach(|| {
        worker.call(move |endpoint, now| {
            let result = f(endpoint, now);
            endpoint.report(now);
            result
        })
    });
    match outcome {
        Some(result) => result.map_err(engine_error),
        None => Err(closed(what)),
    }
}

/// Run `f` on the worker soon. An EngineError when the Sfu is closed.
fn post(
    worker: &Worker,
    what: &'static str,
    f: impl FnOnce(&mut SfuEndpoint, Instant) + Send + 'static,
) -> PyResult<()> {
    let posted = worker.post(move |endpoint, now| {
        f(endpoint, now);
        endpoint.report(now);
    });
    if posted { Ok(()) } else { Err(closed(what)) }
}

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
        let port = port.port();
        let events = port.clone();
        let started = py.detach(move || {
            let (listening, sockets) =
                listen::bind(&bind_addresses, udp_port, tcp_port, &advertised_addresses)?;
            let sfu = greenroom_sfu::Sfu::new(certificate, listening.candidates.clone());
            let worker = Engine::global()
                .spawn(sockets, move |_| SfuEndpoint::new(sfu, events))
                .map_err(|error| format!("the forwarding unit can't be started: {error}"))?;
            Ok::<_, String>((listening, worker))
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
        let table = [
            ("packets_received", counters.packets_received),
            ("packets_sent", counters.packets_sent),
            ("bytes_received", counters.bytes_received),
            ("bytes_sent", counters.bytes_sent),
            ("packets_dropped_malformed", counters.packets_dropped_malformed),
            ("packets_dropped_unknown", counters.packets_dropped_unknown),
            ("nacks_received", counters.nacks_received),
            ("nacks_sent", counters.nacks_sent),
            ("plis_received", counters.plis_received),
            ("plis_sent", counters.plis_sent),
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

/// One peer connection of a participant, as the server sees it.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct SfuTransport {
    handle: u64,
    worker: Worker,
    port: NetEventPort,
    fingerprint: String,
    credentials: Mutex<IceCredentials>,
    max_message_size: Mutex<u32>,
    gates: SharedGates,
    up_tracks: Mutex<HashMap<String, Py<UpTrack>>>,
    closed: AtomicBool,
}

impl SfuTransport {
    fn open(&self) -> PyResult<()> {
        if self.closed.load(Ordering::Acquire) {
            Err(closed("SfuTransport"))
        } else {
            Ok(())
        }
    }

    fn shut(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            let handle = self.handle;
            self.worker.post(move |endpoint, now| {
                endpoint.close_transport(handle, now);
                endpoint.report(now);
            });
        }
    }
}

#[pymethods]
impl SfuTransport {
    #[getter]
    fn handle(&self) -> u64 {
        self.handle
    }

    #[getter]
    fn ice_ufrag(&self) -> String {
        lock(&self.credentials).ufrag.clone()
    }

    #[getter]
    fn ice_pwd(&self) -> String {
        lock(&self.credentials).pwd.clone()
    }

    #[getter]
    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    #[pyo3(signature = (*, ice_ufrag, ice_pwd, fingerprint, dtls_active, ice_lite = false, max_message_size = 65535))]
    #[allow(clippy::too_many_arguments)]
    fn set_remote(
        &self,
        py: Python<'_>,
        ice_ufrag: String,
        ice_pwd: String,
        fingerprint: String,
        dtls_active: bool,
        ice_lite: bool,
        max_message_size: u64,
    ) -> PyResult<()> {
        self.open()?;
        let max_message_size = u32::try_from(max_message_size).unwrap_or(u32::MAX);
        let (handle, remote) = (
            self.handle,
            RemoteParameters {
                ice_ufrag,
                ice_pwd,
                fingerprint,
                dtls_active,
                ice_lite,
                max_message_size,
            },
        );
        let credentials = call(py, &self.worker, "SfuTransport", move |endpoint, now| {
            endpoint.sfu.set_remote(handle, remote, now)
        })?;
        *lock(&self.credentials) = credentials;
        *lock(&self.max_message_size) = max_message_size;
        Ok(())
    }

    fn add_remote_candidate(&self, py: Python<'_>, candidate: String) -> PyResult<()> {
        self.open()?;
        let handle = self.handle;
        call(py, &self.worker, "SfuTransport", move |endpoint, now| {
            endpoint.sfu.add_remote_candidate(handle, &candidate, now)
        })
    }

    fn restart_ice(&self, py: Python<'_>) -> PyResult<(String, String)> {
        self.open()?;
        let handle = self.handle;
        let credentials = call(py, &self.worker, "SfuTransport", move |endpoint, now| {
            endpoint.sfu.restart_ice(handle, now)
        })?;
        *lock(&self.credentials) = credentials.clone();
        Ok((credentials.ufrag, credentials.pwd))
    }

    #[pyo3(signature = (label, *, ordered = true, max_retransmits = None))]
    fn open_channel(
        &self,
        py: Python<'_>,
        label: String,
        ordered: bool,
        max_retransmits: Option<u16>,
    ) -> PyResult<u32> {
        self.open()?;
        let (handle, config) = (
            self.handle,
            ChannelConfig {
                label,
                ordered,
                max_retransmits,
            },
        );
        let gates = Arc::clone(&self.gates);
        call(py, &self.worker, "SfuTransport", move |endpoint, now| {
            let channel = endpoint.sfu.open_channel(handle, config, now)?.0;
            // Before any event about it can be reported.
            gates.open(channel, max_retransmits.is_none());
            Ok(channel)
        })
    }

    fn send(&self, channel: u32, data: &Bound<'_, PyBytes>) -> PyResult<bool> {
        self.open()?;
        let data = data.as_bytes();
        let maximum = *lock(&self.max_message_size);
        if maximum != 0 && data.len() > maximum as usize {
            return Err(engine_error(format_args!(
                "message of {} bytes exceeds the peer's maximum of {maximum} bytes; send smaller messages",
                data.len()
            )));
        }
        let handle = self.handle;
        match self.gates.admit(channel, data.len()) {
            Admission::Admitted => {
                let data = data.to_vec();
                post(&self.worker, "SfuTransport", move |endpoint, now| {
                    endpoint.send(handle, channel, data, now)
                })?;
                Ok(true)
            }
            Admission::Full => {
                post(&self.worker, "SfuTransport", move |endpoint, _| {
                    endpoint.watch(handle, channel)
                })?;
                Ok(false)
            }
            Admission::Unknown => Err(engine_error(format_args!(
                "data channel {channel} does not exist or is closed; open a new one"
            ))),
        }
    }

    fn buffered_amount(&self, channel: u32) -> PyResult<usize> {
        self.open()?;
        let held = self.gates.held(channel);
        held.ok_or_else(|| {
            engine_error(format_args!(
                "data channel {channel} does not exist or is closed; open a new one"
            ))
        })
    }

    #[pyo3(signature = (mid, *, kind, payload_types, header_extensions, layers, rids = vec![]))]
    #[allow(clippy::too_many_arguments)]
    fn add_up_track(
        &self,
        py: Python<'_>,
        mid: String,
        kind: &str,
        payload_types: Vec<PayloadType>,
        header_extensions: Vec<HeaderExtension>,
        layers: Vec<ReceiveLayer>,
        rids: Vec<String>,
    ) -> PyResult<Py<UpTrack>> {
        self.open()?;
        let kind = match kind {
            "audio" => Kind::Audio,
            "video" => Kind::Video,
            other => {
                return Err(engine_error(format_args!(
                    "kind `{other}` is not usable: give \"audio\" or \"video\""
                )));
            }
        };
        let convert = |layer: ReceiveLayer| greenroom_sfu::ReceiveLayer {
            ssrc: layer.ssrc,
            rtx_ssrc: layer.rtx_ssrc,
            rid: layer.rid,
        };
        let parameters = UpTrackParameters {
            transport: self.handle,
            mid: mid.clone(),
            kind,
            payload_types: self::payload_types(payload_types),
            header_extensions: self::header_extensions(header_extensions),
            layers: layers.into_iter().map(convert).collect(),
            rids,
        };
        let known = lock(&self.up_tracks).get(&mid).map(|track| track.clone_ref(py));
        let known = known.filter(|track| !track.get().closed.load(Ordering::Acquire));
        let handle = known
            .as_ref()
            .map_or_else(next_handle, |track| track.get().handle);
        call(py, &self.worker, "SfuTransport", move |endpoint, _| {
            endpoint.sfu.set_up_track(handle, &parameters)
        })?;
        if let Some(track) = known {
            return Ok(track);
        }
        let track = UpTrack {
            handle,
            worker: self.worker.clone(),
            port: self.port.clone(),
            closed: AtomicBool::new(false),
        };
        let track = Py::new(py, track)?;
        lock(&self.up_tracks).insert(mid, track.clone_ref(py));
        Ok(track)
    }

    #[pyo3(signature = (mid, up_track, *, ssrc, rtx_ssrc, payload_types, header_extensions))]
    #[allow(clippy::too_many_arguments)]
    fn add_down_track(
        &self,
        py: Python<'_>,
        mid: String,
        up_track: &UpTrack,
        ssrc: u32,
        rtx_ssrc: Option<u32>,
        payload_types: Vec<PayloadType>,
        header_extensions: Vec<HeaderExtension>,
    ) -> PyResult<DownTrack> {
        self.open()?;
        let handle = next_handle();
        let parameters = DownTrackParameters {
            transport: self.handle,
            mid,
            up_track: up_track.handle,
            ssrc,
            rtx_ssrc,
            payload_types: self::payload_types(payload_types),
            header_extensions: self::header_extensions(header_extensions),
        };
        call(py, &self.worker, "SfuTransport", move |endpoint, now| {
            endpoint.sfu.add_down_track(handle, &parameters, now)
        })?;
        Ok(DownTrack {
            handle,
            worker: self.worker.clone(),
            port: self.port.clone(),
            closed: AtomicBool::new(false),
        })
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.open()?;
        let handle = self.handle;
        let snapshot = call(py, &self.worker, "SfuTransport", move |endpoint, _| {
            endpoint.sfu.transport_statistics(handle)
        })?;
        let dict = PyDict::new(py);
        dict.set_item("ice_state", endpoint::ice_state_name(snapshot.ice_state))?;
        dict.set_item("round_trip_time_s", snapshot.round_trip_s)?;
        dict.set_item("bytes_sent", snapshot.counters.bytes_sent)?;
        dict.set_item("bytes_received", snapshot.counters.bytes_received)?;
        dict.set_item("packets_sent", snapshot.counters.packets_sent)?;
        dict.set_item("packets_received", snapshot.counters.packets_received)?;
        let pair = snapshot
            .selected_pair
            .map(|(local, remote)| (local.to_string(), remote.to_string()));
        dict.set_item("selected_pair", pair)?;
        Ok(dict)
    }

    fn close(&self) {
        self.shut();
    }
}

impl Drop for SfuTransport {
    fn drop(&mut self) {
        self.shut();
    }
}

/// What a participant publishes on one m-line.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct UpTrack {
    handle: u64,
    worker: Worker,
    port: NetEventPort,
    closed: AtomicBool,
}

impl UpTrack {
    fn open(&self) -> PyResult<()> {
        if self.closed.load(Ordering::Acquire) {
            Err(closed("UpTrack"))
        } else {
            Ok(())
        }
    }
}

#[pymethods]
impl UpTrack {
    #[getter]
    fn handle(&self) -> u64 {
        self.handle
    }

    #[getter]
    fn audio_level(&self, py: Python<'_>) -> PyResult<(f64, bool)> {
        self.open()?;
        let handle = self.handle;
        call(py, &self.worker, "UpTrack", move |endpoint, now| {
            endpoint.sfu.audio_level(handle, now)
        })
    }

    fn set_muted(&self, muted: bool) -> PyResult<()> {
        self.open()?;
        let handle = self.handle;
        post(&self.worker, "UpTrack", move |endpoint, now| {
            endpoint.sfu.set_up_track_muted(handle, muted, now)
        })
    }

    fn request_key_frame(&self) -> PyResult<()> {
        self.open()?;
        let handle = self.handle;
        post(&self.worker, "UpTrack", move |endpoint, now| {
            endpoint.sfu.request_key_frame(handle, now)
        })
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.open()?;
        let handle = self.handle;
        let snapshot = call(py, &self.worker, "UpTrack", move |endpoint, _| {
            endpoint.sfu.up_track_statistics(handle)
        })?;
        let layers = PyList::empty(py);
        for layer in snapshot.layers {
            let entry = PyDict::new(py);
            entry.set_item("rid", layer.rid)?;
            entry.set_item("ssrc", layer.ssrc)?;
            entry.set_item("packets", layer.packets)?;
            entry.set_item("bytes", layer.bytes)?;
            entry.set_item("packets_lost", layer.packets_lost)?;
            entry.set_item("jitter_s", layer.jitter_s)?;
            entry.set_item("width", layer.width)?;
            entry.set_item("height", layer.height)?;
            layers.append(entry)?;
        }
        let dict = PyDict::new(py);
        dict.set_item("codec", snapshot.codec)?;
        dict.set_item("layers", layers)?;
        Ok(dict)
    }

    fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            let (handle, port) = (self.handle, self.port.clone());
            self.worker.post(move |endpoint, _| {
                endpoint.sfu.close_up_track(handle);
                port.forget(handle);
            });
        }
    }
}

/// One track forwarded to one participant.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct DownTrack {
    handle: u64,
    worker: Worker,
    port: NetEventPort,
    closed: AtomicBool,
}

impl DownTrack {
    fn open(&self) -> PyResult<()> {
        if self.closed.load(Ordering::Acquire) {
            Err(closed("DownTrack"))
        } else {
            Ok(())
        }
    }
}

#[pymethods]
impl DownTrack {
    #[getter]
    fn handle(&self) -> u64 {
        self.handle
    }

    fn set_enabled(&self, enabled: bool) -> PyResult<()> {
        self.open()?;
        let handle = self.handle;
        post(&self.worker, "DownTrack", move |endpoint, now| {
            endpoint.sfu.set_down_track_enabled(handle, enabled, now)
        })
    }

    fn set_max_layer(&self, spatial: u8, temporal: u8) -> PyResult<()> {
        self.open()?;
        if spatial > 2 || temporal > 3 {
            return Err(engine_error(format_args!(
                "layer ({spatial}, {temporal}) is not usable: give spatial 0..=2 and temporal 0..=3"
            )));
        }
        let handle = self.handle;
        post(&self.worker, "DownTrack", move |endpoint, now| {
            endpoint.sfu.set_max_layer(handle, spatial, temporal, now)
        })
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.open()?;
        let handle = self.handle;
        let snapshot = call(py, &self.worker, "DownTrack", move |endpoint, _| {
            endpoint.sfu.down_track_statistics(handle)
        })?;
        let dict = PyDict::new(py);
        dict.set_item("packets_sent", snapshot.packets_sent)?;
        dict.set_item("bytes_sent", snapshot.bytes_sent)?;
        dict.set_item("retransmitted", snapshot.retransmitted)?;
        dict.set_item("plis", snapshot.plis)?;
        dict.set_item("spatial_layer", snapshot.spatial_layer)?;
        dict.set_item("fraction_lost", snapshot.fraction_lost)?;
        Ok(dict)
    }

    fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            let (handle, port) = (self.handle, self.port.clone());
            self.worker.post(move |endpoint, _| {
                endpoint.sfu.close_down_track(handle);
                port.forget(handle);
            });
        }
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Sfu>()?;
    module.add_class::<SfuTransport>()?;
    module.add_class::<UpTrack>()?;
    module.add_class::<DownTrack>()
}

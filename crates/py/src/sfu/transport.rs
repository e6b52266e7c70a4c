//! `SfuTransport`: one peer connection of a participant, as the server sees it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use greenroom_net::{EventPort as NetEventPort, next_handle};
use greenroom_sfu::{BandwidthPolicy, DownTrackParameters, Kind, PlayoutDelayLimits, UpTrackParameters};
use greenroom_transport::{ChannelConfig, ChannelId, IceCredentials, RemoteParameters};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::calls::{Worker, call, lock, post};
use super::channels::{Admission, SharedGates};
use super::down_track::DownTrack;
use super::shards::Shards;
use super::up_track::UpTrack;
use super::{convert, endpoint};
use crate::error::{closed, engine_error};
use crate::parameters::{HeaderExtension, PayloadType, ReceiveLayer};

/// One peer connection of a participant, as the server sees it.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct SfuTransport {
    pub(super) handle: u64,
    pub(super) worker: Worker,
    pub(super) shards: Arc<Shards>,
    /// The unit it is on.
    pub(super) shard: usize,
    pub(super) port: NetEventPort,
    pub(super) fingerprint: String,
    pub(super) credentials: Mutex<IceCredentials>,
    pub(super) max_message_size: Mutex<u32>,
    pub(super) gates: SharedGates,
    pub(super) up_tracks: Mutex<HashMap<String, Py<UpTrack>>>,
    pub(super) closed: AtomicBool,
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
            self.shards.transport_closed(self.shard);
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
        let held = self.gates.buffered(channel);
        held.ok_or_else(|| {
            engine_error(format_args!(
                "data channel {channel} does not exist or is closed; open a new one"
            ))
        })
    }

    fn release(&self, messages: usize, bytes: usize) -> PyResult<()> {
        self.open()?;
        let handle = self.handle;
        post(&self.worker, "SfuTransport", move |endpoint, _| {
            endpoint.release(handle, messages, bytes)
        })
    }

    fn limit_receive_window(&self, bytes: u32) -> PyResult<()> {
        self.open()?;
        let handle = self.handle;
        post(&self.worker, "SfuTransport", move |endpoint, _| {
            endpoint.limit_receive_window(handle, bytes)
        })
    }

    fn set_data_track_channel(&self, channel: u32) -> PyResult<()> {
        self.open()?;
        let handle = self.handle;
        post(&self.worker, "SfuTransport", move |endpoint, _| {
            if let Err(error) = endpoint.sfu.set_data_track_channel(handle, ChannelId(channel)) {
                log::debug!("data track channel {channel}: {error}");
            }
        })
    }

    #[pyo3(signature = (published_handle, subscriber, *, handle))]
    fn subscribe_data_track(
        &self,
        published_handle: u16,
        subscriber: &SfuTransport,
        handle: u16,
    ) -> PyResult<()> {
        self.open()?;
        let (publisher, subscriber) = (self.handle, subscriber.handle);
        post(&self.worker, "SfuTransport", move |endpoint, _| {
            let outcome = endpoint
                .sfu
                .subscribe_data_track(publisher, published_handle, subscriber, handle);
            if let Err(error) = outcome {
                log::debug!("data track {published_handle}: {error}");
            }
        })
    }

    fn unsubscribe_data_track(&self, published_handle: u16, subscriber: &SfuTransport) {
        let (publisher, subscriber) = (self.handle, subscriber.handle);
        self.worker.post(move |endpoint, _| {
            endpoint
                .sfu
                .unsubscribe_data_track(publisher, published_handle, subscriber);
        });
    }

    #[pyo3(signature = (*, congestion_control, allow_pause))]
    fn set_bandwidth_policy(&self, congestion_control: bool, allow_pause: bool) -> PyResult<()> {
        self.open()?;
        let policy = BandwidthPolicy {
            congestion_control,
            allow_pause,
        };
        let handle = self.handle;
        post(&self.worker, "SfuTransport", move |endpoint, now| {
            if let Err(error) = endpoint.sfu.set_bandwidth_policy(handle, policy, now) {
                log::debug!("bandwidth policy: {error}");
            }
        })
    }

    fn set_bandwidth_limit(&self, limit_bps: Option<u64>) -> PyResult<()> {
        self.open()?;
        let handle = self.handle;
        post(&self.worker, "SfuTransport", move |endpoint, now| {
            if let Err(error) = endpoint.sfu.set_bandwidth_limit(handle, limit_bps, now) {
                log::debug!("bandwidth limit: {error}");
            }
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
        let convert_layer = |layer: ReceiveLayer| greenroom_sfu::ReceiveLayer {
            ssrc: layer.ssrc,
            rtx_ssrc: layer.rtx_ssrc,
            rid: layer.rid,
        };
        let parameters = UpTrackParameters {
            transport: self.handle,
            mid: mid.clone(),
            kind,
            payload_types: convert::payload_types(payload_types),
            header_extensions: convert::header_extensions(header_extensions),
            layers: layers.into_iter().map(convert_layer).collect(),
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

    #[pyo3(signature = (mid, up_track, *, ssrc, rtx_ssrc, payload_types, header_extensions, frame_trailer = Vec::new(), playout_delay = None))]
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
        frame_trailer: Vec<u8>,
        playout_delay: Option<(u32, u32, bool)>,
    ) -> PyResult<DownTrack> {
        self.open()?;
        let handle = next_handle();
        let parameters = DownTrackParameters {
            transport: self.handle,
            mid,
            up_track: up_track.handle,
            ssrc,
            rtx_ssrc,
            payload_types: convert::payload_types(payload_types),
            header_extensions: convert::header_extensions(header_extensions),
            frame_trailer,
            playout_delay: playout_delay.map(|(min_ms, max_ms, follows_jitter)| PlayoutDelayLimits {
                min_ms,
                max_ms,
                follows_jitter,
            }),
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
        dict.set_item("available_bitrate_bps", snapshot.available_bitrate_bps)?;
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

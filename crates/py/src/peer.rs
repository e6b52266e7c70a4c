//! `Peer`: the client's peer connection.

mod convert;
mod feed;
mod receiver;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenroom_media::video::Codec;
use greenroom_net::{Sockets, bind_udp_all, local_addresses, next_handle};
use greenroom_peer::{
    AudioSenderConfig, ChannelConfig, ChannelTable, PeerConfig, PeerError, ReceiverConfig, RemoteParameters,
    SendOutcome, TrackKind, VideoSenderConfig,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::audio::{self, AudioSource};
use crate::buffer::BufferBytes;
use crate::data_track::{DataTrackReceiver, DataTrackSender, DataTracks, PyEncryption};
use crate::driver::Driver;
use crate::e2ee::FrameCryptor;
use crate::engine::certificate;
use crate::error::{closed, engine_error};
use crate::event_port::EventPort;
use crate::parameters::{self, HeaderExtension, PayloadType, SendLayer};
use crate::peer_endpoint::PeerBackend;
use crate::peer_sockets::Gathering;
use crate::peer_statistics;
use crate::video::{self, VideoSource};
use convert::{extensions, payload_type, send_layer};
use feed::Feed;
pub use receiver::Receiver;

const GATHERED: &str = "this peer is closed, or has gathered already";

/// One peer connection of a client, publisher or subscriber.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct Peer {
    handle: u64,
    backend: Arc<PeerBackend>,
    channels: ChannelTable,
    /// A message is queued that the worker has not been told of.
    holds_wake: AtomicBool,
    credentials: Mutex<(String, String)>,
    feeds: Mutex<HashMap<String, Feed>>,
    data_tracks: DataTracks,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peer {
    /// Run `f` on the peer's worker and wait, without the GIL.
    fn call<R: Send + 'static>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&mut greenroom_peer::Peer, std::time::Instant) -> Result<R, PeerError> + Send + 'static,
    ) -> PyResult<R> {
        match py.detach(|| self.backend.call(f)) {
            Some(Ok(result)) => Ok(result),
            Some(Err(PeerError::Closed)) | None => Err(closed("Peer")),
            Some(Err(error)) => Err(engine_error(error)),
        }
    }

    /// True when the message was queued. The worker is told now, or with the next `flush` when it is to be held.
    fn queued(&self, py: Python<'_>, outcome: SendOutcome, hold: bool) -> bool {
        if let SendOutcome::Queued { wake: true } = outcome {
            self.holds_wake.store(true, Ordering::Relaxed);
        }
        if !hold {
            self.release(py);
        }
        outcome != SendOutcome::Full
    }

    fn release(&self, py: Python<'_>) {
        if self.holds_wake.swap(false, Ordering::Relaxed) {
            py.detach(|| self.backend.post(|peer, now| peer.flush_channels(now)));
        }
    }

    fn close_all(&self) {
        self.backend.close();
        let feeds = std::mem::take(&mut *lock(&self.feeds));
        feeds.iter().for_each(|(mid, feed)| feed.detach(self.handle, mid));
    }
}

#[pymethods]
impl Peer {
    #[new]
    #[pyo3(signature = (port, *, controlling, payload_types, header_extensions_audio, header_extensions_video))]
    fn new(
        port: &EventPort,
        controlling: bool,
        payload_types: Vec<PayloadType>,
        header_extensions_audio: Vec<HeaderExtension>,
        header_extensions_video: Vec<HeaderExtension>,
    ) -> PyResult<Self> {
        let driver = port.driver();
        let config = PeerConfig {
            controlling,
            repeatable: matches!(driver, Driver::Simulator(..)),
            payload_types: payload_types.into_iter().map(payload_type).collect(),
            header_extensions_audio: extensions(header_extensions_audio),
            header_extensions_video: extensions(header_extensions_video),
        };
        certificate()?;
        let handle = next_handle();
        let data_tracks = DataTracks::default();
        let backend = PeerBackend::new(&config, port.port(), driver, handle, data_tracks.clone());
        let backend = backend.map_err(engine_error)?;
        let made = backend.call(|peer, _| (peer.local_credentials(), peer.channel_table()));
        let (credentials, channels) = made.ok_or_else(|| closed("Peer"))?;
        Ok(Self {
            handle,
            backend,
            channels,
            holds_wake: AtomicBool::new(false),
            credentials: Mutex::new(credentials),
            feeds: Mutex::default(),
            data_tracks,
        })
    }

    #[getter]
    fn handle(&self) -> u64 {
        self.handle
    }

    #[getter]
    fn ice_ufrag(&self) -> String {
        lock(&self.credentials).0.clone()
    }

    #[getter]
    fn ice_pwd(&self) -> String {
        lock(&self.credentials).1.clone()
    }

    #[getter]
    fn fingerprint(&self) -> &'static str {
        greenroom_peer::certificate_fingerprint()
    }

    #[pyo3(signature = (*, include_loopback, transport_policy = "all", gather_continually = false, share_sockets = false))]
    fn gather(
        &self,
        py: Python<'_>,
        include_loopback: bool,
        transport_policy: &str,
        gather_continually: bool,
        share_sockets: bool,
    ) -> PyResult<Vec<String>> {
        let gathering = Gathering {
            policy: convert::transport_policy(transport_policy)?,
            include_loopback,
            continually: gather_continually,
        };
        let driver = self.backend.driver();
        let started = py.detach(|| {
            if let Driver::Simulator(simulator, address) = driver {
                return self
                    .backend
                    .start_simulated(simulator, *address, gathering)
                    .unwrap_or_else(|| Err(GATHERED.into()));
            }
            let addresses = local_addresses(include_loopback).map_err(|error| error.to_string())?;
            if share_sockets && !addresses.is_empty() {
                let started = self.backend.start_sharing(gathering, addresses);
                return started.unwrap_or_else(|| Err(GATHERED.into()));
            }
            let mut udp = vec![];
            let mut refusals = vec![];
            // An address that can't be bound is no candidate; the others may do.
            for address in addresses {
                match bind_udp_all(&[address], 0) {
                    Ok(sockets) => udp.extend(sockets),
                    Err(error) => refusals.push(format!("{address}: {error}")),
                }
            }
            if udp.is_empty() {
                return Err(format!(
                    "no UDP socket could be bound on any local address ({})",
                    refusals.join("; ")
                ));
            }
            let sockets = Sockets {
                udp,
                ..Sockets::default()
            };
            self.backend
                .start(sockets, gathering)
                .unwrap_or_else(|| Err(GATHERED.into()))
        });
        started.map_err(engine_error)
    }

    fn add_ice_server(&self, py: Python<'_>, server: parameters::IceServer) -> PyResult<()> {
        let server = convert::ice_server(server)?;
        self.call(py, move |peer, now| peer.add_ice_server(server, now))
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
        let max_message_size = u32::try_from(max_message_size).unwrap_or(u32::MAX);
        let remote = RemoteParameters {
            ice_ufrag,
            ice_pwd,
            fingerprint,
            dtls_active,
            ice_lite,
            max_message_size,
        };
        self.call(py, move |peer, now| peer.set_remote(&remote, now))
    }

    fn add_remote_candidate(&self, py: Python<'_>, candidate: String) -> PyResult<()> {
        self.call(py, move |peer, now| peer.add_remote_candidate(&candidate, now))
    }

    fn restart_ice(&self, py: Python<'_>) -> PyResult<(String, String)> {
        let credentials = self.call(py, |peer, now| peer.restart_ice(now))?;
        *lock(&self.credentials) = credentials.clone();
        Ok(credentials)
    }

    #[pyo3(signature = (label, *, ordered = true, max_retransmits = None))]
    fn open_channel(
        &self,
        py: Python<'_>,
        label: String,
        ordered: bool,
        max_retransmits: Option<u16>,
    ) -> PyResult<u32> {
        let sender = self.channels.create(max_retransmits.is_none());
        let number = sender.number();
        let config = ChannelConfig {
            label,
            ordered,
            max_retransmits,
        };
        if py.detach(|| {
            self.backend
                .post(move |peer, now| peer.open_channel(sender, config, now))
        }) {
            Ok(number)
        } else {
            Err(closed("Peer"))
        }
    }

    #[pyo3(signature = (channel, data, *, hold = false))]
    fn send(&self, py: Python<'_>, channel: u32, data: &Bound<'_, PyBytes>, hold: bool) -> PyResult<bool> {
        if self.backend.is_closed() {
            return Err(closed("Peer"));
        }
        let sender = self.channels.get(channel).map_err(engine_error)?;
        let outcome = sender.send(data.as_bytes()).map_err(engine_error)?;
        Ok(self.queued(py, outcome, hold))
    }

    #[pyo3(signature = (channel, track, payload, *, timestamp, user_timestamp = None, encryption = None))]
    #[allow(clippy::too_many_arguments)]
    fn push_data_frame(
        &self,
        py: Python<'_>,
        channel: u32,
        track: &DataTrackSender,
        payload: &Bound<'_, PyAny>,
        timestamp: u32,
        user_timestamp: Option<u64>,
        encryption: Option<PyEncryption>,
    ) -> PyResult<bool> {
        if self.backend.is_closed() {
            return Err(closed("Peer"));
        }
        let sender = self.channels.get(channel).map_err(engine_error)?;
        let payload = BufferBytes::new(payload)?;
        let packets = track.packetize(payload.as_slice(), timestamp, user_timestamp, encryption)?;
        let outcome = sender.send_group(packets).map_err(engine_error)?;
        Ok(self.queued(py, outcome, false))
    }

    fn flush(&self, py: Python<'_>) {
        self.release(py);
    }

    fn receive_data_tracks(
        &self,
        py: Python<'_>,
        label: String,
        receivers: HashMap<u16, Py<DataTrackReceiver>>,
    ) {
        let receivers = receivers
            .into_iter()
            .map(|(handle, receiver)| (handle, receiver.bind(py).get().shared()));
        self.data_tracks.set(label, receivers.collect());
    }

    fn bulk_limit(&self) -> usize {
        self.channels.bulk_limit_bytes()
    }

    fn dropped_messages(&self, channel: u32) -> PyResult<u64> {
        let sender = self.channels.get(channel).map_err(engine_error)?;
        Ok(sender.dropped_messages())
    }

    fn buffered_amount(&self, channel: u32) -> PyResult<usize> {
        Ok(self
            .channels
            .get(channel)
            .map_err(engine_error)?
            .buffered_amount())
    }

    #[pyo3(signature = (mid, source, *, ssrc, payload_type, bitrate_bps, stereo = false, dtx = true, fec = true, cryptor = None))]
    #[allow(clippy::too_many_arguments)]
    fn add_audio_sender(
        &self,
        py: Python<'_>,
        mid: String,
        source: &AudioSource,
        ssrc: u32,
        payload_type: u8,
        bitrate_bps: u32,
        stereo: bool,
        dtx: bool,
        fec: bool,
        cryptor: Option<&FrameCryptor>,
    ) -> PyResult<()> {
        let source = audio::open_source(source)?;
        let config = AudioSenderConfig {
            ssrc,
            payload_type,
            bitrate_bps,
            stereo,
            dtx,
            fec,
            cryptor: cryptor.map(FrameCryptor::shared),
        };
        let name = mid.clone();
        self.call(py, move |peer, now| peer.add_audio_sender(&name, config, now))?;
        py.detach(|| source.attach_sender(self.handle, &mid, &self.backend));
        lock(&self.feeds).insert(mid, Feed::Audio(source));
        Ok(())
    }

    #[pyo3(signature = (mid, source, *, codec, payload_type, layers, is_screencast = false, cryptor = None))]
    #[allow(clippy::too_many_arguments)]
    fn add_video_sender(
        &self,
        py: Python<'_>,
        mid: String,
        source: &VideoSource,
        codec: &str,
        payload_type: u8,
        layers: Vec<SendLayer>,
        is_screencast: bool,
        cryptor: Option<&FrameCryptor>,
    ) -> PyResult<()> {
        let source = video::open_source(source)?;
        let codec = match codec {
            "vp8" => Codec::Vp8,
            "h264" => Codec::H264,
            _ => {
                return Err(engine_error(format_args!(
                    "codec {codec:?} can't be encoded; use vp8 or h264"
                )));
            }
        };
        let layers = layers.into_iter().map(send_layer).collect();
        let config = VideoSenderConfig {
            codec,
            payload_type,
            layers,
            is_screencast,
            cryptor: cryptor.map(FrameCryptor::shared),
        };
        let name = mid.clone();
        self.call(py, move |peer, now| peer.add_video_sender(&name, config, now))?;
        py.detach(|| source.attach_sender(self.handle, &mid, &self.backend));
        lock(&self.feeds).insert(mid, Feed::Video(source));
        Ok(())
    }

    fn set_sender_muted(&self, py: Python<'_>, mid: String, muted: bool) -> PyResult<()> {
        self.call(py, move |peer, now| peer.set_sender_muted(&mid, muted, now))
    }

    fn set_layer_active(&self, py: Python<'_>, mid: String, rid: String, active: bool) -> PyResult<()> {
        self.call(py, move |peer, now| {
            peer.set_layer_active(&mid, &rid, active, now)
        })
    }

    fn remove_sender(&self, py: Python<'_>, mid: String) -> PyResult<()> {
        let feed = lock(&self.feeds).remove(&mid);
        if let Some(feed) = feed {
            feed.detach(self.handle, &mid);
        }
        self.call(py, move |peer, now| {
            peer.remove_sender(&mid, now);
            Ok(())
        })
    }

    #[pyo3(signature = (mid, *, kind, ssrc, rtx_ssrc = None))]
    fn add_receiver(
        &self,
        py: Python<'_>,
        mid: String,
        kind: &str,
        ssrc: u32,
        rtx_ssrc: Option<u32>,
    ) -> PyResult<Receiver> {
        let kind = match kind {
            "audio" => TrackKind::Audio,
            "video" => TrackKind::Video,
            _ => {
                return Err(engine_error(format_args!(
                    "kind {kind:?} is unknown; use audio or video"
                )));
            }
        };
        let handle = next_handle();
        let name = mid.clone();
        let config = ReceiverConfig {
            id: handle,
            kind,
            ssrc,
            rtx_ssrc,
        };
        self.call(py, move |peer, now| peer.add_receiver(&name, config, now))?;
        Ok(Receiver::new(handle, mid, kind.name(), self.backend.clone()))
    }

    fn remove_receiver(&self, py: Python<'_>, mid: String) -> PyResult<()> {
        self.call(py, move |peer, now| {
            peer.remove_receiver(&mid, now);
            Ok(())
        })
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let statistics = self.call(py, |peer, _| Ok(peer.statistics()))?;
        peer_statistics::to_python(py, &statistics)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.close_all());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.close_all();
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Peer>()?;
    module.add_class::<Receiver>()
}

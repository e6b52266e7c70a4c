//! Parameters from Python as those of the peer.

use std::net::{IpAddr, SocketAddr};

use greenroom_peer::TransportPolicy;
use greenroom_turn::{ServerKind, ServerTransport};
use pyo3::PyResult;

use crate::error::engine_error;
use crate::parameters::{HeaderExtension, IceServer, PayloadType, SendLayer};
use crate::trust::trust;

const POLICIES: &[(&str, TransportPolicy)] = &[
    ("all", TransportPolicy::All),
    ("nohost", TransportPolicy::NoHost),
    ("relay", TransportPolicy::Relay),
];
const KINDS: &[(&str, ServerKind)] = &[("stun", ServerKind::Stun), ("turn", ServerKind::Turn)];
const TRANSPORTS: &[(&str, ServerTransport)] = &[
    ("udp", ServerTransport::Udp),
    ("tcp", ServerTransport::Tcp),
    ("tls", ServerTransport::Tls),
];

/// The value that a word stands for.
fn named<T: Copy>(what: &str, table: &[(&str, T)], word: &str) -> PyResult<T> {
    let found = table.iter().find(|(name, _)| *name == word);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        engine_error(format_args!(
            "{what} {word:?} is unknown; use {}",
            names.join(", ")
        ))
    })
}

pub(super) fn transport_policy(word: &str) -> PyResult<TransportPolicy> {
    named("transport_policy", POLICIES, word)
}

pub(super) fn ice_server(server: IceServer) -> PyResult<greenroom_turn::IceServer> {
    let address: IpAddr = server.address.parse().map_err(|_| {
        engine_error(format_args!(
            "the address {:?} of {} is no IP address; look the name up first",
            server.address, server.url
        ))
    })?;
    let transport = named("transport", TRANSPORTS, &server.transport)?;
    Ok(greenroom_turn::IceServer {
        kind: named("kind", KINDS, &server.kind)?,
        transport,
        url: server.url,
        host: server.host,
        address: SocketAddr::new(address, server.port),
        username: server.username,
        password: server.password,
        trust: match transport {
            ServerTransport::Tls => trust(server.trusted_certificates, server.verify),
            ServerTransport::Udp | ServerTransport::Tcp => greenroom_turn::Trust::default(),
        },
    })
}

pub(super) fn extensions(extensions: Vec<HeaderExtension>) -> Vec<greenroom_peer::HeaderExtension> {
    let convert = |extension: HeaderExtension| greenroom_peer::HeaderExtension {
        id: extension.id,
        uri: extension.uri,
    };
    extensions.into_iter().map(convert).collect()
}

pub(super) fn payload_type(payload: PayloadType) -> greenroom_peer::PayloadType {
    greenroom_peer::PayloadType {
        payload_type: payload.payload_type,
        codec: payload.codec,
        clock_rate_hz: payload.clock_rate_hz,
        channels: payload.channels,
        format_parameters: payload.format_parameters,
        rtx_payload_type: payload.rtx_payload_type,
        feedback: payload.feedback,
    }
}

pub(super) fn send_layer(layer: SendLayer) -> greenroom_peer::SendLayer {
    greenroom_peer::SendLayer {
        rid: layer.rid,
        ssrc: layer.ssrc,
        rtx_ssrc: layer.rtx_ssrc,
        scale_down_by: layer.scale_down_by,
        max_bitrate_bps: layer.max_bitrate_bps,
        max_framerate: layer.max_framerate,
    }
}

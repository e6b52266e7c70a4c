//! Parameters from Python as those of the peer.

use crate::parameters::{HeaderExtension, PayloadType, SendLayer};

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

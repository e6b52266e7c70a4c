//! Python's parameters as the forwarding unit takes them.

use crate::parameters::{HeaderExtension, PayloadType};

pub(super) fn payload_types(list: Vec<PayloadType>) -> Vec<greenroom_sfu::PayloadType> {
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

pub(super) fn header_extensions(list: Vec<HeaderExtension>) -> Vec<greenroom_sfu::HeaderExtension> {
    let convert = |extension: HeaderExtension| greenroom_sfu::HeaderExtension {
        id: extension.id,
        uri: extension.uri,
    };
    list.into_iter().map(convert).collect()
}

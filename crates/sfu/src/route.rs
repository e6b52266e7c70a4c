//! Which of the subscriber's payload types carries what the publisher sends.

use crate::parameters::{Codec, PayloadType, match_payload_type};

/// How packets of one payload type of the publisher reach this subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The publisher's payload type.
    pub upstream: u8,
    /// The subscriber's.
    pub payload_type: u8,
    /// The subscriber's for retransmissions.
    pub rtx_payload_type: Option<u8>,
    /// What the subscriber gets.
    pub codec: Codec,
    /// Whether the subscriber asks for lost packets.
    pub nack: bool,
    /// RED is reduced to the Opus it carries.
    pub extract_primary: bool,
    /// Of the codec.
    pub clock_rate_hz: u32,
    /// The payload type inside RED.
    pub red_primary: u8,
}

impl Route {
    /// How packets of `wanted`, one of the publisher's payload types, reach who answered with `answered`.
    pub fn new(wanted: &PayloadType, upstream: &[PayloadType], answered: &[PayloadType]) -> Option<Route> {
        let inner = |payload: &PayloadType| {
            payload
                .format_parameters
                .split('/')
                .next()?
                .trim()
                .parse::<u8>()
                .ok()
        };
        let opus_of = |list: &[PayloadType]| {
            list.iter()
                .find(|payload| payload.kind_of_codec() == Codec::Opus)
                .map(|payload| payload.payload_type)
        };
        let is_red = wanted.kind_of_codec() == Codec::Red;
        let mut target = match_payload_type(wanted, answered);
        let mut extract_primary = false;
        if is_red {
            let inner_up = inner(wanted).or_else(|| opus_of(upstream));
            // The payload types inside the blocks are not rewritten, so they have to mean the same on both sides.
            target = target.filter(|red| inner(red).or_else(|| opus_of(answered)) == inner_up);
            if target.is_none() {
                extract_primary = true;
                target = answered
                    .iter()
                    .find(|payload| payload.kind_of_codec() == Codec::Opus);
            }
        }
        let target = target?;
        Some(Route {
            upstream: wanted.payload_type,
            payload_type: target.payload_type,
            rtx_payload_type: target.rtx_payload_type,
            codec: target.kind_of_codec(),
            nack: target.has_nack(),
            extract_primary,
            clock_rate_hz: target.clock_rate_hz,
            red_primary: inner(target).or_else(|| opus_of(answered)).unwrap_or(111),
        })
    }
}

//! The bytes of an outgoing packet: header, extensions, and the payload with what has to differ in it.

use std::time::Instant;

use greenroom_transport::RTP_OVERHEAD_BYTES;

use super::DownTrack;
use crate::egress::Egress;
use crate::parameters::{ExtensionIds, Kind};
use crate::playout_delay::PlayoutDelay;
use crate::red;
use crate::route::Route;
use crate::rtp_header::{ExtensionList, RtpHeader, RtpView};
use crate::vp8_descriptor::Vp8Indices;

/// What header, extensions and a rewritten descriptor usually need at most.
const HEADER_ROOM_BYTES: usize = 96;

impl DownTrack {
    /// Writes header and payload; with `original` as a retransmission of that sequence number (RFC 4588).
    #[allow(clippy::too_many_arguments)]
    pub(super) fn write(
        &self,
        now: Instant,
        header: RtpHeader,
        original: Option<u16>,
        view: &RtpView<'_>,
        upstream: &ExtensionIds,
        payload: (
            Route,
            Option<crate::vp8_descriptor::Vp8Descriptor>,
            Option<Vp8Indices>,
        ),
        egress: &mut Egress,
        out: &mut Vec<u8>,
    ) -> bool {
        out.clear();
        out.reserve(HEADER_ROOM_BYTES + view.payload.len() + RTP_OVERHEAD_BYTES);
        self.write_header(now, header, Some((view, upstream)), egress, out);
        if let Some(number) = original {
            out.extend_from_slice(&number.to_be_bytes());
        }
        match payload {
            (_, Some(vp8), Some(indices)) => {
                vp8.write(&indices, out);
                out.extend_from_slice(view.payload.get(vp8.length..).unwrap_or(&[]));
            }
            (route, _, _) if route.extract_primary => {
                let Some((_, block)) = red::primary_block(view.payload) else {
                    return false;
                };
                out.extend_from_slice(block);
            }
            _ => out.extend_from_slice(view.payload),
        }
        if self.kind == Kind::Video {
            egress.wrote_video(now, out.len());
        }
        true
    }

    pub(super) fn write_header(
        &self,
        now: Instant,
        header: RtpHeader,
        source: Option<(&RtpView<'_>, &ExtensionIds)>,
        egress: &mut Egress,
        out: &mut Vec<u8>,
    ) {
        let ids = &self.extensions;
        let mut list = ExtensionList::default();
        list.push(ids.mid, self.mid.as_bytes());
        // Receivers estimate by one of them, and send transport-wide feedback when they can.
        let (send_time, number, delay);
        if ids.transport_wide_cc == 0 {
            send_time = egress.absolute_send_time(now);
            list.push(ids.abs_send_time, &send_time);
        } else {
            number = egress.next_number();
            list.push(ids.transport_wide_cc, &number);
        }
        if let Some((view, upstream)) = source {
            // Without the optional clock offset, which is between the publisher and us.
            let capture_time = view
                .extension(upstream.abs_capture_time)
                .and_then(|value| value.get(..8));
            list.push(ids.abs_capture_time, capture_time.unwrap_or(&[]));
            list.push(
                ids.dependency_descriptor,
                view.extension(upstream.dependency_descriptor).unwrap_or(&[]),
            );
            list.push(
                ids.video_orientation,
                view.extension(upstream.video_orientation).unwrap_or(&[]),
            );
        }
        if let Some(value) = self.playout_delay.as_ref().and_then(PlayoutDelay::value) {
            delay = value;
            list.push(ids.playout_delay, &delay);
        }
        header.write(&list, out);
    }
}

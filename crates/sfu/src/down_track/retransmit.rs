//! What the subscriber lost: the packet again, as RTX when that was negotiated (RFC 4588).

use std::time::Instant;

use super::DownTrack;
use crate::egress::Egress;
use crate::parameters::Kind;
use crate::rtp_header::RtpHeader;
use crate::sequencer::SentPacket;
use crate::up_track::ForwardPacket;

/// The header bit that says that the packet ends in padding (RFC 3550 section 5.1).
const PADDED: u8 = 0x20;
/// As much as a packet can have; its last byte says how much that is.
const PADDING: [u8; 255] = {
    let mut padding = [0; 255];
    padding[254] = 255;
    padding
};

impl DownTrack {
    /// What to send again for a NACK of `sequence`.
    pub fn requested(&mut self, sequence: u16, now: Instant) -> Option<SentPacket> {
        self.statistics.nacked += 1;
        self.sequencer.request(sequence, self.round_trip, now)
    }

    /// Writes a packet again, as RTX when that was negotiated. `stored` is the publisher's packet.
    pub fn retransmit(
        &mut self,
        now: Instant,
        sent: &SentPacket,
        stored: &ForwardPacket<'_>,
        egress: &mut Egress,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(route) = self.route_for(stored.view.payload_type) else {
            return false;
        };
        let original = sent.output_sequence as u16;
        let mut header = RtpHeader {
            marker: stored.view.marker,
            payload_type: route.payload_type,
            sequence_number: original,
            timestamp: sent.timestamp,
            ssrc: self.ssrc,
        };
        let mut wrapped = None;
        if let (Some(ssrc), Some(payload_type)) = (self.rtx_ssrc, route.rtx_payload_type) {
            (header.ssrc, header.payload_type, header.sequence_number) =
                (ssrc, payload_type, self.rtx.take());
            wrapped = Some(original);
        }
        self.statistics.retransmitted += 1;
        self.write(
            now,
            header,
            wrapped,
            &stored.view,
            &stored.extensions,
            (route, stored.vp8, sent.vp8),
            egress,
            out,
        )
    }

    /// Writes a packet of padding on the stream of retransmissions, for a probe. False when there is no such stream, or
    /// nothing was sent yet.
    pub fn write_padding(&mut self, now: Instant, egress: &mut Egress, out: &mut Vec<u8>) -> bool {
        let (Some((ssrc, payload_type)), Some((timestamp, _))) =
            (self.padding_stream(), self.timestamps.last())
        else {
            return false;
        };
        let header = RtpHeader {
            marker: false,
            payload_type,
            sequence_number: self.rtx.take(),
            timestamp,
            ssrc,
        };
        out.clear();
        self.write_header(now, header, None, egress, out);
        out[0] |= PADDED;
        out.extend_from_slice(&PADDING);
        egress.wrote_video(now, out.len());
        true
    }

    /// Whether padding can be sent on this track.
    pub fn can_pad(&self) -> bool {
        self.padding_stream().is_some() && self.timestamps.last().is_some()
    }

    fn padding_stream(&self) -> Option<(u32, u8)> {
        let route = self.route.filter(|_| self.kind == Kind::Video)?;
        Some((self.rtx_ssrc?, route.rtx_payload_type?))
    }

    /// The subscriber can't decode: nothing is repaired until the next key frame. The layer to ask for, if any.
    pub fn key_frame_requested(&mut self) -> Option<u8> {
        self.statistics.plis += 1;
        self.sequencer.stop_until_key_frame();
        self.source
            .filter(|_| self.kind == Kind::Video)
            .map(|source| source.layer)
    }
}

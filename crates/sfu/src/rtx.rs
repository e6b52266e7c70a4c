//! Retransmission payloads (RFC 4588): unwrapped from publishers, wrapped for subscribers.

use crate::rtp_header::RtpView;

/// Turns a received RTX packet into the original, in place. None when it carries none (a bandwidth probe).
pub fn unwrap(packet: &mut Vec<u8>, media_ssrc: u32, payload_type: u8) -> Option<()> {
    let view = RtpView::parse(packet)?;
    let original: [u8; 2] = view.payload.get(..2)?.try_into().ok()?;
    let offset = view.payload_offset;
    let end = offset + view.payload.len();
    packet.truncate(end);
    packet.drain(offset..offset + 2);
    packet[0] &= !0x20;
    packet[1] = packet[1] & 0x80 | payload_type & 0x7F;
    packet[2..4].copy_from_slice(&original);
    packet[8..12].copy_from_slice(&media_ssrc.to_be_bytes());
    Some(())
}

/// The sequence numbers of a downstream retransmission stream.
#[derive(Debug)]
pub struct RtxSequence(u16);

impl RtxSequence {
    /// `start` should be below 32,768, so that receivers can't misjudge the rollover.
    pub fn new(start: u16) -> RtxSequence {
        RtxSequence(start)
    }

    /// The number of the next packet.
    pub fn take(&mut self) -> u16 {
        let number = self.0;
        self.0 = number.wrapping_add(1);
        number
    }

    /// The number after the last one given out.
    pub fn peek(&self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp_header::{ExtensionList, RtpHeader};

    #[test]
    fn the_original_comes_out() {
        let mut extensions = ExtensionList::default();
        extensions.push(1, b"ab");
        let header = RtpHeader {
            marker: true,
            payload_type: 97,
            sequence_number: 9,
            timestamp: 5,
            ssrc: 2,
        };
        let mut packet = Vec::new();
        header.write(&extensions, &mut packet);
        packet.extend_from_slice(&[0x12, 0x34, 7, 8, 0, 2]);
        packet[0] |= 0x20;
        unwrap(&mut packet, 1, 96).expect("an original");
        let view = RtpView::parse(&packet).expect("valid");
        assert_eq!(
            (view.sequence_number, view.ssrc, view.payload_type),
            (0x1234, 1, 96)
        );
        assert_eq!(
            (view.payload, view.extension(1), view.marker),
            (&[7, 8][..], Some(&b"ab"[..]), true)
        );
    }

    #[test]
    fn probes_carry_nothing() {
        let header = RtpHeader {
            marker: false,
            payload_type: 97,
            sequence_number: 9,
            timestamp: 5,
            ssrc: 2,
        };
        let mut packet = Vec::new();
        header.write(&ExtensionList::default(), &mut packet);
        assert!(unwrap(&mut packet.clone(), 1, 96).is_none());
        packet.extend_from_slice(&[0, 0, 3]);
        packet[0] |= 0x20;
        assert!(unwrap(&mut packet, 1, 96).is_none());
    }
}

//! Tells the protocols on one port apart by their first bytes (RFC 7983, RFC 5761).

/// What a packet is, going by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacketKind {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    Unknown,
}

/// RTCP packet types with the marker bit of RTP in mind (RFC 5761 section 4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 192..=223;

pub(crate) fn classify(packet: &[u8]) -> PacketKind {
    let &[first, second, ..] = packet else {
        return PacketKind::Unknown;
    };
    match first {
        0..=3 => PacketKind::Stun,
        20..=63 => PacketKind::Dtls,
        128..=191 if RTCP_TYPES.contains(&second) => PacketKind::Rtcp,
        128..=191 => PacketKind::Rtp,
        _ => PacketKind::Unknown,
    }
}

const STUN_HEADER_BYTES: usize = 20;
const STUN_MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const STUN_BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const STUN_USERNAME: u16 = 0x0006;

/// The receiver's username fragment of a STUN binding request (RFC 8445 section 7.2.2).
///
/// `None` when the packet is not such a request. Nothing is authenticated by this: it only tells
/// which of many connections behind one port has to look at the packet.
pub fn stun_request_ufrag(packet: &[u8]) -> Option<&str> {
    if packet.len() < STUN_HEADER_BYTES
        || packet[..2] != STUN_BINDING_REQUEST
        || packet[4..8] != STUN_MAGIC_COOKIE
    {
        return None;
    }
    let mut attributes = &packet[STUN_HEADER_BYTES..];
    while attributes.len() >= 4 {
        let kind = u16::from_be_bytes([attributes[0], attributes[1]]);
        let length = usize::from(u16::from_be_bytes([attributes[2], attributes[3]]));
        let value = attributes.get(4..4 + length)?;
        if kind == STUN_USERNAME {
            return std::str::from_utf8(value)
                .ok()?
                .split_once(':')
                .map(|(ufrag, _)| ufrag);
        }
        attributes = attributes.get(4 + length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_classified_by_rfc_7983() {
        let cases: [(&[u8], PacketKind); 9] = [
            (&[0, 1, 0, 0], PacketKind::Stun),
            (&[22, 254, 253], PacketKind::Dtls),
            (&[0x80, 111], PacketKind::Rtp),
            (&[0x90, 0x80 | 96], PacketKind::Rtp),
            (&[0x80, 200], PacketKind::Rtcp),
            (&[0x81, 206], PacketKind::Rtcp),
            (&[70, 0, 0, 0], PacketKind::Unknown),
            (&[0x80], PacketKind::Unknown),
            (&[], PacketKind::Unknown),
        ];
        for (packet, kind) in cases {
            assert_eq!(classify(packet), kind, "{packet:?}");
        }
    }

    #[test]
    fn the_ufrag_of_a_request_is_found_behind_other_attributes() {
        let mut packet = vec![0, 1, 0, 24];
        packet.extend(STUN_MAGIC_COOKIE);
        packet.extend([7; 12]);
        packet.extend([0x80, 0x22, 0, 3, b'a', b'b', b'c', 0]);
        packet.extend([0, 6, 0, 9]);
        packet.extend(b"local:rem\0\0\0");
        assert_eq!(stun_request_ufrag(&packet), Some("local"));
        for length in 0..packet.len() - 3 {
            assert_eq!(stun_request_ufrag(&packet[..length]), None, "{length}");
        }
        packet[1] = 0x11;
        assert_eq!(stun_request_ufrag(&packet), None);
    }
}

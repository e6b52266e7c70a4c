//! RTP headers, RTCP that the load sends and reads, and the trailer of its packets.

use std::time::Duration;

const MAGIC: u32 = 0x6C6F_6164;
/// Magic, number, nanoseconds.
pub const TRAILER_BYTES: usize = 16;
const FIXED_BYTES: usize = 12;

/// A header extension of one byte's id (RFC 8285 section 4.2).
#[derive(Clone, Copy)]
pub struct Extension<'a> {
    pub id: u8,
    pub value: &'a [u8],
}

/// The fixed part of an RTP header (RFC 3550 section 5.1).
pub struct Header {
    pub payload_type: u8,
    pub marker: bool,
    pub sequence_number: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

impl Header {
    pub fn write(&self, extensions: &[Extension<'_>], out: &mut Vec<u8>) {
        out.push(0x90);
        out.push((u8::from(self.marker) << 7) | self.payload_type);
        out.extend(self.sequence_number.to_be_bytes());
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.ssrc.to_be_bytes());
        let bytes: usize = extensions.iter().map(|extension| 1 + extension.value.len()).sum();
        let words = bytes.div_ceil(4);
        out.extend([0xBE, 0xDE]);
        out.extend((words as u16).to_be_bytes());
        for extension in extensions {
            out.push((extension.id << 4) | (extension.value.len() as u8).saturating_sub(1));
            out.extend_from_slice(extension.value);
        }
        out.resize(out.len() + words * 4 - bytes, 0);
    }
}

/// What the last bytes of a packet of the load say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Counts the packets of one stream.
    pub number: u32,
    /// Since the epoch of the run.
    pub sent_at: Duration,
}

impl Trailer {
    /// Writes it over the end of a packet.
    pub fn write(&self, packet: &mut Vec<u8>) {
        packet.truncate(packet.len().saturating_sub(TRAILER_BYTES));
        packet.extend(MAGIC.to_be_bytes());
        packet.extend(self.number.to_be_bytes());
        packet.extend((self.sent_at.as_nanos() as u64).to_be_bytes());
    }

    /// None: the packet is none of the load's (padding, silence that a server made).
    fn read(packet: &[u8]) -> Option<Trailer> {
        let (_, trailer) = packet.split_last_chunk::<TRAILER_BYTES>()?;
        let nanoseconds = u64::from_be_bytes(trailer[8..].try_into().ok()?);
        (read_u32(trailer, 0)? == MAGIC).then_some(Trailer {
            number: read_u32(trailer, 4)?,
            sent_at: Duration::from_nanos(nanoseconds),
        })
    }
}

/// A received packet of the load.
pub struct Incoming {
    pub ssrc: u32,
    pub sequence_number: u16,
    pub trailer: Trailer,
}

impl Incoming {
    pub fn parse(packet: &[u8]) -> Option<Incoming> {
        let has_padding = packet.first()? & 0x20 != 0;
        if packet.len() < FIXED_BYTES + TRAILER_BYTES || has_padding {
            return None;
        }
        Some(Incoming {
            ssrc: read_u32(packet, 8)?,
            sequence_number: u16::from_be_bytes([packet[2], packet[3]]),
            trailer: Trailer::read(packet)?,
        })
    }
}

/// The SSRCs of which a compound RTCP packet asks for a key frame (PLI and FIR).
pub fn key_frame_requests(compound: &[u8]) -> Vec<u32> {
    let mut requests = Vec::new();
    let mut rest = compound;
    while rest.len() >= 4 {
        let length = (usize::from(u16::from_be_bytes([rest[2], rest[3]])) + 1) * 4;
        let (packet, after) = rest.split_at(length.min(rest.len()));
        match (packet[1], packet[0] & 0x1F) {
            (206, 1) => requests.extend(read_u32(packet, 8)),
            (206, 4) => requests.extend(read_u32(packet, 12)),
            _ => {}
        }
        rest = after;
    }
    requests
}

/// What a receiver says of one stream.
pub struct ReportBlock {
    pub ssrc: u32,
    pub highest_sequence: u32,
    pub lost: u32,
}

/// Receiver reports (at most 31 streams each), and the bandwidth that is there (REMB).
pub fn receiver_feedback(own_ssrc: u32, blocks: &[ReportBlock]) -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = blocks.chunks(31).map(|chunk| report(own_ssrc, chunk)).collect();
    packets.push(bandwidth(own_ssrc, blocks));
    packets
}

fn report(own_ssrc: u32, blocks: &[ReportBlock]) -> Vec<u8> {
    let mut packet = vec![0x80 | blocks.len() as u8, 201];
    packet.extend((1 + 6 * blocks.len() as u16).to_be_bytes());
    packet.extend(own_ssrc.to_be_bytes());
    for block in blocks {
        packet.extend(block.ssrc.to_be_bytes());
        packet.extend((block.lost & 0x00FF_FFFF).to_be_bytes());
        packet.extend(block.highest_sequence.to_be_bytes());
        packet.extend([0; 12]);
    }
    packet
}

/// 100 Mbit/s: 0x2FAF0 shifted by 9.
fn bandwidth(own_ssrc: u32, blocks: &[ReportBlock]) -> Vec<u8> {
    let count = blocks.len().min(255);
    let mut packet = vec![0x80 | 15, 206];
    packet.extend((4 + count as u16).to_be_bytes());
    packet.extend(own_ssrc.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(b"REMB");
    packet.push(count as u8);
    packet.extend([(9 << 2) | 2, 0xFA, 0xF0]);
    for block in &blocks[..count] {
        packet.extend(block.ssrc.to_be_bytes());
    }
    packet
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_carries_its_number_and_time() {
        let header = Header {
            payload_type: 111,
            marker: false,
            sequence_number: 7,
            timestamp: 960,
            ssrc: 42,
        };
        let level = Extension {
            id: 1,
            value: &[0x9E],
        };
        let mut packet = Vec::new();
        header.write(&[level], &mut packet);
        assert_eq!(packet[12..], [0xBE, 0xDE, 0, 1, 0x10, 0x9E, 0, 0]);
        packet.extend([0xFC; 80]);
        let trailer = Trailer {
            number: 3,
            sent_at: Duration::from_nanos(1_234_567_890_123),
        };
        trailer.write(&mut packet);
        assert_eq!(packet.len(), 100);
        let incoming = Incoming::parse(&packet).expect("a packet of ours");
        assert_eq!(
            (incoming.ssrc, incoming.sequence_number, incoming.trailer),
            (42, 7, trailer)
        );
        packet.truncate(99);
        assert!(Incoming::parse(&packet).is_none());
    }

    #[test]
    fn key_frames_are_asked_for_by_pli_and_fir() {
        let mut compound = report(1, &[]);
        compound.extend([0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9]);
        compound.extend([0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0]);
        assert_eq!(key_frame_requests(&compound), [9, 8]);
    }
}

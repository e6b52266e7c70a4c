//! From chunks to bytes.

use bytes::Bytes;

use super::{CHUNK_HEADER_BYTES, DATA_HEADER_BYTES, HEADER_BYTES, Init, kind, parameter};
use crate::config::DEFAULT_SCTP_PORT;

/// The most streams there can be, in either direction.
const STREAMS: u16 = u16::MAX;

/// Length with the padding to a multiple of four.
pub(crate) fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// One packet under construction.
#[derive(Debug)]
pub(crate) struct PacketWriter {
    bytes: Vec<u8>,
}

impl PacketWriter {
    pub(crate) fn new(verification_tag: u32, capacity: usize) -> PacketWriter {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.extend(DEFAULT_SCTP_PORT.to_be_bytes());
        bytes.extend(DEFAULT_SCTP_PORT.to_be_bytes());
        bytes.extend(verification_tag.to_be_bytes());
        bytes.extend([0; 4]);
        PacketWriter { bytes }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER_BYTES
    }

    /// Adds a chunk whose value is written by `value`.
    pub(crate) fn chunk(&mut self, kind: u8, flags: u8, value: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend([kind, flags, 0, 0]);
        value(&mut self.bytes);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(padded(self.bytes.len()), 0);
    }

    pub(crate) fn data(&mut self, flags: u8, tsn: u32, stream: (u16, u16), protocol: u32, payload: &[u8]) {
        let length = (DATA_HEADER_BYTES + payload.len()) as u16;
        let mut header = [0; DATA_HEADER_BYTES];
        header[0] = kind::DATA;
        header[1] = flags;
        header[2..4].copy_from_slice(&length.to_be_bytes());
        header[4..8].copy_from_slice(&tsn.to_be_bytes());
        header[8..10].copy_from_slice(&stream.0.to_be_bytes());
        header[10..12].copy_from_slice(&stream.1.to_be_bytes());
        header[12..16].copy_from_slice(&protocol.to_be_bytes());
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(payload);
        self.pad();
    }

    /// INIT, or with a cookie INIT ACK.
    pub(crate) fn init(&mut self, init: &Init) {
        let chunk = if init.cookie.is_some() {
            kind::INIT_ACK
        } else {
            kind::INIT
        };
        self.chunk(chunk, 0, |value| {
            value.extend(init.tag.to_be_bytes());
            value.extend(init.window_bytes.to_be_bytes());
            value.extend(STREAMS.to_be_bytes());
            value.extend(STREAMS.to_be_bytes());
            value.extend(init.tsn.to_be_bytes());
            if let Some(cookie) = &init.cookie {
                write_parameter(value, parameter::COOKIE, cookie);
            }
            if init.can_forward {
                write_parameter(value, parameter::FORWARD_TSN_SUPPORTED, &[]);
            }
            let extensions = [kind::RECONFIG, kind::FORWARD_TSN];
            write_parameter(value, parameter::SUPPORTED_EXTENSIONS, &extensions);
        });
    }

    pub(crate) fn sack(
        &mut self,
        cumulative: u32,
        window_bytes: u32,
        gaps: &[(u16, u16)],
        duplicates: &[u32],
    ) {
        self.chunk(kind::SACK, 0, |value| {
            value.extend(cumulative.to_be_bytes());
            value.extend(window_bytes.to_be_bytes());
            value.extend((gaps.len() as u16).to_be_bytes());
            value.extend((duplicates.len() as u16).to_be_bytes());
            for (first, last) in gaps {
                value.extend(first.to_be_bytes());
                value.extend(last.to_be_bytes());
            }
            duplicates
                .iter()
                .for_each(|duplicate| value.extend(duplicate.to_be_bytes()));
        });
    }

    pub(crate) fn forward_tsn(&mut self, cumulative: u32, skipped: &[(u16, u16)]) {
        self.chunk(kind::FORWARD_TSN, 0, |value| {
            value.extend(cumulative.to_be_bytes());
            for (stream, sequence) in skipped {
                value.extend(stream.to_be_bytes());
                value.extend(sequence.to_be_bytes());
            }
        });
    }

    pub(crate) fn outgoing_reset(&mut self, number: u32, answered: u32, last_tsn: u32, streams: &[u16]) {
        let mut body = Vec::with_capacity(12 + 2 * streams.len());
        body.extend(number.to_be_bytes());
        body.extend(answered.to_be_bytes());
        body.extend(last_tsn.to_be_bytes());
        streams
            .iter()
            .for_each(|stream| body.extend(stream.to_be_bytes()));
        self.chunk(kind::RECONFIG, 0, |value| {
            write_parameter(value, parameter::OUTGOING_RESET, &body);
        });
    }

    pub(crate) fn reconfig_response(&mut self, number: u32, result: u32) {
        self.chunk(kind::RECONFIG, 0, |value| {
            let body = [number.to_be_bytes(), result.to_be_bytes()].concat();
            write_parameter(value, parameter::RECONFIG_RESPONSE, &body);
        });
    }

    /// Adds chunks as they are.
    pub(crate) fn raw(&mut self, chunks: &[u8]) {
        self.bytes.extend_from_slice(chunks);
    }

    /// Sets the checksum.
    pub(crate) fn finish(mut self) -> Bytes {
        let checksum = crc32c::crc32c(&self.bytes);
        self.bytes[8..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        Bytes::from(self.bytes)
    }
}

/// The last parameter of a chunk is padded with the chunk.
fn write_parameter(value: &mut Vec<u8>, kind: u16, body: &[u8]) {
    value.resize(padded(value.len()), 0);
    value.extend(kind.to_be_bytes());
    value.extend(((CHUNK_HEADER_BYTES + body.len()) as u16).to_be_bytes());
    value.extend_from_slice(body);
}

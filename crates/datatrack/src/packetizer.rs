//! Cuts the frames of one track into packets.

use thiserror::Error;

use crate::depacketizer::MAX_PACKETS_PER_FRAME;
use crate::packet::{Extensions, HEADER_BYTES, MAX_PACKET_BYTES, Packet};

/// A frame that no receiver would put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "frame of {length} bytes is larger than the {limit} bytes that receivers put together; send smaller frames"
)]
pub struct FrameTooLarge {
    /// Of the payload.
    pub length: usize,
    /// Of the largest payload with these extensions.
    pub limit: usize,
}

/// Numbers packets and frames of one published track.
#[derive(Debug, Clone)]
pub struct Packetizer {
    handle: u16,
    next_sequence: u16,
    next_frame_number: u16,
}

impl Packetizer {
    /// `handle` is the publisher's number of the track, not 0.
    pub fn new(handle: u16) -> Packetizer {
        Packetizer {
            handle,
            next_sequence: 0,
            next_frame_number: 0,
        }
    }

    /// Bytes of the largest frame with these extensions.
    pub fn frame_limit(extensions: &Extensions) -> usize {
        MAX_PACKETS_PER_FRAME * payload_bytes(extensions)
    }

    /// The packets of one frame, in order; an empty frame has one.
    ///
    /// # Errors
    /// When it is too large; nothing is numbered then.
    pub fn packetize(
        &mut self,
        payload: &[u8],
        extensions: Extensions,
        timestamp: u32,
    ) -> Result<Vec<Vec<u8>>, FrameTooLarge> {
        let limit = Self::frame_limit(&extensions);
        if payload.len() > limit {
            return Err(FrameTooLarge {
                length: payload.len(),
                limit,
            });
        }
        let frame_number = self.next_frame_number;
        self.next_frame_number = frame_number.wrapping_add(1);
        let parts: Vec<&[u8]> = if payload.is_empty() {
            vec![payload]
        } else {
            payload.chunks(payload_bytes(&extensions)).collect()
        };
        let last = parts.len() - 1;
        let packets = parts.iter().enumerate().map(|(index, part)| {
            let packet = Packet {
                is_start: index == 0,
                is_final: index == last,
                handle: self.handle,
                sequence: self.next_sequence.wrapping_add(index as u16),
                frame_number,
                timestamp,
                extensions,
                payload: part,
            };
            packet.to_bytes()
        });
        let packets = packets.collect();
        self.next_sequence = self.next_sequence.wrapping_add(parts.len() as u16);
        Ok(packets)
    }
}

fn payload_bytes(extensions: &Extensions) -> usize {
    MAX_PACKET_BYTES - HEADER_BYTES - extensions.byte_count()
}

//! The sending side of an SRTP session (RFC 3711 section 3.3, steps of the sender).
//!
//! In: plain RTP and RTCP packets. Out: the same, protected in place. State: the highest packet index of each of our SSRCs,
//! from which the rollover counter follows, and one SRTCP index for all of them.

use std::fmt;

use super::cipher::{Cipher, Position, RTCP_HEADER_BYTES};
use super::context::{BySource, read_u16, read_u32, rtp_header_bytes};
use super::replay::estimate_index;
use crate::error::{Result, TransportError};

const LAST_RTCP_INDEX: u32 = (1 << 31) - 1;

/// Protects outgoing packets.
pub(crate) struct Sender {
    rtp: Cipher,
    rtcp: Cipher,
    /// The highest packet index sent by each source.
    highest: BySource<u64>,
    next_rtcp_index: u32,
}

impl Sender {
    /// A side without any source yet.
    pub(super) fn new(rtp: Cipher, rtcp: Cipher) -> Sender {
        Sender {
            rtp,
            rtcp,
            highest: BySource::default(),
            next_rtcp_index: 1,
        }
    }

    /// Protects a plain RTP packet; without an allocation when it has room for [`super::MAX_OVERHEAD_BYTES`] more.
    pub(crate) fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> Result<()> {
        let Some(header_bytes) = rtp_header_bytes(packet) else {
            return Err(TransportError::Packet {
                kind: "RTP",
                length: packet.len(),
                reason: "its header is cut short or not of version 2",
            });
        };
        let (sequence_number, ssrc) = (read_u16(packet, 2), read_u32(packet, 8));
        let highest = self.highest.entry(ssrc).or_insert(u64::from(sequence_number));
        let index = estimate_index(Some(*highest), sequence_number);
        *highest = index.max(*highest);
        self.rtp.seal_rtp(packet, header_bytes, Position { ssrc, index })
    }

    /// Protects a plain compound RTCP packet; as [`Sender::protect_rtp`].
    pub(crate) fn protect_rtcp(&mut self, compound: &mut Vec<u8>) -> Result<()> {
        if compound.len() < RTCP_HEADER_BYTES || compound[0] >> 6 != 2 {
            return Err(TransportError::Packet {
                kind: "RTCP",
                length: compound.len(),
                reason: "its header is cut short or not of version 2",
            });
        }
        if self.next_rtcp_index > LAST_RTCP_INDEX {
            return Err(TransportError::Crypto {
                operation: "RTCP encryption (indices used up)",
            });
        }
        // One counter for all our sources: unique for each of them, as the nonce also has the SSRC.
        let position = Position {
            ssrc: read_u32(compound, 4),
            index: u64::from(self.next_rtcp_index),
        };
        self.next_rtcp_index += 1;
        self.rtcp.seal_rtcp(compound, position)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sender")
            .field("sources", &self.highest.len())
            .finish_non_exhaustive()
    }
}

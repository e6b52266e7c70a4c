//! The transforms: AES-GCM (RFC 7714) and AES-CM with HMAC-SHA1 (RFC 3711 section 4), behind one interface.
//!
//! A transform works in place on a whole packet and knows no state: the context says where the packet stands,
//! and that position makes the nonce (AES-GCM) or the first counter block (AES-CM).

mod aead;
mod counter;

pub(super) use self::aead::AeadCipher;
pub(super) use self::counter::CounterCipher;
use crate::error::{Result, TransportError};

const AEAD_TAG_BYTES: usize = 16;
const HMAC_TAG_BYTES: usize = 10;
const RTCP_INDEX_BYTES: usize = 4;
/// The part of a compound RTCP packet that stays readable: its first header and SSRC.
pub(crate) const RTCP_HEADER_BYTES: usize = 8;
/// Says that an SRTCP packet is encrypted.
const ENCRYPTED_FLAG: u32 = 1 << 31;

/// The most that protection adds to a packet, in bytes.
pub(crate) const MAX_OVERHEAD_BYTES: usize = AEAD_TAG_BYTES + RTCP_INDEX_BYTES;

/// Protects or opens the packets of one direction and one protocol.
pub(crate) enum Cipher {
    Aead(AeadCipher),
    Counter(Box<CounterCipher>),
}

/// Where a packet stands: what every nonce is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub(crate) ssrc: u32,
    /// 48 bits of rollover counter and sequence number for RTP, 31 bits of SRTCP index for RTCP.
    pub(crate) index: u64,
}

fn refuse(operation: &'static str) -> TransportError {
    TransportError::Crypto { operation }
}

/// The index field at the end of an SRTCP packet, or `None` when the packet is not encrypted.
pub(crate) fn rtcp_index(field: &[u8]) -> Option<u64> {
    let field = u32::from_be_bytes(field.try_into().ok()?);
    (field & ENCRYPTED_FLAG != 0).then_some(u64::from(field & !ENCRYPTED_FLAG))
}

impl Cipher {
    /// Encrypts an RTP packet in place and appends its tag.
    pub(crate) fn seal_rtp(&self, packet: &mut Vec<u8>, header_bytes: usize, at: Position) -> Result<()> {
        match self {
            Cipher::Aead(cipher) => cipher.seal_rtp(packet, header_bytes, at),
            Cipher::Counter(cipher) => cipher.seal_rtp(packet, header_bytes, at),
        }
    }

    /// Opens an RTP packet in place; `false` when it is not authentic.
    pub(crate) fn open_rtp(&self, packet: &mut Vec<u8>, header_bytes: usize, at: Position) -> bool {
        match self {
            Cipher::Aead(cipher) => cipher.open_rtp(packet, header_bytes, at),
            Cipher::Counter(cipher) => cipher.open_rtp(packet, header_bytes, at),
        }
    }

    /// Encrypts a compound RTCP packet in place and appends its index and tag.
    pub(crate) fn seal_rtcp(&self, packet: &mut Vec<u8>, at: Position) -> Result<()> {
        match self {
            Cipher::Aead(cipher) => cipher.seal_rtcp(packet, at),
            Cipher::Counter(cipher) => cipher.seal_rtcp(packet, at),
        }
    }

    /// Opens a compound RTCP packet in place; `false` when it is not authentic.
    pub(crate) fn open_rtcp(&self, packet: &mut Vec<u8>, at: Position) -> bool {
        match self {
            Cipher::Aead(cipher) => cipher.open_rtcp(packet, at),
            Cipher::Counter(cipher) => cipher.open_rtcp(packet, at),
        }
    }

    /// Where the SRTCP index field of a protected packet of this length is.
    pub(crate) fn rtcp_index_range(&self, packet_bytes: usize) -> Option<std::ops::Range<usize>> {
        let (after, minimum) = match self {
            Cipher::Aead(_) => (0, RTCP_HEADER_BYTES + AEAD_TAG_BYTES + RTCP_INDEX_BYTES),
            Cipher::Counter(_) => (
                HMAC_TAG_BYTES,
                RTCP_HEADER_BYTES + RTCP_INDEX_BYTES + HMAC_TAG_BYTES,
            ),
        };
        let end = packet_bytes - after.min(packet_bytes);
        (packet_bytes >= minimum).then(|| end - RTCP_INDEX_BYTES..end)
    }
}

fn mix(target: &mut [u8], bytes: &[u8]) {
    for (target, byte) in target.iter_mut().zip(bytes) {
        *target ^= byte;
    }
}

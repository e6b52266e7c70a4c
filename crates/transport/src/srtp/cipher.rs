//! The transforms: AES-GCM (RFC 7714) and AES-CM with HMAC-SHA1 (RFC 3711 section 4).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

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

/// AES in Galois counter mode: encryption and authentication in one.
pub(crate) struct AeadCipher {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl AeadCipher {
    /// The key has 16 or 32 bytes, the salt 12.
    pub(crate) fn new(key: &[u8], salt: &[u8]) -> Result<AeadCipher> {
        let algorithm = if key.len() == 32 {
            &AES_256_GCM
        } else {
            &AES_128_GCM
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| refuse("key import"))?;
        let salt = salt.try_into().map_err(|_| refuse("salt import"))?;
        Ok(AeadCipher {
            key: LessSafeKey::new(key),
            salt,
        })
    }

    /// RFC 7714 section 8.1: two zero bytes, SSRC, rollover counter, sequence number, mixed with the salt.
    fn rtp_nonce(&self, at: Position) -> Nonce {
        let mut nonce = self.salt;
        mix(&mut nonce[2..6], &at.ssrc.to_be_bytes());
        mix(&mut nonce[6..12], &at.index.to_be_bytes()[2..]);
        Nonce::assume_unique_for_key(nonce)
    }

    /// RFC 7714 section 9.1: two zero bytes, SSRC, two zero bytes, index, mixed with the salt.
    fn rtcp_nonce(&self, at: Position) -> Nonce {
        let mut nonce = self.salt;
        mix(&mut nonce[2..6], &at.ssrc.to_be_bytes());
        mix(&mut nonce[8..12], &at.index.to_be_bytes()[4..]);
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal_rtp(&self, packet: &mut Vec<u8>, header_bytes: usize, at: Position) -> Result<()> {
        let (header, payload) = packet.split_at_mut(header_bytes);
        let tag = self
            .key
            .seal_in_place_separate_tag(self.rtp_nonce(at), Aad::from(&*header), payload)
            .map_err(|_| refuse("RTP encryption"))?;
        packet.extend_from_slice(tag.as_ref());
        Ok(())
    }

    fn open_rtp(&self, packet: &mut Vec<u8>, header_bytes: usize, at: Position) -> bool {
        if packet.len() < header_bytes + AEAD_TAG_BYTES {
            return false;
        }
        let (header, protected) = packet.split_at_mut(header_bytes);
        if self
            .key
            .open_in_place(self.rtp_nonce(at), Aad::from(&*header), protected)
            .is_err()
        {
            return false;
        }
        packet.truncate(packet.len() - AEAD_TAG_BYTES);
        true
    }

    /// The header and the index field are authenticated, the rest is encrypted (RFC 7714 section 9.2).
    fn rtcp_additional_data(header: &[u8], field: u32) -> [u8; RTCP_HEADER_BYTES + RTCP_INDEX_BYTES] {
        let mut data = [0; RTCP_HEADER_BYTES + RTCP_INDEX_BYTES];
        data[..RTCP_HEADER_BYTES].copy_from_slice(&header[..RTCP_HEADER_BYTES]);
        data[RTCP_HEADER_BYTES..].copy_from_slice(&field.to_be_bytes());
        data
    }

    fn seal_rtcp(&self, packet: &mut Vec<u8>, at: Position) -> Result<()> {
        let field = ENCRYPTED_FLAG | at.index as u32;
        let (header, payload) = packet.split_at_mut(RTCP_HEADER_BYTES);
        let additional = Self::rtcp_additional_data(header, field);
        let tag = self
            .key
            .seal_in_place_separate_tag(self.rtcp_nonce(at), Aad::from(additional), payload)
            .map_err(|_| refuse("RTCP encryption"))?;
        packet.extend_from_slice(tag.as_ref());
        packet.extend_from_slice(&field.to_be_bytes());
        Ok(())
    }

    fn open_rtcp(&self, packet: &mut Vec<u8>, at: Position) -> bool {
        if packet.len() < RTCP_HEADER_BYTES + AEAD_TAG_BYTES + RTCP_INDEX_BYTES {
            return false;
        }
        packet.truncate(packet.len() - RTCP_INDEX_BYTES);
        let (header, protected) = packet.split_at_mut(RTCP_HEADER_BYTES);
        let additional = Self::rtcp_additional_data(header, ENCRYPTED_FLAG | at.index as u32);
        if self
            .key
            .open_in_place(self.rtcp_nonce(at), Aad::from(additional), protected)
            .is_err()
        {
            return false;
        }
        packet.truncate(packet.len() - AEAD_TAG_BYTES);
        true
    }
}

/// AES in counter mode with a truncated HMAC-SHA1.
pub(crate) struct CounterCipher {
    key: EncryptingKey,
    salt: [u8; 14],
    authentication: hmac::Key,
}

impl CounterCipher {
    /// The key has 16 bytes, the salt 14, the authentication key 20.
    pub(crate) fn new(key: &[u8], salt: &[u8], authentication_key: &[u8]) -> Result<CounterCipher> {
        let key = UnboundCipherKey::new(&AES_128, key).map_err(|_| refuse("key import"))?;
        Ok(CounterCipher {
            key: EncryptingKey::ctr(key).map_err(|_| refuse("key import"))?,
            salt: salt.try_into().map_err(|_| refuse("salt import"))?,
            authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, authentication_key),
        })
    }

    /// Counter mode is its own inverse (RFC 3711 section 4.1.1).
    fn apply_key_stream(&self, data: &mut [u8], at: Position) -> Result<()> {
        let mut counter = [0u8; 16];
        counter[..14].copy_from_slice(&self.salt);
        mix(&mut counter[4..8], &at.ssrc.to_be_bytes());
        mix(&mut counter[8..14], &at.index.to_be_bytes()[2..]);
        let context = EncryptionContext::Iv128(FixedLength::from(counter));
        self.key
            .less_safe_encrypt(data, context)
            .map_err(|_| refuse("counter mode"))?;
        Ok(())
    }

    fn tag(&self, data: &[u8], suffix: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(data);
        context.update(suffix);
        context.sign()
    }

    fn is_authentic(&self, data: &[u8], suffix: &[u8], tag: &[u8]) -> bool {
        let expected = self.tag(data, suffix);
        aws_lc_rs::constant_time::verify_slices_are_equal(&expected.as_ref()[..HMAC_TAG_BYTES], tag).is_ok()
    }

    fn rollover_counter(at: Position) -> [u8; 4] {
        ((at.index >> 16) as u32).to_be_bytes()
    }

    fn seal_rtp(&self, packet: &mut Vec<u8>, header_bytes: usize, at: Position) -> Result<()> {
        self.apply_key_stream(&mut packet[header_bytes..], at)?;
        let tag = self.tag(packet, &Self::rollover_counter(at));
        packet.extend_from_slice(&tag.as_ref()[..HMAC_TAG_BYTES]);
        Ok(())
    }

    fn open_rtp(&self, packet: &mut Vec<u8>, header_bytes: usize, at: Position) -> bool {
        if packet.len() < header_bytes + HMAC_TAG_BYTES {
            return false;
        }
        let (data, tag) = packet.split_at(packet.len() - HMAC_TAG_BYTES);
        if !self.is_authentic(data, &Self::rollover_counter(at), tag) {
            return false;
        }
        packet.truncate(packet.len() - HMAC_TAG_BYTES);
        self.apply_key_stream(&mut packet[header_bytes..], at).is_ok()
    }

    fn seal_rtcp(&self, packet: &mut Vec<u8>, at: Position) -> Result<()> {
        self.apply_key_stream(&mut packet[RTCP_HEADER_BYTES..], at)?;
        packet.extend_from_slice(&(ENCRYPTED_FLAG | at.index as u32).to_be_bytes());
        let tag = self.tag(packet, &[]);
        packet.extend_from_slice(&tag.as_ref()[..HMAC_TAG_BYTES]);
        Ok(())
    }

    fn open_rtcp(&self, packet: &mut Vec<u8>, at: Position) -> bool {
        if packet.len() < RTCP_HEADER_BYTES + RTCP_INDEX_BYTES + HMAC_TAG_BYTES {
            return false;
        }
        let (data, tag) = packet.split_at(packet.len() - HMAC_TAG_BYTES);
        if !self.is_authentic(data, &[], tag) {
            return false;
        }
        packet.truncate(packet.len() - HMAC_TAG_BYTES - RTCP_INDEX_BYTES);
        self.apply_key_stream(&mut packet[RTCP_HEADER_BYTES..], at)
            .is_ok()
    }
}

fn mix(target: &mut [u8], bytes: &[u8]) {
    for (target, byte) in target.iter_mut().zip(bytes) {
        *target ^= byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        let text: String = text.split_whitespace().collect();
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
            .collect()
    }

    #[test]
    fn key_stream_matches_rfc_3711_appendix_b_2() {
        let cipher = CounterCipher::new(
            &bytes("2B7E151628AED2A6ABF7158809CF4F3C"),
            &bytes("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"),
            &[0; 20],
        )
        .expect("cipher");
        let mut stream = vec![0; 32];
        cipher
            .apply_key_stream(&mut stream, Position { ssrc: 0, index: 0 })
            .expect("key stream");
        assert_eq!(
            stream,
            bytes("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB")
        );
    }

    #[test]
    fn rtp_matches_rfc_7714_section_16_1_1() {
        let cipher = Cipher::Aead(
            AeadCipher::new(
                &bytes("000102030405060708090a0b0c0d0e0f"),
                &bytes("517569642070726f2071756f"),
            )
            .expect("cipher"),
        );
        let plain = bytes(
            "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
             69736120 696e2070 61727465 73207472 6573",
        );
        let at = Position {
            ssrc: 0x5501_a0b2,
            index: 0xf17b,
        };
        let mut packet = plain.clone();
        cipher.seal_rtp(&mut packet, 12, at).expect("encryption");
        let expected = bytes(
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
             0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        );
        assert_eq!(packet, expected);
        assert!(cipher.open_rtp(&mut packet, 12, at));
        assert_eq!(packet, plain);
    }

    #[test]
    fn rtcp_matches_rfc_7714_section_17_1() {
        let cipher = Cipher::Aead(
            AeadCipher::new(
                &bytes("000102030405060708090a0b0c0d0e0f"),
                &bytes("517569642070726f2071756f"),
            )
            .expect("cipher"),
        );
        let plain = bytes(
            "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
             deadbeef deadbeef deadbeef deadbeef deadbeef",
        );
        let at = Position {
            ssrc: 0x4d61_7273,
            index: 0x5d4,
        };
        let mut packet = plain.clone();
        cipher.seal_rtcp(&mut packet, at).expect("encryption");
        let expected = bytes(
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
             c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        );
        assert_eq!(packet, expected);
        let range = cipher.rtcp_index_range(packet.len()).expect("long enough");
        assert_eq!(rtcp_index(&packet[range]), Some(0x5d4));
        assert!(cipher.open_rtcp(&mut packet, at));
        assert_eq!(packet, plain);
    }
}

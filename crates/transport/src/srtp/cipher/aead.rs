//! AES in Galois counter mode (RFC 7714): the header is authenticated, the rest encrypted, in one pass.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{AEAD_TAG_BYTES, ENCRYPTED_FLAG, Position, RTCP_HEADER_BYTES, RTCP_INDEX_BYTES, mix, refuse};
use crate::error::Result;

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

    pub(super) fn seal_rtp(&self, packet: &mut Vec<u8>, header_bytes: usize, at: Position) -> Result<()> {
        let (header, payload) = packet.split_at_mut(header_bytes);
        let tag = self
            .key
            .seal_in_place_separate_tag(self.rtp_nonce(at), Aad::from(&*header), payload)
            .map_err(|_| refuse("RTP encryption"))?;
        packet.extend_from_slice(tag.as_ref());
        Ok(())
    }

    pub(super) fn open_rtp(&self, packet: &mut Vec<u8>, header_bytes: usize, at: Position) -> bool {
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

    pub(super) fn seal_rtcp(&self, packet: &mut Vec<u8>, at: Position) -> Result<()> {
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

    pub(super) fn open_rtcp(&self, packet: &mut Vec<u8>, at: Position) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::cipher::{Cipher, rtcp_index};

    fn bytes(text: &str) -> Vec<u8> {
        let text: String = text.split_whitespace().collect();
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
            .collect()
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

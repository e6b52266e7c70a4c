//! AES in counter mode with a truncated HMAC-SHA1 (RFC 3711 section 4): encrypt, then authenticate.

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use super::{ENCRYPTED_FLAG, HMAC_TAG_BYTES, Position, RTCP_HEADER_BYTES, RTCP_INDEX_BYTES, mix, refuse};
use crate::error::Result;

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

    pub(super) fn seal_rtp(&self, packet: &mut Vec<u8>, header_bytes: usize, at: Position) -> Result<()> {
        self.apply_key_stream(&mut packet[header_bytes..], at)?;
        let tag = self.tag(packet, &Self::rollover_counter(at));
        packet.extend_from_slice(&tag.as_ref()[..HMAC_TAG_BYTES]);
        Ok(())
    }

    pub(super) fn open_rtp(&self, packet: &mut Vec<u8>, header_bytes: usize, at: Position) -> bool {
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

    pub(super) fn seal_rtcp(&self, packet: &mut Vec<u8>, at: Position) -> Result<()> {
        self.apply_key_stream(&mut packet[RTCP_HEADER_BYTES..], at)?;
        packet.extend_from_slice(&(ENCRYPTED_FLAG | at.index as u32).to_be_bytes());
        let tag = self.tag(packet, &[]);
        packet.extend_from_slice(&tag.as_ref()[..HMAC_TAG_BYTES]);
        Ok(())
    }

    pub(super) fn open_rtcp(&self, packet: &mut Vec<u8>, at: Position) -> bool {
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
}

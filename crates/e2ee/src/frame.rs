//! One encrypted frame: written and read, given the key.

use aws_lc_rs::aead::LessSafeKey;

use crate::annex_b;
use crate::clear_bytes::FrameCodec;
use crate::keys::{self, IV_BYTES, TAG_BYTES};
use crate::{CryptError, Result};

/// IV, its length, and the key index.
const TRAILER_BYTES: usize = IV_BYTES + 2;

/// Encrypt a frame. `iv` must never have been used with this key.
pub(crate) fn seal(
    key: &LessSafeKey,
    key_index: u8,
    iv: [u8; IV_BYTES],
    codec: FrameCodec,
    frame: &[u8],
) -> Result<Vec<u8>> {
    let head = codec.head(frame);
    let (clear, secret) = frame.split_at(head.bytes);
    let mut out = Vec::with_capacity(frame.len() + TAG_BYTES + TRAILER_BYTES + frame.len() / 64);
    if head.is_annex_b {
        annex_b::write_normalised(clear, |unit| codec.is_dropped_by_packetiser(unit), &mut out);
    } else {
        out.extend_from_slice(clear);
    }
    let mut sealed = Vec::with_capacity(secret.len() + TAG_BYTES + TRAILER_BYTES);
    sealed.extend_from_slice(secret);
    keys::seal(key, iv, &out, &mut sealed)?;
    sealed.extend_from_slice(&iv);
    sealed.extend_from_slice(&[IV_BYTES as u8, key_index]);
    if head.is_annex_b {
        annex_b::escape(&sealed, &mut out);
    } else {
        out.extend_from_slice(&sealed);
    }
    Ok(out)
}

/// An encrypted frame, taken apart: head and what is sealed, unescaped.
pub(crate) struct SealedFrame {
    bytes: Vec<u8>,
    head: usize,
    iv: [u8; IV_BYTES],
    pub key_index: u8,
}

impl SealedFrame {
    /// NotSealed when the trailer is missing.
    pub fn parse(codec: FrameCodec, frame: &[u8]) -> Result<Self> {
        let not_sealed = || CryptError::NotSealed { bytes: frame.len() };
        let head = codec.head(frame);
        let mut bytes = Vec::with_capacity(frame.len());
        if head.is_annex_b {
            bytes.extend_from_slice(&frame[..head.bytes]);
            annex_b::unescape(&frame[head.bytes..], &mut bytes);
        } else {
            bytes.extend_from_slice(frame);
        }
        if bytes.len() < head.bytes + TAG_BYTES + TRAILER_BYTES {
            return Err(not_sealed());
        }
        let trailer = bytes.split_off(bytes.len() - TRAILER_BYTES);
        let (iv, rest) = trailer.split_at(IV_BYTES);
        if usize::from(rest[0]) != IV_BYTES {
            return Err(not_sealed());
        }
        let iv = iv.try_into().map_err(|_| not_sealed())?;
        Ok(Self {
            bytes,
            head: head.bytes,
            iv,
            key_index: rest[1],
        })
    }

    /// Whether the IV is one that LiveKit's SDKs make: its last third is a little below its second. The chance that
    /// the end of a clear frame looks like that is 1 in 2^24.
    pub fn has_usual_iv(&self) -> bool {
        let third = |index: usize| {
            let bytes: [u8; 4] = self.iv[index * 4..index * 4 + 4].try_into().unwrap_or_default();
            u32::from_be_bytes(bytes)
        };
        third(1).wrapping_sub(third(2)) <= 0xFFFF
    }

    /// The plain frame, when the key fits. A key that does not fit leaves it as it was.
    pub fn open(&self, key: &LessSafeKey) -> Option<Vec<u8>> {
        let mut out = self.bytes.clone();
        let (head, sealed) = out.split_at_mut(self.head);
        let length = keys::open(key, self.iv, head, sealed)?;
        out.truncate(self.head + length);
        Some(out)
    }
}

//! One packet: 12 bytes of header, extensions when bit X says so, and payload. Big endian.
//!
//! ```text
//!  0: version (3 bits) S F X reserved (2)      1: reserved        2: handle
//!  4: sequence                                 6: frame number    8: timestamp, 90 kHz
//! 12: X only: words - 1, where words * 4 is the length of this field and the extensions with their padding
//! ```

use thiserror::Error;

/// Of the header without extensions.
pub const HEADER_BYTES: usize = 12;
/// The most that a packet has, header included.
pub const MAX_PACKET_BYTES: usize = 16_000;
/// Of the initialization vector of an encrypted frame.
pub const IV_BYTES: usize = 12;

const VERSION_SHIFT: u8 = 5;
const START: u8 = 1 << 4;
const FINAL: u8 = 1 << 3;
const EXTENDED: u8 = 1 << 2;
const WORD: usize = 4;
const PADDING_ID: u8 = 0;
const ENCRYPTION_ID: u8 = 1;
const USER_TIMESTAMP_ID: u8 = 2;
const ENCRYPTION_BYTES: usize = 1 + IV_BYTES;
const USER_TIMESTAMP_BYTES: usize = 8;

/// Why bytes are no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PacketError {
    /// Fewer bytes than the header, or its extensions, need.
    #[error("data track packet of {0} bytes is cut short")]
    Short(usize),
    /// Of a format that is not known.
    #[error("data track packet of version {0}; 0 is known")]
    Version(u8),
    /// Handle 0 names no track.
    #[error("data track packet with handle 0")]
    NoHandle,
}

/// What a receiver needs, beside the key, to decrypt a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encryption {
    /// Which of the publisher's keys.
    pub key_index: u8,
    /// Of AES-GCM; the payload is ciphertext and tag.
    pub iv: [u8; IV_BYTES],
}

/// What a frame carries beside its payload; every packet of it repeats them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extensions {
    /// None: the payload is clear.
    pub encryption: Option<Encryption>,
    /// Whatever the publisher means by it.
    pub user_timestamp: Option<u64>,
}

/// One packet, read or to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The first of its frame.
    pub is_start: bool,
    /// The last of its frame.
    pub is_final: bool,
    /// Which track: the publisher's number for it, or after a forwarder the subscriber's. Never 0.
    pub handle: u16,
    /// One more with each packet of the track; wraps.
    pub sequence: u16,
    /// One more with each frame of the track; wraps.
    pub frame_number: u16,
    /// 90 kHz, from a random start.
    pub timestamp: u32,
    /// Of the frame.
    pub extensions: Extensions,
    /// This packet's part of the frame.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads one packet. Extensions that are not known, or shorter than they should be, are skipped.
    ///
    /// # Errors
    /// When the bytes are no packet of version 0.
    pub fn parse(bytes: &'a [u8]) -> Result<Packet<'a>, PacketError> {
        let handle = read_handle(bytes)?;
        let number = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let mut payload_start = HEADER_BYTES;
        let mut extensions = Extensions::default();
        if bytes[0] & EXTENDED != 0 {
            let length = extensions_length(bytes)?;
            payload_start += length;
            extensions = read_extensions(&bytes[HEADER_BYTES + 2..payload_start]);
        }
        Ok(Packet {
            is_start: bytes[0] & START != 0,
            is_final: bytes[0] & FINAL != 0,
            handle,
            sequence: number(4),
            frame_number: number(6),
            timestamp: u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]),
            extensions,
            payload: &bytes[payload_start..],
        })
    }

    /// The packet as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let extensions = self.extensions.to_bytes();
        let mut bytes = Vec::with_capacity(HEADER_BYTES + extensions.len() + self.payload.len());
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        bytes.push(
            flag(self.is_start, START) | flag(self.is_final, FINAL) | flag(!extensions.is_empty(), EXTENDED),
        );
        bytes.push(0);
        bytes.extend(self.handle.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.frame_number.to_be_bytes());
        bytes.extend(self.timestamp.to_be_bytes());
        bytes.extend(extensions);
        bytes.extend_from_slice(self.payload);
        bytes
    }
}

impl Extensions {
    /// Bytes that they take in each packet, their length field included.
    pub fn byte_count(&self) -> usize {
        let of = |present: bool, length: usize| if present { 2 + length } else { 0 };
        let content = of(self.encryption.is_some(), ENCRYPTION_BYTES)
            + of(self.user_timestamp.is_some(), USER_TIMESTAMP_BYTES);
        if content == 0 {
            0
        } else {
            (2 + content).next_multiple_of(WORD)
        }
    }

    fn to_bytes(self) -> Vec<u8> {
        let length = self.byte_count();
        if length == 0 {
            return Vec::new();
        }
        let words = (length / WORD) as u16;
        let mut bytes = Vec::with_capacity(length);
        bytes.extend((words - 1).to_be_bytes());
        if let Some(encryption) = self.encryption {
            bytes.extend([ENCRYPTION_ID, ENCRYPTION_BYTES as u8, encryption.key_index]);
            bytes.extend(encryption.iv);
        }
        if let Some(timestamp) = self.user_timestamp {
            bytes.extend([USER_TIMESTAMP_ID, USER_TIMESTAMP_BYTES as u8]);
            bytes.extend(timestamp.to_be_bytes());
        }
        bytes.resize(length, PADDING_ID);
        bytes
    }
}

fn extensions_length(bytes: &[u8]) -> Result<usize, PacketError> {
    let field = bytes
        .get(HEADER_BYTES..HEADER_BYTES + 2)
        .ok_or(PacketError::Short(bytes.len()))?;
    let length = (usize::from(u16::from_be_bytes([field[0], field[1]])) + 1) * WORD;
    if bytes.len() < HEADER_BYTES + length {
        return Err(PacketError::Short(bytes.len()));
    }
    Ok(length)
}

fn read_extensions(mut bytes: &[u8]) -> Extensions {
    let mut extensions = Extensions::default();
    while let [id, rest @ ..] = bytes {
        if *id == PADDING_ID {
            bytes = rest;
            continue;
        }
        let Some((length, rest)) = rest.split_first() else {
            break;
        };
        let Some((content, rest)) = rest.split_at_checked(usize::from(*length)) else {
            break;
        };
        bytes = rest;
        match *id {
            ENCRYPTION_ID => extensions.encryption = read_encryption(content).or(extensions.encryption),
            USER_TIMESTAMP_ID => {
                let timestamp = content.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
                extensions.user_timestamp = timestamp.or(extensions.user_timestamp);
            }
            _ => {}
        }
    }
    extensions
}

fn read_encryption(content: &[u8]) -> Option<Encryption> {
    let (key_index, rest) = content.split_first()?;
    let iv = *rest.first_chunk()?;
    Some(Encryption {
        key_index: *key_index,
        iv,
    })
}

/// The handle of a packet that can be forwarded. The extensions are not looked into.
///
/// # Errors
/// When the bytes are no packet of version 0.
pub fn read_handle(bytes: &[u8]) -> Result<u16, PacketError> {
    if bytes.len() < HEADER_BYTES {
        return Err(PacketError::Short(bytes.len()));
    }
    let version = bytes[0] >> VERSION_SHIFT;
    if version != 0 {
        return Err(PacketError::Version(version));
    }
    if bytes[0] & EXTENDED != 0 {
        extensions_length(bytes)?;
    }
    match u16::from_be_bytes([bytes[2], bytes[3]]) {
        0 => Err(PacketError::NoHandle),
        handle => Ok(handle),
    }
}

/// Whether a packet that [`read_handle`] accepted begins a frame.
pub fn is_start(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first & START != 0)
}

/// Whether a packet that [`read_handle`] accepted ends a frame.
pub fn is_final(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first & FINAL != 0)
}

/// Readdresses a packet that [`read_handle`] accepted.
pub fn write_handle(bytes: &mut [u8], handle: u16) {
    if let Some(field) = bytes.get_mut(2..4) {
        field.copy_from_slice(&handle.to_be_bytes());
    }
}

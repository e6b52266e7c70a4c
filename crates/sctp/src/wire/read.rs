//! From bytes to chunks. Nothing here trusts a length.

use bytes::Bytes;

use super::{CHUNK_HEADER_BYTES, HEADER_BYTES, kind, parameter};

/// A packet whose checksum is right.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) verification_tag: u32,
    chunks: Bytes,
}

/// A chunk; those that nothing is done about are `Ignored`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chunk {
    Data(Data),
    Init(Init),
    InitAck(Init),
    Sack(Sack),
    Heartbeat(Bytes),
    Abort,
    Shutdown(u32),
    ShutdownAck,
    ShutdownComplete,
    CookieEcho(Bytes),
    CookieAck,
    Reconfig(Vec<Request>),
    ForwardTsn(ForwardTsn),
    Ignored,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) flags: u8,
    pub(crate) tsn: u32,
    pub(crate) stream: u16,
    pub(crate) sequence: u16,
    pub(crate) protocol: u32,
    pub(crate) payload: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Init {
    pub(crate) tag: u32,
    pub(crate) window_bytes: u32,
    pub(crate) tsn: u32,
    pub(crate) cookie: Option<Bytes>,
    pub(crate) can_forward: bool,
    pub(crate) can_reset: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sack {
    pub(crate) cumulative: u32,
    pub(crate) window_bytes: u32,
    /// First and last of each run above `cumulative`, as offsets from it.
    pub(crate) gaps: Vec<(u16, u16)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForwardTsn {
    pub(crate) cumulative: u32,
    /// Stream and the last sequence number that is skipped on it.
    pub(crate) skipped: Vec<(u16, u16)>,
}

/// A parameter of RE-CONFIG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// The peer resets streams it sends on; none named are all.
    OutgoingReset {
        number: u32,
        last_tsn: u32,
        streams: Vec<u16>,
    },
    Response {
        number: u32,
        result: u32,
    },
    /// Another request, which is denied.
    Other {
        number: u32,
    },
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

impl Packet {
    /// None when it is too short or its checksum is wrong.
    pub(crate) fn parse(bytes: &Bytes) -> Option<Packet> {
        let verification_tag = u32_at(bytes, 4)?;
        let checksum = u32::from_le_bytes(bytes.get(8..HEADER_BYTES)?.try_into().ok()?);
        let crc = crc32c::crc32c(bytes.get(..8)?);
        let crc = crc32c::crc32c_append(crc, &[0; 4]);
        if crc32c::crc32c_append(crc, bytes.get(HEADER_BYTES..)?) != checksum {
            return None;
        }
        Some(Packet {
            verification_tag,
            chunks: bytes.slice(HEADER_BYTES..),
        })
    }

    /// Whether its first chunk is INIT.
    pub(crate) fn is_init(&self) -> bool {
        self.chunks.first() == Some(&kind::INIT)
    }

    /// Its chunks up to the first malformed one.
    pub(crate) fn chunks(self) -> impl Iterator<Item = Chunk> {
        let mut rest = self.chunks;
        std::iter::from_fn(move || {
            let (kind, flags) = (*rest.first()?, *rest.get(1)?);
            let length = usize::from(u16_at(&rest, 2)?);
            if length < CHUNK_HEADER_BYTES || length > rest.len() {
                return None;
            }
            let chunk = rest.slice(CHUNK_HEADER_BYTES..length);
            let next = length.next_multiple_of(4).min(rest.len());
            rest = rest.slice(next..);
            parse_chunk(kind, flags, &chunk).or_else(|| {
                rest = Bytes::new();
                None
            })
        })
    }
}

fn parse_chunk(kind: u8, flags: u8, value: &Bytes) -> Option<Chunk> {
    Some(match kind {
        kind::DATA => Chunk::Data(parse_data(flags, value)?),
        kind::INIT => Chunk::Init(parse_init(value)?),
        kind::INIT_ACK => Chunk::InitAck(parse_init(value)?),
        kind::SACK => Chunk::Sack(parse_sack(value)?),
        kind::HEARTBEAT => Chunk::Heartbeat(value.clone()),
        kind::ABORT => Chunk::Abort,
        kind::SHUTDOWN => Chunk::Shutdown(u32_at(value, 0)?),
        kind::SHUTDOWN_ACK => Chunk::ShutdownAck,
        kind::SHUTDOWN_COMPLETE => Chunk::ShutdownComplete,
        kind::COOKIE_ECHO => Chunk::CookieEcho(value.clone()),
        kind::COOKIE_ACK => Chunk::CookieAck,
        kind::RECONFIG => Chunk::Reconfig(parse_reconfig(value)),
        kind::FORWARD_TSN => Chunk::ForwardTsn(parse_forward(value)?),
        kind::ERROR | kind::HEARTBEAT_ACK => Chunk::Ignored,
        // RFC 9260 section 3.2: the highest bit says whether to go on after an unknown chunk.
        _ if kind & 0x80 != 0 => Chunk::Ignored,
        _ => return None,
    })
}

fn parse_data(flags: u8, value: &Bytes) -> Option<Data> {
    // There is no empty DATA.
    (value.len() > 12).then_some(())?;
    Some(Data {
        flags,
        tsn: u32_at(value, 0)?,
        stream: u16_at(value, 4)?,
        sequence: u16_at(value, 6)?,
        protocol: u32_at(value, 8)?,
        payload: value.slice(12..),
    })
}

fn parse_init(value: &Bytes) -> Option<Init> {
    let mut init = Init {
        tag: u32_at(value, 0).filter(|tag| *tag != 0)?,
        window_bytes: u32_at(value, 4)?,
        tsn: u32_at(value, 12)?,
        cookie: None,
        can_forward: false,
        can_reset: false,
    };
    for (kind, value) in parameters(value.slice(16..)) {
        match kind {
            parameter::COOKIE => init.cookie = Some(value),
            parameter::FORWARD_TSN_SUPPORTED => init.can_forward = true,
            parameter::SUPPORTED_EXTENSIONS => {
                init.can_forward |= value.contains(&kind::FORWARD_TSN);
                init.can_reset |= value.contains(&kind::RECONFIG);
            }
            _ => {}
        }
    }
    Some(init)
}

fn parameters(mut rest: Bytes) -> impl Iterator<Item = (u16, Bytes)> {
    std::iter::from_fn(move || {
        let kind = u16_at(&rest, 0)?;
        let length = usize::from(u16_at(&rest, 2)?);
        if length < 4 || length > rest.len() {
            return None;
        }
        let value = rest.slice(4..length);
        let next = length.next_multiple_of(4).min(rest.len());
        rest = rest.slice(next..);
        Some((kind, value))
    })
}

fn parse_sack(value: &Bytes) -> Option<Sack> {
    let count = usize::from(u16_at(value, 8)?);
    let gaps = value.get(12..12 + count * 4)?;
    Some(Sack {
        cumulative: u32_at(value, 0)?,
        window_bytes: u32_at(value, 4)?,
        gaps: pairs(gaps),
    })
}

fn pairs(bytes: &[u8]) -> Vec<(u16, u16)> {
    let pair = |pair: &[u8]| Some((u16_at(pair, 0)?, u16_at(pair, 2)?));
    bytes.chunks_exact(4).filter_map(pair).collect()
}

fn parse_forward(value: &Bytes) -> Option<ForwardTsn> {
    Some(ForwardTsn {
        cumulative: u32_at(value, 0)?,
        skipped: pairs(&value[4..]),
    })
}

fn parse_reconfig(value: &Bytes) -> Vec<Request> {
    let request = |(kind, value): (u16, Bytes)| {
        let number = u32_at(&value, 0)?;
        Some(match kind {
            parameter::OUTGOING_RESET => Request::OutgoingReset {
                number,
                last_tsn: u32_at(&value, 8)?,
                streams: value[12..]
                    .chunks_exact(2)
                    .filter_map(|stream| u16_at(stream, 0))
                    .collect(),
            },
            parameter::RECONFIG_RESPONSE => Request::Response {
                number,
                result: u32_at(&value, 4)?,
            },
            _ => Request::Other { number },
        })
    };
    parameters(value.clone()).filter_map(request).collect()
}

//! Packets as they are on the wire (RFC 9260 section 3).

mod read;
mod write;

pub(crate) use read::{Chunk, Data, ForwardTsn, Init, Packet, Request, Sack};
pub(crate) use write::{PacketWriter, padded};

pub(crate) const HEADER_BYTES: usize = 12;
pub(crate) const CHUNK_HEADER_BYTES: usize = 4;
pub(crate) const DATA_HEADER_BYTES: usize = 16;

pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const INIT: u8 = 1;
    pub(crate) const INIT_ACK: u8 = 2;
    pub(crate) const SACK: u8 = 3;
    pub(crate) const HEARTBEAT: u8 = 4;
    pub(crate) const HEARTBEAT_ACK: u8 = 5;
    pub(crate) const ABORT: u8 = 6;
    pub(crate) const SHUTDOWN: u8 = 7;
    pub(crate) const SHUTDOWN_ACK: u8 = 8;
    pub(crate) const ERROR: u8 = 9;
    pub(crate) const COOKIE_ECHO: u8 = 10;
    pub(crate) const COOKIE_ACK: u8 = 11;
    pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;
    /// RFC 6525.
    pub(crate) const RECONFIG: u8 = 130;
    /// RFC 3758.
    pub(crate) const FORWARD_TSN: u8 = 192;
}

/// Flags of DATA.
pub(crate) mod flag {
    pub(crate) const END: u8 = 1;
    pub(crate) const BEGIN: u8 = 2;
    pub(crate) const UNORDERED: u8 = 4;
    /// RFC 7053: acknowledge at once.
    pub(crate) const IMMEDIATE: u8 = 8;
}

pub(crate) mod parameter {
    pub(crate) const COOKIE: u16 = 7;
    pub(crate) const OUTGOING_RESET: u16 = 13;
    pub(crate) const RECONFIG_RESPONSE: u16 = 16;
    pub(crate) const SUPPORTED_EXTENSIONS: u16 = 0x8008;
    pub(crate) const FORWARD_TSN_SUPPORTED: u16 = 0xc000;
}

//! Data tracks: frames of bytes in packets on an unordered, lossy data channel, sans-IO.
//!
//! ```text
//! frame ─ Packetizer ─ packets ~~~ a forwarder rewrites the handle ~~~ packets ─ Depacketizer ─ frame
//! ```
//!
//! The packet format is that of LiveKit's data tracks, version 0 (`docs/packet-v0.md` of its Rust SDK).
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod depacketizer;
mod packet;
mod packetizer;

pub use depacketizer::{Depacketizer, Frame, MAX_PACKETS_PER_FRAME};
pub use packet::{
    Encryption, Extensions, HEADER_BYTES, IV_BYTES, MAX_PACKET_BYTES, Packet, PacketError, is_final,
    is_start, read_handle, write_handle,
};
pub use packetizer::{FrameTooLarge, Packetizer};

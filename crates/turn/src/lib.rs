//! The client's side of STUN (RFC 8489) and TURN (RFC 8656), as state machines without I/O.
//!
//! [`Servers`] is what a connection uses: it asks every server from every local address, keeps the relayed addresses
//! alive, and wraps what goes through them. Feed it datagrams, stream bytes and time; then drain what came of it.
//! [`Allocation`] is one relayed address by itself.
#![forbid(unsafe_code)]

mod allocation;
mod binding;
mod channels;
mod error;
mod framing;
mod message;
mod path;
mod paths;
mod server;
mod servers;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod transactions;

pub use allocation::{Allocation, AllocationConfig, AllocationEvent};
pub use error::ServerError;
pub use framing::Framer;
pub use rustls::RootCertStore;
pub use rustls::pki_types::CertificateDer;
pub use server::{IceServer, ServerKind, ServerTransport, Trust};
pub use servers::{Incoming, Servers, ServersEvent, StreamOrder, Transmit};

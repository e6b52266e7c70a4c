//! SCTP as data channels use it: RFC 9260 over DTLS (RFC 8261), with partial reliability (RFC 3758) and stream reset
//! (RFC 6525). No input or output: packets and the time go in; packets, events and the next timeout come out.
//!
//! It has the face of the `sctp-proto` crate, as far as str0m and our own transport use it, so that it takes that
//! crate's place in both. What it does otherwise: nothing scans what is in flight, a loss that is no congestion costs
//! little (see `congestion`), and acknowledgements are bundled once a flow is steady.
//!
//! An [`Endpoint`] makes or takes the [`Association`]; its owner passes packets to [`Association::handle_event`] and
//! time to [`Association::handle_timeout`], and after each such call, or a change through [`Stream`], takes everything
//! out of [`Association::poll`] and [`Association::poll_transmit`].

#![forbid(unsafe_code)]

mod association;
mod config;
mod congestion;
mod endpoint;
mod error;
pub mod fuzzing;
mod in_flight;
mod reassembly;
mod received;
mod round_trip;
mod send_queue;
mod sent;
mod serial;
mod stream;
mod types;
mod wire;

pub use association::Association;
pub use config::{
    ClientConfig, DEFAULT_SCTP_PORT, EndpointConfig, ServerConfig, TransportConfig, generate_snap_token,
};
pub use endpoint::Endpoint;
pub use error::{AssociationError, ConnectError, Error, Result};
pub use stream::Stream;
pub use types::{
    AssociationEvent, AssociationHandle, Chunks, DatagramEvent, EcnCodepoint, EndpointEvent, Event, Payload,
    PayloadProtocolIdentifier, ReliabilityType, StreamEvent, StreamId, Transmit,
};

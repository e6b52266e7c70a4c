//! Sockets, worker threads, timers and the event port: the only crate that does I/O.
//!
//! An [`Endpoint`] is a sans-IO state machine that lives on one worker thread of the [`Engine`]; whoever owns it
//! talks to it through an [`EndpointHandle`]. What it has to report goes into an [`EventPort`].
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod endpoint;
mod engine;
mod event_port;
mod handle;
mod media_clock;
mod media_pool;
mod reused;
mod shared;
mod slot;
mod sockets;
mod statistics;
#[allow(unsafe_code)]
mod syscalls;
mod tcp;
mod timers;
mod worker;

pub use endpoint::{
    Endpoint, Opening, Protocol, Received, SocketEvent, SocketOrder, Transmit, TransmitQueue,
};
pub use engine::{ConfigureError, Engine};
pub use event_port::{Event, EventPort, Payload, next_handle};
pub use handle::EndpointHandle;
pub use media_clock::{MediaClock, TICK_INTERVAL};
pub use media_pool::{Job, Lane, MediaPool};
pub use sockets::{Sockets, bind_tcp_all, bind_udp_all, local_addresses};
pub use statistics::{NetStatistics, statistics};

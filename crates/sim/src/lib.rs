//! The simulator: it drives the same [`Endpoint`](greenroom_net::Endpoint)s as the worker threads do, in one thread,
//! in virtual time, over a network of its own whose faults come from a seed.
//!
//! [`Simulator::run`] does everything that is due, then moves the clock to the next thing that is, until an event
//! port has something to read. Nothing here waits, and nothing looks at the real clock: whoever makes a simulator
//! says when its time begins.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod endpoint;
mod fate;
mod handle;
mod network;
mod simulator;
mod ticker;
mod trace;
mod translation;
mod world;

pub use fate::Faults;
pub use handle::EndpointHandle;
pub use network::{Bound, Direction};
pub use simulator::{Counts, Simulator};
pub use ticker::TICK_INTERVAL;

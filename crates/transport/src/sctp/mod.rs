//! Data channels (RFC 8831) with their establishment protocol (RFC 8832) over SCTP.

mod association;
mod channel;
mod dcep;

pub(crate) use association::{Sctp, SctpEvent};
#[cfg(fuzzing)]
pub(crate) use dcep::{Message as DcepMessage, OpenMessage};

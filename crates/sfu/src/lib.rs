//! Selective forwarding: up tracks, down tracks and the small machines between them, sans-IO.
//!
//! An [`Sfu`] owns every transport, up track and down track of one server. Feed it with
//! [`Sfu::handle_datagram`] and [`Sfu::handle_timeout`]; after each batch of input, and after any other
//! mutation, drain [`Sfu::poll_event`] and [`Sfu::poll_transmit`], then sleep until [`Sfu::poll_timeout`].
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod allocation;
pub mod audio_level;
pub mod congestion;
pub mod demultiplexer;
pub mod down_track;
pub mod egress;
pub mod error;
pub mod extended_sequence;
pub mod handles;
pub mod key_frame;
pub mod key_frame_request;
pub mod layer_rates;
pub mod layer_selector;
pub mod nack_generator;
pub mod packet_history;
pub mod parameters;
pub mod playout_delay;
pub mod receiver_report;
pub mod red;
pub mod route;
pub mod route_table;
pub mod rtcp;
pub mod rtp_header;
pub mod rtx;
pub mod sender_report;
pub mod sequence_munger;
pub mod sequencer;
pub mod sfu;
pub mod silence;
pub mod statistics;
pub mod stream_tracker;
pub mod timestamp_munger;
pub mod twcc;
pub mod up_layer;
pub mod up_track;
pub mod vp8_descriptor;
pub mod vp8_munger;

mod bandwidth;
mod connection;
mod data_frames;

pub use demultiplexer::RouteChange;
pub use error::{Result, SfuError};
pub use handles::Handle;
pub use parameters::{HeaderExtension, Kind, PayloadType, ReceiveLayer};
pub use playout_delay::PlayoutDelayLimits;
pub use route_table::RouteTable;
pub use sfu::{
    BandwidthPolicy, DownTrackParameters, LocalCandidate, Sfu, SfuEvent, TransportParameters,
    UpTrackParameters,
};
pub use statistics::{DownTrackStatistics, LayerStatistics, SfuStatistics, UpTrackStatistics};

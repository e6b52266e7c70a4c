//! Adaptive jitter buffer for one Opus stream.

mod buffer;
mod delay;
mod playout;
mod statistics;
mod store;
mod stretch;

pub use buffer::{JitterBuffer, JitterBufferConfig};
pub use statistics::JitterStatistics;
pub use store::AudioPacket;

//! What can go wrong in the audio half.

use thiserror::Error;

/// A refused argument or a payload that is not what it claims to be.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum AudioError {
    #[error("sample rate {0} Hz is not supported: use 8000 to 192000 Hz")]
    Rate(u32),
    #[error("{0} channels are not supported: use 1 or 2")]
    Channels(usize),
    #[error("{what} of {value} ms is not supported: use {allowed}")]
    Duration {
        what: &'static str,
        value: u32,
        allowed: &'static str,
    },
    #[error("{samples} interleaved samples are not whole frames of {channels} channels")]
    PartialFrame { samples: usize, channels: usize },
    #[error("a block of {actual} interleaved samples was given where exactly {expected} are needed")]
    BlockSize { expected: usize, actual: usize },
    #[error("failed to capture frame: the capture before this one has not completed yet, wait for it")]
    CapturePending,
    #[error("a frame ring must hold at least one frame")]
    NoCapacity,
    #[error("opus {operation} failed: {reason} (code {code})")]
    Opus {
        operation: &'static str,
        code: i32,
        reason: &'static str,
    },
}

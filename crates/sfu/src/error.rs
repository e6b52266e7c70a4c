//! The errors of the crate.

use thiserror::Error;

/// The result of a fallible call of this crate.
pub type Result<T> = std::result::Result<T, SfuError>;

/// What can go wrong with a call; nothing the network sends ends up here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SfuError {
    /// The named object does not exist (any more).
    #[error("{what} {handle} does not exist or is closed; make a new one")]
    Unknown {
        /// "transport", "up track" or "down track".
        what: &'static str,
        /// Its handle.
        handle: u64,
    },
    /// A parameter can't be used.
    #[error("{what} `{value}` is not usable: {expected}")]
    Parameter {
        /// Which parameter.
        what: &'static str,
        /// The value as given.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The transport refused.
    #[error(transparent)]
    Transport(#[from] greenroom_transport::TransportError),
}

//! Sizes and times that the owner of an association sets.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::Error;

/// Both ports of every packet: there is one association in a DTLS connection (RFC 8261).
pub const DEFAULT_SCTP_PORT: u16 = 5000;
/// Common header and DATA header around a payload.
pub(crate) const DATA_OVERHEAD_BYTES: usize = 28;
const DEFAULT_PAYLOAD_BYTES: u32 = 1172;

/// What an association is given.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    pub(crate) receive_buffer_bytes: u32,
    pub(crate) send_message_bytes: u32,
    pub(crate) receive_message_bytes: u32,
    pub(crate) init_attempts: Option<usize>,
    pub(crate) data_attempts: Option<usize>,
    pub(crate) initial_timeout: Duration,
    pub(crate) minimum_timeout: Duration,
    pub(crate) maximum_timeout: Duration,
}

impl Default for TransportConfig {
    fn default() -> Self {
        TransportConfig {
            receive_buffer_bytes: 1 << 20,
            send_message_bytes: 65_536,
            receive_message_bytes: 65_536,
            init_attempts: Some(8),
            data_attempts: None,
            initial_timeout: Duration::from_millis(500),
            // Above the 200 ms by which a peer may delay its acknowledgements.
            minimum_timeout: Duration::from_millis(300),
            maximum_timeout: Duration::from_secs(10),
        }
    }
}

impl TransportConfig {
    /// Bytes that may arrive before they are read; the peer sends no more (default 1 MiB).
    #[must_use]
    pub fn with_max_receive_buffer_size(mut self, bytes: u32) -> Self {
        self.receive_buffer_bytes = bytes;
        self
    }

    /// Bytes of the largest message to send (default 65,536).
    #[must_use]
    pub fn with_max_send_message_size(mut self, bytes: u32) -> Self {
        self.send_message_bytes = bytes;
        self
    }

    /// Bytes of the largest message to take; a larger one ends the association (default 65,536).
    #[must_use]
    pub fn with_max_receive_message_size(mut self, bytes: u32) -> Self {
        self.receive_message_bytes = bytes;
        self
    }

    /// How often to repeat the first packets; `None` is without end (default 8).
    #[must_use]
    pub fn with_max_init_retransmits(mut self, count: Option<usize>) -> Self {
        self.init_attempts = count;
        self
    }

    /// How often to repeat data without any sign of life; `None` is without end (the default).
    #[must_use]
    pub fn with_max_data_retransmits(mut self, count: Option<usize>) -> Self {
        self.data_attempts = count;
        self
    }

    /// The retransmission timeout before a round trip is measured, in ms (default 500).
    #[must_use]
    pub fn with_rto_initial_ms(mut self, milliseconds: u64) -> Self {
        self.initial_timeout = Duration::from_millis(milliseconds);
        self
    }

    /// The least retransmission timeout, in ms (default 300).
    #[must_use]
    pub fn with_rto_min_ms(mut self, milliseconds: u64) -> Self {
        self.minimum_timeout = Duration::from_millis(milliseconds);
        self
    }

    /// The longest retransmission timeout, in ms (default 10,000).
    #[must_use]
    pub fn with_rto_max_ms(mut self, milliseconds: u64) -> Self {
        self.maximum_timeout = Duration::from_millis(milliseconds);
        self
    }
}

/// What all associations of an endpoint share.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    pub(crate) payload_bytes: u32,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        EndpointConfig::new()
    }
}

impl EndpointConfig {
    /// The defaults.
    pub fn new() -> Self {
        EndpointConfig {
            payload_bytes: DEFAULT_PAYLOAD_BYTES,
        }
    }

    /// Payload bytes of a full packet (default 1,172); headers come on top.
    pub fn max_payload_size(&mut self, bytes: u32) -> &mut Self {
        self.payload_bytes = bytes.max(64);
        self
    }
}

/// For associations that the peer begins.
#[derive(Debug, Clone, Default)]
pub struct ServerConfig {
    /// What they are given.
    pub transport: Arc<TransportConfig>,
}

impl ServerConfig {
    /// The defaults.
    pub fn new() -> Self {
        ServerConfig::default()
    }
}

/// For an association that we begin.
#[derive(Debug, Clone, Default)]
pub struct ClientConfig {
    /// What it is given.
    pub transport: Arc<TransportConfig>,
}

impl ClientConfig {
    /// The defaults.
    pub fn new() -> Self {
        ClientConfig::default()
    }

    /// Associations agreed on in signalling are not supported: the handshake takes place as usual.
    #[must_use]
    pub fn with_snap(self, _local: Bytes, _remote: Bytes) -> Self {
        self
    }
}

/// Always an error: associations are not agreed on in signalling.
pub fn generate_snap_token(_config: &TransportConfig) -> Result<Bytes, Error> {
    Err(Error::Other(
        "associations cannot be agreed on in signalling".to_owned(),
    ))
}

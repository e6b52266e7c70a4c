//! How the association begins: roles by DTLS, sizes for its records, timers that never give up (RFC 9260).

use std::sync::Arc;

use sctp_proto::{
    Association, AssociationHandle, ClientConfig, Endpoint, EndpointConfig, ServerConfig, TransportConfig,
};

use super::{PEER, Sctp};
use crate::RECEIVE_WINDOW_BYTES;
use crate::certificate::DTLS_MTU_BYTES;

/// DTLS record header, nonce and tag, and the SCTP headers around a payload, all rounded up.
const OVERHEAD_BYTES: usize = 72;
const INITIAL_TIMEOUT_MS: u64 = 500;
/// Above the 200 ms by which a peer may delay its acknowledgements.
const MINIMUM_TIMEOUT_MS: u64 = 400;
const MAXIMUM_TIMEOUT_MS: u64 = 10_000;

impl Sctp {
    /// Starts as client (we send INIT) or server, by the role in DTLS.
    pub(crate) fn start(&mut self, is_client: bool) {
        if self.endpoint.is_some() {
            return;
        }
        self.is_client = is_client;
        self.next_stream = u16::from(!is_client);
        let transport = Arc::new(self.transport_config());
        let mut config = EndpointConfig::new();
        config.max_payload_size(((DTLS_MTU_BYTES - OVERHEAD_BYTES) & !3) as u32);
        let mut server = ServerConfig::new();
        server.transport = Arc::clone(&transport);
        let mut endpoint = Endpoint::new(Arc::new(config), Some(Arc::new(server)));
        if is_client {
            let mut client = ClientConfig::new();
            client.transport = transport;
            match endpoint.connect(client, PEER) {
                Ok((handle, association)) => self.adopt(handle, association),
                Err(error) => log::error!("SCTP association cannot start: {error}"),
            }
        }
        self.endpoint = Some(endpoint);
        self.has_work = true;
    }

    fn transport_config(&self) -> TransportConfig {
        // Whole messages are refused one by one above our limit, as long as they fit into the
        // buffer; only larger ones end the association.
        let receive_bytes = RECEIVE_WINDOW_BYTES.max(2 * self.max_receive_bytes as u32);
        TransportConfig::default()
            .with_max_receive_buffer_size(receive_bytes)
            .with_max_receive_message_size(receive_bytes)
            .with_max_send_message_size(u32::try_from(self.max_send_bytes).unwrap_or(u32::MAX))
            .with_max_init_retransmits(None)
            .with_max_data_retransmits(None)
            .with_rto_initial_ms(INITIAL_TIMEOUT_MS)
            .with_rto_min_ms(MINIMUM_TIMEOUT_MS)
            .with_rto_max_ms(MAXIMUM_TIMEOUT_MS)
    }

    pub(super) fn adopt(&mut self, handle: AssociationHandle, mut association: Association) {
        association.set_max_send_message_size(u32::try_from(self.max_send_bytes).unwrap_or(u32::MAX));
        association.limit_receive_window(self.receive_window_bytes);
        self.handle = handle;
        self.association = Some(association);
    }
}

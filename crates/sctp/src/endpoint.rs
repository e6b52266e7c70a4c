//! The end of a path: it has one association, since a DTLS connection carries one (RFC 8261).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::config::{ClientConfig, EndpointConfig, ServerConfig};
use crate::types::{
    AssociationEvent, AssociationHandle, DatagramEvent, EcnCodepoint, EndpointEvent, Transmit,
};
use crate::wire::Packet;
use crate::{Association, ConnectError};

const HANDLE: AssociationHandle = AssociationHandle(0);

/// Begins the association, or takes the peer's.
#[derive(Debug)]
pub struct Endpoint {
    config: Arc<EndpointConfig>,
    server: Option<Arc<ServerConfig>>,
    has_association: bool,
}

impl Endpoint {
    /// An endpoint; without a server configuration the peer cannot begin.
    pub fn new(config: Arc<EndpointConfig>, server: Option<Arc<ServerConfig>>) -> Endpoint {
        Endpoint {
            config,
            server,
            has_association: false,
        }
    }

    /// Begins the association. Its first packet is there at once.
    ///
    /// # Errors
    /// There is one already.
    pub fn connect(
        &mut self,
        config: ClientConfig,
        remote: SocketAddr,
    ) -> Result<(AssociationHandle, Association), ConnectError> {
        if self.has_association {
            return Err(ConnectError::TooManyAssociations);
        }
        self.has_association = true;
        let payload_bytes = self.config.payload_bytes as usize;
        Ok((
            HANDLE,
            Association::new(config.transport, payload_bytes, remote, true),
        ))
    }

    /// Takes a packet. It belongs to the association that is there; else an INIT begins one.
    pub fn handle(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        _local: Option<IpAddr>,
        _congestion: Option<EcnCodepoint>,
        packet: Bytes,
    ) -> Option<(AssociationHandle, DatagramEvent)> {
        let event = AssociationEvent { now, packet };
        if self.has_association {
            return Some((HANDLE, DatagramEvent::AssociationEvent(event)));
        }
        let server = self.server.as_ref()?;
        Packet::parse(&event.packet).filter(Packet::is_init)?;
        self.has_association = true;
        let payload_bytes = self.config.payload_bytes as usize;
        let mut association = Association::new(server.transport.clone(), payload_bytes, remote, false);
        association.handle_event(event);
        Some((HANDLE, DatagramEvent::NewAssociation(association)))
    }

    /// Nothing to do.
    pub fn handle_event(
        &mut self,
        _handle: AssociationHandle,
        event: EndpointEvent,
    ) -> Option<AssociationEvent> {
        match event {}
    }

    /// Nothing: all packets are the association's.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }
}

//! What the owner says about a server.

use std::net::SocketAddr;
use std::sync::Arc;

/// What a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerKind {
    Stun,
    Turn,
}

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerTransport {
    Udp,
    Tcp,
    Tls,
}

/// One address of one server; its name was looked up by the owner.
#[derive(Debug, Clone)]
pub struct IceServer {
    pub kind: ServerKind,
    /// STUN goes over UDP.
    pub transport: ServerTransport,
    /// As the user knows it, for messages.
    pub url: String,
    /// The name that a TLS certificate must be for.
    pub host: String,
    pub address: SocketAddr,
    pub username: String,
    pub password: String,
    /// For TLS.
    pub trust: Trust,
}

/// Whose certificates are good.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// Those that a given set of roots has signed.
    Roots(Arc<rustls::RootCertStore>),
    /// Any: the owner was told not to verify.
    #[default]
    Anyone,
}

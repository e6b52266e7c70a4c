//! The way to a TURN server over TCP, with TLS on it or not.

use crate::framing::Framer;
use crate::tls::Tls;
use crate::{IceServer, ServerError, ServerTransport};

/// One connection's bytes and messages.
pub(crate) struct Stream {
    connected: bool,
    tls: Option<Tls>,
    framer: Framer,
    /// Written before the connection was there.
    early: Vec<u8>,
}

impl Stream {
    pub fn new(server: &IceServer) -> Result<Stream, ServerError> {
        let tls = match server.transport {
            ServerTransport::Tls => Some(Tls::new(&server.host, &server.trust)?),
            ServerTransport::Tcp | ServerTransport::Udp => None,
        };
        Ok(Stream {
            connected: false,
            tls,
            framer: Framer::default(),
            early: Vec::new(),
        })
    }

    /// The TCP connection is there; what to write to it first.
    pub fn connected(&mut self) -> Result<Vec<u8>, ServerError> {
        self.connected = true;
        let early = std::mem::take(&mut self.early);
        self.send(&early)
    }

    /// What to write for one message, nothing while the connection is not there.
    pub fn send(&mut self, message: &[u8]) -> Result<Vec<u8>, ServerError> {
        if !self.connected {
            self.early.extend_from_slice(message);
            return Ok(Vec::new());
        }
        match &mut self.tls {
            Some(tls) => {
                tls.send(message)?;
                tls.take_output()
            }
            None => Ok(message.to_vec()),
        }
    }

    /// Bytes that were read: each message goes to `each`. What to write in return.
    pub fn receive(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<Vec<u8>, ServerError> {
        match &mut self.tls {
            Some(tls) => self.framer.push(&tls.receive(bytes)?),
            None => self.framer.push(bytes),
        }
        let protocol = |reason| ServerError::Protocol { reason };
        while let Some(message) = self.framer.next_message().map_err(protocol)? {
            each(message);
        }
        self.tls.as_mut().map_or(Ok(Vec::new()), Tls::take_output)
    }
}

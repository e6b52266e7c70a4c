//! One signal connection: a WebSocket whose socket never waits.

use std::io;
use std::net::{SocketAddr, TcpStream as StdTcpStream};

use mio::net::TcpStream;
use prost::Message as _;
use tungstenite::handshake::MidHandshake;
use tungstenite::handshake::client::ClientHandshake;
use tungstenite::{Error, HandshakeError, Message, WebSocket};

use crate::messages::{Request, Response, SignalRequest, SignalResponse};

enum State {
    Upgrading(Option<MidHandshake<ClientHandshake<TcpStream>>>),
    Open(Box<WebSocket<TcpStream>>),
}

/// A connection to `/rtc`.
pub struct Signal {
    state: State,
}

impl Signal {
    /// Connects, and sends the request for the upgrade. The stream is registered by `register` before anything is read.
    pub fn connect(
        server: SocketAddr,
        query: &str,
        register: impl FnOnce(&mut TcpStream) -> io::Result<()>,
    ) -> io::Result<Signal> {
        let stream = StdTcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        register(&mut stream)?;
        let upgraded = tungstenite::client(format!("ws://{server}/rtc?{query}"), stream);
        Ok(Signal {
            state: after(upgraded.map(|(socket, _)| socket))?,
        })
    }

    /// Sends one request; what the socket does not take now goes with the next call.
    pub fn send(&mut self, request: Request) -> io::Result<()> {
        let State::Open(socket) = &mut self.state else {
            return Err(io::Error::other("nothing can be sent before the upgrade"));
        };
        let message = SignalRequest {
            message: Some(request),
        };
        match socket.send(Message::binary(message.encode_to_vec())) {
            Ok(()) => Ok(()),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// What has arrived.
    pub fn receive(&mut self) -> io::Result<Vec<Response>> {
        if let State::Upgrading(pending) = &mut self.state {
            let Some(pending) = pending.take() else {
                return Ok(Vec::new());
            };
            self.state = after(pending.handshake().map(|(socket, _)| socket))?;
        }
        let mut responses = Vec::new();
        let State::Open(socket) = &mut self.state else {
            return Ok(responses);
        };
        loop {
            match socket.read() {
                Ok(Message::Binary(bytes)) => {
                    let message = SignalResponse::decode(bytes).map_err(io::Error::other)?;
                    responses.extend(message.message);
                }
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(responses)
    }
}

fn after(
    upgraded: Result<WebSocket<TcpStream>, HandshakeError<ClientHandshake<TcpStream>>>,
) -> io::Result<State> {
    match upgraded {
        Ok(socket) => Ok(State::Open(Box::new(socket))),
        Err(HandshakeError::Interrupted(pending)) => Ok(State::Upgrading(Some(pending))),
        Err(HandshakeError::Failure(error)) => Err(io::Error::other(error)),
    }
}

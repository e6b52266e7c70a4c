//! An endpoint for tests: echoes what it gets and does what it is told.
#![allow(dead_code)]

pub mod told;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use greenroom_net::{Endpoint, Protocol, Received, Sockets, Transmit, TransmitQueue, bind_udp_all};

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Long enough for a busy machine; only failing tests wait for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Sends every datagram back. The one that is just `panic` makes it panic.
#[derive(Default)]
pub struct Echo {
    pub received: u64,
    pub pending: Vec<Transmit>,
    /// Deadlines to ask for; each is taken out when it has come.
    pub deadlines: Vec<(Instant, u32)>,
    pub fired: Option<Sender<(u32, Instant, Instant)>>,
    pub failures: Option<Sender<String>>,
    /// Always ask to be called at once.
    pub restless: bool,
    pub timeouts: u64,
    pub farewell: Option<Transmit>,
}

impl Endpoint for Echo {
    fn handle_datagram(&mut self, _now: Instant, received: Received<'_>) {
        assert_ne!(received.contents, b"panic", "asked for by the test");
        self.received += 1;
        self.pending.push(Transmit {
            protocol: received.protocol,
            source: received.destination,
            destination: received.source,
            contents: received.contents.to_vec(),
        });
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.timeouts += 1;
        while let Some(position) = self.deadlines.iter().position(|(at, _)| *at <= now) {
            let (at, name) = self.deadlines.remove(position);
            if let Some(fired) = &self.fired {
                let _ = fired.send((name, at, now));
            }
        }
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        if self.restless {
            return Some(Instant::now() - Duration::from_secs(1));
        }
        self.deadlines.iter().map(|(at, _)| *at).min()
    }

    fn poll_transmit(&mut self, out: &mut TransmitQueue) {
        self.pending.drain(..).for_each(|transmit| out.push(transmit));
    }

    fn failed(&mut self, reason: &str) {
        if let Some(failures) = &self.failures {
            let _ = failures.send(reason.to_owned());
        }
    }
}

pub fn udp_sockets() -> (Sockets, SocketAddr) {
    let udp = bind_udp_all(&[LOOPBACK], 0).expect("loopback can be bound");
    let address = udp[0].local_addr().expect("bound");
    (
        Sockets {
            udp,
            ..Sockets::default()
        },
        address,
    )
}

pub fn client() -> UdpSocket {
    let socket = UdpSocket::bind((LOOPBACK, 0)).expect("loopback can be bound");
    socket.set_read_timeout(Some(PATIENCE)).expect("settable");
    socket
}

pub fn failing_echo() -> (Echo, std::sync::mpsc::Receiver<String>) {
    let (failures, failed) = channel();
    (
        Echo {
            failures: Some(failures),
            ..Echo::default()
        },
        failed,
    )
}

pub fn udp_transmit(source: SocketAddr, destination: SocketAddr, contents: &[u8]) -> Transmit {
    Transmit {
        protocol: Protocol::Udp,
        source,
        destination,
        contents: contents.to_vec(),
    }
}

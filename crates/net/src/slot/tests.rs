//! Slots with a clock of the test's: time-outs, limits, restraint.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use super::*;
use crate::endpoint::{Endpoint, Received, TransmitQueue};
use crate::shared::SharedSockets;
use crate::sockets::{Sockets, bind_tcp_all};
use crate::syscalls::ReceiveBatch;

struct Silent;

impl Endpoint for Silent {
    fn handle_datagram(&mut self, _now: Instant, _received: Received<'_>) {}
    fn handle_timeout(&mut self, _now: Instant) {}
    fn poll_timeout(&mut self) -> Option<Instant> {
        None
    }
    fn poll_transmit(&mut self, _out: &mut TransmitQueue) {}
    fn failed(&mut self, _reason: &str) {}
}

/// A slot with a listener, driven with a clock of the test's.
struct Harness {
    io: WorkerIo,
    slot: Slot,
    address: SocketAddr,
}

impl Harness {
    fn new() -> Harness {
        let tcp_listeners = bind_tcp_all(&[Ipv4Addr::LOCALHOST.into()], 0).unwrap();
        let address = tcp_listeners[0].local_addr().unwrap();
        let io = WorkerIo {
            epoll: Epoll::new().unwrap(),
            shared: SharedSockets::default(),
            received: ReceiveBatch::new(),
            scratch: vec![0; 4096],
            transmits: TransmitQueue::new(),
            batch: Vec::new(),
            turn: 1,
        };
        let sockets = Sockets {
            tcp_listeners,
            ..Sockets::default()
        };
        let new = NewEndpoint {
            key: 1,
            state: Arc::default(),
            endpoint: Box::new(Silent),
            sockets,
        };
        let mut slot = Slot::new(new);
        slot.register(&io.epoll);
        Harness { io, slot, address }
    }

    fn connect(&mut self, now: Instant) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        self.pump(now);
        stream
    }

    /// Handle what is ready within the next moment, as of `now`.
    fn pump(&mut self, now: Instant) {
        let mut ready = Vec::new();
        self.io
            .epoll
            .wait(Some(Duration::from_secs(20)), &mut ready)
            .unwrap();
        for readiness in ready {
            let source = Source::from_token(readiness.token as u32);
            self.slot.handle_readiness(&mut self.io, source, readiness, now);
        }
    }

    fn flush_deadline(&mut self, now: Instant) -> Option<Instant> {
        self.slot.flush(&mut self.io, now)
    }

    fn remotes(&self) -> usize {
        assert_eq!(self.slot.connections.len(), self.slot.connection_of_remote.len());
        self.slot.connections.len()
    }
}

#[test]
fn tokens_carry_key_and_source() {
    for source in [
        Source::Udp(0),
        Source::Udp(9),
        Source::Listener(3),
        Source::Connection((1 << INDEX_BITS) - 1),
    ] {
        let token = source.token(u32::MAX - 1);
        assert_eq!((token >> 32) as u32, u32::MAX - 1);
        assert_eq!(Source::from_token(token as u32), source);
    }
}

#[test]
fn a_connection_without_stun_is_closed_after_ten_seconds_and_one_with_it_after_sixty_of_silence() {
    let start = Instant::now();
    let seconds = |count| start + Duration::from_secs(count);
    let mut harness = Harness::new();
    let mut slow = harness.connect(start);
    let mut speaking = harness.connect(start);
    assert_eq!(harness.flush_deadline(start), Some(seconds(10)));

    // One byte of a frame is no sign of life; a whole STUN message is.
    slow.write_all(&[0]).unwrap();
    harness.pump(seconds(5));
    let mut message = vec![0, 20, 0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    message.extend_from_slice(&[9; 12]);
    speaking.write_all(&message).unwrap();
    harness.pump(seconds(5));

    harness.slot.handle_timeout(&mut harness.io, seconds(9));
    assert_eq!(harness.remotes(), 2);
    harness.slot.handle_timeout(&mut harness.io, seconds(10));
    assert_eq!(harness.remotes(), 1);
    assert_eq!(slow.read(&mut [0]).unwrap_or(0), 0, "closed");
    assert_eq!(harness.flush_deadline(seconds(10)), Some(seconds(65)));
    harness.slot.handle_timeout(&mut harness.io, seconds(65));
    assert_eq!(harness.remotes(), 0);
    assert_eq!(harness.flush_deadline(seconds(65)), None);
}

#[test]
fn connections_over_the_limit_are_refused() {
    let now = Instant::now();
    let mut harness = Harness::new();
    harness.slot.max_connections = 2;
    let _kept = [harness.connect(now), harness.connect(now)];
    let mut refused = harness.connect(now);
    assert_eq!(harness.remotes(), 2);
    assert_eq!(refused.read(&mut [0]).unwrap_or(0), 0, "closed");
}

#[test]
fn past_deadlines_without_progress_are_moved_after_a_thousand() {
    let now = Instant::now();
    let mut harness = Harness::new();
    let past = now - Duration::from_secs(1);
    for _ in 1..MAX_IDLE_TIMEOUTS {
        assert_eq!(harness.slot.restrained(past, now, false), past);
    }
    assert_eq!(
        harness.slot.restrained(past, now, false),
        now + IDLE_TIMEOUT_DELAY
    );
    assert_eq!(
        harness.slot.restrained(past, now, false),
        now + IDLE_TIMEOUT_DELAY
    );
    assert_eq!(harness.slot.restrained(past, now, true), past);
}

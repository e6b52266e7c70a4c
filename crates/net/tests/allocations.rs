//! An endpoint that uses its buffers again costs its worker no allocation per datagram, from the socket to the sockets.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::{client, udp_sockets};
use greenroom_net::{Endpoint, Engine, Received, Transmit, TransmitQueue};

const COPIES: usize = 40;
/// Rounds until all lists have their size, and rounds that are counted.
const WARM_UP: u64 = 200;
const COUNTED: u64 = 2_000;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct CountingAllocator;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Sends each datagram back many times, when it is woken after it.
#[derive(Default)]
struct Multiplier {
    pending: Vec<Transmit>,
    idle: Vec<Vec<u8>>,
    woken: u64,
    deadline: Option<Instant>,
    /// What the worker had allocated when the warm-up was over, and when the count was.
    marks: Vec<u64>,
}

impl Endpoint for Multiplier {
    fn handle_datagram(&mut self, now: Instant, received: Received<'_>) {
        self.deadline = Some(now + Duration::from_millis(1));
        for _ in 0..COPIES {
            let mut contents = self.idle.pop().unwrap_or_default();
            contents.extend_from_slice(received.contents);
            self.pending.push(Transmit {
                protocol: received.protocol,
                source: received.destination,
                destination: received.source,
                contents,
            });
        }
    }

    fn handle_timeout(&mut self, _now: Instant) {
        self.deadline = None;
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.deadline
    }

    fn woken(&mut self, _now: Instant) {
        self.woken += 1;
        if [WARM_UP, WARM_UP + COUNTED].contains(&self.woken) {
            self.marks.push(ALLOCATIONS.get());
        }
    }

    fn poll_transmit(&mut self, out: &mut TransmitQueue) {
        self.pending.drain(..).for_each(|transmit| out.push(transmit));
    }

    fn take_back(&mut self, sent: &mut TransmitQueue) {
        for mut transmit in sent.drain() {
            transmit.contents.clear();
            self.idle.push(transmit.contents);
        }
    }

    fn failed(&mut self, _reason: &str) {}
}

fn round(socket: &std::net::UdpSocket, address: SocketAddr) {
    socket.send_to(&[7; 100], address).expect("sent");
    let mut buffer = [0; 256];
    for _ in 0..COPIES {
        assert_eq!(socket.recv(&mut buffer).expect("a copy"), 100);
    }
}

#[test]
fn a_datagram_in_and_its_copies_out_allocate_nothing() {
    let engine = Engine::start(1).expect("an engine");
    let (sockets, address) = udp_sockets();
    let handle = engine
        .spawn(sockets, |_| Multiplier {
            marks: Vec::with_capacity(2),
            ..Multiplier::default()
        })
        .expect("spawned");
    let socket = client();
    for _ in 0..WARM_UP + COUNTED {
        round(&socket, address);
        assert!(handle.wake());
    }
    let marks = handle.call(|endpoint, _| std::mem::take(&mut endpoint.marks));
    let Some([before, after]) = marks.as_deref() else {
        panic!("not woken each time: {marks:?}");
    };
    assert_eq!(after - before, 0, "in {COUNTED} rounds of {COPIES} copies");
}

//! How many datagrams one worker thread receives and sends a second: two endpoints throw a window of datagrams
//! to and fro over loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use greenroom_net::{Endpoint, Engine, Protocol, Received, Sockets, Transmit, TransmitQueue, bind_udp_all};

const DATAGRAM_BYTES: usize = 1100;
/// A deadline that moves with every datagram, as ICE and pacing have.
const DEADLINE: Duration = Duration::from_millis(50);

struct Bouncer {
    pending: Vec<Transmit>,
    deadline: Instant,
    left: u64,
    done: Option<Sender<()>>,
}

impl Endpoint for Bouncer {
    fn handle_datagram(&mut self, now: Instant, received: Received<'_>) {
        self.deadline = now + DEADLINE;
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        if self.left == 0 {
            self.done.take().map(|done| done.send(()));
        }
        self.pending.push(Transmit {
            protocol: received.protocol,
            source: received.destination,
            destination: received.source,
            contents: received.contents.to_vec(),
        });
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.deadline = now + DEADLINE;
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        Some(self.deadline)
    }

    fn poll_transmit(&mut self, out: &mut TransmitQueue) {
        self.pending.drain(..).for_each(|transmit| out.push(transmit));
    }

    fn failed(&mut self, reason: &str) {
        panic!("{reason}");
    }
}

fn bouncer_on(
    engine: &Engine,
    left: u64,
    done: Sender<()>,
) -> (SocketAddr, greenroom_net::EndpointHandle<Bouncer>) {
    let udp = bind_udp_all(&[IpAddr::V4(Ipv4Addr::LOCALHOST)], 0).expect("loopback can be bound");
    let address = udp[0].local_addr().expect("bound");
    let bouncer = Bouncer {
        pending: Vec::new(),
        deadline: Instant::now() + DEADLINE,
        left,
        done: Some(done),
    };
    let handle = engine
        .spawn(
            Sockets {
                udp,
                ..Sockets::default()
            },
            |_| bouncer,
        )
        .expect("the engine runs");
    (address, handle)
}

/// The time in which the first of two endpoints gets `count` datagrams, `window` being on their way.
fn throw(engine: &Engine, count: u64, window: usize) -> Duration {
    let (done, finished) = channel();
    let (address, first) = bouncer_on(engine, count, done);
    let (other_address, second) = bouncer_on(engine, u64::MAX, channel().0);
    let start = Instant::now();
    second.post(move |second, _| {
        second.pending.extend((0..window).map(|_| Transmit {
            protocol: Protocol::Udp,
            source: other_address,
            destination: address,
            contents: vec![7; DATAGRAM_BYTES],
        }));
    });
    finished.recv().expect("no datagram was lost");
    let elapsed = start.elapsed();
    first.close_and_wait();
    second.close_and_wait();
    elapsed
}

fn worker(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("worker");
    for window in [1, 16, 64] {
        // Each datagram that comes to the first endpoint has gone through the worker twice.
        group.throughput(Throughput::Elements(2));
        group.bench_function(format!("echo, {window} on the way"), |bencher| {
            let engine = Engine::start(1).expect("threads can be started");
            bencher.iter_custom(|count| throw(&engine, count, window));
        });
    }
    group.finish();
}

criterion_group!(benches, worker);
criterion_main!(benches);

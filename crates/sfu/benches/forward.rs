//! What forwarding costs, from one datagram in to the datagrams out: one Opus track with 1, 10 and 100
//! subscribers, payloads of 100 and 1,200 bytes. Time is thread CPU per incoming datagram, throughput per outgoing
//! one.
//! `cargo bench -p greenroom-sfu --bench forward`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use common::{World, ms, opus};
use cpu_time::ThreadTime;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use greenroom_sfu::Kind;
use greenroom_sfu::rtp_header::{ExtensionList, RtpHeader};
use greenroom_transport::{Received, Transmit};

const SSRC: u32 = 5;
/// Datagrams that are encrypted by the publisher before the clock runs.
const BATCH: u64 = 64;

/// A unit with one publisher and some subscribers.
struct Room {
    world: World,
    payload: Vec<u8>,
    sequence_number: u16,
    timestamp: u32,
}

impl Room {
    fn new(subscribers: usize, payload_bytes: usize) -> Room {
        let mut world = World::new(1);
        world.join();
        let up_track = world.publish(0, "a", Kind::Audio, vec![opus()], &[SSRC], &[]);
        for index in 1..=subscribers {
            world.join();
            world.subscribe(index, up_track, 900, vec![opus()]);
        }
        Room {
            world,
            payload: vec![7; payload_bytes],
            sequence_number: 0,
            timestamp: 0,
        }
    }

    fn next_datagram(&mut self) -> Transmit {
        let header = RtpHeader {
            marker: false,
            payload_type: 111,
            sequence_number: self.sequence_number,
            timestamp: self.timestamp,
            ssrc: SSRC,
        };
        self.sequence_number = self.sequence_number.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(960);
        let mut packet = Vec::new();
        header.write(&ExtensionList::default(), &mut packet);
        packet.extend_from_slice(&self.payload);
        let publisher = &mut self.world.clients[0].transport;
        publisher.send_rtp(&packet).expect("a whole packet");
        publisher.poll_transmit().expect("a connected publisher")
    }

    /// Forwards one datagram and counts what comes out.
    fn forward(&mut self, datagram: &Transmit) -> u64 {
        let received = Received {
            protocol: datagram.protocol,
            source: datagram.source,
            destination: datagram.destination,
            contents: &datagram.contents,
        };
        self.world.sfu.handle_datagram(self.world.now, received);
        let mut sent = 0;
        while let Some(transmit) = self.world.sfu.poll_transmit() {
            std::hint::black_box(transmit);
            sent += 1;
        }
        sent
    }

    /// The CPU time that `count` datagrams take; a busy machine does not count.
    fn run(&mut self, count: u64, subscribers: u64) -> Duration {
        let mut spent = Duration::ZERO;
        let mut left = count;
        while left > 0 {
            let batch: Vec<Transmit> = (0..left.min(BATCH)).map(|_| self.next_datagram()).collect();
            let began = ThreadTime::now();
            let sent: u64 = batch.iter().map(|datagram| self.forward(datagram)).sum();
            spent += began.elapsed();
            assert!(
                sent >= batch.len() as u64 * subscribers,
                "a subscriber got nothing"
            );
            left -= batch.len() as u64;
            self.world.now += ms(20);
        }
        spent
    }
}

fn forward(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forward");
    group
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30);
    for subscribers in [1usize, 10, 100] {
        for payload_bytes in [100usize, 1_200] {
            let mut room = Room::new(subscribers, payload_bytes);
            group.throughput(Throughput::Elements(subscribers as u64));
            let name = BenchmarkId::new(format!("{subscribers} subscribers"), format!("{payload_bytes} B"));
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|count| room.run(count, subscribers as u64));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, forward);
criterion_main!(benches);

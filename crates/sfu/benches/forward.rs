//! What forwarding costs, from one datagram in to the datagrams out: one track with 1, 10 and 100 subscribers. Opus has
//! payloads of 100 and 1,200 bytes; VP8 of 1,100, with transport-wide numbers, and its subscribers tell what arrived (the
//! reading of that is in the time). Time is thread CPU per incoming datagram, throughput per outgoing one.
//! `cargo bench -p greenroom-sfu --bench forward`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use common::{World, ms, opus, vp8};
use cpu_time::ThreadTime;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use greenroom_sfu::rtcp;
use greenroom_sfu::rtp_header::{ExtensionList, RtpHeader};
use greenroom_sfu::twcc::FeedbackGenerator;
use greenroom_sfu::{Kind, PayloadType};
use greenroom_transport::{Received, Transmit};

const SSRC: u32 = 5;
/// The descriptor and the first byte of a VP8 key frame: a decoder can begin with each packet.
const KEY_FRAME: [u8; 7] = [0x90, 0xE0, 0x80, 1, 1, 0, 0];
/// Datagrams that are encrypted by the publisher before the clock runs.
const BATCH: u64 = 64;

/// A unit with one publisher and some subscribers.
struct Room {
    world: World,
    payload_type: u8,
    payload: Vec<u8>,
    sequence_number: u16,
    timestamp: u32,
    /// What each subscriber has to tell about transport-wide numbers, the next of which is `next_number`.
    arrivals: Vec<FeedbackGenerator>,
    next_number: u16,
}

impl Room {
    fn new(subscribers: usize, kind: Kind, codec: &PayloadType, payload: Vec<u8>) -> Room {
        let mut world = World::new(1);
        world.join();
        let up_track = world.publish(0, "a", kind, vec![codec.clone()], &[SSRC], &[]);
        for index in 1..=subscribers {
            world.join();
            world.subscribe(index, up_track, 900, vec![codec.clone()]);
        }
        let reporting = if kind == Kind::Video { subscribers } else { 0 };
        Room {
            payload_type: codec.payload_type,
            payload,
            sequence_number: 0,
            timestamp: 0,
            arrivals: (0..reporting)
                .map(|_| FeedbackGenerator::new(world.now))
                .collect(),
            next_number: 1,
            world,
        }
    }

    fn audio(subscribers: usize, payload_bytes: usize) -> Room {
        Room::new(subscribers, Kind::Audio, &opus(), vec![7; payload_bytes])
    }

    fn video(subscribers: usize, payload_bytes: usize) -> Room {
        let mut payload = KEY_FRAME.to_vec();
        payload.resize(payload_bytes, 7);
        Room::new(subscribers, Kind::Video, &vp8(true), payload)
    }

    fn next_datagram(&mut self) -> Transmit {
        let header = RtpHeader {
            marker: false,
            payload_type: self.payload_type,
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
        publisher.send_rtp(packet).expect("a whole packet");
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
            self.world.sfu.give_back(std::hint::black_box(transmit).contents);
            sent += 1;
        }
        sent
    }

    /// What the subscribers tell about the last `count` packets, all of which arrived.
    fn feedback(&mut self, count: u16) -> Vec<Transmit> {
        let mut datagrams = Vec::new();
        let now = self.world.now;
        for (arrivals, client) in self.arrivals.iter_mut().zip(&mut self.world.clients[1..]) {
            for offset in 0..count {
                arrivals.record(now, self.next_number.wrapping_add(offset), false);
            }
            arrivals.collect(now + ms(100), |body| {
                client.send_rtcp(|out| rtcp::write_transport_wide(out, 1, 2, body));
                datagrams.extend(client.transport.poll_transmit());
            });
        }
        self.next_number = self.next_number.wrapping_add(count);
        datagrams
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
            let told = self.feedback(batch.len() as u16);
            let began = ThreadTime::now();
            for datagram in &told {
                self.forward(datagram);
            }
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
        let rooms = [
            ("100 B", Room::audio(subscribers, 100)),
            ("1200 B", Room::audio(subscribers, 1_200)),
            ("1100 B of video", Room::video(subscribers, 1_100)),
        ];
        for (what, mut room) in rooms {
            group.throughput(Throughput::Elements(subscribers as u64));
            let name = BenchmarkId::new(format!("{subscribers} subscribers"), what);
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|count| room.run(count, subscribers as u64));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, forward);
criterion_main!(benches);

//! What forwarding one packet to one subscriber costs, from datagram in to datagram out:
//! `cargo run --release -p greenroom-sfu --example fan_out -- [subscribers] [payload bytes]`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{World, ms, opus};
use greenroom_sfu::Kind;
use greenroom_sfu::rtp_header::{ExtensionList, RtpHeader};
use greenroom_transport::Received;

const PACKETS: u16 = 2_000;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<usize>().expect("a number"));
    let subscribers = arguments.next().unwrap_or(100);
    let payload_bytes = arguments.next().unwrap_or(100);
    let mut world = World::new(1);
    world.join();
    let up_track = world.publish(0, "a", Kind::Audio, vec![opus()], &[5], &[]);
    for index in 1..=subscribers {
        world.join();
        world.subscribe(index, up_track, 900, vec![opus()]);
    }
    let payload = vec![7; payload_bytes];
    let mut spent = Duration::ZERO;
    let mut sent = 0u64;
    for sequence_number in 0..PACKETS {
        let header = RtpHeader {
            marker: false,
            payload_type: 111,
            sequence_number,
            timestamp: u32::from(sequence_number) * 960,
            ssrc: 5,
        };
        let mut packet = Vec::new();
        header.write(&ExtensionList::default(), &mut packet);
        packet.extend_from_slice(&payload);
        let publisher = &mut world.clients[0].transport;
        publisher.send_rtp(&packet).expect("sent");
        while let Some(transmit) = publisher.poll_transmit() {
            let received = Received {
                protocol: transmit.protocol,
                source: transmit.source,
                destination: transmit.destination,
                contents: &transmit.contents,
            };
            let began = Instant::now();
            world.sfu.handle_datagram(world.now, received);
            while world.sfu.poll_transmit().is_some() {
                sent += 1;
            }
            spent += began.elapsed();
        }
        world.now += ms(20);
    }
    let nanoseconds = spent.as_nanos() / u128::from(sent.max(1));
    println!("{subscribers} subscribers, {payload_bytes} B: {sent} packets forwarded, {nanoseconds} ns each");
}

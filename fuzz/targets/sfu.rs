//! A whole unit with connected clients: datagrams from anybody, and nonsense well encrypted.
#![no_main]

use greenroom_fuzz::Input;
use greenroom_sfu::Kind;
use greenroom_transport::{Protocol, Received, Transport};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/sfu/tests/common/mod.rs"]
mod common;
use common::{World, ms, opus, vp8};

fuzz_target!(|bytes: &[u8]| {
    let mut world = World::new(1);
    world.join();
    world.join();
    for (mid, kind, payload, ssrc) in [
        ("a", Kind::Audio, opus(), 100),
        ("v", Kind::Video, vp8(true), 200),
    ] {
        let up_track = world.publish(0, mid, kind, vec![payload.clone()], &[ssrc], &[]);
        world.subscribe(1, up_track, 900 + ssrc, vec![payload]);
    }
    let mut input = Input::new(bytes);
    while !input.is_empty() {
        let step = input.byte();
        let client = usize::from(step >> 7);
        match step % 4 {
            0 => stranger(&mut world, step, input.packet(1)),
            1 => drop(world.clients[client].transport.send_rtp(input.packet(1).to_vec())),
            2 => drop(
                world.clients[client]
                    .transport
                    .send_rtcp(input.packet(1).to_vec()),
            ),
            _ => world.run(ms(u64::from(step))),
        }
    }
    world.run(ms(50));
    let is_connected = |client: &common::Client| Transport::is_connected(&client.transport);
    assert!(world.clients.iter().all(is_connected));
});

/// A datagram from an address of nobody, or of the first client.
fn stranger(world: &mut World, step: u8, contents: &[u8]) {
    let source = if step & 4 == 0 {
        "192.0.2.9:9"
    } else {
        "10.0.1.1:6000"
    };
    let received = Received {
        protocol: Protocol::Udp,
        source: source.parse().expect("address"),
        destination: "10.0.0.1:7000".parse().expect("address"),
        contents,
    };
    world.sfu.handle_datagram(world.now, received);
}

//! A whole connection: hostile datagrams before, during and after connecting, and a hostile peer.
#![no_main]

use std::time::Duration;

use greenroom_fuzz::Input;
use greenroom_transport::{ChannelConfig, Transport};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/transport/tests/common/mod.rs"]
mod common;
use common::Pair;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let mut pair = Pair::new(1);
    pair.keep_delivered = true;
    for _ in 0..input.byte() % 4 {
        pair.inject(0, input.packet(1));
    }
    pair.introduce(1);
    pair.run_until(Duration::from_secs(20), |pair| {
        pair.sides.iter().all(Transport::is_connected)
    });
    let channel = pair.sides[1].open_channel(ChannelConfig {
        label: "fuzz".to_owned(),
        ordered: true,
        max_retransmits: None,
    });
    while !input.is_empty() {
        let step = input.byte();
        let packet = input.packet(1);
        match step % 6 {
            0 => pair.inject(0, packet),
            1 => drop(pair.sides[1].send_rtp(packet.to_vec())),
            2 => drop(pair.sides[1].send_rtcp(packet.to_vec())),
            3 => drop(pair.sides[1].send_message(channel, packet)),
            4 => replay_damaged(&mut pair, packet),
            _ => drop(pair.run_for(Duration::from_millis(u64::from(step)))),
        }
    }
    pair.run_for(Duration::from_millis(100));
    assert!(pair.sides.iter().all(Transport::is_connected));
});

/// Gives the server a packet again that it has had, with other bytes somewhere.
fn replay_damaged(pair: &mut Pair, change: &[u8]) {
    let [which, at, bytes @ ..] = change else {
        return;
    };
    let count = pair.delivered.len();
    let mut packet = pair.delivered[usize::from(*which) % count].1.contents.clone();
    for (index, byte) in bytes.iter().enumerate() {
        let at = (usize::from(*at) + index) % packet.len();
        packet[at] = *byte;
    }
    pair.inject(0, &packet);
}

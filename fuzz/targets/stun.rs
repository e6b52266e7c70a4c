//! Which transport a datagram is for.
#![no_main]

use std::time::Instant;

use greenroom_fuzz::Input;
use greenroom_sfu::demultiplexer::Demultiplexer;
use greenroom_transport::{Protocol, stun_request_ufrag};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let now = Instant::now();
    let mut table = Demultiplexer::default();
    table.add_fragment("abcd", 1);
    table.add_fragment("efgh", 2);
    let mut input = Input::new(bytes);
    while !input.is_empty() {
        let step = input.byte();
        let packet = input.packet(1);
        let source = ([127, 0, 0, step & 3], 1).into();
        match step >> 6 {
            0 => table.sent(packet, 1),
            1 => table.remove(u64::from(step & 3)),
            _ => {
                let found = table.route(now, Protocol::Udp, source, packet);
                assert!(found.is_none_or(|handle| (1..=2).contains(&handle)));
            }
        }
        let _ = stun_request_ufrag(packet);
    }
});

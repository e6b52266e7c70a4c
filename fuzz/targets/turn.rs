//! What a TURN server, or someone in its place, sends: datagrams and a stream.
#![no_main]

use std::time::{Duration, Instant};

use greenroom_fuzz::Input;
use greenroom_turn::{Framer, IceServer, ServerKind, ServerTransport, Servers, Trust};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut now = Instant::now();
    let local = ([10, 0, 0, 2], 5000).into();
    let server = |kind, transport, port| IceServer {
        kind,
        transport,
        url: String::new(),
        host: "localhost".into(),
        address: ([192, 0, 2, 1], port).into(),
        username: "user".into(),
        password: "secret".into(),
        trust: Trust::default(),
    };
    let mut servers = Servers::new();
    servers.add_local(local, now);
    servers.add_server(server(ServerKind::Turn, ServerTransport::Udp, 3478), now);
    servers.add_server(server(ServerKind::Stun, ServerTransport::Udp, 3478), now);
    servers.add_server(server(ServerKind::Turn, ServerTransport::Tcp, 3479), now);
    let stream = ([0, 0, 0, 0], 1).into();
    servers.stream_opened(stream, ([192, 0, 2, 1], 3479).into());
    let mut asked: Vec<[u8; 12]> = Vec::new();
    let mut framer = Framer::default();
    let mut input = Input::new(bytes);
    while !input.is_empty() {
        while let Some(transmit) = servers.poll_transmit() {
            asked.extend(
                transmit
                    .contents
                    .get(8..20)
                    .and_then(|id| <[u8; 12]>::try_from(id).ok()),
            );
        }
        while servers.poll_order().is_some() || servers.poll_event().is_some() {}
        let step = input.byte();
        let mut packet = input.packet(1).to_vec();
        // An answer to something that was asked, so that more than the first look is reached.
        if let (Some(place), Some(id)) = (packet.get_mut(8..20), asked.get(usize::from(step >> 3))) {
            place.copy_from_slice(id);
        }
        match step & 7 {
            0..=2 => {
                servers.handle_datagram(now, ([192, 0, 2, 1], 3478).into(), local, &packet);
            }
            3 | 4 => {
                servers.handle_stream(now, stream, ([192, 0, 2, 1], 3479).into(), &packet);
            }
            5 => {
                framer.push(&packet);
                while let Ok(Some(message)) = framer.next_message() {
                    assert!(!message.is_empty());
                }
            }
            6 => servers.send(now, ([192, 0, 2, 1], 50_000).into(), local, &packet),
            _ => {
                now += Duration::from_secs(u64::from(step));
                servers.handle_timeout(now);
            }
        }
    }
    servers.close(now);
});

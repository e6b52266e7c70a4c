//! Data track packets: parsing, writing again, forwarding, and frames from packets in any order.
#![no_main]

use greenroom_datatrack::{Depacketizer, MAX_PACKETS_PER_FRAME, Packet, read_handle, write_handle};
use greenroom_fuzz::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let mut depacketizer = Depacketizer::new(usize::from(input.byte() % 4));
    while !input.is_empty() {
        let mut message = input.packet(1).to_vec();
        let Ok(packet) = Packet::parse(&message) else {
            assert!(read_handle(&message).is_err());
            continue;
        };
        assert_eq!(read_handle(&message), Ok(packet.handle));
        let again = packet.to_bytes();
        assert_eq!(Packet::parse(&again), Ok(packet));
        let whole = depacketizer.push(&packet);
        if let Some(frame) = whole {
            assert!(frame.payload.len() <= MAX_PACKETS_PER_FRAME * 255);
        }
        let forwarded = Packet { handle: 7, ..packet }.payload.to_vec();
        write_handle(&mut message, 7);
        let packet = Packet::parse(&message).expect("only the handle changed");
        assert_eq!((packet.handle, packet.payload), (7, &forwarded[..]));
    }
});

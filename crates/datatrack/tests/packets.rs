//! Packets as bytes: golden ones, damaged ones, and what extensions may look like.

use greenroom_datatrack::{
    Encryption, Extensions, HEADER_BYTES, Packet, PacketError, read_handle, write_handle,
};

fn packet(extensions: Extensions, payload: &[u8]) -> Packet<'_> {
    Packet {
        is_start: true,
        is_final: true,
        handle: 3333,
        sequence: 6666,
        frame_number: 9999,
        timestamp: 0xdead_beef,
        extensions,
        payload,
    }
}

const GOLDEN: [u8; 12] = [
    0x18, 0x00, 0x0d, 0x05, 0x1a, 0x0a, 0x27, 0x0f, 0xde, 0xad, 0xbe, 0xef,
];

#[test]
fn a_header_without_extensions_is_as_in_the_specification() {
    let bytes = packet(Extensions::default(), b"payload").to_bytes();
    assert_eq!(bytes[..HEADER_BYTES], GOLDEN);
    assert_eq!(&bytes[HEADER_BYTES..], b"payload");
    assert_eq!(
        Packet::parse(&bytes),
        Ok(packet(Extensions::default(), b"payload"))
    );
}

#[test]
fn extensions_fill_whole_words() {
    let both = Extensions {
        encryption: Some(Encryption {
            key_index: 7,
            iv: [9; 12],
        }),
        user_timestamp: Some(0x0102_0304_0506_0708),
    };
    let bytes = packet(both, &[]).to_bytes();
    // 2 of the length field, 2 + 13, 2 + 8, and 1 of padding: 7 words, written as 6.
    assert_eq!(bytes.len(), HEADER_BYTES + 28);
    assert_eq!(bytes[0], 0x1c);
    assert_eq!(bytes[12..17], [0, 6, 1, 13, 7]);
    assert_eq!(Packet::parse(&bytes), Ok(packet(both, &[])));
    for extensions in [
        Extensions {
            user_timestamp: None,
            ..both
        },
        Extensions {
            encryption: None,
            ..both
        },
    ] {
        let bytes = packet(extensions, b"x").to_bytes();
        assert_eq!(Packet::parse(&bytes), Ok(packet(extensions, b"x")));
    }
}

#[test]
fn unknown_long_and_short_extensions_are_skipped() {
    let mut bytes = GOLDEN.to_vec();
    bytes[0] |= 0x04;
    // Unknown id 9, padding, a timestamp of 10 bytes (two too many), and one of 3 (too short) to end with.
    let mut extensions = vec![9, 2, 0xff, 0xff, 0, 2, 10, 0, 0, 0, 0, 0, 0, 0, 5, 0xee, 0xee];
    extensions.extend([2, 3, 1, 1, 1]);
    extensions.resize((2 + extensions.len()).next_multiple_of(4) - 2, 0);
    bytes.extend((((extensions.len() + 2) / 4 - 1) as u16).to_be_bytes());
    bytes.extend(&extensions);
    bytes.extend(b"payload");
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.extensions.user_timestamp, Some(5));
    assert_eq!(packet.extensions.encryption, None);
    assert_eq!(packet.payload, b"payload");
}

#[test]
fn what_is_no_packet_is_refused() {
    let good = packet(Extensions::default(), &[]).to_bytes();
    for length in 0..HEADER_BYTES {
        assert_eq!(Packet::parse(&good[..length]), Err(PacketError::Short(length)));
    }
    let mut version = good.clone();
    version[0] |= 1 << 5;
    assert_eq!(Packet::parse(&version), Err(PacketError::Version(1)));
    let mut unnamed = good.clone();
    write_handle(&mut unnamed, 0);
    assert_eq!(Packet::parse(&unnamed), Err(PacketError::NoHandle));
    let mut extended = good.clone();
    extended[0] |= 0x04;
    assert_eq!(Packet::parse(&extended), Err(PacketError::Short(12)));
    extended.extend([0xff, 0xff, 0, 0]);
    assert_eq!(read_handle(&extended), Err(PacketError::Short(16)));
}

#[test]
fn a_forwarder_changes_the_handle_and_nothing_else() {
    let mut bytes = packet(Extensions::default(), b"payload").to_bytes();
    assert_eq!(read_handle(&bytes), Ok(3333));
    write_handle(&mut bytes, 12);
    let expected = Packet {
        handle: 12,
        ..packet(Extensions::default(), b"payload")
    };
    assert_eq!(Packet::parse(&bytes), Ok(expected));
}

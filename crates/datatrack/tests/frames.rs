//! Frames through packets, in order, out of order, and with packets missing.

use greenroom_datatrack::{
    Depacketizer, Encryption, Extensions, Frame, MAX_PACKET_BYTES, MAX_PACKETS_PER_FRAME, Packet, Packetizer,
};

fn payload(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|index| (index as u8).wrapping_mul(31) ^ seed)
        .collect()
}

fn frame(packetizer: &mut Packetizer, payload: &[u8]) -> Vec<Vec<u8>> {
    packetizer
        .packetize(payload, Extensions::default(), 90_000)
        .unwrap()
}

fn push(depacketizer: &mut Depacketizer, bytes: &[u8]) -> Option<Vec<u8>> {
    depacketizer
        .push(&Packet::parse(bytes).unwrap())
        .map(|frame| frame.payload)
}

#[test]
fn frames_of_every_size_come_back_whole() {
    let mut packetizer = Packetizer::new(5);
    let mut depacketizer = Depacketizer::default();
    let extensions = Extensions {
        encryption: Some(Encryption {
            key_index: 1,
            iv: [3; 12],
        }),
        user_timestamp: Some(77),
    };
    let limit = Packetizer::frame_limit(&extensions);
    for length in [0, 1, 15_960, 15_961, 100_000, limit] {
        let content = payload(length, 1);
        let packets = packetizer.packetize(&content, extensions, 11).unwrap();
        assert!(packets.iter().all(|packet| packet.len() <= MAX_PACKET_BYTES));
        let mut frames: Vec<Frame> = Vec::new();
        for bytes in &packets {
            frames.extend(depacketizer.push(&Packet::parse(bytes).unwrap()));
        }
        let expected = Frame {
            payload: content,
            extensions,
            timestamp: 11,
        };
        assert_eq!(frames, [expected], "{length} bytes");
    }
    assert_eq!(depacketizer.dropped_frames(), 0);
    let error = packetizer
        .packetize(&payload(limit + 1, 0), extensions, 0)
        .unwrap_err();
    assert_eq!((error.length, error.limit), (limit + 1, limit));
}

#[test]
fn numbers_wrap() {
    let mut packetizer = Packetizer::new(1);
    let mut depacketizer = Depacketizer::default();
    for round in 0..70_000_u32 {
        let content = round.to_be_bytes();
        let packets = frame(&mut packetizer, &content);
        assert_eq!(push(&mut depacketizer, &packets[0]), Some(content.to_vec()));
    }
    let content = payload(40_000, 2);
    let packets = frame(&mut packetizer, &content);
    assert_eq!(push(&mut depacketizer, &packets[0]), None);
    assert_eq!(push(&mut depacketizer, &packets[1]), None);
    assert_eq!(push(&mut depacketizer, &packets[2]), Some(content));
}

#[test]
fn packets_in_any_order_and_twice_make_one_frame() {
    let mut packetizer = Packetizer::new(1);
    let content = payload(50_000, 3);
    let packets = frame(&mut packetizer, &content);
    assert_eq!(packets.len(), 4);
    for order in [[3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
        let mut depacketizer = Depacketizer::default();
        let mut whole = Vec::new();
        for index in order {
            for _ in 0..2 {
                whole.extend(push(&mut depacketizer, &packets[index]));
            }
        }
        assert_eq!(whole, std::slice::from_ref(&content), "order {order:?}");
    }
}

#[test]
fn a_frame_with_a_hole_is_given_up_for_the_next() {
    let mut packetizer = Packetizer::new(1);
    let mut depacketizer = Depacketizer::default();
    let broken = frame(&mut packetizer, &payload(40_000, 1));
    let whole = frame(&mut packetizer, &payload(40_000, 2));
    assert_eq!(push(&mut depacketizer, &broken[0]), None);
    assert_eq!(push(&mut depacketizer, &broken[2]), None);
    assert_eq!(push(&mut depacketizer, &whole[0]), None);
    // What is late of the lost frame disturbs nothing.
    assert_eq!(push(&mut depacketizer, &broken[1]), None);
    assert_eq!(push(&mut depacketizer, &whole[1]), None);
    assert_eq!(push(&mut depacketizer, &whole[2]), Some(payload(40_000, 2)));
    assert_eq!(depacketizer.dropped_frames(), 1);
}

#[test]
fn more_partial_frames_let_them_mingle() {
    let mut packetizer = Packetizer::new(1);
    let mut depacketizer = Depacketizer::new(2);
    let first = frame(&mut packetizer, &payload(20_000, 1));
    let second = frame(&mut packetizer, &payload(20_000, 2));
    let single = frame(&mut packetizer, b"small");
    assert_eq!(push(&mut depacketizer, &first[0]), None);
    assert_eq!(push(&mut depacketizer, &second[0]), None);
    assert_eq!(push(&mut depacketizer, &single[0]), Some(b"small".to_vec()));
    assert_eq!(push(&mut depacketizer, &second[1]), Some(payload(20_000, 2)));
    assert_eq!(push(&mut depacketizer, &first[1]), Some(payload(20_000, 1)));
    depacketizer.set_max_partial_frames(0);
    assert_eq!(depacketizer.dropped_frames(), 0);
}

#[test]
fn a_publisher_that_counts_anew_is_heard() {
    let mut depacketizer = Depacketizer::default();
    let mut packetizer = Packetizer::new(1);
    for _ in 0..1_000 {
        push(&mut depacketizer, &frame(&mut packetizer, b"before")[0]).unwrap();
    }
    let mut packetizer = Packetizer::new(1);
    let content = payload(20_000, 1);
    let packets = frame(&mut packetizer, &content);
    assert_eq!(push(&mut depacketizer, &packets[0]), None);
    assert_eq!(push(&mut depacketizer, &packets[1]), Some(content));
}

#[test]
fn packets_that_contradict_each_other_are_dropped() {
    let mut depacketizer = Depacketizer::default();
    let make = |sequence: u16, is_start: bool, is_final: bool| Packet {
        is_start,
        is_final,
        handle: 1,
        sequence,
        frame_number: 1,
        timestamp: 0,
        extensions: Extensions::default(),
        payload: b"x",
    };
    assert_eq!(depacketizer.push(&make(0, true, false)), None);
    assert_eq!(depacketizer.push(&make(1, true, false)), None);
    assert_eq!(depacketizer.dropped_frames(), 1);
    // Never more than a frame can have, whatever comes.
    let mut depacketizer = Depacketizer::default();
    for sequence in 0..=MAX_PACKETS_PER_FRAME as u16 {
        assert_eq!(depacketizer.push(&make(sequence, sequence == 0, false)), None);
    }
    assert_eq!(depacketizer.dropped_frames(), 1);
    let far = Packet {
        frame_number: 2,
        ..make(500, false, true)
    };
    assert_eq!(depacketizer.push(&far), None);
    let start = Packet {
        frame_number: 2,
        ..make(0, true, false)
    };
    assert_eq!(depacketizer.push(&start), None);
    assert_eq!(depacketizer.dropped_frames(), 2);
}

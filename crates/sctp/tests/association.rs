//! What two associations do with each other.

mod common;

use std::time::{Duration, Instant};

use common::{Link, Pair};
use sctp_proto::{Error, Event, PayloadProtocolIdentifier, ReliabilityType, StreamEvent};

const LONG: Duration = Duration::from_secs(600);

fn has_event(pair: &Pair, side: usize, wanted: &StreamEvent) -> bool {
    let is_wanted = |event: &&Event| matches!(event, Event::Stream(event) if event == wanted);
    pair.sides[side].events.iter().filter(is_wanted).count() == 1
}

#[test]
fn either_side_or_both_begin_despite_loss() {
    for clients in [[true, false], [false, true], [true, true]] {
        for seed in 0..20 {
            let mut pair = Pair::new(seed, clients, Instant::now());
            pair.link = Link {
                delay: Duration::from_millis(30),
                jitter: Duration::from_millis(30),
                loss: 0.3,
                ..Link::default()
            };
            pair.run_until(LONG, |pair| pair.is_connected());
            for side in 0..2 {
                let connected = pair.sides[side].events.iter();
                assert_eq!(
                    connected
                        .filter(|event| matches!(event, Event::Connected))
                        .count(),
                    1
                );
                pair.open(side, side as u16, ReliabilityType::Reliable, false);
                pair.write(side, side as u16, b"hello");
            }
            pair.run_until(LONG, |pair| pair.sides.iter().all(|side| side.message_bytes == 5));
        }
    }
}

#[test]
fn messages_arrive_once_and_in_order_over_a_bad_path() {
    for seed in 0..5 {
        let mut pair = Pair::connected(seed);
        pair.link = Link {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(20),
            loss: 0.05,
            ..Link::default()
        };
        let expected: Vec<Vec<u8>> = (0..600u32)
            .map(|number| number.to_be_bytes().repeat(1 + (number as usize * 7) % 900))
            .collect();
        for (stream, is_unordered) in [(0, false), (2, true)] {
            pair.open(0, stream, ReliabilityType::Reliable, is_unordered);
            expected.iter().for_each(|message| pair.write(0, stream, message));
        }
        pair.run_until(LONG, |pair| pair.association_is_empty(0));
        assert_eq!(pair.take_messages(1, 0), expected);
        let mut unordered = pair.take_messages(1, 2);
        unordered.sort();
        assert_eq!(unordered, expected);
    }
}

#[test]
fn lossy_messages_are_given_up_and_never_block() {
    for is_unordered in [false, true] {
        let mut pair = Pair::connected(3);
        pair.open(0, 4, ReliabilityType::Rexmit, is_unordered);
        pair.link.loss = 0.1;
        for number in 0..500u32 {
            // Of one packet and of several.
            pair.write(
                0,
                4,
                &number
                    .to_be_bytes()
                    .repeat(if number % 5 == 0 { 900 } else { 25 }),
            );
            pair.run_for(Duration::from_millis(5));
        }
        pair.link.loss = 0.0;
        pair.run_until(LONG, |pair| pair.association_is_empty(0));
        pair.write(0, 4, b"end");
        pair.run_for(Duration::from_secs(1));
        let arrived = pair.take_messages(1, 4);
        assert!(
            (350..500).contains(&arrived.len()),
            "{} of 500 arrived",
            arrived.len()
        );
        assert_eq!(arrived.last().map(Vec::as_slice), Some(&b"end"[..]));
        let numbers: Vec<&[u8]> = arrived[..arrived.len() - 1]
            .iter()
            .map(|message| &message[..4])
            .collect();
        assert!(is_unordered || numbers.is_sorted());
        for message in &arrived[..arrived.len() - 1] {
            assert!(
                message.chunks(4).all(|word| *word == message[..4]),
                "pieces of two messages"
            );
        }
    }
}

#[test]
fn a_small_message_overtakes_a_large_backlog_of_another_stream() {
    let mut pair = Pair::connected(4);
    pair.link.bytes_per_second = 1_000_000;
    pair.link.queue_bytes = 50_000;
    pair.open(0, 0, ReliabilityType::Reliable, false);
    pair.open(0, 2, ReliabilityType::Reliable, false);
    for _ in 0..100 {
        pair.write(0, 0, &[1; 50_000]);
    }
    pair.run_for(Duration::from_millis(500));
    pair.write(0, 2, b"urgent");
    pair.run_for(Duration::from_millis(500));
    assert_eq!(pair.take_messages(1, 2), [b"urgent"]);
    assert!(!pair.association_is_empty(0));
}

#[test]
fn closing_delivers_what_was_written_then_frees_the_number_on_both_sides() {
    for loss in [0.0, 0.2] {
        for side in 0..2 {
            let mut pair = Pair::connected(5);
            pair.link.loss = loss;
            pair.open(side, 6, ReliabilityType::Reliable, false);
            (0..4).for_each(|_| pair.write(side, 6, &[9; 50_000]));
            pair.association(side)
                .stream(6)
                .expect("a stream")
                .close()
                .expect("closes");
            let refused = pair
                .association(side)
                .open_stream(6, PayloadProtocolIdentifier::Binary);
            assert_eq!(refused.err(), Some(Error::ErrStreamResetPending));
            for end in 0..2 {
                pair.run_until(LONG, |pair| {
                    has_event(pair, end, &StreamEvent::Finished { id: 6 })
                        && has_event(pair, end, &StreamEvent::ResetComplete { id: 6 })
                });
            }
            assert_eq!(pair.take_messages(1 - side, 6), vec![vec![9; 50_000]; 4]);
            for end in [1 - side, side] {
                pair.open(end, 6, ReliabilityType::Reliable, false);
                pair.write(end, 6, b"anew");
                pair.run_for(Duration::from_secs(60));
                assert_eq!(pair.take_messages(1 - end, 6), [b"anew"]);
                pair.association(end)
                    .stream(6)
                    .expect("a stream")
                    .close()
                    .expect("closes");
                pair.run_for(Duration::from_secs(60));
            }
        }
    }
}

#[test]
fn a_message_above_the_limit_is_refused_and_the_stream_lives() {
    let mut pair = Pair::connected(6);
    pair.open(0, 0, ReliabilityType::Reliable, false);
    pair.association(0).set_max_send_message_size(1000);
    let mut stream = pair.association(0).stream(0).expect("a stream");
    assert_eq!(stream.write(&[0; 1001]), Err(Error::ErrOutboundPacketTooLarge));
    assert_eq!(stream.buffered_amount(), Ok(0));
    assert_eq!(stream.write(&[1; 1000]), Ok(1000));
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.take_messages(1, 0), [vec![1; 1000]]);
}

#[test]
fn shutting_down_delivers_first_and_tells_the_peer() {
    for loss in [0.0, 0.2] {
        let mut pair = Pair::connected(7);
        pair.link.loss = loss;
        pair.open(0, 0, ReliabilityType::Reliable, false);
        pair.write(0, 0, &[3; 60_000]);
        pair.association(0).shutdown().expect("established");
        assert!(pair.association(0).is_closing());
        pair.run_until(LONG, |pair| {
            let lost = |event: &Event| matches!(event, Event::AssociationLost { .. });
            pair.sides[1].events.iter().any(lost)
        });
        assert_eq!(pair.take_messages(1, 0).len(), 1);
        assert!(pair.association(0).is_closed() && pair.association(1).is_closed());
    }
}

#[test]
fn silence_is_survived() {
    let mut pair = Pair::connected(8);
    pair.open(0, 0, ReliabilityType::Reliable, false);
    pair.link.loss = 1.0;
    (0..100).for_each(|_| pair.write(0, 0, &[4; 10_000]));
    pair.run_for(Duration::from_secs(120));
    assert!(
        pair.sides[0].packets_sent < 300,
        "{} packets into the void",
        pair.sides[0].packets_sent
    );
    pair.link.loss = 0.0;
    pair.run_for(Duration::from_secs(12));
    assert_eq!(pair.take_messages(1, 0).len(), 100);
}

#[test]
fn a_slow_path_is_filled_and_its_queue_is_not_overrun_for_long() {
    let mut pair = Pair::connected(9);
    pair.link = Link {
        delay: Duration::from_millis(20),
        bytes_per_second: 2_000_000,
        queue_bytes: 60_000,
        ..Link::default()
    };
    pair.open(0, 0, ReliabilityType::Reliable, false);
    let before = pair.sides[0].packets_sent;
    let total = 20_000_000;
    let took = pair.transfer(total, 14_000, 1 << 20);
    let rate = total as f64 / took.as_secs_f64();
    assert!(rate > 1_500_000.0, "{rate} bytes per second");
    let packets = pair.sides[0].packets_sent - before;
    assert!(packets < total / 1172 * 11 / 10, "{packets} packets");
}

#[test]
fn an_offered_window_bounds_what_is_on_its_way_and_may_open_and_close() {
    let mut pair = Pair::connected(5);
    pair.link.delay = Duration::from_millis(10);
    pair.open(0, 0, ReliabilityType::Reliable, false);
    let total = 2_000_000;
    (0..200).for_each(|_| pair.write(0, 0, &[7; 10_000]));
    pair.run_for(Duration::from_millis(100));
    pair.association(1).limit_receive_window(0);
    // What was offered still arrives; then one chunk at a time, to learn of a window that opens.
    pair.run_for(Duration::from_millis(200));
    let stopped_at = pair.sides[1].message_bytes;
    assert!(stopped_at < total);
    pair.run_for(Duration::from_secs(10));
    assert!(pair.sides[1].message_bytes < stopped_at + 200_000);
    // 64 KiB a round trip of 20 ms.
    let before = pair.sides[1].message_bytes;
    pair.association(1).limit_receive_window(64 * 1024);
    pair.run_for(Duration::from_millis(200));
    let arrived = pair.sides[1].message_bytes - before;
    assert!((200_000..=800_000).contains(&arrived), "{arrived} bytes");
    pair.association(1).limit_receive_window(u32::MAX);
    pair.run_until(LONG, |pair| pair.sides[1].message_bytes == total);
}

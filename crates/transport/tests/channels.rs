//! Data channels between two transports.

mod common;

use std::time::{Duration, Instant};

use common::{Network, Pair};
use greenroom_transport::{
    ChannelConfig, ChannelId, MAX_BUFFERED_LOSSY_BYTES, MAX_QUEUED_RELIABLE_BYTES, TransportError,
    TransportEvent, WRITABLE_STEP_BYTES,
};

const LONG: Duration = Duration::from_secs(120);

fn reliable(label: &str) -> ChannelConfig {
    ChannelConfig {
        label: label.to_owned(),
        ordered: true,
        max_retransmits: None,
    }
}

fn lossy(label: &str) -> ChannelConfig {
    ChannelConfig {
        label: label.to_owned(),
        ordered: false,
        max_retransmits: Some(0),
    }
}

fn opened(events: &[TransportEvent], wanted: &str) -> Option<ChannelId> {
    events.iter().find_map(|event| match event {
        TransportEvent::ChannelOpen { id, label } if label == wanted => Some(*id),
        _ => None,
    })
}

fn messages(events: &[TransportEvent], channel: ChannelId) -> Vec<Vec<u8>> {
    events
        .iter()
        .filter_map(|event| match event {
            TransportEvent::ChannelMessage { id, data } if *id == channel => Some(data.clone()),
            _ => None,
        })
        .collect()
}

/// Opens a channel on a side of a connected pair; returns its names on the server and the client.
fn open(pair: &mut Pair, side: usize, config: ChannelConfig) -> [ChannelId; 2] {
    let label = config.label.clone();
    pair.sides[side].open_channel(config);
    pair.run_until(LONG, |pair| {
        pair.events.iter().all(|events| opened(events, &label).is_some())
    });
    [0, 1].map(|side| opened(&pair.events[side], &label).expect("open"))
}

#[test]
fn channels_opened_before_connecting_work_in_both_directions() {
    for active in [0, 1] {
        let mut pair = Pair::new(1);
        for side in 0..2 {
            pair.sides[side].open_channel(reliable(&format!("_reliable{side}")));
            pair.sides[side].open_channel(lossy(&format!("_lossy{side}")));
        }
        pair.introduce(active);
        let labels = ["_reliable0", "_lossy0", "_reliable1", "_lossy1"];
        pair.run_until(LONG, |pair| {
            pair.events
                .iter()
                .all(|events| labels.iter().all(|label| opened(events, label).is_some()))
        });
        for label in labels {
            for side in 0..2 {
                let [from, to] =
                    [side, 1 - side].map(|side| opened(&pair.events[side], label).expect("open"));
                assert!(
                    pair.sides[side]
                        .send_message(from, label.as_bytes())
                        .expect("send")
                );
                assert!(pair.sides[side].send_message(from, b"").expect("send"));
                // Longer than an acknowledgement may be delayed.
                pair.run_for(Duration::from_millis(500));
                let arrived = messages(&pair.events[1 - side], to);
                assert_eq!(arrived, [label.as_bytes(), b""], "{label} from {side}");
                assert_eq!(pair.sides[side].buffered_amount(from), 0);
            }
        }
    }
}

#[test]
fn messages_sent_before_the_channel_is_open_arrive() {
    let mut pair = Pair::new(2);
    let channel = pair.sides[0].open_channel(lossy("early"));
    for number in 0..10u8 {
        assert!(pair.sides[0].send_message(channel, &[number]).expect("send"));
    }
    assert_eq!(pair.sides[0].buffered_amount(channel), 10);
    pair.introduce(0);
    pair.run_until(LONG, |pair| opened(&pair.events[1], "early").is_some());
    pair.run_for(Duration::from_secs(1));
    let theirs = opened(&pair.events[1], "early").expect("open");
    assert_eq!(messages(&pair.events[1], theirs).len(), 10);
}

#[test]
fn a_thousand_messages_arrive_in_order_despite_loss_and_reordering() {
    let mut pair = Pair::connected(3);
    let [ours, theirs] = open(&mut pair, 0, reliable("_reliable"));
    pair.network = Network {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(10),
        loss: 0.05,
    };
    let expected: Vec<Vec<u8>> = (0..1000u32)
        .map(|number| number.to_be_bytes().repeat(1 + number as usize % 200))
        .collect();
    for message in &expected {
        assert!(pair.sides[0].send_message(ours, message).expect("send"));
    }
    pair.run_until(Duration::from_secs(600), |pair| {
        messages(&pair.events[1], theirs).len() == 1000
    });
    assert!(messages(&pair.events[1], theirs) == expected);
}

#[test]
fn lossy_channels_drop_and_do_not_block() {
    for ordered in [false, true] {
        drop_on_a_lossy_channel(ordered);
    }
}

fn drop_on_a_lossy_channel(ordered: bool) {
    let mut pair = Pair::connected(4);
    let config = ChannelConfig {
        ordered,
        ..lossy("_lossy")
    };
    let [ours, theirs] = open(&mut pair, 0, config);
    pair.network.loss = 0.2;
    for number in 0..500u32 {
        pair.sides[0]
            .send_message(ours, &number.to_be_bytes().repeat(25))
            .expect("send");
        pair.run_for(Duration::from_millis(5));
    }
    pair.network.loss = 0.0;
    pair.run_for(Duration::from_secs(20));
    let arrived = messages(&pair.events[1], theirs);
    assert!(
        (200..500).contains(&arrived.len()),
        "{} of 500 arrived",
        arrived.len()
    );
    assert!(arrived.iter().all(|message| message.len() == 100));
    assert!(!ordered || arrived.is_sorted(), "out of order");
    pair.sides[0].send_message(ours, b"still alive").expect("send");
    pair.run_for(Duration::from_secs(2));
    assert_eq!(
        messages(&pair.events[1], theirs).last().map(Vec::as_slice),
        Some(&b"still alive"[..])
    );
}

#[test]
fn a_full_channel_refuses_and_says_when_it_is_writable() {
    let mut pair = Pair::connected(5);
    let [ours, theirs] = open(&mut pair, 0, reliable("full"));
    let message = vec![7; 32 * 1024];
    let mut sent = 0;
    while pair.sides[0].send_message(ours, &message).expect("send") {
        sent += 1;
    }
    assert_eq!(sent, MAX_QUEUED_RELIABLE_BYTES / message.len());
    assert_eq!(pair.sides[0].queued_amount(ours), MAX_QUEUED_RELIABLE_BYTES);
    pair.run_until(LONG, |pair| {
        pair.events[0].contains(&TransportEvent::ChannelWritable(ours))
    });
    assert!(pair.sides[0].queued_amount(ours) <= MAX_QUEUED_RELIABLE_BYTES - WRITABLE_STEP_BYTES);
    assert!(pair.sides[0].send_message(ours, &message).expect("send"));
    pair.run_for(Duration::from_secs(30));
    assert_eq!(messages(&pair.events[1], theirs).len(), sent + 1);
    assert_eq!(pair.sides[0].buffered_amount(ours), 0);
}

#[test]
fn on_a_full_lossy_channel_the_oldest_make_room() {
    let mut pair = Pair::connected(5);
    let [ours, theirs] = open(&mut pair, 0, lossy("full"));
    let message = |number: u8| vec![number; 32 * 1024];
    for number in 0..20 {
        assert!(pair.sides[0].send_message(ours, &message(number)).expect("send"));
    }
    assert_eq!(pair.sides[0].buffered_amount(ours), MAX_BUFFERED_LOSSY_BYTES);
    assert_eq!(pair.sides[0].statistics().messages_displaced, 12);
    pair.run_for(Duration::from_secs(1));
    let expected: Vec<_> = (12..20).map(message).collect();
    assert!(messages(&pair.events[1], theirs) == expected);
}

#[test]
fn a_closed_receive_window_stops_the_peer_and_an_open_one_starts_it_at_once() {
    let mut pair = Pair::connected(7);
    let [ours, theirs] = open(&mut pair, 0, reliable("window"));
    let message = vec![7; 16 * 1024];
    let fill = |pair: &mut Pair| while pair.sides[0].send_message(ours, &message).expect("send") {};
    let arrived = |pair: &Pair| messages(&pair.events[1], theirs).len() * 16 * 1024;
    fill(&mut pair);
    pair.run_for(Duration::from_millis(50));
    pair.sides[1].limit_receive_window(0);
    fill(&mut pair);
    pair.run_for(Duration::from_secs(1));
    let stopped_at = arrived(&pair);
    fill(&mut pair);
    pair.run_for(Duration::from_secs(5));
    assert!(
        arrived(&pair) - stopped_at <= 96 * 1024,
        "a chunk now and then, to ask"
    );
    let before = arrived(&pair);
    pair.sides[1].limit_receive_window(64 * 1024);
    pair.run_for(Duration::from_millis(200));
    assert!(
        arrived(&pair) - before > 256 * 1024,
        "without waiting for a timeout"
    );
}

#[test]
fn messages_larger_than_the_peer_accepts_are_errors() {
    let mut pair = Pair::connected(6);
    let [ours, theirs] = open(&mut pair, 0, reliable("large"));
    let result = pair.sides[0].send_message(ours, &vec![0; 65_537]);
    assert_eq!(
        result,
        Err(TransportError::MessageTooLarge {
            length: 65_537,
            maximum: 65_536
        })
    );
    assert!(pair.sides[0].send_message(ours, &vec![1; 65_536]).expect("send"));
    pair.run_for(Duration::from_secs(5));
    assert_eq!(messages(&pair.events[1], theirs), [vec![1; 65_536]]);
}

#[test]
fn incoming_messages_above_our_limit_are_refused_one_by_one() {
    let mut pair = Pair::connected(7);
    let [server, client] = open(&mut pair, 1, reliable("large"));
    let mut parameters = pair.parameters_of(0, true);
    parameters.max_message_size = 0;
    pair.sides[1]
        .set_remote(parameters, pair.now)
        .expect("parameters");
    for message in [vec![1; 100], vec![2; 300_000], vec![3; 100]] {
        assert!(pair.sides[1].send_message(client, &message).expect("send"));
    }
    pair.run_for(Duration::from_secs(20));
    assert_eq!(messages(&pair.events[0], server), [vec![1; 100], vec![3; 100]]);
    assert_eq!(pair.sides[0].statistics().refused_messages, 1);
}

#[test]
fn closing_a_channel_delivers_what_was_sent_and_closes_the_other_side() {
    for side in 0..2 {
        let mut pair = Pair::connected(8);
        let channels = open(&mut pair, 0, reliable("short"));
        let kept = open(&mut pair, 1, reliable("kept"));
        for _ in 0..50 {
            assert!(
                pair.sides[side]
                    .send_message(channels[side], &[5; 10_000])
                    .expect("send")
            );
        }
        pair.sides[side].close_channel(channels[side]);
        let refused = pair.sides[side].send_message(channels[side], b"late");
        assert_eq!(refused, Err(TransportError::UnknownChannel(channels[side])));
        pair.run_for(Duration::from_secs(10));
        let other = 1 - side;
        assert_eq!(messages(&pair.events[other], channels[other]).len(), 50);
        for (events, channel) in pair.events.iter().zip(channels) {
            let closed = events
                .iter()
                .filter(|event| **event == TransportEvent::ChannelClosed(channel));
            assert_eq!(closed.count(), 1);
        }
        assert!(
            pair.sides[side]
                .send_message(kept[side], b"others live")
                .expect("send")
        );
        open(&mut pair, side, reliable("again"));
    }
}

#[test]
fn the_end_of_the_connection_closes_the_channels() {
    let mut pair = Pair::connected(9);
    let channels = open(&mut pair, 0, reliable("ends"));
    let now = pair.now;
    pair.sides[0].close(now);
    pair.run_for(Duration::from_secs(1));
    for (events, channel) in pair.events.iter().zip(channels) {
        assert!(events.contains(&TransportEvent::ChannelClosed(channel)));
    }
    let late = pair.sides[0].open_channel(reliable("late"));
    assert!(pair.take_events(0).contains(&TransportEvent::ChannelClosed(late)));
}

#[test]
fn small_messages_share_packets() {
    let mut pair = Pair::connected(10);
    let [ours, theirs] = open(&mut pair, 0, reliable("small"));
    pair.run_for(Duration::from_secs(1));
    let before = pair.sides[0].statistics().packets_sent;
    for _ in 0..100 {
        pair.sides[0].send_message(ours, b"0123456789").expect("send");
    }
    pair.run_for(Duration::from_millis(500));
    assert_eq!(messages(&pair.events[1], theirs).len(), 100);
    let packets = pair.sides[0].statistics().packets_sent - before;
    assert!(packets < 20, "{packets} packets for 100 small messages");
}

/// Sends 32 MiB; returns MB/s of the machine and of virtual time.
fn transfer(delay: Duration) -> (f64, f64) {
    let mut pair = Pair::connected(11);
    let [ours, theirs] = open(&mut pair, 0, reliable("bulk"));
    pair.network.delay = delay;
    // Long enough for ICE to measure the path again.
    pair.run_for(Duration::from_secs(5));
    let message = vec![9; 32 * 1024];
    let total = 32 * 1024 * 1024;
    let (mut sent, mut arrived) = (0, 0);
    let (start, virtual_start) = (Instant::now(), pair.now);
    while arrived < total {
        while sent < total && pair.sides[0].send_message(ours, &message).expect("send") {
            sent += message.len();
        }
        let limit = pair.now + Duration::from_secs(5);
        assert!(pair.step(limit), "stalled at {arrived}");
        let events = pair.take_events(1);
        arrived += messages(&events, theirs).iter().map(Vec::len).sum::<usize>();
        pair.events[0].clear();
    }
    let megabytes = total as f64 / 1e6;
    (
        megabytes / start.elapsed().as_secs_f64(),
        megabytes / (pair.now - virtual_start).as_secs_f64(),
    )
}

/// Not assertions about this machine, but floors that only a quadratic mistake falls under.
#[test]
fn throughput_in_memory() {
    for (delay, virtual_floor) in [
        (Duration::from_micros(100), 200.0),
        (Duration::from_millis(10), 20.0),
    ] {
        let (real, simulated) = transfer(delay);
        println!("{delay:?}: {real:.1} MB/s of one core for both sides, {simulated:.1} MB/s simulated");
        assert!(real > 2.0, "{real:.1} MB/s");
        assert!(simulated > virtual_floor, "{simulated:.1} MB/s");
    }
}

//! Data channels.

mod common;

use std::time::Duration;

use common::{LEFT, Link, Pair, RIGHT, address, other_address};
use greenroom_peer::{ChannelConfig, ChannelSender, PeerEvent, SendOutcome};

fn open(pair: &mut Pair, label: &str, max_retransmits: Option<u16>) -> ChannelSender {
    let sender = pair.peers[LEFT].channel_table().create(max_retransmits.is_none());
    let config = ChannelConfig {
        label: label.into(),
        ordered: max_retransmits.is_none(),
        max_retransmits,
    };
    let now = pair.now;
    pair.peers[LEFT].open_channel(sender.clone(), config, now);
    sender
}

fn send(pair: &mut Pair, channel: &ChannelSender, data: &[u8]) -> bool {
    match channel.send(data).unwrap() {
        SendOutcome::Full => false,
        SendOutcome::Queued { wake } => {
            if wake {
                let now = pair.now;
                pair.peers[LEFT].flush_channels(now);
            }
            true
        }
    }
}

fn messages(pair: &Pair, side: usize) -> Vec<(u32, &[u8])> {
    let message = |event: &'_ PeerEvent| matches!(event, PeerEvent::ChannelMessage(..));
    let events = pair.events[side].iter().filter(|event| message(event));
    events
        .filter_map(|event| match event {
            PeerEvent::ChannelMessage(channel, data) => Some((*channel, data.as_slice())),
            _ => None,
        })
        .collect()
}

#[test]
fn channels_opened_before_connecting_open_on_both_sides() {
    let mut pair = Pair::new(1);
    let reliable = open(&mut pair, "_reliable", None);
    let lossy = open(&mut pair, "_lossy", Some(0));
    // Queued before anything is up.
    assert!(send(&mut pair, &reliable, b"early"));
    pair.exchange_candidates();
    pair.exchange_descriptions();
    pair.run_until("message", |pair| !messages(pair, RIGHT).is_empty());
    pair.run_for(Duration::from_secs(1));
    for side in [LEFT, RIGHT] {
        for label in ["_reliable", "_lossy"] {
            let opened =
                |event: &PeerEvent| matches!(event, PeerEvent::ChannelOpen(_, name) if name == label);
            assert!(pair.saw(side, opened), "{label} on {side}");
        }
    }
    assert_eq!(messages(&pair, RIGHT)[0].1, b"early");
    assert_eq!(reliable.buffered_amount(), 0);
    assert_eq!(lossy.buffered_amount(), 0);
}

#[test]
fn a_reliable_channel_delivers_everything_in_order_under_loss() {
    let mut pair = Pair::connected(2);
    let channel = open(&mut pair, "_reliable", None);
    pair.link = Link {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(20),
        loss: 0.05,
        ..Link::default()
    };
    let mut next = 0u32;
    while next < 100 {
        let message = next.to_be_bytes().repeat(1000);
        if send(&mut pair, &channel, &message) {
            next += 1;
        }
        pair.run_for(Duration::from_millis(5));
    }
    pair.run_until("all arrived", |pair| messages(pair, RIGHT).len() == 100);
    for (index, (_, data)) in messages(&pair, RIGHT).into_iter().enumerate() {
        assert_eq!(data, (index as u32).to_be_bytes().repeat(1000));
    }
    pair.run_for(Duration::from_secs(10));
    assert_eq!(channel.buffered_amount(), 0);
}

#[test]
fn a_lossy_channel_does_not_wait_for_what_is_lost() {
    let mut pair = Pair::connected(3);
    let channel = open(&mut pair, "_lossy", Some(0));
    pair.run_for(Duration::from_secs(1));
    pair.link.loss = 0.2;
    for index in 0..500u32 {
        assert!(send(&mut pair, &channel, &index.to_be_bytes()));
        pair.run_for(Duration::from_millis(20));
    }
    pair.run_for(Duration::from_secs(2));
    let arrived = messages(&pair, RIGHT).len();
    assert!((300..500).contains(&arrived), "{arrived} of 500");
}

#[test]
fn a_full_channel_says_so_and_reports_when_it_has_room() {
    let mut pair = Pair::connected(4);
    let channel = open(&mut pair, "_reliable", None);
    pair.run_for(Duration::from_secs(1));
    let message = vec![7; 60_000];
    let mut accepted = 0;
    while send(&mut pair, &channel, &message) {
        accepted += 1;
    }
    // Of a path that has carried nothing yet: 256 KiB on their way, 256 KiB queued.
    assert!((7..=9).contains(&accepted), "{accepted} of 60 kB");
    assert!(channel.buffered_amount() <= 512 << 10);
    let writable = PeerEvent::ChannelWritable(channel.number());
    assert!(!pair.saw(LEFT, |event| *event == writable));
    pair.run_until("writable", |pair| pair.saw(LEFT, |event| *event == writable));
    assert!(send(&mut pair, &channel, &message));
    pair.run_until("all arrived", |pair| messages(pair, RIGHT).len() == accepted + 1);
    assert_eq!(
        pair.events[LEFT]
            .iter()
            .filter(|event| **event == writable)
            .count(),
        1
    );
}

#[test]
fn messages_of_every_size_arrive_whole() {
    let mut pair = Pair::connected(5);
    let channel = open(&mut pair, "_data_track", Some(0));
    pair.run_for(Duration::from_secs(1));
    let sizes = [1, 2, 1100, 1200, 16_384, 65_535];
    for size in sizes {
        assert!(send(&mut pair, &channel, &vec![size as u8; size]));
        pair.run_for(Duration::from_millis(300));
    }
    assert!(channel.send(&[0; 65_536]).is_err(), "above the remote's limit");
    let arrived: Vec<usize> = messages(&pair, RIGHT)
        .iter()
        .map(|(_, data)| data.len())
        .collect();
    assert_eq!(arrived, sizes);
}

#[test]
fn a_lost_address_takes_its_routes_along() {
    let mut pair = Pair::new(12);
    let channel = open(&mut pair, "_reliable", None);
    pair.exchange_candidates();
    for side in [LEFT, RIGHT] {
        pair.offer_address(side, other_address(side));
    }
    pair.exchange_descriptions();
    let remote = |pair: &Pair| pair.peers[LEFT].statistics().transport.remote_candidate;
    let say = |pair: &mut Pair, text: &str| {
        assert!(send(pair, &channel, text.as_bytes()));
        pair.run_for(Duration::from_millis(500));
        let said = messages(pair, RIGHT).into_iter();
        assert!(
            said.map(|message| message.1).any(|data| data == text.as_bytes()),
            "{text}"
        );
    };
    pair.run_for(Duration::from_secs(10));
    say(&mut pair, "before");
    assert_eq!(remote(&pair), Some(address(RIGHT).to_string()));
    // It led to the first address of the remote from all of ours.
    pair.is_routed = |source, destination| {
        let ends = [source, destination];
        !ends.contains(&address(LEFT)) && !ends.contains(&address(RIGHT))
    };
    let now = pair.now;
    pair.peers[LEFT].remove_local_address(address(LEFT), now);
    say(&mut pair, "after");
    assert_eq!(remote(&pair), Some(other_address(RIGHT).to_string()));
}

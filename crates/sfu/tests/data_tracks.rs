//! Data tracks through a whole unit: who gets what, under which handle, and what a slow subscriber costs.

mod common;

use common::{World, ms};
use greenroom_datatrack::{Depacketizer, Extensions, Packet, Packetizer};
use greenroom_sfu::SfuEvent;
use greenroom_transport::{ChannelConfig, ChannelId, TransportEvent};

/// A client with a data track channel, which the unit knows of.
fn join(world: &mut World) -> (usize, ChannelId) {
    let index = world.join();
    let config = ChannelConfig {
        label: "_data_track".into(),
        ordered: false,
        max_retransmits: Some(0),
    };
    let channel = world.clients[index].transport.open_channel(config);
    world.run(ms(100));
    let handle = world.clients[index].handle;
    let theirs = world.events.iter().find_map(|event| match event {
        SfuEvent::Transport(transport, TransportEvent::ChannelOpen { id, .. }) if *transport == handle => {
            Some(*id)
        }
        _ => None,
    });
    let theirs = theirs.expect("the channel opened");
    world.sfu.set_data_track_channel(handle, theirs).unwrap();
    (index, channel)
}

fn push(world: &mut World, from: (usize, ChannelId), packetizer: &mut Packetizer, payload: &[u8]) {
    for packet in packetizer.packetize(payload, Extensions::default(), 0).unwrap() {
        assert!(
            world.clients[from.0]
                .transport
                .send_message(from.1, &packet)
                .unwrap()
        );
        world.exchange();
    }
    world.run(ms(50));
}

/// (handle, payload) of the frames that a client got.
fn frames(world: &World, index: usize) -> Vec<(u16, Vec<u8>)> {
    let mut depacketizer = Depacketizer::default();
    let mut frames = Vec::new();
    for message in &world.clients[index].messages {
        let packet = Packet::parse(message).unwrap();
        if let Some(frame) = depacketizer.push(&packet) {
            frames.push((packet.handle, frame.payload));
        }
    }
    frames
}

#[test]
fn each_subscriber_gets_the_frames_under_its_own_handle() {
    let mut world = World::new(1);
    let publisher = join(&mut world);
    let (first, second, other) = (join(&mut world), join(&mut world), join(&mut world));
    let source = world.clients[publisher.0].handle;
    for (client, handle) in [(first, 10), (second, 20)] {
        let subscriber = world.clients[client.0].handle;
        world
            .sfu
            .subscribe_data_track(source, 7, subscriber, handle)
            .unwrap();
    }
    let large = vec![9; 40_000];
    let mut track = Packetizer::new(7);
    push(&mut world, publisher, &mut track, b"one");
    push(&mut world, publisher, &mut track, &large);
    push(
        &mut world,
        publisher,
        &mut Packetizer::new(8),
        b"of a track nobody wants",
    );
    assert_eq!(
        frames(&world, first.0),
        [(10, b"one".to_vec()), (10, large.clone())]
    );
    assert_eq!(frames(&world, second.0), [(20, b"one".to_vec()), (20, large)]);
    assert!(frames(&world, other.0).is_empty());
    assert_eq!(world.sfu.statistics().data_track_packets_sent, 8);
    let reported = world.events.iter().any(|event| {
        matches!(
            event,
            SfuEvent::Transport(_, TransportEvent::ChannelMessage { .. })
        )
    });
    assert!(!reported, "packets stay inside");

    let subscriber = world.clients[first.0].handle;
    world.sfu.unsubscribe_data_track(source, 7, subscriber);
    world
        .sfu
        .close_transport(world.clients[second.0].handle, world.now);
    world.run(ms(50));
    push(&mut world, publisher, &mut track, b"nobody is left");
    assert_eq!(frames(&world, first.0).len(), 2);
}

#[test]
fn what_is_no_packet_is_counted_and_dropped() {
    let mut world = World::new(2);
    let publisher = join(&mut world);
    let subscriber = join(&mut world);
    let (source, target) = (
        world.clients[publisher.0].handle,
        world.clients[subscriber.0].handle,
    );
    world.sfu.subscribe_data_track(source, 7, target, 1).unwrap();
    for garbage in [&b"short"[..], &[0xff; 20], &[0; 20]] {
        world.clients[publisher.0]
            .transport
            .send_message(publisher.1, garbage)
            .unwrap();
    }
    world.run(ms(50));
    assert!(world.clients[subscriber.0].messages.is_empty());
    assert_eq!(world.sfu.statistics().packets_dropped_malformed, 3);
}

#[test]
fn a_subscriber_that_is_behind_loses_whole_frames_and_keeps_up_again() {
    let mut world = World::new(3);
    let publisher = join(&mut world);
    let slow = join(&mut world);
    let (source, target) = (world.clients[publisher.0].handle, world.clients[slow.0].handle);
    world.sfu.subscribe_data_track(source, 7, target, 1).unwrap();
    let mut track = Packetizer::new(7);
    push(&mut world, publisher, &mut track, b"first");
    world.clients[slow.0].loss = 1.0;
    for _ in 0..30 {
        push(&mut world, publisher, &mut track, &[1; 30_000]);
    }
    let dropped = world.sfu.statistics().data_track_packets_dropped;
    assert!(
        dropped > 0 && dropped.is_multiple_of(2),
        "whole frames of two packets: {dropped}"
    );
    world.clients[slow.0].loss = 0.0;
    world.run(ms(20_000));
    push(&mut world, publisher, &mut track, b"last");
    let got = frames(&world, slow.0);
    assert_eq!(got.first(), Some(&(1, b"first".to_vec())));
    assert_eq!(got.last(), Some(&(1, b"last".to_vec())));
}

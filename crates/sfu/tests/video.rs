//! Video through a whole unit: key frames, losses, simulcast.

mod common;

use std::collections::BTreeSet;

use common::{Vp8Source, World, ms, read_vp8, vp8};
use greenroom_sfu::rtcp::{self, Feedback, ReportBlock};
use greenroom_sfu::{Kind, PlayoutDelayLimits, SfuEvent};

const SSRC: u32 = 700;
const DOWN_SSRC: u32 = 900;
const FRAME: u32 = 3_000;

fn single(seed: u64) -> (World, Vp8Source, u64) {
    let mut world = World::new(seed);
    world.join();
    let up_track = world.publish(0, "v", Kind::Video, vec![vp8(false)], &[SSRC], &[]);
    (world, Vp8Source::new(SSRC, None), up_track)
}

/// Frames at 30 per second; the publisher obeys key frame requests.
fn stream(world: &mut World, sources: &mut [Vp8Source], frames: u32, packets: u8) {
    for _ in 0..frames {
        for source in sources.iter_mut() {
            let requested = world.clients[0]
                .feedback
                .iter()
                .any(|(_, feedback)| *feedback == Feedback::KeyFrame { ssrc: source.ssrc });
            source.key_next |= requested;
            source.frame(&mut world.clients[0], packets, FRAME);
        }
        world.clients[0]
            .feedback
            .retain(|(_, feedback)| !matches!(feedback, Feedback::KeyFrame { .. }));
        world.run(ms(33));
    }
}

#[test]
fn a_late_subscriber_begins_with_a_key_frame() {
    let (mut world, source, up_track) = single(1);
    let mut sources = [source];
    stream(&mut world, &mut sources, 30, 3);
    world.join();
    world.subscribe(1, up_track, DOWN_SSRC, vec![vp8(true)]);
    stream(&mut world, &mut sources, 15, 3);
    let got = world.clients[1].on(DOWN_SSRC);
    let (_, _, _, _, packet, key) = read_vp8(&got[0].payload);
    assert_eq!((packet, key), (0, true));
    assert!(got.len() >= 3 * 12, "{}", got.len());
    assert!(
        got.windows(2)
            .all(|pair| pair[1].header.sequence_number == pair[0].header.sequence_number.wrapping_add(1))
    );
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, SfuEvent::DownTrackStarted(_)))
    );
}

#[test]
fn losses_on_both_links_are_repaired() {
    for rtx in [true, false] {
        let (mut world, source, up_track) = single(7);
        let mut sources = [source];
        world.join();
        world.subscribe(1, up_track, DOWN_SSRC, vec![vp8(rtx)]);
        stream(&mut world, &mut sources, 10, 3);
        world.clients[0].loss = 0.05;
        world.clients[1].loss = 0.05;
        for _ in 0..40 {
            stream(&mut world, &mut sources, 5, 3);
            world.clients[1].nack_holes(DOWN_SSRC);
        }
        world.clients[0].loss = 0.0;
        world.clients[1].loss = 0.0;
        stream(&mut world, &mut sources, 2, 3);
        for _ in 0..5 {
            world.clients[1].nack_holes(DOWN_SSRC);
            world.run(ms(200));
        }
        let found = world.clients[1].assembled(DOWN_SSRC);
        let seen: BTreeSet<(u32, u8)> = found
            .values()
            .map(|(_, payload)| read_vp8(payload))
            .map(|read| (read.3, read.4))
            .collect();
        let first = seen.first().expect("something").0;
        let expected = (sources[0].frames - first) as usize * 3;
        // Three resends at 5 % loss each way fail once in some hundred thousand packets.
        assert_eq!(seen.len(), expected, "rtx {rtx}");
        let statistics = world.sfu.statistics();
        assert!(
            statistics.nacks_sent > 10 && statistics.nacks_received > 10,
            "{statistics:?}"
        );
        let on_rtx = world.clients[1].on(DOWN_SSRC + 1).len();
        assert_eq!(on_rtx > 0, rtx);
    }
}

#[test]
fn key_frame_requests_are_throttled() {
    let (mut world, source, up_track) = single(1);
    let mut sources = [source];
    world.join();
    world.subscribe(1, up_track, DOWN_SSRC, vec![vp8(true)]);
    stream(&mut world, &mut sources, 5, 1);
    world.run(ms(600));
    let before = world.key_frame_requests(0, SSRC);
    for _ in 0..100 {
        world.clients[1].send_rtcp(|out| rtcp::write_picture_loss(out, 1, DOWN_SSRC));
        sources[0].frame(&mut world.clients[0], 1, FRAME);
        world.run(ms(20));
    }
    // Two seconds without an answer: one at once and one every 500 ms.
    let sent = world.key_frame_requests(0, SSRC) - before;
    assert!((4..=5).contains(&sent), "{sent}");
    assert_eq!(world.sfu.statistics().plis_received, 100);
    // A key frame answers them all.
    sources[0].key_next = true;
    sources[0].frame(&mut world.clients[0], 1, FRAME);
    world.run(ms(50));
    let before = world.key_frame_requests(0, SSRC);
    world.run(ms(3_000));
    assert_eq!(world.key_frame_requests(0, SSRC), before);
}

const RIDS: [&str; 3] = ["q", "h", "f"];

fn simulcast() -> (World, [Vp8Source; 3], u64) {
    let mut world = World::new(3);
    world.join();
    let up_track = world.publish(0, "v", Kind::Video, vec![vp8(false)], &[], &RIDS);
    let sources = [0, 1, 2].map(|index| Vp8Source::new(1_000 + index, Some(RIDS[index as usize])));
    (world, sources, up_track)
}

/// Numbers, picture ids and tl0 without a step; timestamps forward; switches at key frames only.
fn assert_continuous(world: &World) {
    let got = world.clients[1].on(DOWN_SSRC);
    for pair in got.windows(2) {
        let (before, after) = (read_vp8(&pair[0].payload), read_vp8(&pair[1].payload));
        assert_eq!(
            pair[1].header.sequence_number,
            pair[0].header.sequence_number.wrapping_add(1)
        );
        let new_frame = u16::from(after.4 == 0);
        assert_eq!(after.0, (before.0 + new_frame) & 0x7FFF, "picture id");
        assert_eq!(after.1, before.1.wrapping_add(new_frame as u8), "tl0");
        let step = pair[1].header.timestamp.wrapping_sub(pair[0].header.timestamp);
        if new_frame == 0 {
            assert_eq!(step, 0);
        } else {
            assert!((1..=2 * FRAME).contains(&step), "timestamp step {step}");
        }
        if before.2 != after.2 {
            assert!(after.5 && after.4 == 0, "switched to {} in the middle", after.2);
        }
    }
}

fn current_source(world: &World) -> u32 {
    read_vp8(&world.clients[1].on(DOWN_SSRC).last().expect("something").payload).2
}

#[test]
fn the_best_layer_is_forwarded_and_switches_are_continuous() {
    let (mut world, mut sources, up_track) = simulcast();
    world.join();
    let down_track = world.subscribe(1, up_track, DOWN_SSRC, vec![vp8(true)]);
    stream(&mut world, &mut sources, 60, 2);
    assert_eq!(current_source(&world), 1_002);
    assert!(
        world
            .events
            .contains(&SfuEvent::UpTrackLayers(up_track, vec![true, true, true]))
    );
    for (layer, expected) in [(0, 1_000), (1, 1_001), (2, 1_002), (0, 1_000), (2, 1_002)] {
        world.sfu.set_max_layer(down_track, layer, 3, world.now);
        stream(&mut world, &mut sources, 60, 2);
        assert_eq!(current_source(&world), expected, "layer {layer}");
        assert_eq!(
            world
                .sfu
                .down_track_statistics(down_track)
                .map(|found| found.spatial_layer),
            Ok(Some(layer))
        );
    }
    assert_continuous(&world);
}

#[test]
fn switches_follow_the_publishers_clock() {
    let (mut world, mut sources, up_track) = simulcast();
    world.join();
    let down_track = world.subscribe(1, up_track, DOWN_SSRC, vec![vp8(true)]);
    world.sfu.set_max_layer(down_track, 0, 3, world.now);
    stream(&mut world, &mut sources, 40, 2);
    for source in &sources {
        world.clients[0].send_sender_report(source.ssrc, 77 << 32, source.timestamp);
    }
    world.run(ms(20));
    world.sfu.set_max_layer(down_track, 2, 3, world.now);
    stream(&mut world, &mut sources, 60, 2);
    assert_eq!(current_source(&world), 1_002);
    let got = world.clients[1].on(DOWN_SSRC);
    // All layers send the same frames at the same times: steps are exact even over the switch, where the frame
    // that was sent already is sent again from the other layer, a tick later.
    let steps: BTreeSet<u32> = got
        .windows(2)
        .map(|pair| pair[1].header.timestamp.wrapping_sub(pair[0].header.timestamp))
        .collect();
    assert!(steps.iter().all(|step| *step <= 1 || *step == FRAME), "{steps:?}");
}

#[test]
fn a_layer_that_stops_is_replaced() {
    let (mut world, mut sources, up_track) = simulcast();
    world.join();
    world.subscribe(1, up_track, DOWN_SSRC, vec![vp8(true)]);
    stream(&mut world, &mut sources, 60, 2);
    assert_eq!(current_source(&world), 1_002);
    stream(&mut world, &mut sources[..2], 120, 2);
    assert_eq!(current_source(&world), 1_001);
    assert!(
        world
            .events
            .contains(&SfuEvent::UpTrackLayers(up_track, vec![true, true, false]))
    );
    stream(&mut world, &mut sources, 300, 2);
    assert_eq!(current_source(&world), 1_002, "it came back");
}

#[test]
fn padding_leaves_no_hole() {
    use greenroom_sfu::rtp_header::{ExtensionList, RtpHeader};
    let (mut world, mut source, up_track) = single(4);
    world.join();
    world.subscribe(1, up_track, DOWN_SSRC, vec![vp8(true)]);
    for _ in 0..20 {
        source.frame(&mut world.clients[0], 2, FRAME);
        let header = RtpHeader {
            marker: false,
            payload_type: 96,
            sequence_number: source.sequence,
            timestamp: source.timestamp,
            ssrc: SSRC,
        };
        let mut packet = Vec::new();
        header.write(&ExtensionList::default(), &mut packet);
        packet.extend_from_slice(&[0, 0, 0, 4]);
        packet[0] |= 0x20;
        world.clients[0].transport.send_rtp(packet).expect("sent");
        source.sequence = source.sequence.wrapping_add(1);
        world.run(ms(33));
    }
    let got = world.clients[1].on(DOWN_SSRC);
    assert_eq!(got.len(), 40);
    assert!(
        got.windows(2)
            .all(|pair| pair[1].header.sequence_number == pair[0].header.sequence_number.wrapping_add(1))
    );
}

#[test]
fn a_publisher_that_restarts_is_picked_up_at_a_key_frame() {
    let (mut world, mut sources, up_track) = simulcast();
    world.join();
    world.subscribe(1, up_track, DOWN_SSRC, vec![vp8(true)]);
    stream(&mut world, &mut sources, 60, 2);
    let mut again = [0, 1, 2].map(|index| Vp8Source::new(2_000 + index, Some(RIDS[index as usize])));
    stream(&mut world, &mut again, 60, 2);
    assert_eq!(current_source(&world), 2_002);
    let got = world.clients[1].on(DOWN_SSRC);
    assert!(
        got.windows(2)
            .all(|pair| pair[1].header.sequence_number == pair[0].header.sequence_number.wrapping_add(1))
    );
}

#[test]
fn a_playout_delay_is_asked_for_until_it_has_arrived() {
    let (mut world, source, up_track) = single(3);
    let mut sources = [source];
    world.join();
    world.join();
    world.subscribe(1, up_track, DOWN_SSRC, vec![vp8(true)]);
    world.playout_delay = Some(PlayoutDelayLimits {
        min_ms: 100,
        max_ms: 2_000,
        follows_jitter: true,
    });
    world.subscribe(2, up_track, DOWN_SSRC, vec![vp8(true)]);
    let carries = |world: &World, client: usize, from: usize| -> Vec<Option<Vec<u8>>> {
        let got = world.clients[client].on(DOWN_SSRC);
        got[from..]
            .iter()
            .map(|got| got.extensions.get(&6).cloned())
            .collect()
    };
    stream(&mut world, &mut sources, 10, 2);
    let sent = carries(&world, 2, 0);
    assert!(sent.len() > 10);
    assert!(
        sent.iter()
            .all(|value| value.as_deref() == Some(&[0x00, 0xA0, 0xC8]))
    );
    assert!(carries(&world, 1, 0).iter().all(Option::is_none));

    let report = |world: &mut World, jitter: u32| {
        let last = world.clients[2]
            .on(DOWN_SSRC)
            .last()
            .unwrap()
            .header
            .sequence_number;
        let block = ReportBlock {
            ssrc: DOWN_SSRC,
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_sequence: u32::from(last),
            jitter,
            last_sender_report: 0,
            delay_since_last_sender_report: 0,
        };
        world.clients[2].send_rtcp(|out| rtcp::write_receiver_reports(out, 1, &[block]));
        world.run(ms(50));
        world.clients[2].on(DOWN_SSRC).len()
    };
    let before = report(&mut world, 0);
    stream(&mut world, &mut sources, 10, 2);
    assert!(carries(&world, 2, before).iter().all(Option::is_none));

    let before = report(&mut world, 90 * 20); // 20 ms: ten times that is wanted, 80 ms a second may be added
    stream(&mut world, &mut sources, 10, 2);
    let sent = carries(&world, 2, before);
    assert!(!sent.is_empty());
    for value in sent {
        let value = value.expect("a new delay");
        let min_ms = 10 * (u32::from(value[0]) << 4 | u32::from(value[1]) >> 4);
        assert!((110..=180).contains(&min_ms), "{min_ms}");
    }
}

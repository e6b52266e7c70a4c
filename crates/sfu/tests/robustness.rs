//! Hostile and unusual input: counted, dropped, and of no consequence to others.

mod common;

use common::{TWCC_URI, Vp8Source, World, extension, ms, opus, vp8};
use greenroom_sfu::rtp_header::RtpHeader;
use greenroom_sfu::{Kind, UpTrackParameters};
use greenroom_transport::{Protocol, Received};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const SSRC: u32 = 700;

#[test]
fn garbage_inside_and_outside_the_encryption_hurts_nobody() {
    let mut world = World::new(9);
    world.join();
    world.join();
    let up_track = world.publish(0, "v", Kind::Video, vec![vp8(true)], &[SSRC], &[]);
    world.subscribe(1, up_track, 900, vec![vp8(true)]);
    let mut source = Vp8Source::new(SSRC, None);
    let mut random = StdRng::seed_from_u64(5);
    for round in 0..200 {
        source.frame(&mut world.clients[0], 1, 3_000);
        // Packets that decrypt well and are nonsense.
        let mut packet = vec![0u8; random.random_range(12..80)];
        random.fill(&mut packet[..]);
        packet[0] = 0x80 | packet[0] & 0x3F;
        packet[1] = [96, 97, 0x90, 111][round % 4];
        packet[2..4].copy_from_slice(&source.sequence.wrapping_add(round as u16 % 5).to_be_bytes());
        if round % 2 == 0 {
            packet[8..12].copy_from_slice(&SSRC.to_be_bytes());
        }
        let _ = world.clients[0].transport.send_rtp(packet.clone());
        let mut report = vec![0u8; random.random_range(2..20) * 4];
        random.fill(&mut report[..]);
        report[0] = 0x80 | report[0] & 0x3F;
        report[1] = [200, 201, 202, 203, 205, 206, 207][round % 7];
        let length = if round % 3 == 0 {
            (report.len() / 4 - 1) as u16
        } else {
            random.random()
        };
        report[2..4].copy_from_slice(&length.to_be_bytes());
        let _ = world.clients[round % 2].transport.send_rtcp(report);
        // And datagrams from nowhere.
        let stranger = "192.0.2.9:9".parse().expect("address");
        let destination = "10.0.0.1:7000".parse().expect("address");
        let contents = &packet[..random.random_range(0..packet.len())];
        world.sfu.handle_datagram(
            world.now,
            Received {
                protocol: Protocol::Udp,
                source: stranger,
                destination,
                contents,
            },
        );
        world.run(ms(10));
    }
    let statistics = world.sfu.statistics();
    assert!(statistics.packets_dropped_unknown > 100, "{statistics:?}");
    assert!(statistics.packets_dropped_malformed > 10, "{statistics:?}");
    // The connection lives: a new track is forwarded as ever.
    let other = world.publish(0, "a", Kind::Audio, vec![opus()], &[800], &[]);
    world.subscribe(1, other, 950, vec![opus()]);
    for sequence_number in 0..20 {
        let header = RtpHeader {
            marker: false,
            payload_type: 111,
            sequence_number,
            timestamp: 0,
            ssrc: 800,
        };
        world.clients[0].send_rtp(header, &[], b"x");
        world.run(ms(20));
    }
    assert_eq!(world.clients[1].on(950).len(), 20);
}

#[test]
fn unknown_streams_are_bound_only_when_one_track_can_be_meant() {
    let mut world = World::new(1);
    world.join();
    let first = world.publish(0, "a", Kind::Audio, vec![opus()], &[], &[]);
    let header = |ssrc, sequence_number| RtpHeader {
        marker: false,
        payload_type: 111,
        sequence_number,
        timestamp: 0,
        ssrc,
    };
    world.clients[0].send_rtp(header(5, 1), &[], b"x");
    world.run(ms(50));
    assert_eq!(
        world
            .sfu
            .up_track_statistics(first)
            .map(|found| found.layers[0].ssrc),
        Ok(Some(5))
    );
    let second = world.publish(0, "b", Kind::Audio, vec![opus()], &[], &[]);
    world.clients[0].send_rtp(header(6, 1), &[], b"x");
    world.run(ms(50));
    assert_eq!(
        world
            .sfu
            .up_track_statistics(second)
            .map(|found| found.layers[0].ssrc),
        Ok(None),
        "could be either"
    );
    world.clients[0].send_rtp(header(6, 2), &[(4, b"b")], b"x");
    world.run(ms(50));
    assert_eq!(
        world
            .sfu
            .up_track_statistics(second)
            .map(|found| found.layers[0].ssrc),
        Ok(Some(6))
    );
}

#[test]
fn publishers_get_transport_wide_feedback_for_probes_too() {
    let mut world = World::new(1);
    world.join();
    let handle = world.handle();
    let parameters = UpTrackParameters {
        transport: world.clients[0].handle,
        mid: "v".into(),
        kind: Kind::Video,
        payload_types: vec![vp8(false)],
        header_extensions: vec![extension(5, TWCC_URI)],
        layers: Vec::new(),
        rids: Vec::new(),
    };
    world.sfu.set_up_track(handle, &parameters).expect("published");
    for number in 0..50u16 {
        let ssrc = if number % 2 == 0 { 0 } else { SSRC };
        let header = RtpHeader {
            marker: false,
            payload_type: 96,
            sequence_number: number,
            timestamp: 0,
            ssrc,
        };
        world.clients[0].send_rtp(header, &[(5, &number.to_be_bytes())], &[0x10, 1]);
        world.run(ms(10));
    }
    world.run(ms(200));
    let mut reported = 0u16;
    for body in &world.clients[0].arrivals_told {
        let word = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        assert_eq!(word(0), reported, "no gap and no overlap");
        reported += word(2);
    }
    assert_eq!(reported, 50);
    assert_eq!(
        world
            .sfu
            .up_track_statistics(handle)
            .map(|found| found.layers[0].packets),
        Ok(25),
        "probes are not media"
    );
}

#[test]
fn closing_a_publisher_closes_what_hangs_on_it() {
    let mut world = World::new(1);
    for _ in 0..3 {
        world.join();
    }
    let up_track = world.publish(0, "a", Kind::Audio, vec![opus()], &[SSRC], &[]);
    for index in 1..3 {
        world.subscribe(index, up_track, 900, vec![opus()]);
    }
    let open = |world: &World| {
        let found = world.sfu.statistics();
        (found.transports, found.up_tracks, found.down_tracks)
    };
    assert_eq!(open(&world), (3, 1, 2));
    let (subscriber, publisher) = (world.clients[1].handle, world.clients[0].handle);
    world.sfu.close_transport(subscriber, world.now);
    assert_eq!(open(&world), (2, 1, 1));
    world.sfu.close_transport(publisher, world.now);
    world.run(ms(100));
    assert_eq!(open(&world), (1, 0, 0));
    // Nothing of it is scheduled any more, and calls on it say so.
    assert!(world.sfu.restart_ice(publisher, world.now).is_err());
    world.run(ms(60_000));
    assert_eq!(open(&world), (1, 0, 0));
}

#[test]
fn an_ice_restart_keeps_media_flowing() {
    let mut world = World::new(1);
    world.join();
    world.join();
    let up_track = world.publish(0, "a", Kind::Audio, vec![opus()], &[SSRC], &[]);
    world.subscribe(1, up_track, 900, vec![opus()]);
    let handle = world.clients[0].handle;
    let ours = world.sfu.restart_ice(handle, world.now).expect("open");
    let theirs = world.clients[0].transport.restart_ice();
    let fingerprint = common::certificate().fingerprint().to_owned();
    let remote = |ice_ufrag, ice_pwd, dtls_active| greenroom_transport::RemoteParameters {
        ice_ufrag,
        ice_pwd,
        fingerprint: fingerprint.clone(),
        dtls_active,
        ice_lite: false,
        max_message_size: 65_536,
    };
    world
        .sfu
        .set_remote(handle, remote(theirs.ufrag, theirs.pwd, false), world.now)
        .expect("remote");
    let now = world.now;
    let client = &mut world.clients[0].transport;
    client
        .set_remote(remote(ours.ufrag, ours.pwd, true), now)
        .expect("remote");
    client
        .add_remote_candidate("candidate:1 1 udp 2130706431 10.0.0.1 7000 typ host")
        .expect("candidate");
    for sequence_number in 0..100 {
        let header = RtpHeader {
            marker: false,
            payload_type: 111,
            sequence_number,
            timestamp: 0,
            ssrc: SSRC,
        };
        world.clients[0].send_rtp(header, &[], b"x");
        world.run(ms(20));
    }
    assert_eq!(world.clients[1].on(900).len(), 100);
}

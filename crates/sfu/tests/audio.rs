//! Audio through a whole unit: forwarding, mute, reopening, levels, reports.

mod common;

use common::{World, ms, opus, payload};
use greenroom_sfu::rtcp::Feedback;
use greenroom_sfu::rtp_header::RtpHeader;
use greenroom_sfu::{Kind, SfuEvent};

const SSRC: u32 = 500;
const DOWN_SSRC: u32 = 900;

struct Voice {
    sequence: u16,
    timestamp: u32,
}

impl Voice {
    fn say(&mut self, world: &mut World, publisher: usize, packets: u32, level: u8) {
        for _ in 0..packets {
            let header = RtpHeader {
                marker: false,
                payload_type: 111,
                sequence_number: self.sequence,
                timestamp: self.timestamp,
                ssrc: SSRC,
            };
            let body = self.sequence.to_be_bytes();
            world.clients[publisher].send_rtp(header, &[(1, &[level])], &body);
            self.sequence = self.sequence.wrapping_add(1);
            self.timestamp = self.timestamp.wrapping_add(960);
            world.run(ms(20));
        }
    }
}

fn scene() -> (World, Voice, u64) {
    let mut world = World::new(1);
    let publisher = world.join();
    let up_track = world.publish(publisher, "a", Kind::Audio, vec![opus()], &[SSRC], &[]);
    (
        world,
        Voice {
            sequence: 65_530,
            timestamp: u32::MAX - 5_000,
        },
        up_track,
    )
}

#[test]
fn every_packet_reaches_every_subscriber_in_order() {
    let (mut world, mut voice, up_track) = scene();
    let mut answered = opus();
    answered.payload_type = 109;
    for index in 1..=3 {
        world.join();
        world.subscribe(
            index,
            up_track,
            DOWN_SSRC,
            vec![payload(0, "pcmu", 8_000, None, &[]), answered.clone()],
        );
    }
    voice.say(&mut world, 0, 50, 20);
    for client in &world.clients[1..] {
        let got = client.on(DOWN_SSRC);
        let bodies: Vec<u16> = got
            .iter()
            .map(|got| u16::from_be_bytes([got.payload[0], got.payload[1]]))
            .collect();
        assert_eq!(
            bodies,
            (0..50)
                .map(|index| 65_530u16.wrapping_add(index))
                .collect::<Vec<_>>()
        );
        for pair in got.windows(2) {
            assert_eq!(
                pair[1].header.sequence_number,
                pair[0].header.sequence_number.wrapping_add(1)
            );
            assert_eq!(
                pair[1].header.timestamp,
                pair[0].header.timestamp.wrapping_add(960)
            );
        }
        assert!(got.iter().all(|got| got.header.payload_type == 109));
        assert!(
            got.iter().all(|got| got.extensions.keys().eq([3].iter())),
            "abs-send-time and nothing else"
        );
    }
    assert_eq!(
        world
            .sfu
            .audio_level(up_track, world.now)
            .map(|(_, speaking)| speaking),
        Ok(true)
    );
    assert!(world.events.contains(&SfuEvent::UpTrackStarted(up_track)));
    assert_eq!(
        world
            .events
            .iter()
            .filter(|event| matches!(event, SfuEvent::DownTrackStarted(_)))
            .count(),
        3
    );
}

#[test]
fn silence_of_the_server_in_an_encrypted_track_ends_with_its_trailer() {
    let (mut world, mut voice, up_track) = scene();
    world.join();
    world.frame_trailer = b"trailer".to_vec();
    world.subscribe(1, up_track, DOWN_SSRC, vec![opus()]);
    voice.say(&mut world, 0, 10, 20);
    world.sfu.set_up_track_muted(up_track, true, world.now);
    world.run(ms(3_000));
    let ending = |got: &&common::Got| got.payload.ends_with(b"trailer");
    let got = world.clients[1].on(DOWN_SSRC);
    assert_eq!(
        (got.len(), got.iter().filter(|got| ending(got)).count()),
        (60, 50)
    );
    assert!(got[59].payload.starts_with(&[0xF8, 0xFF, 0xFE]) && got[59].payload.len() == 80 + 7);
}

#[test]
fn a_mute_ends_in_a_second_of_silence_and_unmuting_goes_on_in_time() {
    let (mut world, mut voice, up_track) = scene();
    world.join();
    let down_track = world.subscribe(1, up_track, DOWN_SSRC, vec![opus()]);
    voice.say(&mut world, 0, 10, 20);
    world.sfu.set_up_track_muted(up_track, true, world.now);
    voice.say(&mut world, 0, 10, 127);
    world.run(ms(3_000));
    let got = world.clients[1].on(DOWN_SSRC);
    let silence: Vec<_> = got
        .iter()
        .filter(|got| got.payload.len() == 80 && got.payload[..3] == [0xF8, 0xFF, 0xFE])
        .collect();
    assert_eq!((got.len(), silence.len()), (60, 50));
    assert_eq!(world.sfu.audio_level(up_track, world.now), Ok((0.0, false)));
    world.sfu.set_up_track_muted(up_track, false, world.now);
    let before = (*got.last().expect("silence")).clone();
    voice.say(&mut world, 0, 5, 20);
    let got = world.clients[1].on(DOWN_SSRC);
    let first = &got[60];
    assert_eq!(
        first.header.sequence_number,
        before.header.sequence_number.wrapping_add(1)
    );
    // The publisher's clock stood still meanwhile: the clock on the wall decides.
    let step = first.header.timestamp.wrapping_sub(before.header.timestamp);
    let elapsed = (first.at - before.at).as_millis() as u32 * 48;
    assert!(step.abs_diff(elapsed) < 960, "{step} after {elapsed}");
    assert_eq!(
        world
            .sfu
            .down_track_statistics(down_track)
            .map(|found| found.packets_sent),
        Ok(65)
    );
}

#[test]
fn a_disabled_subscriber_gets_nothing() {
    let (mut world, mut voice, up_track) = scene();
    world.join();
    let down_track = world.subscribe(1, up_track, DOWN_SSRC, vec![opus()]);
    world.sfu.set_down_track_enabled(down_track, false, world.now);
    voice.say(&mut world, 0, 10, 20);
    assert!(world.clients[1].on(DOWN_SSRC).is_empty());
    world.sfu.set_down_track_enabled(down_track, true, world.now);
    voice.say(&mut world, 0, 10, 20);
    assert_eq!(world.clients[1].on(DOWN_SSRC).len(), 10);
}

#[test]
fn a_reopened_ssrc_never_repeats_a_number() {
    let (mut world, mut voice, up_track) = scene();
    world.join();
    let first = world.subscribe(1, up_track, DOWN_SSRC, vec![opus()]);
    voice.say(&mut world, 0, 10, 20);
    world.sfu.close_down_track(first);
    voice.say(&mut world, 0, 5, 20);
    world.subscribe(1, up_track, DOWN_SSRC, vec![opus()]);
    voice.say(&mut world, 0, 10, 20);
    let got = world.clients[1].on(DOWN_SSRC);
    assert_eq!(got.len(), 20);
    assert_eq!(
        got[10].header.sequence_number,
        got[9].header.sequence_number.wrapping_add(1)
    );
    assert!(got[10].header.timestamp.wrapping_sub(got[9].header.timestamp) < 48_000);
}

#[test]
fn a_codec_that_was_not_answered_is_not_forwarded() {
    let (mut world, mut voice, up_track) = scene();
    world.join();
    let down_track = world.subscribe(1, up_track, DOWN_SSRC, vec![payload(0, "pcmu", 8_000, None, &[])]);
    voice.say(&mut world, 0, 10, 20);
    assert!(world.clients[1].on(DOWN_SSRC).is_empty());
    assert_eq!(
        world
            .sfu
            .down_track_statistics(down_track)
            .map(|found| found.packets_without_codec),
        Ok(10)
    );
}

#[test]
fn redundant_audio_is_reduced_for_who_does_not_know_it() {
    let mut world = World::new(2);
    world.join();
    let mut red = payload(63, "red", 48_000, None, &[]);
    red.format_parameters = "111/111".into();
    let up_track = world.publish(0, "a", Kind::Audio, vec![red.clone(), opus()], &[SSRC], &[]);
    for index in 1..=2 {
        world.join();
        let answered = if index == 1 {
            vec![red.clone(), opus()]
        } else {
            vec![opus()]
        };
        world.subscribe(index, up_track, DOWN_SSRC, answered);
    }
    let header = |payload_type, sequence_number| RtpHeader {
        marker: false,
        payload_type,
        sequence_number,
        timestamp: 0,
        ssrc: SSRC,
    };
    world.clients[0].send_rtp(header(63, 1), &[], &[0xEF, 0x0F, 0x00, 2, 111, 8, 8, 1, 2]);
    world.clients[0].send_rtp(header(111, 2), &[], &[3, 4]);
    world.run(ms(100));
    let seen = |index: usize| -> Vec<(u8, Vec<u8>)> {
        world.clients[index]
            .on(DOWN_SSRC)
            .iter()
            .map(|got| (got.header.payload_type, got.payload.clone()))
            .collect()
    };
    assert_eq!(
        seen(1),
        [
            (63, vec![0xEF, 0x0F, 0x00, 2, 111, 8, 8, 1, 2]),
            (111, vec![3, 4])
        ]
    );
    assert_eq!(seen(2), [(111, vec![1, 2]), (111, vec![3, 4])]);
}

#[test]
fn sender_reports_carry_the_publishers_clock() {
    let (mut world, mut voice, up_track) = scene();
    world.join();
    world.subscribe(1, up_track, DOWN_SSRC, vec![opus()]);
    voice.say(&mut world, 0, 1, 20);
    let (ntp, rtp) = (1_000u64 << 32, voice.timestamp);
    world.clients[0].send_sender_report(SSRC, ntp, rtp);
    voice.say(&mut world, 0, 200, 20);
    let reports: Vec<_> = world.clients[1]
        .feedback
        .iter()
        .filter_map(|(_, feedback)| match feedback {
            Feedback::SenderReport {
                ssrc: DOWN_SSRC,
                ntp_time,
                rtp_time,
            } => Some((*ntp_time, *rtp_time)),
            _ => None,
        })
        .collect();
    assert!(reports.len() >= 2, "{}", reports.len());
    for (ntp_time, rtp_time) in reports {
        let seconds = (ntp_time - ntp) as f64 / 2f64.powi(32);
        let ticks = f64::from(rtp_time.wrapping_sub(rtp));
        assert!(
            (seconds * 48_000.0 - ticks).abs() < 48.0,
            "{seconds} s, {ticks} ticks"
        );
    }
    let blocks = world.clients[0].feedback.iter().filter(|(_, feedback)| matches!(feedback, Feedback::Report(block) if block.ssrc == SSRC && block.fraction_lost == 0));
    assert!(blocks.count() >= 3);
}

//! Sound and pictures from one peer to the other.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{AudioTrap, LEFT, Link, Pair, RIGHT, VideoTrap, amplitude_at, border_of, picture, tone};
use greenroom_media::video::Codec;
use greenroom_peer::{AudioSenderConfig, PeerEvent, ReceiverConfig, SendLayer, TrackKind, VideoSenderConfig};

const FRAME: Duration = Duration::from_micros(33_333);

fn audio_config() -> AudioSenderConfig {
    AudioSenderConfig {
        ssrc: 1111,
        payload_type: 111,
        bitrate_bps: 48_000,
        stereo: false,
        dtx: false,
        fec: true,
        cryptor: None,
    }
}

fn layer(rid: Option<&str>, ssrc: u32, scale_down_by: f64, max_bitrate_bps: u32) -> SendLayer {
    let rtx_ssrc = Some(ssrc + 1000);
    SendLayer {
        rid: rid.map(Into::into),
        ssrc,
        rtx_ssrc,
        scale_down_by,
        max_bitrate_bps,
        max_framerate: 30.0,
    }
}

fn video_config(codec: Codec) -> VideoSenderConfig {
    let payload_type = if codec == Codec::Vp8 { 96 } else { 108 };
    VideoSenderConfig {
        codec,
        payload_type,
        layers: vec![layer(None, 2222, 1.0, 600_000)],
        is_screencast: false,
        cryptor: None,
    }
}

fn send_audio(pair: &mut Pair) {
    let now = pair.now;
    let sender = &mut pair.peers[LEFT];
    sender.add_audio_sender("0", audio_config(), now).unwrap();
}

fn send_video(pair: &mut Pair, config: VideoSenderConfig) {
    let now = pair.now;
    pair.peers[LEFT].add_video_sender("1", config, now).unwrap();
}

fn receive_audio(pair: &mut Pair) -> Arc<AudioTrap> {
    let trap = AudioTrap::new(1);
    let now = pair.now;
    let config = ReceiverConfig {
        id: 50,
        kind: TrackKind::Audio,
        ssrc: 1111,
        rtx_ssrc: None,
    };
    pair.peers[RIGHT].add_receiver("0", config, now).unwrap();
    pair.peers[RIGHT].attach_audio_sink(50, 500, trap.clone(), now);
    trap
}

fn receive_video(pair: &mut Pair, mid: &str, ssrc: u32) -> Arc<VideoTrap> {
    let trap = Arc::new(VideoTrap::default());
    let now = pair.now;
    let id = u64::from(ssrc);
    let config = ReceiverConfig {
        id,
        kind: TrackKind::Video,
        ssrc,
        rtx_ssrc: Some(ssrc + 1000),
    };
    pair.peers[RIGHT].add_receiver(mid, config, now).unwrap();
    pair.peers[RIGHT].attach_video_sink(id, id + 10_000, trap.clone(), now);
    trap
}

/// Speak a tone in 10 ms pieces of a source's format.
fn speak(pair: &mut Pair, from_ms: usize, length_ms: usize, rate_hz: u32, channels: usize) {
    let samples = rate_hz as usize / 100;
    for block in from_ms / 10..(from_ms + length_ms) / 10 {
        let pcm = tone(440.0, 0.5, rate_hz, channels, block * samples, samples);
        let now = pair.now;
        pair.peers[LEFT].push_audio("0", &pcm, rate_hz, channels, now);
        pair.run_for(Duration::from_millis(10));
    }
}

fn film(pair: &mut Pair, size: (u32, u32), steps: std::ops::Range<u32>) {
    for step in steps {
        let timestamp_us = (pair.now - pair.start).as_micros() as i64 + 1_000_000;
        let now = pair.now;
        pair.peers[LEFT].push_video("1", picture(size.0, size.1, step), timestamp_us, now);
        pair.run_for(FRAME);
    }
}

fn frames(trap: &VideoTrap) -> usize {
    trap.frames.lock().unwrap().len()
}

#[test]
fn a_tone_arrives_with_its_frequency_and_level() {
    for (rate_hz, channels) in [(48_000, 1), (24_000, 1), (44_100, 2)] {
        let mut pair = Pair::connected(1);
        send_audio(&mut pair);
        let trap = receive_audio(&mut pair);
        speak(&mut pair, 0, 2000, rate_hz, channels);
        assert!(pair.saw(RIGHT, |event| *event == PeerEvent::ReceiverStarted(50)));
        let pcm = trap.pcm.lock().unwrap();
        // Blocks come in real time: 10 ms each.
        assert!((190 * 480..=200 * 480).contains(&pcm.len()), "{}", pcm.len());
        let second = &pcm[pcm.len() - 48_000..];
        let level = amplitude_at(second, 440.0, 48_000);
        assert!(
            (0.42..0.55).contains(&level),
            "440 Hz at {level} from {rate_hz} Hz, {channels} channels"
        );
        assert!(amplitude_at(second, 1000.0, 48_000) < 0.02);
        let received = &pair.peers[RIGHT].statistics().receivers[0];
        assert_eq!(
            (received.codec, received.kind, received.mid.as_str()),
            ("opus", "audio", "0")
        );
        assert!(
            received.total_samples > 48_000 && received.concealed_samples < 10_000,
            "{received:?}"
        );
    }
}

#[test]
fn a_tone_survives_loss_and_reordering() {
    let mut pair = Pair::connected(2);
    send_audio(&mut pair);
    let trap = receive_audio(&mut pair);
    pair.link = Link {
        delay: Duration::from_millis(30),
        jitter: Duration::from_millis(40),
        loss: 0.05,
        ..Link::default()
    };
    speak(&mut pair, 0, 5000, 48_000, 1);
    let pcm = trap.pcm.lock().unwrap();
    // In pieces: the jitter buffer stretches time, so a tone does not keep its phase for long.
    let mut levels: Vec<f64> = pcm[pcm.len() - 96_000..]
        .chunks(2400)
        .map(|piece| amplitude_at(piece, 440.0, 48_000))
        .collect();
    levels.sort_by(f64::total_cmp);
    assert!(levels[4] > 0.3 && levels[20] > 0.42, "440 Hz at {levels:?}");
}

#[test]
fn a_muted_sender_sends_nothing_and_comes_back() {
    let mut pair = Pair::connected(3);
    send_audio(&mut pair);
    let trap = receive_audio(&mut pair);
    speak(&mut pair, 0, 1000, 48_000, 1);
    let now = pair.now;
    pair.peers[LEFT].set_sender_muted("0", true, now).unwrap();
    let before = pair.peers[LEFT].statistics().senders[0].frames_encoded;
    speak(&mut pair, 1000, 1000, 48_000, 1);
    assert_eq!(pair.peers[LEFT].statistics().senders[0].frames_encoded, before);
    {
        let pcm = trap.pcm.lock().unwrap();
        assert!(
            amplitude_at(&pcm[pcm.len() - 14_400..], 440.0, 48_000) < 0.02,
            "silence while muted"
        );
    }
    let now = pair.now;
    pair.peers[LEFT].set_sender_muted("0", false, now).unwrap();
    speak(&mut pair, 2000, 1500, 48_000, 1);
    let pcm = trap.pcm.lock().unwrap();
    let level = amplitude_at(&pcm[pcm.len() - 24_000..], 440.0, 48_000);
    assert!((0.42..0.55).contains(&level), "440 Hz at {level}");
}

#[test]
fn streams_end_with_their_receiver() {
    let mut pair = Pair::connected(4);
    let trap = receive_audio(&mut pair);
    let video = receive_video(&mut pair, "1", 2222);
    let now = pair.now;
    pair.peers[RIGHT].remove_receiver("0", now);
    assert!(*trap.ended.lock().unwrap());
    pair.peers[RIGHT].close(now);
    assert!(*video.ended.lock().unwrap());
    let late = AudioTrap::new(1);
    pair.peers[RIGHT].attach_audio_sink(50, 501, late.clone(), now);
    assert!(*late.ended.lock().unwrap());
}

#[test]
fn pictures_arrive_as_they_were() {
    for codec in [Codec::Vp8, Codec::H264] {
        let mut pair = Pair::connected(5);
        send_video(&mut pair, video_config(codec));
        let trap = receive_video(&mut pair, "1", 2222);
        film(&mut pair, (320, 240), 0..60);
        pair.run_for(Duration::from_millis(500));
        let frames = trap.frames.lock().unwrap();
        assert!(frames.len() >= 55, "{codec:?}: {} of 60", frames.len());
        let (last, last_us) = frames.last().unwrap();
        assert_eq!((last.width(), last.height()), (320, 240));
        let expected = border_of(&picture(320, 240, 59));
        assert!(
            border_of(last).abs_diff(expected) <= 4,
            "{codec:?}: {} for {expected}",
            border_of(last)
        );
        let span_us = last_us - frames[0].1;
        let expected_us = (frames.len() as i64 - 1) * 33_333;
        assert!(
            (span_us - expected_us).abs() < 200_000,
            "{codec:?}: {span_us} for {expected_us}"
        );
        assert!(frames.windows(2).all(|pair| pair[0].1 < pair[1].1));
        let sent = &pair.peers[LEFT].statistics().senders[0];
        assert_eq!((sent.frame_width, sent.frame_height), (320, 240));
        assert!(
            sent.key_frames_encoded >= 1 && sent.key_frames_encoded <= 3,
            "{sent:?}"
        );
    }
}

#[test]
fn video_recovers_after_loss() {
    for codec in [Codec::Vp8, Codec::H264] {
        let mut pair = Pair::connected(6);
        send_video(&mut pair, video_config(codec));
        let trap = receive_video(&mut pair, "1", 2222);
        film(&mut pair, (320, 240), 0..30);
        pair.link.loss = 1.0;
        film(&mut pair, (320, 240), 30..60);
        pair.link.loss = 0.0;
        film(&mut pair, (320, 240), 60..150);
        pair.run_for(Duration::from_millis(500));
        let (last, _) = trap.frames.lock().unwrap().last().unwrap().clone();
        let expected = border_of(&picture(320, 240, 149));
        assert!(
            border_of(&last).abs_diff(expected) <= 4,
            "{codec:?}: {} for {expected}",
            border_of(&last)
        );
    }
}

#[test]
fn video_plays_on_under_steady_loss() {
    let mut pair = Pair::connected(7);
    send_video(&mut pair, video_config(Codec::Vp8));
    let trap = receive_video(&mut pair, "1", 2222);
    pair.link = Link {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(10),
        loss: 0.03,
        ..Link::default()
    };
    film(&mut pair, (320, 240), 0..300);
    assert!(frames(&trap) > 150, "{} of 300", frames(&trap));
}

#[test]
fn a_late_listener_to_a_still_picture_gets_it() {
    let mut pair = Pair::connected(8);
    let now = pair.now;
    send_video(&mut pair, video_config(Codec::Vp8));
    let config = ReceiverConfig {
        id: 60,
        kind: TrackKind::Video,
        ssrc: 2222,
        rtx_ssrc: Some(3222),
    };
    pair.peers[RIGHT].add_receiver("1", config, now).unwrap();
    film(&mut pair, (320, 240), 0..10);
    pair.run_for(Duration::from_secs(3));
    let trap = Arc::new(VideoTrap::default());
    let now = pair.now;
    pair.peers[RIGHT].attach_video_sink(60, 600, trap.clone(), now);
    pair.run_for(Duration::from_secs(2));
    assert!(frames(&trap) >= 1);
}

#[test]
fn an_unmuted_video_starts_with_a_key_frame() {
    let mut pair = Pair::connected(9);
    send_video(&mut pair, video_config(Codec::Vp8));
    let trap = receive_video(&mut pair, "1", 2222);
    film(&mut pair, (320, 240), 0..20);
    let now = pair.now;
    pair.peers[LEFT].set_sender_muted("1", true, now).unwrap();
    pair.run_for(Duration::from_millis(200));
    let (shown, keys) = (
        frames(&trap),
        pair.peers[LEFT].statistics().senders[0].key_frames_encoded,
    );
    film(&mut pair, (320, 240), 20..40);
    assert_eq!(frames(&trap), shown);
    let now = pair.now;
    pair.peers[LEFT].set_sender_muted("1", false, now).unwrap();
    film(&mut pair, (320, 240), 40..60);
    assert!(frames(&trap) >= shown + 15);
    assert_eq!(
        pair.peers[LEFT].statistics().senders[0].key_frames_encoded,
        keys + 1
    );
}

#[test]
fn bitrates_follow_what_the_network_carries() {
    let mut pair = Pair::connected(15);
    let now = pair.now;
    let mut config = simulcast();
    for (layer, max_bitrate_bps) in config.layers.iter_mut().zip([150_000, 500_000, 2_000_000]) {
        layer.max_bitrate_bps = max_bitrate_bps;
    }
    send_video(&mut pair, config);
    let config = ReceiverConfig {
        id: 70,
        kind: TrackKind::Video,
        ssrc: 10,
        rtx_ssrc: None,
    };
    pair.peers[RIGHT].add_receiver("1", config, now).unwrap();
    let targets = |pair: &Pair| -> Vec<u32> {
        pair.peers[LEFT]
            .statistics()
            .senders
            .iter()
            .map(|layer| layer.target_bitrate_bps)
            .collect()
    };
    film_noise(&mut pair, 0..300);
    assert_eq!(targets(&pair), [150_000, 500_000, 2_000_000], "on a free network");
    pair.link.rate_bps = Some(800_000);
    film_noise(&mut pair, 300..600);
    let narrow = targets(&pair);
    assert_eq!(narrow[2], 0, "{narrow:?}");
    assert!(
        narrow[0] > 0 && narrow.iter().sum::<u32>() < 800_000,
        "{narrow:?}"
    );
    pair.link.rate_bps = None;
    film_noise(&mut pair, 600..1500);
    let wide = targets(&pair);
    assert!(wide.iter().sum::<u32>() > 1_200_000, "{wide:?}");
}

#[test]
fn the_estimate_beside_sound_comes_back_after_a_collapse_of_the_network() {
    let mut pair = Pair::connected(16);
    send_audio(&mut pair);
    send_video(&mut pair, video_config(Codec::Vp8));
    let trap = receive_video(&mut pair, "1", 2222);
    let talk_and_film = |pair: &mut Pair, steps: std::ops::Range<u32>| {
        for step in steps {
            let pcm = tone(440.0, 0.5, 48_000, 1, step as usize * 1600, 1600);
            let now = pair.now;
            pair.peers[LEFT].push_audio("0", &pcm, 48_000, 1, now);
            film(pair, (320, 240), step..step + 1);
        }
    };
    talk_and_film(&mut pair, 0..150);
    pair.link.rate_bps = Some(60_000);
    talk_and_film(&mut pair, 150..400);
    pair.link.rate_bps = None;
    pair.link.loss = 0.03;
    talk_and_film(&mut pair, 400..600);
    let before = frames(&trap);
    talk_and_film(&mut pair, 600..660);
    let came = frames(&trap) - before;
    assert!(came > 50, "{came} of 60 pictures came");
    let transport = pair.peers[LEFT].statistics().transport;
    let estimate_bps = transport.available_outgoing_bitrate_bps;
    assert!(estimate_bps > Some(300_000), "{estimate_bps:?}");
}

/// As between two ends of one machine.
#[test]
fn a_round_trip_of_nothing_does_not_keep_the_estimator_busy() {
    let mut pair = Pair::connected(16);
    pair.link.delay = Duration::ZERO;
    send_video(&mut pair, video_config(Codec::Vp8));
    let trap = receive_video(&mut pair, "1", 2222);
    // The first report comes at once, and no other.
    film(&mut pair, (64, 48), 0..1);
    assert_eq!(frames(&trap), 1);
    pair.link.loss = 1.0;
    let woken_in_a_second = |pair: &mut Pair| {
        let before = pair.woken[LEFT];
        pair.run_for(Duration::from_secs(1));
        pair.woken[LEFT] - before
    };
    let probing = woken_in_a_second(&mut pair);
    assert!(probing <= 500, "woken {probing} times while it probes");
    let now = pair.now;
    pair.peers[LEFT].remove_sender("1", now);
    woken_in_a_second(&mut pair);
    let idle = woken_in_a_second(&mut pair);
    assert!(idle <= 120, "woken {idle} times while idle");
}

/// Pictures that cost many bits.
fn film_noise(pair: &mut Pair, steps: std::ops::Range<u32>) {
    for step in steps {
        let (width, height) = (160usize, 120usize);
        let mut seed = step.wrapping_mul(2_654_435_761).wrapping_add(12_345);
        let data = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        });
        let data: Vec<u8> = data.take(width * height * 3 / 2).collect();
        let frame = greenroom_media::video::I420Frame::from_vec(data, 160, 120).unwrap();
        let timestamp_us = (pair.now - pair.start).as_micros() as i64 + 1_000_000;
        let now = pair.now;
        pair.peers[LEFT].push_video("1", frame, timestamp_us, now);
        pair.run_for(FRAME);
    }
}

fn simulcast() -> VideoSenderConfig {
    VideoSenderConfig {
        codec: Codec::Vp8,
        payload_type: 96,
        layers: vec![
            layer(Some("q"), 10, 4.0, 100_000),
            layer(Some("h"), 20, 2.0, 250_000),
            layer(Some("f"), 30, 1.0, 600_000),
        ],
        is_screencast: false,
        cryptor: None,
    }
}

#[test]
fn simulcast_layers_are_sent_and_can_be_switched() {
    let mut pair = Pair::connected(10);
    send_video(&mut pair, simulcast());
    film(&mut pair, (640, 480), 0..30);
    let sizes: Vec<_> = pair.peers[LEFT]
        .statistics()
        .senders
        .iter()
        .map(|layer| (layer.rid.clone(), layer.frame_width))
        .collect();
    let expected = [("q", 160), ("h", 320), ("f", 640)].map(|(rid, width)| (Some(rid.to_string()), width));
    assert_eq!(sizes, expected);
    let now = pair.now;
    pair.peers[LEFT].set_layer_active("1", "f", false, now).unwrap();
    assert!(pair.peers[LEFT].set_layer_active("1", "x", false, now).is_err());
    let before: Vec<u64> = pair.peers[LEFT]
        .statistics()
        .senders
        .iter()
        .map(|layer| layer.frames_encoded)
        .collect();
    film(&mut pair, (640, 480), 30..60);
    let layers = pair.peers[LEFT].statistics().senders;
    let grew: Vec<bool> = layers
        .iter()
        .zip(&before)
        .map(|(layer, before)| layer.frames_encoded > before + 20)
        .collect();
    assert_eq!(grew, [true, true, false]);
    assert_eq!(layers[2].target_bitrate_bps, 0);
    let keys = layers[2].key_frames_encoded;
    let now = pair.now;
    pair.peers[LEFT].set_layer_active("1", "f", true, now).unwrap();
    film(&mut pair, (640, 480), 60..70);
    assert!(pair.peers[LEFT].statistics().senders[2].key_frames_encoded > keys);
}

#[test]
fn the_only_layer_is_paused_by_the_empty_rid() {
    let mut pair = Pair::connected(17);
    send_video(&mut pair, video_config(Codec::Vp8));
    let mut encoded = Vec::new();
    for (number, active) in [true, false, true].into_iter().enumerate() {
        let first = number as u32 * 10;
        let now = pair.now;
        pair.peers[LEFT].set_layer_active("1", "", active, now).unwrap();
        film(&mut pair, (64, 48), first..first + 10);
        encoded.push(pair.peers[LEFT].statistics().senders[0].frames_encoded);
    }
    assert!(
        encoded[0] > 5 && encoded[1] == encoded[0] && encoded[2] > encoded[1] + 5,
        "{encoded:?}"
    );
}

#[test]
fn one_simulcast_layer_is_received_by_its_ssrc() {
    let mut pair = Pair::connected(11);
    send_video(&mut pair, simulcast());
    let trap = receive_video(&mut pair, "1", 20);
    film(&mut pair, (640, 480), 0..45);
    let frames = trap.frames.lock().unwrap();
    assert!(frames.len() > 30, "{}", frames.len());
    assert_eq!(frames[0].0.width(), 320);
}

#[test]
fn nothing_is_encoded_before_the_connection_is_up() {
    let mut pair = Pair::new(12);
    send_audio(&mut pair);
    send_video(&mut pair, video_config(Codec::Vp8));
    film(&mut pair, (320, 240), 0..3);
    speak(&mut pair, 0, 100, 48_000, 1);
    assert!(
        pair.peers[LEFT]
            .statistics()
            .senders
            .iter()
            .all(|sender| sender.frames_encoded == 0)
    );
    pair.exchange_candidates();
    pair.exchange_descriptions();
    let trap = receive_video(&mut pair, "1", 2222);
    pair.run_until("both connected", |pair| {
        pair.both(|event| *event == PeerEvent::Connected)
    });
    pair.run_for(Duration::from_secs(1));
    // The picture at hand goes out without waiting for the next one.
    assert!(frames(&trap) >= 1);
}

#[test]
fn changing_size_goes_on() {
    let mut pair = Pair::connected(13);
    send_video(&mut pair, video_config(Codec::Vp8));
    let trap = receive_video(&mut pair, "1", 2222);
    film(&mut pair, (320, 240), 0..15);
    film(&mut pair, (160, 120), 15..30);
    pair.run_for(Duration::from_millis(300));
    let frames = trap.frames.lock().unwrap();
    assert_eq!(frames[0].0.width(), 320);
    assert_eq!(frames.last().unwrap().0.width(), 160);
}

#[test]
fn a_stalled_owner_catches_up_and_then_skips() {
    let mut pair = Pair::connected(14);
    let trap = receive_audio(&mut pair);
    pair.run_for(Duration::from_secs(1));
    let before = trap.pcm.lock().unwrap().len() / 480;
    let later: Instant = pair.now + Duration::from_secs(3);
    pair.peers[RIGHT].handle_timeout(later);
    let after = trap.pcm.lock().unwrap().len() / 480;
    assert!((10..=12).contains(&(after - before)), "{}", after - before);
}

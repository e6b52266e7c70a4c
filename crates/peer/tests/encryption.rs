//! Encrypted sound and pictures from one peer to the other.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{AudioTrap, LEFT, Pair, RIGHT, VideoTrap, amplitude_at, border_of, picture, tone};
use greenroom_e2ee::{Derivation, FrameCryptor, KeyOwner, KeyProvider, KeyProviderOptions};
use greenroom_media::video::Codec;
use greenroom_peer::{AudioSenderConfig, ReceiverConfig, SendLayer, TrackKind, VideoSenderConfig};

const AUDIO_SSRC: u32 = 1111;
const VIDEO_SSRC: u32 = 2222;
const FRAME: Duration = Duration::from_micros(33_333);

fn keys(material: &[u8]) -> Arc<KeyProvider> {
    let options = KeyProviderOptions {
        derivation: Derivation::Hkdf,
        ..KeyProviderOptions::default()
    };
    let keys = KeyProvider::new(options, Arc::new(|work| work())).unwrap();
    keys.set_key(KeyOwner::Shared, material.to_vec(), 0);
    keys
}

fn cryptor(keys: &Arc<KeyProvider>) -> Option<Arc<FrameCryptor>> {
    Some(FrameCryptor::new(keys, "left", vec![], Box::new(|_| {})))
}

fn expect(pair: &mut Pair, kind: TrackKind, cryptor: Option<Arc<FrameCryptor>>) {
    let (mid, ssrc) = match kind {
        TrackKind::Audio => ("0", AUDIO_SSRC),
        TrackKind::Video => ("1", VIDEO_SSRC),
    };
    let config = ReceiverConfig {
        id: ssrc.into(),
        kind,
        ssrc,
        rtx_ssrc: None,
    };
    let now = pair.now;
    pair.peers[RIGHT].add_receiver(mid, config, now).unwrap();
    pair.peers[RIGHT].set_receiver_cryptor(ssrc.into(), cryptor);
}

fn hear(pair: &mut Pair, cryptor: Option<Arc<FrameCryptor>>) -> Arc<AudioTrap> {
    expect(pair, TrackKind::Audio, cryptor);
    let trap = AudioTrap::new(1);
    let now = pair.now;
    pair.peers[RIGHT].attach_audio_sink(AUDIO_SSRC.into(), 500, trap.clone(), now);
    trap
}

fn watch(pair: &mut Pair, cryptor: Option<Arc<FrameCryptor>>) -> Arc<VideoTrap> {
    expect(pair, TrackKind::Video, cryptor);
    let trap = Arc::new(VideoTrap::default());
    let now = pair.now;
    pair.peers[RIGHT].attach_video_sink(VIDEO_SSRC.into(), 600, trap.clone(), now);
    trap
}

fn send_audio(pair: &mut Pair, cryptor: Option<Arc<FrameCryptor>>) {
    let config = AudioSenderConfig {
        ssrc: AUDIO_SSRC,
        payload_type: 111,
        bitrate_bps: 48_000,
        stereo: false,
        dtx: false,
        fec: true,
        cryptor,
    };
    let now = pair.now;
    pair.peers[LEFT].add_audio_sender("0", config, now).unwrap();
}

fn send_video(pair: &mut Pair, codec: Codec, cryptor: Option<Arc<FrameCryptor>>) {
    let layer = SendLayer {
        rid: None,
        ssrc: VIDEO_SSRC,
        rtx_ssrc: None,
        scale_down_by: 1.0,
        max_bitrate_bps: 2_000_000,
        max_framerate: 30.0,
    };
    let config = VideoSenderConfig {
        codec,
        payload_type: if codec == Codec::Vp8 { 96 } else { 108 },
        layers: vec![layer],
        is_screencast: false,
        cryptor,
    };
    let now = pair.now;
    pair.peers[LEFT].add_video_sender("1", config, now).unwrap();
}

fn speak(pair: &mut Pair, from_ms: usize, length_ms: usize) {
    for block in from_ms / 10..(from_ms + length_ms) / 10 {
        let pcm = tone(440.0, 0.5, 48_000, 1, block * 480, 480);
        let now = pair.now;
        pair.peers[LEFT].push_audio("0", &pcm, 48_000, 1, now);
        pair.run_for(Duration::from_millis(10));
    }
}

fn film(pair: &mut Pair, steps: std::ops::Range<u32>) {
    for step in steps {
        let timestamp_us = (pair.now - pair.start).as_micros() as i64 + 1_000_000;
        let now = pair.now;
        pair.peers[LEFT].push_video("1", picture(640, 480, step), timestamp_us, now);
        pair.run_for(FRAME);
    }
}

/// The level of the tone in the last half second.
fn level(trap: &AudioTrap) -> f64 {
    let pcm = trap.pcm.lock().unwrap();
    amplitude_at(&pcm[pcm.len() - 24_000..], 440.0, 48_000)
}

fn loudest(trap: &AudioTrap) -> u16 {
    let pcm = trap.pcm.lock().unwrap();
    pcm.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
}

#[test]
fn an_encrypted_tone_arrives() {
    let mut pair = Pair::connected(1);
    send_audio(&mut pair, cryptor(&keys(b"key")));
    let trap = hear(&mut pair, cryptor(&keys(b"key")));
    speak(&mut pair, 0, 2000);
    assert!((0.42..0.55).contains(&level(&trap)), "{}", level(&trap));
}

#[test]
fn without_the_right_key_there_is_silence_until_it_comes() {
    let mut pair = Pair::connected(2);
    send_audio(&mut pair, cryptor(&keys(b"key")));
    let wrong = keys(b"wrong");
    let trap = hear(&mut pair, cryptor(&wrong));
    speak(&mut pair, 0, 1000);
    assert_eq!(loudest(&trap), 0, "noise");
    wrong.set_key(KeyOwner::Shared, b"key".to_vec(), 0);
    speak(&mut pair, 1000, 1500);
    assert!((0.42..0.55).contains(&level(&trap)), "{}", level(&trap));
}

#[test]
fn a_plain_tone_is_not_played_where_an_encrypted_one_is_expected() {
    let mut pair = Pair::connected(3);
    send_audio(&mut pair, None);
    let trap = hear(&mut pair, cryptor(&keys(b"key")));
    speak(&mut pair, 0, 1000);
    assert_eq!(loudest(&trap), 0);
}

#[test]
fn encrypted_pictures_arrive_as_they_were() {
    for codec in [Codec::Vp8, Codec::H264] {
        let mut pair = Pair::connected(4);
        send_video(&mut pair, codec, cryptor(&keys(b"key")));
        let trap = watch(&mut pair, cryptor(&keys(b"key")));
        film(&mut pair, 0..60);
        pair.run_for(Duration::from_millis(500));
        let frames = trap.frames.lock().unwrap();
        assert!(frames.len() >= 55, "{codec:?}: {} of 60", frames.len());
        let (last, _) = frames.last().unwrap();
        let expected = border_of(&picture(640, 480, 59));
        assert!(border_of(last).abs_diff(expected) <= 4, "{codec:?}");
    }
}

#[test]
fn pictures_come_back_with_the_right_key_and_no_key_frame_is_asked_for_before() {
    for codec in [Codec::Vp8, Codec::H264] {
        let mut pair = Pair::connected(5);
        send_video(&mut pair, codec, cryptor(&keys(b"key")));
        let wrong = keys(b"wrong");
        let trap = watch(&mut pair, cryptor(&wrong));
        film(&mut pair, 0..90);
        assert!(trap.frames.lock().unwrap().is_empty(), "{codec:?}");
        let sent = &pair.peers[LEFT].statistics().senders[0];
        assert!(sent.key_frames_encoded <= 3, "{codec:?}: {sent:?}");
        wrong.set_key(KeyOwner::Shared, b"key".to_vec(), 0);
        film(&mut pair, 90..150);
        assert!(trap.frames.lock().unwrap().len() > 30, "{codec:?}");
    }
}

use greenroom_media::audio::{AudioError, FrameRing};

use crate::signal::{frequency, sine};

#[test]
fn frames_have_the_size_asked_for_and_the_sound_given() {
    for (rate_hz, channels, frame_size_ms) in
        [(48_000, 1, 10), (16_000, 1, 20), (44_100, 2, 30), (24_000, 2, 7)]
    {
        let mut ring = FrameRing::new(rate_hz, channels, frame_size_ms, 1_000).unwrap();
        for block in 0..100 {
            ring.push_block(&sine(48_000, 2, 500.0, 8_000.0, block * 480, 480), 2);
        }
        let frame_samples = (rate_hz * frame_size_ms / 1_000) as usize;
        let mut sound = Vec::new();
        while let Some(frame) = ring.pop() {
            assert_eq!(frame.len(), frame_samples * channels);
            sound.extend(frame.iter().step_by(channels));
        }
        assert!(
            sound.len() + frame_samples + 40 >= rate_hz as usize,
            "{rate_hz} Hz: {}",
            sound.len()
        );
        assert!((frequency(rate_hz, &sound[100..]) - 500.0).abs() < 0.5);
    }
}

#[test]
fn a_full_ring_drops_its_oldest_frame() {
    let mut ring = FrameRing::new(48_000, 1, 10, 2).unwrap();
    for value in 1..=5 {
        ring.push_block(&[value; 480], 1);
    }
    assert_eq!(ring.dropped(), 3);
    assert_eq!(ring.pop(), Some(vec![4; 480]));
    assert_eq!(ring.pop(), Some(vec![5; 480]));
    assert!(ring.pop().is_none() && ring.is_empty());
}

#[test]
fn the_channel_count_may_change_between_blocks() {
    let mut ring = FrameRing::new(48_000, 1, 10, 10).unwrap();
    ring.push_block(&[10, 20].repeat(240), 2);
    ring.push_block(&[7; 240], 1);
    let mut expected = vec![15; 240];
    expected.extend([7; 240]);
    assert_eq!(ring.pop(), Some(expected));
}

#[test]
fn arguments_are_checked() {
    assert_eq!(
        FrameRing::new(48_000, 1, 10, 0).err(),
        Some(AudioError::NoCapacity)
    );
    assert!(matches!(
        FrameRing::new(48_000, 1, 0, 1).err(),
        Some(AudioError::Duration { value: 0, .. })
    ));
}

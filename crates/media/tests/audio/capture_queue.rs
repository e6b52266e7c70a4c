use greenroom_media::audio::{AudioError, CaptureQueue, Drained, Push};

/// 16 kHz mono, so a 10 ms block is 160 samples.
fn queue(queue_size_ms: u32) -> CaptureQueue {
    CaptureQueue::new(16_000, 1, queue_size_ms).unwrap()
}

fn drain(queue: &mut CaptureQueue) -> Drained {
    let mut out = vec![7; 3];
    let drained = queue.drain_10ms(&mut out);
    assert_eq!(out.len(), 160);
    drained
}

#[test]
fn a_capture_completes_by_the_level_it_leaves() {
    let cases = [
        (0, Push::Done),
        (159, Push::Done),
        (1_600, Push::Done),
        (1_601, Push::Wait(1)),
        (80_000, Push::Wait(1)),
    ];
    for (samples, expected) in cases {
        assert_eq!(
            queue(100).push(&vec![1; samples]),
            Ok(expected),
            "{samples} samples"
        );
    }
}

#[test]
fn a_waiting_capture_completes_when_the_level_is_back_at_the_threshold() {
    let mut queue = queue(100);
    assert_eq!(queue.push(&[1; 1_600]), Ok(Push::Done));
    assert_eq!(queue.push(&[2; 320]), Ok(Push::Wait(1)));
    assert_eq!(queue.push(&[3; 160]), Err(AudioError::CapturePending));
    assert_eq!(
        drain(&mut queue),
        Drained {
            had_audio: true,
            completed_ticket: None,
            became_empty: false
        }
    );
    assert_eq!(
        drain(&mut queue),
        Drained {
            had_audio: true,
            completed_ticket: Some(1),
            became_empty: false
        }
    );
    assert_eq!(queue.push(&[3; 160]), Ok(Push::Wait(2)));
    assert_eq!(queue.queued_samples(), 1_760);
}

#[test]
fn underrun_is_silence_and_a_tail_waits_for_more() {
    let mut queue = queue(100);
    let mut out = Vec::new();
    assert_eq!(queue.drain_10ms(&mut out), Drained::default());
    assert_eq!(out, [0; 160]);
    queue.push(&[5; 200]).unwrap();
    assert_eq!(
        drain(&mut queue),
        Drained {
            had_audio: true,
            completed_ticket: None,
            became_empty: true
        }
    );
    assert_eq!(drain(&mut queue), Drained::default());
    assert_eq!(queue.queued_samples(), 40);
    queue.push(&[6; 120]).unwrap();
    assert!(queue.drain_10ms(&mut out).had_audio);
    assert_eq!((out[39], out[40]), (5, 6));
}

#[test]
fn a_capture_shorter_than_a_block_still_reports_that_nothing_plays() {
    let mut queue = queue(100);
    queue.push(&[5; 10]).unwrap();
    assert_eq!(
        drain(&mut queue),
        Drained {
            had_audio: false,
            completed_ticket: None,
            became_empty: true
        }
    );
    assert_eq!(drain(&mut queue), Drained::default());
}

#[test]
fn clearing_completes_the_open_capture() {
    let mut queue = queue(10);
    assert_eq!(queue.clear(), None);
    assert_eq!(queue.push(&[1; 1_000]), Ok(Push::Wait(1)));
    assert_eq!(queue.clear(), Some(1));
    assert_eq!(queue.queued_samples(), 0);
    assert_eq!(drain(&mut queue), Drained::default());
}

#[test]
fn without_a_queue_only_whole_blocks_are_taken_and_none_waits() {
    let mut queue = queue(0);
    assert_eq!(
        queue.push(&[1; 159]),
        Err(AudioError::BlockSize {
            expected: 160,
            actual: 159
        })
    );
    for _ in 0..7 {
        assert_eq!(queue.push(&[1; 160]), Ok(Push::Done));
    }
    assert_eq!((queue.queued_samples(), queue.dropped_samples()), (800, 320));
    assert!(drain(&mut queue).had_audio);
}

#[test]
fn rates_that_are_no_multiple_of_100_add_up() {
    let mut queue = CaptureQueue::new(11_025, 2, 1_000).unwrap();
    let mut out = Vec::new();
    let total: usize = (0..500)
        .map(|_| {
            queue.drain_10ms(&mut out);
            out.len() / 2
        })
        .sum();
    assert_eq!(total, 11_025 * 5);
}

#[test]
fn arguments_are_checked() {
    assert!(matches!(
        CaptureQueue::new(16_000, 1, 15),
        Err(AudioError::Duration { value: 15, .. })
    ));
    assert!(matches!(CaptureQueue::new(1, 1, 10), Err(AudioError::Rate(1))));
    assert!(matches!(
        CaptureQueue::new(16_000, 5, 10),
        Err(AudioError::Channels(5))
    ));
    let mut stereo = CaptureQueue::new(16_000, 2, 10).unwrap();
    assert_eq!(
        stereo.push(&[1, 2, 3]),
        Err(AudioError::PartialFrame {
            samples: 3,
            channels: 2
        })
    );
}

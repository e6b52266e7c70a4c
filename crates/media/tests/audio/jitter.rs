use std::time::{Duration, Instant};

use greenroom_media::audio::{
    AudioPacket, JitterBuffer, JitterBufferConfig, JitterStatistics, OpusEncoder, OpusEncoderConfig,
};

use crate::signal::{Random, frequency, median_frequency, root_mean_square, sine};

const TONE_HZ: f64 = 440.0;
const AMPLITUDE: f64 = 8_000.0;

/// Encoded 20 ms packets of a tone.
fn tone_packets(count: usize) -> Vec<Vec<u8>> {
    let config = OpusEncoderConfig {
        channels: 1,
        bitrate_bps: 32_000,
        dtx: false,
        fec: true,
        voice: true,
    };
    let mut encoder = OpusEncoder::new(config).unwrap();
    encoder.set_expected_loss_percent(20).unwrap();
    let encode = |index: usize| {
        let mut packet = Vec::new();
        encoder
            .encode(
                &sine(48_000, 1, TONE_HZ, AMPLITUDE, index * 960, 960),
                &mut packet,
            )
            .unwrap();
        packet
    };
    (0..count).map(encode).collect()
}

fn packet(index: usize, payload: &[u8]) -> AudioPacket {
    // Starts just before a wrap of the timestamp.
    let timestamp = (u32::MAX - 9_600).wrapping_add((index * 960) as u32);
    AudioPacket {
        sequence: 65_500 + index as u64,
        timestamp,
        payload: payload.to_vec(),
    }
}

/// What a run gave: sound, the delay after each pull, counters.
struct Outcome {
    pcm: Vec<i16>,
    delays_ms: Vec<f64>,
    statistics: JitterStatistics,
}

/// Feeds `(arrival in microseconds, packet)` and pulls every 10 ms from 3 ms on.
fn run(mut arrivals: Vec<(u64, AudioPacket)>, duration_ms: u64) -> Outcome {
    arrivals.sort_by_key(|arrival| arrival.0);
    let mut buffer = JitterBuffer::new(JitterBufferConfig::default()).unwrap();
    let start = Instant::now();
    let (mut pcm, mut delays_ms, mut block) = (Vec::new(), Vec::new(), Vec::new());
    let mut waiting = arrivals.into_iter().peekable();
    for tick in 0..duration_ms / 10 {
        let now_us = tick * 10_000 + 3_000;
        while let Some((at_us, packet)) = waiting.next_if(|arrival| arrival.0 <= now_us) {
            buffer.insert(start + Duration::from_micros(at_us), packet);
        }
        buffer.pull(start + Duration::from_micros(now_us), &mut block);
        assert_eq!(block.len(), 480);
        pcm.extend_from_slice(&block);
        delays_ms.push(buffer.statistics().current_delay_ms);
    }
    Outcome {
        pcm,
        delays_ms,
        statistics: buffer.statistics(),
    }
}

fn simulate(seconds: usize, mut network: impl FnMut(usize) -> Vec<u64>) -> Outcome {
    let mut arrivals = Vec::new();
    for (index, payload) in tone_packets(seconds * 50).iter().enumerate() {
        for delay_us in network(index) {
            arrivals.push((index as u64 * 20_000 + delay_us, packet(index, payload)));
        }
    }
    run(arrivals, seconds as u64 * 1_000)
}

fn assert_tone(outcome: &Outcome, from_ms: usize) {
    let sound = &outcome.pcm[from_ms * 48..];
    let measured = frequency(48_000, sound);
    assert!(
        (measured - TONE_HZ).abs() < TONE_HZ * 0.01,
        "{measured} Hz, {:?}",
        outcome.statistics
    );
    let level = root_mean_square(sound) / (AMPLITUDE / 2.0_f64.sqrt());
    assert!(
        (0.85..1.15).contains(&level),
        "level {level}, {:?}",
        outcome.statistics
    );
    let click = sound
        .windows(2)
        .map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs())
        .max()
        .unwrap();
    assert!(click < 4_000, "a step of {click}, {:?}", outcome.statistics);
}

#[test]
fn a_steady_stream_is_played_with_little_delay_and_untouched() {
    let outcome = simulate(10, |_| vec![30_000]);
    assert_tone(&outcome, 500);
    let settled = &outcome.delays_ms[50..];
    assert!(
        settled.iter().all(|delay| (15.0..=40.0).contains(delay)),
        "{settled:?}"
    );
    let statistics = outcome.statistics;
    assert_eq!(
        (
            statistics.concealed_samples,
            statistics.packets_late,
            statistics.packets_discarded
        ),
        (0, 0, 0)
    );
    assert_eq!((statistics.inserted_samples, statistics.removed_samples), (0, 0));
}

#[test]
fn jitter_raises_the_delay_until_nothing_is_late() {
    for seed in 1..=4 {
        let mut random = Random(seed);
        let outcome = simulate(20, |_| vec![20_000 + random.below(80_000)]);
        assert_tone(&outcome, 2_000);
        let settled = &outcome.delays_ms[500..];
        assert!(
            settled.iter().all(|delay| (40.0..=200.0).contains(delay)),
            "{settled:?}"
        );
        let share = outcome.statistics.concealed_samples as f64 / outcome.statistics.total_samples as f64;
        assert!(share < 0.03, "{share} concealed: {:?}", outcome.statistics);
    }
}

#[test]
fn losses_are_concealed_and_counted() {
    for seed in 1..=4 {
        let mut random = Random(seed);
        let mut lost = 0;
        let outcome = simulate(20, |index| {
            let drop = index > 10 && random.chance(10);
            lost += u64::from(drop);
            if drop {
                vec![]
            } else {
                vec![30_000 + random.below(5_000)]
            }
        });
        let statistics = outcome.statistics;
        let measured = median_frequency(48_000, &outcome.pcm[24_000..]);
        assert!((measured - TONE_HZ).abs() < TONE_HZ * 0.01, "{measured} Hz");
        let level = root_mean_square(&outcome.pcm[24_000..]) / (AMPLITUDE / 2.0_f64.sqrt());
        assert!((0.8..1.1).contains(&level), "level {level}");
        let filled = statistics.concealed_samples + statistics.packets_recovered * 960;
        assert!(
            lost > 50 && (lost * 900..=lost * 1_200).contains(&filled),
            "{lost} lost: {statistics:?}"
        );
        assert!(
            (lost / 2..=lost).contains(&statistics.concealment_events),
            "{lost} lost: {statistics:?}"
        );
        let settled = &outcome.delays_ms[100..];
        assert!(
            settled.iter().all(|delay| (10.0..=60.0).contains(delay)),
            "{settled:?}"
        );
    }
}

#[test]
fn redundancy_of_the_next_packet_rebuilds_a_loss() {
    let mut encoder = OpusEncoder::new(OpusEncoderConfig {
        dtx: false,
        ..Default::default()
    })
    .unwrap();
    encoder.set_expected_loss_percent(20).unwrap();
    let (mut arrivals, mut payload, mut lost) = (Vec::new(), Vec::new(), 0);
    for index in 0..500_usize {
        // Syllables: redundancy is only sent for what sounds like speech.
        let amplitude = if index / 7 % 2 == 0 { AMPLITUDE } else { 300.0 };
        encoder
            .encode(
                &sine(48_000, 1, TONE_HZ, amplitude, index * 960, 960),
                &mut payload,
            )
            .unwrap();
        if index % 14 == 4 {
            lost += 1;
        } else {
            arrivals.push((index as u64 * 20_000 + 30_000, packet(index, &payload)));
        }
    }
    let statistics = run(arrivals, 10_000).statistics;
    assert!(
        statistics.packets_recovered >= lost * 9 / 10,
        "{lost} lost: {statistics:?}"
    );
}

#[test]
fn reordered_and_repeated_packets_do_no_harm() {
    let mut random = Random(9);
    let outcome = simulate(15, |_| {
        let delay_us = 20_000 + if random.chance(20) { 35_000 } else { 0 };
        if random.chance(10) {
            vec![delay_us, delay_us + random.below(60_000)]
        } else {
            vec![delay_us]
        }
    });
    assert_tone(&outcome, 3_000);
    assert!(
        outcome.statistics.packets_duplicate > 30,
        "{:?}",
        outcome.statistics
    );
    assert!(outcome.delays_ms[300..].iter().all(|delay| *delay < 120.0));
}

#[test]
fn a_burst_after_an_outage_drains() {
    // Everything sent between 4 s and 4.5 s arrives at 4.53 s.
    let outcome = simulate(25, |index| {
        let sent_ms = index as u64 * 20;
        let held_ms = if (4_000..4_500).contains(&sent_ms) {
            4_500 - sent_ms
        } else {
            0
        };
        vec![30_000 + held_ms * 1_000]
    });
    let peak = outcome.delays_ms.iter().copied().fold(0.0, f64::max);
    assert!((300.0..700.0).contains(&peak), "peak {peak} ms");
    assert!(
        outcome.delays_ms[700] < 260.0,
        "{} ms after 2.5 s",
        outcome.delays_ms[700]
    );
    assert!(
        outcome.delays_ms[2_400] < 60.0,
        "{} ms at the end",
        outcome.delays_ms[2_400]
    );
    assert!(
        outcome.statistics.removed_samples > 10_000,
        "{:?}",
        outcome.statistics
    );
    assert_tone(&outcome, 5_000);
}

#[test]
fn a_drifting_clock_neither_drains_nor_fills_the_buffer() {
    for parts_per_million in [-200_i64, 200] {
        let outcome = simulate(60, |index| {
            let drift_us = index as i64 * 20_000 * parts_per_million / 1_000_000;
            vec![(50_000 + drift_us) as u64]
        });
        let settled = &outcome.delays_ms[100..];
        assert!(
            settled.iter().all(|delay| (5.0..=45.0).contains(delay)),
            "{parts_per_million} ppm: {settled:?}"
        );
        assert_tone(&outcome, 1_000);
        assert!(
            outcome.statistics.concealed_samples < 4_800,
            "{:?}",
            outcome.statistics
        );
    }
}

#[test]
fn the_delay_is_bounded() {
    // From 3 s on the network holds everything for two seconds more, then recovers.
    let outcome = simulate(20, |index| {
        vec![if (150..300).contains(&index) {
            2_030_000
        } else {
            30_000
        }]
    });
    assert!(outcome.delays_ms.iter().all(|delay| *delay < 1_600.0));
    assert!(
        outcome.delays_ms[1_900..].iter().all(|delay| *delay < 200.0),
        "{:?}",
        &outcome.delays_ms[1_900..]
    );
    assert_tone(&outcome, 18_000);
}

#[test]
fn an_end_of_packets_fades_to_silence() {
    let outcome = simulate(4, |index| if index < 100 { vec![30_000] } else { vec![] });
    assert!(root_mean_square(&outcome.pcm[48 * 2_000..48 * 2_030]) > 1_000.0);
    assert_eq!(root_mean_square(&outcome.pcm[48 * 2_400..]), 0.0);
}

/// A tone with a silent middle from 2 s to 8 s, sent with DTX; silence is announced by a packet or just begins.
fn interrupted_tone(announced: bool) -> Vec<(u64, AudioPacket)> {
    let mut encoder = OpusEncoder::new(OpusEncoderConfig::default()).unwrap();
    let (mut arrivals, mut payload) = (Vec::new(), Vec::new());
    for index in 0..500_usize {
        let amplitude = if (100..400).contains(&index) {
            0.0
        } else {
            AMPLITUDE
        };
        let pcm = sine(48_000, 1, TONE_HZ, amplitude, index * 960, 960);
        encoder.encode(&pcm, &mut payload).unwrap();
        if payload.is_empty() || (payload.len() <= 2 && !announced) {
            continue;
        }
        let packet = AudioPacket {
            sequence: arrivals.len() as u64,
            timestamp: (index * 960) as u32,
            payload: payload.clone(),
        };
        arrivals.push((index as u64 * 20_000 + 30_000, packet));
    }
    arrivals
}

#[test]
fn silence_of_the_sender_is_no_loss() {
    for announced in [true, false] {
        let arrivals = interrupted_tone(announced);
        assert!(arrivals.len() < 300, "{} packets", arrivals.len());
        let outcome = run(arrivals, 10_000);
        let statistics = outcome.statistics;
        let harm = (
            statistics.concealed_samples,
            statistics.packets_late,
            statistics.resets,
        );
        assert_eq!(harm, (0, 0, 0), "{statistics:?}");
        assert!(root_mean_square(&outcome.pcm[48 * 4_000..48 * 7_500]) < 50.0);
        assert!((frequency(48_000, &outcome.pcm[48 * 8_200..]) - TONE_HZ).abs() < 4.4);
        assert!(outcome.delays_ms[900..].iter().all(|delay| *delay < 60.0));
    }
}

#[test]
fn a_new_stream_is_taken_up_at_once() {
    let packets = tone_packets(500);
    for (sequence_jump, timestamp_jump) in [
        (1_000_000_u64, 0_u32),
        (0, 0x7000_0000),
        (0, 0x9000_0000),
        (5_000, 99_999),
    ] {
        let arrivals = packets.iter().enumerate().map(|(index, payload)| {
            let mut packet = packet(index, payload);
            if index >= 250 {
                packet.sequence += sequence_jump;
                packet.timestamp = packet.timestamp.wrapping_add(timestamp_jump);
            }
            (index as u64 * 20_000 + 30_000, packet)
        });
        let outcome = run(arrivals.collect(), 10_000);
        assert_eq!(outcome.statistics.resets, 1, "{:?}", outcome.statistics);
        let after = Outcome {
            pcm: outcome.pcm[48 * 5_200..].to_vec(),
            ..outcome
        };
        assert_tone(&after, 0);
        assert!(after.delays_ms[530..].iter().all(|delay| *delay < 60.0));
    }
}

#[test]
fn hostile_packets_neither_panic_nor_grow_anything() {
    let mut random = Random(11);
    let start = Instant::now();
    let mut buffer = JitterBuffer::new(JitterBufferConfig {
        channels: 2,
        ..Default::default()
    })
    .unwrap();
    let (mut now, mut out) = (start, Vec::new());
    let (mut sequence, mut timestamp) = (u64::MAX - 500, 0_u32);
    for _ in 0..20_000 {
        match random.below(20) {
            0 => sequence = random.next(),
            1 => sequence = [0, u64::MAX, 1 << 63][random.below(3) as usize],
            2 => timestamp = random.next() as u32,
            _ => sequence = sequence.wrapping_add(random.below(4)),
        }
        timestamp = timestamp.wrapping_add(960 * random.below(3) as u32);
        let payload = (0..random.below(60)).map(|_| random.next() as u8).collect();
        buffer.insert(
            now,
            AudioPacket {
                sequence,
                timestamp,
                payload,
            },
        );
        if random.chance(40) {
            now += Duration::from_micros(random.below(20_000));
            buffer.pull(now, &mut out);
            assert_eq!(out.len(), 960);
        }
    }
    let statistics = buffer.statistics();
    assert_eq!(statistics.packets_received, 20_000);
    assert!(statistics.packets_discarded > 0 && statistics.current_delay_ms.is_finite());
}

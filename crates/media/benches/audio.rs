//! Cost of one unit of audio work: a 20 ms packet or a 10 ms block.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use greenroom_media::audio::{
    AudioPacket, JitterBuffer, JitterBufferConfig, OpusDecoder, OpusEncoder, OpusEncoderConfig, Resampler,
};

/// A voiced sound: a few harmonics.
fn block(samples: usize, channels: usize) -> Vec<i16> {
    let wave = |index: usize| {
        let phase = index as f64 / 48_000.0 * 150.0 * std::f64::consts::TAU;
        (1..6)
            .map(|harmonic| (phase * f64::from(harmonic)).sin() * 3_000.0 / f64::from(harmonic))
            .sum::<f64>()
    };
    (0..samples * channels)
        .map(|index| wave(index / channels) as i16)
        .collect()
}

fn encoded() -> Vec<u8> {
    let mut packet = Vec::new();
    OpusEncoder::new(OpusEncoderConfig::default())
        .unwrap()
        .encode(&block(960, 1), &mut packet)
        .unwrap();
    packet
}

fn codec(criterion: &mut Criterion) {
    for channels in [1, 2] {
        let config = OpusEncoderConfig {
            channels,
            voice: channels == 1,
            ..Default::default()
        };
        let (mut encoder, pcm, mut out) = (
            OpusEncoder::new(config).unwrap(),
            block(960, channels),
            Vec::new(),
        );
        criterion.bench_function(&format!("encode 20 ms, {channels} channels"), |bencher| {
            bencher.iter(|| encoder.encode(black_box(&pcm), &mut out).unwrap());
        });
    }
    let (mut decoder, packet, mut out) = (OpusDecoder::new(1).unwrap(), encoded(), Vec::new());
    criterion.bench_function("decode 20 ms", |bencher| {
        bencher.iter(|| {
            out.clear();
            decoder.decode(black_box(&packet), &mut out).unwrap()
        });
    });
}

fn resample(criterion: &mut Criterion) {
    for (in_rate, out_rate) in [(48_000, 16_000), (24_000, 48_000), (44_100, 48_000)] {
        let mut resampler = Resampler::new(in_rate, 1, out_rate, 1).unwrap();
        let (pcm, mut out) = (block(in_rate as usize / 100, 1), Vec::new());
        criterion.bench_function(&format!("resample 10 ms, {in_rate} to {out_rate}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                resampler.process(black_box(&pcm), &mut out);
            });
        });
    }
}

fn jitter(criterion: &mut Criterion) {
    let mut buffer = JitterBuffer::new(JitterBufferConfig::default()).unwrap();
    let (payload, mut out, mut tick, start) = (encoded(), Vec::new(), 0_u64, Instant::now());
    criterion.bench_function("jitter buffer pull of 10 ms, decoding included", |bencher| {
        bencher.iter(|| {
            let now = start + Duration::from_millis(tick * 10);
            if tick.is_multiple_of(2) {
                let timestamp = (tick * 480) as u32;
                buffer.insert(
                    now,
                    AudioPacket {
                        sequence: tick / 2,
                        timestamp,
                        payload: payload.clone(),
                    },
                );
            }
            buffer.pull(now, &mut out);
            tick += 1;
        });
    });
}

criterion_group!(benches, codec, resample, jitter);
criterion_main!(benches);

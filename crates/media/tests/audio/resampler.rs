use greenroom_media::audio::{AudioError, Resampler, ResamplerQuality};

use crate::signal::{Random, channel, root_mean_square, signal_to_noise_db, sine};

fn convert(in_rate: u32, in_channels: usize, out_rate: u32, out_channels: usize, pcm: &[i16]) -> Vec<i16> {
    let mut resampler = Resampler::new(in_rate, in_channels, out_rate, out_channels).unwrap();
    let mut out = Vec::new();
    resampler.process(pcm, &mut out);
    resampler.flush(&mut out);
    out
}

#[test]
fn tones_pass_with_60_db() {
    let rates = [8_000, 16_000, 24_000, 44_100, 48_000];
    for in_rate in rates {
        for out_rate in rates {
            for (in_channels, out_channels) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
                for share in [0.05, 0.2, 0.4] {
                    let tone = share * f64::from(in_rate.min(out_rate));
                    let input = sine(in_rate, in_channels, tone, 20_000.0, 0, in_rate as usize / 2);
                    let output = convert(in_rate, in_channels, out_rate, out_channels, &input);
                    let output = channel(&output, out_channels, out_channels - 1);
                    let settled = &output[200..output.len() - 200];
                    let quality = signal_to_noise_db(out_rate, settled, tone);
                    assert!(
                        quality > 60.0,
                        "{in_rate} to {out_rate}, {tone} Hz: {quality:.1} dB"
                    );
                    let level = root_mean_square(settled) / (20_000.0 / 2.0_f64.sqrt());
                    assert!(
                        (0.98..1.02).contains(&level),
                        "{in_rate} to {out_rate}, {tone} Hz: level {level}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_the_output_cannot_carry_is_removed() {
    let input = sine(48_000, 1, 10_000.0, 20_000.0, 0, 48_000);
    let output = convert(48_000, 1, 16_000, 1, &input);
    let level = root_mean_square(&output[200..output.len() - 200]);
    assert!(level < 20.0, "alias of {level}");
}

#[test]
fn lengths_are_exact_for_any_pair_of_rates() {
    let mut random = Random(2);
    let mut pairs = vec![
        (44_100, 48_000),
        (48_000, 44_100),
        (8_000, 192_000),
        (192_000, 8_000),
        (11_025, 44_101),
    ];
    pairs.extend((0..20).map(|_| {
        (
            8_000 + random.below(184_001) as u32,
            8_000 + random.below(184_001) as u32,
        )
    }));
    for (in_rate, out_rate) in pairs {
        let input = vec![1_000; 1 + random.below(100_000) as usize];
        let output = convert(in_rate, 1, out_rate, 1, &input);
        let expected = (input.len() as u64 * u64::from(out_rate)).div_ceil(u64::from(in_rate));
        assert_eq!(output.len() as u64, expected, "{in_rate} to {out_rate}");
    }
}

#[test]
fn an_hour_does_not_drift() {
    let mut resampler = Resampler::new(44_100, 1, 48_000, 1).unwrap();
    let (block, mut out, mut produced) = (vec![0; 44_100], Vec::new(), 0);
    for second in 1..=3_600_usize {
        out.clear();
        resampler.process(&block, &mut out);
        produced += out.len();
        let behind = second * 48_000 - produced;
        assert!(behind <= 20, "{behind} samples behind after {second} s");
    }
}

#[test]
fn chunk_sizes_do_not_matter() {
    let mut random = Random(3);
    for (in_rate, in_channels, out_rate, out_channels) in [
        (44_100, 2, 48_000, 1),
        (48_000, 1, 16_000, 2),
        (8_000, 1, 48_000, 1),
        (47_999, 2, 48_000, 2),
        (48_000, 2, 48_000, 1),
    ] {
        let input: Vec<i16> = (0..20_000 * in_channels).map(|_| random.next() as i16).collect();
        let whole = convert(in_rate, in_channels, out_rate, out_channels, &input);
        let mut resampler = Resampler::new(in_rate, in_channels, out_rate, out_channels).unwrap();
        let (mut out, mut rest) = (Vec::new(), &input[..]);
        while !rest.is_empty() {
            let frames = (random.below(700) as usize).min(rest.len() / in_channels);
            let (chunk, after) = rest.split_at(frames * in_channels);
            resampler.process(chunk, &mut out);
            rest = after;
        }
        resampler.flush(&mut out);
        assert_eq!(out, whole, "{in_rate} to {out_rate}");
    }
}

#[test]
fn a_flushed_resampler_starts_anew() {
    let input = sine(48_000, 1, 300.0, 9_000.0, 0, 4_800);
    let mut resampler = Resampler::with_quality(48_000, 1, 24_000, 1, ResamplerQuality::High).unwrap();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for out in [&mut first, &mut second] {
        resampler.process(&input, out);
        resampler.flush(out);
    }
    assert_eq!(first, second);
}

#[test]
fn arguments_are_checked() {
    assert_eq!(
        Resampler::new(7_999, 1, 48_000, 1).err(),
        Some(AudioError::Rate(7_999))
    );
    assert_eq!(
        Resampler::new(48_000, 1, 192_001, 1).err(),
        Some(AudioError::Rate(192_001))
    );
    assert_eq!(
        Resampler::new(48_000, 0, 48_000, 1).err(),
        Some(AudioError::Channels(0))
    );
}

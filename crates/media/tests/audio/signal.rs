//! Test signals and what is measured on them.

use std::f64::consts::TAU;

/// A small seeded generator (SplitMix64): the same numbers everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// `samples` frames of a sine, the same in every channel, starting at frame `start`.
pub fn sine(
    rate_hz: u32,
    channels: usize,
    frequency_hz: f64,
    amplitude: f64,
    start: usize,
    samples: usize,
) -> Vec<i16> {
    (start..start + samples)
        .flat_map(|index| {
            let phase = TAU * frequency_hz * index as f64 / f64::from(rate_hz);
            std::iter::repeat_n((phase.sin() * amplitude).round() as i16, channels)
        })
        .collect()
}

/// Mean frequency by positive-going zero crossings, interpolated.
pub fn frequency(rate_hz: u32, pcm: &[i16]) -> f64 {
    let crossings = crossings(pcm);
    let (Some(first), Some(last)) = (crossings.first(), crossings.last()) else {
        return 0.0;
    };
    (crossings.len() - 1) as f64 * f64::from(rate_hz) / (last - first)
}

/// Frequency of the median period: blind to the seams of concealment.
pub fn median_frequency(rate_hz: u32, pcm: &[i16]) -> f64 {
    let crossings = crossings(pcm);
    let mut periods: Vec<f64> = crossings.windows(2).map(|pair| pair[1] - pair[0]).collect();
    periods.sort_by(f64::total_cmp);
    periods
        .get(periods.len() / 2)
        .map_or(0.0, |period| f64::from(rate_hz) / period)
}

fn crossings(pcm: &[i16]) -> Vec<f64> {
    pcm.windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0] < 0 && pair[1] >= 0)
        .map(|(index, pair)| index as f64 + f64::from(-pair[0]) / (f64::from(pair[1]) - f64::from(pair[0])))
        .collect()
}

pub fn root_mean_square(pcm: &[i16]) -> f64 {
    let energy: f64 = pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    (energy / pcm.len().max(1) as f64).sqrt()
}

/// Power of the best-fitting sine of this frequency over the power of everything else, in dB.
pub fn signal_to_noise_db(rate_hz: u32, pcm: &[i16], frequency_hz: f64) -> f64 {
    let step = TAU * frequency_hz / f64::from(rate_hz);
    let (mut cc, mut ss, mut cs, mut xc, mut xs) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (index, &sample) in pcm.iter().enumerate() {
        let (s, c) = (step * index as f64).sin_cos();
        cc += c * c;
        ss += s * s;
        cs += c * s;
        xc += c * f64::from(sample);
        xs += s * f64::from(sample);
    }
    let determinant = cc * ss - cs * cs;
    let a = (xc * ss - xs * cs) / determinant;
    let b = (xs * cc - xc * cs) / determinant;
    let (mut signal, mut noise) = (0.0, 0.0);
    for (index, &sample) in pcm.iter().enumerate() {
        let (s, c) = (step * index as f64).sin_cos();
        let fit = a * c + b * s;
        signal += fit * fit;
        noise += (f64::from(sample) - fit).powi(2);
    }
    10.0 * (signal / noise.max(1e-9)).log10()
}

/// One channel of interleaved PCM.
pub fn channel(pcm: &[i16], channels: usize, index: usize) -> Vec<i16> {
    pcm.iter().skip(index).step_by(channels).copied().collect()
}

//! Time compression and expansion without a change of pitch: similar stretches of sound are overlapped.

/// Shortest and longest stretch taken out or put in: 2.5 and 15 ms at 48 kHz, the periods of voices.
pub(super) const MIN_LAG: usize = 120;
pub(super) const MAX_LAG: usize = 720;
/// The first search runs on means of this many samples.
const DECIMATION: usize = 4;
/// Mean square below which similarity does not matter (about -58 dBov).
const QUIET: f32 = 1_600.0;

/// Removes up to `max_lag` samples per channel near the start of `pcm` if two neighbouring stretches there are
/// at least `min_similarity` (-1..=1) alike; returns how many were removed (0: nothing fit).
pub(super) fn accelerate(pcm: &mut Vec<i16>, channels: usize, max_lag: usize, min_similarity: f32) -> usize {
    let Some(lag) = find_lag(pcm, channels, max_lag, min_similarity) else {
        return 0;
    };
    let len = lag * channels;
    for index in 0..len {
        pcm[len + index] = fade(pcm[index], pcm[len + index], index / channels, lag);
    }
    pcm.drain(..len);
    lag
}

/// As [`accelerate`], but repeats a stretch: returns how many samples per channel were put in.
pub(super) fn expand(pcm: &mut Vec<i16>, channels: usize, max_lag: usize, min_similarity: f32) -> usize {
    let Some(lag) = find_lag(pcm, channels, max_lag, min_similarity) else {
        return 0;
    };
    let len = lag * channels;
    let bridge: Vec<i16> = (0..len)
        .map(|index| fade(pcm[len + index], pcm[index], index / channels, lag))
        .collect();
    pcm.splice(len..len, bridge);
    lag
}

fn fade(from: i16, to: i16, position: usize, length: usize) -> i16 {
    let weight = (position as f32 + 0.5) / length as f32;
    (f32::from(from) * (1.0 - weight) + f32::from(to) * weight).round() as i16
}

/// The lag whose neighbouring stretches are most alike, if they are alike enough or nearly silent.
fn find_lag(pcm: &[i16], channels: usize, max_lag: usize, min_similarity: f32) -> Option<usize> {
    let max_lag = max_lag.min(MAX_LAG).min(pcm.len() / channels / 2);
    if max_lag < MIN_LAG {
        return None;
    }
    let mono: Vec<f32> = pcm[..2 * max_lag * channels]
        .chunks_exact(channels)
        .map(|f| f.iter().map(|&s| f32::from(s)).sum())
        .collect();
    let quiet = QUIET * (channels * channels) as f32;
    if mono.iter().map(|value| value * value).sum::<f32>() / (mono.len() as f32) < quiet {
        return Some(max_lag);
    }
    let coarse: Vec<f32> = mono
        .chunks_exact(DECIMATION)
        .map(|group| group.iter().sum())
        .collect();
    let (guess, _) = best(&coarse, MIN_LAG / DECIMATION, max_lag / DECIMATION);
    let low = (guess * DECIMATION).saturating_sub(DECIMATION).max(MIN_LAG);
    let high = (guess * DECIMATION + DECIMATION).min(max_lag);
    let (lag, similarity) = best(&mono, low, high);
    (similarity >= min_similarity).then_some(lag)
}

fn best(mono: &[f32], low: usize, high: usize) -> (usize, f32) {
    (low..=high)
        .map(|lag| (lag, similarity(&mono[..lag], &mono[lag..2 * lag])))
        .fold(
            (low, -1.0),
            |best, next| if next.1 > best.1 { next } else { best },
        )
}

/// Normalised correlation.
fn similarity(left: &[f32], right: &[f32]) -> f32 {
    let (mut cross, mut left_energy, mut right_energy) = (0.0_f32, 1.0_f32, 1.0_f32);
    for (a, b) in left.iter().zip(right) {
        cross += a * b;
        left_energy += a * a;
        right_energy += b * b;
    }
    cross / (left_energy * right_energy).sqrt()
}

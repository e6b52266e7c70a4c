//! The filter of the resampler: one row of coefficients per fractional position.

use std::f64::consts::PI;

/// Rows kept when the ratio needs more than this many positions; between rows we interpolate.
const MAX_EXACT_ROWS: usize = 640;
const INTERPOLATED_ROWS: usize = 512;
/// Kaiser window parameter: about 80 dB of stop band.
const KAISER_BETA: f64 = 8.0;
/// Kaiser transition width for that beta, in `taps * cycles per sample`.
const TRANSITION: f64 = 5.0;
/// Sums kept apart so that the dot product vectorises.
const LANES: usize = 8;

/// Windowed sinc rows, `taps` coefficients each (a multiple of [`LANES`]).
pub(super) struct Kernel {
    taps: usize,
    rows: usize,
    interpolated: bool,
    coefficients: Vec<f32>,
}

impl Kernel {
    pub(super) fn new(in_rate: u32, out_rate: u32, positions: usize, zero_crossings: usize) -> Self {
        let shrink = f64::from(in_rate.max(out_rate)) / f64::from(out_rate);
        let half = (zero_crossings as f64 * shrink).ceil() as usize;
        let taps = (2 * half).next_multiple_of(LANES);
        let lower_nyquist = 0.5 / shrink;
        // The stop band starts a little above the lower Nyquist frequency: what folds lands at its very edge.
        let cutoff = lower_nyquist - 0.25 * TRANSITION / taps as f64;
        let interpolated = positions > MAX_EXACT_ROWS;
        let rows = if interpolated {
            INTERPOLATED_ROWS
        } else {
            positions
        };
        // One extra row lets interpolation read past the last.
        let coefficients = (0..=rows)
            .flat_map(|row| row_of(row as f64 / rows as f64, taps, cutoff))
            .collect();
        Self {
            taps,
            rows,
            interpolated,
            coefficients,
        }
    }

    pub(super) fn taps(&self) -> usize {
        self.taps
    }

    /// Samples after an output's position that the filter reads.
    pub(super) fn half(&self) -> usize {
        self.taps / 2
    }

    /// Filters a window of `taps` samples at position `fraction / denominator` past its centre sample.
    pub(super) fn apply(&self, window: &[f32], fraction: u64, denominator: u64) -> f32 {
        if !self.interpolated {
            return dot(window, self.row(fraction as usize));
        }
        let scaled = fraction * self.rows as u64;
        let row = (scaled / denominator) as usize;
        let weight = (scaled % denominator) as f32 / denominator as f32;
        let low = dot(window, self.row(row));
        let high = dot(window, self.row(row + 1));
        low + (high - low) * weight
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.coefficients[row * self.taps..(row + 1) * self.taps]
    }
}

/// Coefficients for one fractional position, with a gain of exactly one at 0 Hz.
fn row_of(fraction: f64, taps: usize, cutoff: f64) -> Vec<f32> {
    let half = taps as f64 / 2.0;
    let values: Vec<f64> = (0..taps)
        .map(|tap| {
            let distance = tap as f64 - (half - 1.0) - fraction;
            let window = kaiser(distance / half);
            2.0 * cutoff * sinc(2.0 * cutoff * distance) * window
        })
        .collect();
    let gain: f64 = values.iter().sum();
    values.iter().map(|value| (value / gain) as f32).collect()
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-12 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

fn kaiser(position: f64) -> f64 {
    let inside = 1.0 - position * position;
    if inside <= 0.0 {
        1.0 / bessel_i0(KAISER_BETA)
    } else {
        bessel_i0(KAISER_BETA * inside.sqrt()) / bessel_i0(KAISER_BETA)
    }
}

/// Modified Bessel function of the first kind, order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for index in 1..60 {
        term *= quarter / f64::from(index * index);
        sum += term;
    }
    sum
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (a, b) in left.chunks_exact(LANES).zip(right.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

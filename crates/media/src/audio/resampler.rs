//! Streaming sample rate conversion by a polyphase windowed sinc.

mod kernel;

use super::{AudioError, check_channels, check_rate};
use kernel::Kernel;

/// How sharp the filter is: more zero crossings cost time and latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResamplerQuality {
    Quick,
    Low,
    #[default]
    Medium,
    High,
    VeryHigh,
}

impl ResamplerQuality {
    /// Zero crossings on each side of the filter's centre: its latency in samples of the lower rate.
    fn zero_crossings(self) -> usize {
        match self {
            Self::Quick => 8,
            Self::Low => 12,
            Self::Medium => 16,
            Self::High => 32,
            Self::VeryHigh => 64,
        }
    }
}

/// Converts rate and channel count. Positions are integers, so nothing drifts however long a stream is.
///
/// Output sample `n` belongs to input time `n * in_rate / out_rate`; it comes out once the input the filter
/// looks ahead at is there (16 samples of the lower rate at medium quality), and `flush` gives the rest.
pub struct Resampler {
    in_channels: usize,
    out_channels: usize,
    /// `None`: the rates are equal, samples pass through untouched.
    core: Option<Core>,
}

/// Rate conversion of planar samples in the smaller of the two channel counts.
struct Core {
    kernel: Kernel,
    /// Input step per output sample, as `step / denominator` in lowest terms.
    step: u64,
    denominator: u64,
    /// Position of the next output: whole samples into `planes`, and a numerator over `denominator`.
    position: usize,
    fraction: u64,
    planes: Vec<Vec<f32>>,
}

impl Resampler {
    /// Rates 8,000..=192,000 Hz, 1 or 2 channels; medium quality.
    pub fn new(
        in_rate: u32,
        in_channels: usize,
        out_rate: u32,
        out_channels: usize,
    ) -> Result<Self, AudioError> {
        Self::with_quality(
            in_rate,
            in_channels,
            out_rate,
            out_channels,
            ResamplerQuality::default(),
        )
    }

    /// As [`new`](Self::new), with a chosen quality.
    pub fn with_quality(
        in_rate: u32,
        in_channels: usize,
        out_rate: u32,
        out_channels: usize,
        quality: ResamplerQuality,
    ) -> Result<Self, AudioError> {
        check_rate(in_rate)?;
        check_rate(out_rate)?;
        check_channels(in_channels)?;
        check_channels(out_channels)?;
        let planes = in_channels.min(out_channels);
        let core = (in_rate != out_rate).then(|| Core::new(in_rate, out_rate, planes, quality));
        Ok(Self {
            in_channels,
            out_channels,
            core,
        })
    }

    /// Appends what `pcm` (interleaved, whole frames; a partial one is ignored) makes available to `out`.
    pub fn process(&mut self, pcm: &[i16], out: &mut Vec<i16>) {
        let Some(core) = &mut self.core else {
            super::remix(pcm, self.in_channels, self.out_channels, out);
            return;
        };
        core.feed(pcm, self.in_channels);
        core.produce(usize::MAX, self.out_channels, out);
    }

    /// Appends what is still inside; all calls together then gave `ceil(input * out_rate / in_rate)` samples per
    /// channel. The next `process` starts a new stream.
    pub fn flush(&mut self, out: &mut Vec<i16>) {
        if let Some(core) = &mut self.core {
            core.flush(self.out_channels, out);
        }
    }
}

impl Core {
    fn new(in_rate: u32, out_rate: u32, planes: usize, quality: ResamplerQuality) -> Self {
        let divisor = greatest_common_divisor(in_rate, out_rate);
        let denominator = u64::from(out_rate / divisor);
        let kernel = Kernel::new(in_rate, out_rate, denominator as usize, quality.zero_crossings());
        let mut core = Self {
            kernel,
            step: u64::from(in_rate / divisor),
            denominator,
            position: 0,
            fraction: 0,
            planes: vec![Vec::new(); planes],
        };
        core.restart();
        core
    }

    /// Silence before the first sample fills the filter's past.
    fn restart(&mut self) {
        let past = self.kernel.half() - 1;
        for plane in &mut self.planes {
            plane.clear();
            plane.resize(past, 0.0);
        }
        self.position = 0;
        self.fraction = 0;
    }

    fn feed(&mut self, pcm: &[i16], in_channels: usize) {
        match (self.planes.len(), in_channels) {
            (1, 1) => self.planes[0].extend(pcm.iter().map(|&sample| f32::from(sample))),
            (1, _) => self.planes[0].extend(
                pcm.chunks_exact(2)
                    .map(|frame| (f32::from(frame[0]) + f32::from(frame[1])) * 0.5),
            ),
            _ => {
                for (channel, plane) in self.planes.iter_mut().enumerate() {
                    plane.extend(pcm.chunks_exact(2).map(|frame| f32::from(frame[channel])));
                }
            }
        }
    }

    /// Emits outputs whose filter window is filled, and whose position is below `limit`.
    fn produce(&mut self, limit: usize, out_channels: usize, out: &mut Vec<i16>) {
        let taps = self.kernel.taps();
        while self.position < limit && self.position + taps <= self.planes[0].len() {
            for index in 0..out_channels {
                if index < self.planes.len() {
                    let window = &self.planes[index][self.position..self.position + taps];
                    let value = self.kernel.apply(window, self.fraction, self.denominator);
                    out.push(value.round().clamp(-32_768.0, 32_767.0) as i16);
                } else {
                    out.push(out[out.len() - 1]);
                }
            }
            self.fraction += self.step;
            self.position += (self.fraction / self.denominator) as usize;
            self.fraction %= self.denominator;
        }
        let used = self.position.min(self.planes[0].len());
        for plane in &mut self.planes {
            plane.drain(..used);
        }
        self.position -= used;
    }

    fn flush(&mut self, out_channels: usize, out: &mut Vec<i16>) {
        // Real samples end `half - 1` before the window of the last output starts to run past them.
        let end = self.planes[0].len().saturating_sub(self.kernel.half() - 1);
        let padded = self.planes[0].len() + self.kernel.taps();
        for plane in &mut self.planes {
            plane.resize(padded, 0.0);
        }
        self.produce(end, out_channels, out);
        self.restart();
    }
}

fn greatest_common_divisor(mut left: u32, mut right: u32) -> u32 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

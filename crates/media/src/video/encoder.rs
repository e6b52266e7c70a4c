//! What both encoders share: sizes, rates, key frames on demand, time.

use super::codec::{ENCODER_SIZE_RANGE, EncodedFrame, EncoderConfig, VideoEncoder};
use super::frame::check_size;
use super::{I420Frame, Result, VideoError};

/// Bounds that keep both libraries' rate arithmetic within range.
const BITRATE_RANGE_BPS: (u32, u32) = (10_000, 200_000_000);
const FRAMERATE_RANGE: (f32, f32) = (1.0, 240.0);

/// Longest step between two frames the rate control is told of.
const LONGEST_STEP_US: i64 = 10_000_000;

/// Pixels and processors from which a second thread pays. libvpx's threads wait for each other by spinning: with too few
/// processors a frame takes ten times as long with two threads as with one.
const TWO_THREADS_PIXELS: u64 = 1920 * 1080;
const TWO_THREADS_PROCESSORS: usize = 4;

/// Settings of a library's encoder: checked and complete.
#[derive(Clone, Copy)]
pub struct RawSettings {
    pub width: u32,
    pub height: u32,
    pub bitrate_bps: u32,
    pub framerate: f32,
    pub is_screencast: bool,
    pub threads: u32,
}

/// A picture's place in time.
#[derive(Clone, Copy)]
pub struct FrameTime {
    /// Grows with every frame, from 0.
    pub start_us: i64,
    pub duration_us: i64,
}

/// One library's encoder for one picture size.
pub trait RawEncoder: Sized + Send {
    fn open(settings: &RawSettings) -> Result<Self>;
    fn set_rates(&mut self, bitrate_bps: u32, framerate: f32) -> Result<()>;
    /// The frame has the size `open` was given.
    fn encode(&mut self, frame: &I420Frame, key_frame: bool, time: FrameTime)
    -> Result<Option<EncodedFrame>>;
}

/// A [`VideoEncoder`] on top of a library: re-made when the size changes or the library failed.
pub struct RealtimeEncoder<Raw> {
    raw: Option<Raw>,
    settings: RawSettings,
    threads: u32,
    rates_changed: bool,
    /// Asked for and not delivered yet.
    key_frame_due: bool,
    clock: Clock,
}

impl<Raw: RawEncoder> RealtimeEncoder<Raw> {
    pub fn new(config: EncoderConfig) -> Result<Self> {
        check_config(&config)?;
        let settings = RawSettings {
            width: config.width,
            height: config.height,
            bitrate_bps: clamp_bitrate(config.bitrate_bps),
            framerate: clamp_framerate(config.framerate),
            is_screencast: config.is_screencast,
            threads: threads_for(config.threads, config.width, config.height, processors()),
        };
        Ok(Self {
            raw: Some(Raw::open(&settings)?),
            settings,
            threads: config.threads,
            rates_changed: false,
            key_frame_due: true,
            clock: Clock::default(),
        })
    }

    /// Take out the encoder for this size, with the present rates.
    fn prepare(&mut self, width: u32, height: u32) -> Result<Raw> {
        if (width, height) != (self.settings.width, self.settings.height) {
            check_size(width, height, ENCODER_SIZE_RANGE.0, ENCODER_SIZE_RANGE.1)?;
            self.raw = None;
            self.settings.width = width;
            self.settings.height = height;
            self.settings.threads = threads_for(self.threads, width, height, processors());
        }
        let raw = match self.raw.take() {
            Some(mut raw) => {
                if self.rates_changed {
                    raw.set_rates(self.settings.bitrate_bps, self.settings.framerate)?;
                }
                raw
            }
            None => {
                self.key_frame_due = true;
                Raw::open(&self.settings)?
            }
        };
        self.rates_changed = false;
        Ok(raw)
    }
}

impl<Raw: RawEncoder> VideoEncoder for RealtimeEncoder<Raw> {
    fn encode(
        &mut self,
        frame: &I420Frame,
        key_frame: bool,
        timestamp_us: i64,
    ) -> Result<Option<EncodedFrame>> {
        self.key_frame_due |= key_frame;
        let time = self.clock.advance(timestamp_us, self.settings.framerate);
        let mut raw = self.prepare(frame.width(), frame.height())?;
        let outcome = raw.encode(frame, self.key_frame_due, time);
        // A library that failed may be in any state: then the next frame gets a new one.
        if let Ok(encoded) = &outcome {
            self.raw = Some(raw);
            self.key_frame_due &= !encoded.as_ref().is_some_and(|encoded| encoded.key_frame);
        }
        outcome
    }

    fn set_rates(&mut self, bitrate_bps: u32, framerate: f32) {
        let (bitrate_bps, framerate) = (clamp_bitrate(bitrate_bps), clamp_framerate(framerate));
        if (bitrate_bps, framerate) != (self.settings.bitrate_bps, self.settings.framerate) {
            self.settings.bitrate_bps = bitrate_bps;
            self.settings.framerate = framerate;
            self.rates_changed = true;
        }
    }
}

fn check_config(config: &EncoderConfig) -> Result<()> {
    check_size(
        config.width,
        config.height,
        ENCODER_SIZE_RANGE.0,
        ENCODER_SIZE_RANGE.1,
    )?;
    if config.bitrate_bps == 0 {
        return Err(VideoError::Setting {
            name: "bitrate_bps",
            value: "0".into(),
        });
    }
    if !(config.framerate.is_finite() && config.framerate > 0.0) {
        return Err(VideoError::Setting {
            name: "framerate",
            value: config.framerate.to_string(),
        });
    }
    Ok(())
}

fn clamp_bitrate(bitrate_bps: u32) -> u32 {
    bitrate_bps.clamp(BITRATE_RANGE_BPS.0, BITRATE_RANGE_BPS.1)
}

fn clamp_framerate(framerate: f32) -> f32 {
    if framerate.is_finite() {
        framerate.clamp(FRAMERATE_RANGE.0, FRAMERATE_RANGE.1)
    } else {
        FRAMERATE_RANGE.0
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn threads_for(wanted: u32, width: u32, height: u32, processors: usize) -> u32 {
    let is_large = u64::from(width) * u64::from(height) >= TWO_THREADS_PIXELS;
    match wanted {
        0 if is_large && processors >= TWO_THREADS_PROCESSORS => 2,
        0 => 1,
        _ => wanted.min(8),
    }
}

/// Turns whatever the caller says the time is into one that only grows, in steps a rate control can stand.
#[derive(Default)]
struct Clock {
    last_input_us: Option<i64>,
    now_us: i64,
}

impl Clock {
    fn advance(&mut self, timestamp_us: i64, framerate: f32) -> FrameTime {
        let duration_us = (1_000_000.0 / f64::from(framerate)) as i64;
        if let Some(last) = self.last_input_us {
            let step = timestamp_us.saturating_sub(last);
            // A source that stands still or jumps back is taken to run at its nominal rate.
            self.now_us += if step > 0 {
                step.clamp(1_000, LONGEST_STEP_US)
            } else {
                duration_us
            };
        }
        self.last_input_us = Some(timestamp_us);
        FrameTime {
            start_us: self.now_us,
            duration_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_only_grows() {
        let mut clock = Clock::default();
        let starts: Vec<i64> = [5_000_000, 5_040_000, 5_040_000, 1, i64::MAX, i64::MIN]
            .into_iter()
            .map(|timestamp_us| clock.advance(timestamp_us, 25.0).start_us)
            .collect();
        assert_eq!(starts, [0, 40_000, 80_000, 120_000, 10_120_000, 10_160_000]);
    }

    #[test]
    fn rates_are_held_in_range() {
        assert_eq!(clamp_framerate(f32::NAN), 1.0);
        assert_eq!(clamp_framerate(-3.0), 1.0);
        assert_eq!(clamp_bitrate(0), 10_000);
        assert_eq!(threads_for(0, 1280, 720, 16), 1);
        assert_eq!(threads_for(0, 1920, 1080, 2), 1);
        assert_eq!(threads_for(0, 1920, 1080, 8), 2);
        assert_eq!(threads_for(3, 64, 64, 2), 3);
    }
}

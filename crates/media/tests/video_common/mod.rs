//! A synthetic moving picture and what to compare pictures by.
// Each test file uses a part of it.
#![allow(dead_code)]

use greenroom_media::video::{Codec, EncodedFrame, EncoderConfig, I420Frame, VideoEncoder};

/// Waves that drift and a square that moves: motion in all places, detail an encoder can follow.
pub fn moving_picture(width: u32, height: u32, index: u32) -> I420Frame {
    let (w, h) = (width as usize, height as usize);
    let shift = index as f32 * 2.0;
    let wave = |length: usize, period: f32, amplitude: f32, shift: f32| -> Vec<f32> {
        (0..length)
            .map(|at| amplitude * ((at as f32 + shift) * std::f32::consts::TAU / period).sin())
            .collect()
    };
    let (across, down) = (wave(w, 97.0, 50.0, shift), wave(h, 61.0, 30.0, -shift));
    let side = h / 4;
    let (left, top) = (
        (index as usize * 3) % (w - side).max(1),
        (index as usize * 2) % (h - side).max(1),
    );
    let mut data = Vec::with_capacity(w * h * 3 / 2);
    for (y, vertical) in down.iter().enumerate() {
        for (x, horizontal) in across.iter().enumerate() {
            let inside = (left..left + side).contains(&x) && (top..top + side).contains(&y);
            data.push(if inside {
                210
            } else {
                (120.0 + horizontal + vertical) as u8
            });
        }
    }
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    for plane in 0..2 {
        for y in 0..ch {
            for x in 0..cw {
                data.push(
                    (128.0 + (across[(x * 2).min(w - 1)] - down[(y * 2).min(h - 1)]) * [0.5, -0.4][plane])
                        as u8,
                );
            }
        }
    }
    I420Frame::from_vec(data, width, height).unwrap()
}

/// Peak signal to noise ratio of luma in decibels.
pub fn psnr_db(left: &I420Frame, right: &I420Frame) -> f64 {
    assert_eq!((left.width(), left.height()), (right.width(), right.height()));
    let squares: f64 = left
        .y()
        .iter()
        .zip(right.y())
        .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2))
        .sum();
    let mean = squares / left.y().len() as f64;
    if mean == 0.0 {
        100.0
    } else {
        10.0 * (255.0 * 255.0 / mean).log10()
    }
}

pub const CODECS: [Codec; 2] = [Codec::Vp8, Codec::H264];

pub fn config(width: u32, height: u32, bitrate_bps: u32) -> EncoderConfig {
    EncoderConfig {
        width,
        height,
        bitrate_bps,
        framerate: 30.0,
        is_screencast: false,
        threads: 0,
    }
}

/// Encode pictures `range` at 30 frames a second.
pub fn encode_range(
    encoder: &mut dyn VideoEncoder,
    size: (u32, u32),
    range: std::ops::Range<u32>,
) -> Vec<Option<EncodedFrame>> {
    range
        .map(|index| {
            let frame = moving_picture(size.0, size.1, index);
            encoder.encode(&frame, false, i64::from(index) * 33_333).unwrap()
        })
        .collect()
}

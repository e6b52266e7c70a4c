//! Encoders and decoders together: quality, rates, key frames, sizes.

mod video_common;

use greenroom_media::video::{Codec, EncodedFrame, I420Frame, VideoError, create_decoder, create_encoder};
use video_common::{CODECS, config, encode_range, moving_picture, psnr_db};

const FRAME_US: i64 = 33_333;

/// NAL unit types of an access unit whose start codes all have 4 bytes.
fn nal_units(data: &[u8]) -> Vec<u8> {
    data.windows(5)
        .filter(|window| window[..4] == [0, 0, 0, 1])
        .map(|window| window[4] & 0x1f)
        .collect()
}

#[test]
fn what_goes_in_comes_out() {
    for codec in CODECS {
        for (size, bitrate_bps) in [((320, 240), 800_000), ((1280, 720), 3_000_000)] {
            let mut encoder = create_encoder(codec, config(size.0, size.1, bitrate_bps)).unwrap();
            let mut decoder = create_decoder(codec).unwrap();
            let mut worst = f64::MAX;
            let mut decoded_frames = 0;
            for index in 0..30 {
                let frame = moving_picture(size.0, size.1, index);
                let Some(encoded) = encoder
                    .encode(&frame, false, i64::from(index) * FRAME_US)
                    .unwrap()
                else {
                    continue;
                };
                let decoded = decoder
                    .decode(&encoded.data)
                    .unwrap()
                    .expect("every frame shows at once");
                worst = worst.min(psnr_db(&frame, &decoded));
                decoded_frames += 1;
            }
            assert!(
                decoded_frames >= 27,
                "{codec:?} {size:?}: only {decoded_frames} of 30 frames"
            );
            assert!(worst > 30.0, "{codec:?} {size:?}: {worst:.1} dB");
        }
    }
}

#[test]
fn chroma_arrives_in_its_own_plane() {
    for codec in CODECS {
        let frame = I420Frame::from_vec(
            [vec![90; 64 * 64], vec![60; 32 * 32], vec![190; 32 * 32]].concat(),
            64,
            64,
        );
        let mut encoder = create_encoder(codec, config(64, 64, 500_000)).unwrap();
        let encoded = encoder.encode(&frame.unwrap(), false, 0).unwrap().unwrap();
        let decoded = create_decoder(codec)
            .unwrap()
            .decode(&encoded.data)
            .unwrap()
            .unwrap();
        for (plane, expected) in [(decoded.y(), 90_u8), (decoded.u(), 60), (decoded.v(), 190)] {
            assert!(
                plane.iter().all(|value| value.abs_diff(expected) <= 3),
                "{codec:?}"
            );
        }
    }
}

#[test]
fn key_frames_come_first_and_on_demand_only() {
    for codec in CODECS {
        let mut encoder = create_encoder(codec, config(320, 240, 500_000)).unwrap();
        let keys: Vec<u32> = (0..120)
            .filter(|index| {
                let frame = moving_picture(320, 240, *index);
                let encoded = encoder
                    .encode(&frame, *index == 50, i64::from(*index) * FRAME_US)
                    .unwrap();
                encoded.is_some_and(|encoded| encoded.key_frame)
            })
            .collect();
        assert_eq!(keys[0], 0, "{codec:?}");
        assert_eq!(keys.len(), 2, "{codec:?}: {keys:?}");
        assert!((50..=52).contains(&keys[1]), "{codec:?}: {keys:?}");
    }
}

#[test]
fn h264_is_constrained_baseline_with_parameter_sets_before_each_key_frame() {
    let mut encoder = create_encoder(Codec::H264, config(320, 240, 500_000)).unwrap();
    for index in 0..3 {
        let encoded = encoder.encode(
            &moving_picture(320, 240, index),
            index == 1,
            i64::from(index) * FRAME_US,
        );
        let encoded = encoded.unwrap().unwrap();
        assert_eq!(encoded.data[..4], [0, 0, 0, 1]);
        let units = nal_units(&encoded.data);
        if encoded.key_frame {
            assert_eq!(units[..2], [7, 8]);
            assert!(units[2..].iter().all(|kind| *kind == 5), "{units:?}");
            // profile_idc 66 with constraint_set1: constrained baseline.
            assert_eq!(encoded.data[5], 66);
            assert_eq!(encoded.data[6] & 0x40, 0x40);
        } else {
            assert!(units.iter().all(|kind| *kind == 1), "{units:?}");
        }
    }
}

fn bitrate_bps(frames: &[Option<EncodedFrame>]) -> f64 {
    let bytes: usize = frames.iter().flatten().map(|encoded| encoded.data.len()).sum();
    bytes as f64 * 8.0 * 30.0 / frames.len() as f64
}

#[test]
fn the_rate_is_held_and_follows_changes() {
    for codec in CODECS {
        let size = (640, 360);
        let mut encoder = create_encoder(codec, config(size.0, size.1, 400_000)).unwrap();
        let first = bitrate_bps(&encode_range(&mut *encoder, size, 0..60));
        assert!(
            (first / 400_000.0 - 1.0).abs() < 0.3,
            "{codec:?}: {first:.0} instead of 400000 bit/s"
        );
        encoder.set_rates(150_000, 30.0);
        encode_range(&mut *encoder, size, 60..90);
        let second = bitrate_bps(&encode_range(&mut *encoder, size, 90..150));
        assert!(
            (second / 150_000.0 - 1.0).abs() < 0.3,
            "{codec:?}: {second:.0} instead of 150000 bit/s"
        );
    }
}

#[test]
fn rates_out_of_all_bounds_do_no_harm() {
    for codec in CODECS {
        let mut encoder = create_encoder(codec, config(320, 240, 300_000)).unwrap();
        let rates = [
            (0, 30.0),
            (u32::MAX, 30.0),
            (300_000, f32::NAN),
            (300_000, -1.0),
            (300_000, f32::MAX),
            (1, 1e-9),
        ];
        for (index, (bitrate_bps, framerate)) in (0_u32..).zip(rates) {
            encoder.set_rates(bitrate_bps, framerate);
            encoder
                .encode(
                    &moving_picture(320, 240, index),
                    false,
                    i64::from(index) * FRAME_US,
                )
                .unwrap();
        }
        for timestamp_us in [i64::MAX, i64::MIN, 0, -1] {
            encoder
                .encode(&moving_picture(320, 240, 9), false, timestamp_us)
                .unwrap();
        }
    }
}

#[test]
fn the_size_may_change_at_any_frame() {
    for codec in CODECS {
        let mut encoder = create_encoder(codec, config(320, 240, 600_000)).unwrap();
        let mut decoder = create_decoder(codec).unwrap();
        let sizes = [
            (320, 240),
            (320, 240),
            (640, 360),
            (160, 90),
            (160, 90),
            (240, 320),
        ];
        let mut before = None;
        for (index, size) in (0_u32..).zip(sizes) {
            let frame = moving_picture(size.0, size.1, index);
            let encoded = encoder
                .encode(&frame, false, i64::from(index) * FRAME_US)
                .unwrap()
                .unwrap();
            assert_eq!(encoded.key_frame, before != Some(size), "{codec:?} frame {index}");
            let decoded = decoder.decode(&encoded.data).unwrap().unwrap();
            assert!(psnr_db(&frame, &decoded) > 25.0, "{codec:?} frame {index}");
            before = Some(size);
        }
    }
}

#[test]
fn odd_and_tiny_sizes_work() {
    for codec in CODECS {
        for size in [
            (2, 2),
            (3, 5),
            (15, 17),
            (17, 16),
            (321, 241),
            (4096, 2),
            (2, 4096),
        ] {
            let mut encoder = create_encoder(codec, config(size.0, size.1, 500_000)).unwrap();
            let mut decoder = create_decoder(codec).unwrap();
            for index in 0..3 {
                let frame = moving_picture(size.0, size.1, index);
                let encoded = encoder
                    .encode(&frame, false, i64::from(index) * FRAME_US)
                    .unwrap();
                let Some(encoded) = encoded else { continue };
                let decoded = decoder.decode(&encoded.data).unwrap().unwrap();
                let expected = match codec {
                    Codec::Vp8 => size,
                    // Even, and at least a macroblock.
                    Codec::H264 => (
                        size.0.next_multiple_of(2).max(16),
                        size.1.next_multiple_of(2).max(16),
                    ),
                };
                assert_eq!((decoded.width(), decoded.height()), expected, "{codec:?}");
            }
        }
    }
}

#[test]
fn impossible_settings_are_refused() {
    for codec in CODECS {
        for (width, height) in [(0, 0), (1, 2), (4097, 16), (16, u32::MAX)] {
            assert!(matches!(
                create_encoder(codec, config(width, height, 1)),
                Err(VideoError::Size { .. })
            ));
        }
        assert!(matches!(
            create_encoder(codec, config(64, 64, 0)),
            Err(VideoError::Setting {
                name: "bitrate_bps",
                ..
            })
        ));
        let mut stopped = config(64, 64, 1000);
        stopped.framerate = 0.0;
        assert!(matches!(
            create_encoder(codec, stopped),
            Err(VideoError::Setting {
                name: "framerate",
                ..
            })
        ));
        let mut encoder = create_encoder(codec, config(64, 64, 100_000)).unwrap();
        let huge = I420Frame::black(5000, 16).unwrap();
        assert!(matches!(
            encoder.encode(&huge, false, 0),
            Err(VideoError::Size { .. })
        ));
        let encoded = encoder
            .encode(&moving_picture(64, 64, 0), false, FRAME_US)
            .unwrap()
            .unwrap();
        assert!(encoded.key_frame, "{codec:?} goes on after a refused frame");
    }
}

#[test]
fn too_many_pixels_for_h264_are_an_error() {
    let error = create_encoder(Codec::H264, config(4096, 4096, 1_000_000))
        .err()
        .unwrap();
    assert!(matches!(
        error,
        VideoError::Codec {
            codec: Codec::H264,
            ..
        }
    ));
}

#[test]
fn the_largest_vp8_picture_is_coded() {
    let frame = moving_picture(4096, 4096, 0);
    let mut encoder = create_encoder(Codec::Vp8, config(4096, 4096, 5_000_000)).unwrap();
    let encoded = encoder.encode(&frame, false, 0).unwrap().unwrap();
    let decoded = create_decoder(Codec::Vp8)
        .unwrap()
        .decode(&encoded.data)
        .unwrap()
        .unwrap();
    assert!(psnr_db(&frame, &decoded) > 25.0);
}

#[test]
fn a_screencast_is_coded() {
    for codec in CODECS {
        let mut settings = config(640, 480, 500_000);
        settings.is_screencast = true;
        let mut encoder = create_encoder(codec, settings).unwrap();
        let mut decoder = create_decoder(codec).unwrap();
        let frame = moving_picture(640, 480, 0);
        let mut last = None;
        for index in 0..20 {
            if let Some(encoded) = encoder.encode(&frame, false, index * FRAME_US).unwrap() {
                last = decoder.decode(&encoded.data).unwrap();
            }
        }
        assert!(
            psnr_db(&frame, &last.unwrap()) > 35.0,
            "{codec:?}: a still picture becomes sharp"
        );
    }
}

#[test]
fn encoders_and_decoders_move_between_threads() {
    for codec in CODECS {
        let mut encoder = create_encoder(codec, config(160, 120, 200_000)).unwrap();
        let encoded =
            std::thread::spawn(move || encoder.encode(&moving_picture(160, 120, 0), false, 0).unwrap());
        let encoded = encoded.join().unwrap().unwrap();
        let mut decoder = create_decoder(codec).unwrap();
        assert!(
            std::thread::spawn(move || decoder.decode(&encoded.data).unwrap())
                .join()
                .unwrap()
                .is_some()
        );
    }
}

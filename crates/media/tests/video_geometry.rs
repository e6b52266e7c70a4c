//! Turning and resizing.

mod video_common;

use greenroom_media::video::{I420Frame, VideoError, rotate, scale};
use video_common::{moving_picture, psnr_db};

fn numbered(width: u32, height: u32) -> I420Frame {
    let length =
        greenroom_media::video::buffer_size(width, height, greenroom_media::video::BufferType::I420).unwrap();
    I420Frame::from_vec((0..length).map(|value| value as u8).collect(), width, height).unwrap()
}

#[test]
fn a_quarter_turn_is_clockwise() {
    // 0 1 2      3 0
    // 3 4 5  ->  4 1
    //            5 2
    let turned = rotate(&numbered(3, 2), 90).unwrap();
    assert_eq!((turned.width(), turned.height()), (2, 3));
    assert_eq!(turned.y(), [3, 0, 4, 1, 5, 2]);
    assert_eq!(turned.u(), [6, 7]);
    let turned = rotate(&numbered(3, 2), 270).unwrap();
    assert_eq!(turned.y(), [2, 5, 1, 4, 0, 3]);
    assert_eq!(turned.u(), [7, 6]);
    assert_eq!(rotate(&numbered(3, 2), 180).unwrap().y(), [5, 4, 3, 2, 1, 0]);
}

#[test]
fn turns_add_up() {
    for (width, height) in [(1, 1), (5, 3), (64, 48), (101, 67)] {
        let frame = moving_picture(width, height, 7);
        let turn = |degrees: &[u32]| {
            degrees
                .iter()
                .fold(frame.clone(), |frame, degrees| rotate(&frame, *degrees).unwrap())
        };
        assert_eq!(turn(&[90, 90, 90, 90]), frame);
        assert_eq!(turn(&[90, 270]), frame);
        assert_eq!(turn(&[90, 90]), turn(&[180]));
        assert_eq!(turn(&[0]), frame);
    }
    assert_eq!(rotate(&numbered(4, 4), 45).unwrap_err(), VideoError::Rotation(45));
}

#[test]
fn scaling_keeps_the_picture() {
    let frame = moving_picture(640, 360, 3);
    for (width, height) in [(320, 180), (160, 90), (321, 181), (640, 360)] {
        let small = scale(&frame, width, height).unwrap();
        assert_eq!((small.width(), small.height()), (width, height));
        let back = scale(&small, 640, 360).unwrap();
        assert!(
            psnr_db(&frame, &back) > 24.0,
            "{width}x{height}: {:.1} dB",
            psnr_db(&frame, &back)
        );
    }
}

#[test]
fn shrinking_averages_all_pixels() {
    // A checkerboard of single pixels must become grey, not black or white.
    let luma: Vec<u8> = (0..64 * 64)
        .map(|at| if (at / 64 + at) % 2 == 0 { 16 } else { 235 })
        .collect();
    let frame = I420Frame::from_vec([luma, vec![128; 2 * 32 * 32]].concat(), 64, 64).unwrap();
    let small = scale(&frame, 16, 16).unwrap();
    assert!(
        small.y().iter().all(|value| value.abs_diff(125) < 12),
        "{:?}",
        &small.y()[..16]
    );
    assert!(small.u().iter().all(|value| *value == 128));
}

#[test]
fn flat_pictures_stay_flat_at_extreme_sizes() {
    let frame = I420Frame::black(33, 17).unwrap();
    for (width, height) in [(1, 1), (2, 3), (1000, 1), (1, 1000), (2048, 1024)] {
        assert_eq!(
            scale(&frame, width, height).unwrap(),
            I420Frame::black(width, height).unwrap()
        );
    }
    assert!(matches!(scale(&frame, 0, 5), Err(VideoError::Size { .. })));
    assert!(matches!(scale(&frame, 5, 20_000), Err(VideoError::Size { .. })));
}

#[test]
fn planes_with_padding_are_copied_tightly() {
    let y: Vec<u8> = (0..20).collect();
    let chroma: Vec<u8> = (100..112).collect();
    let frame = I420Frame::from_planes(3, 3, [(&y, 8), (&chroma, 5), (&chroma[1..], 5)]).unwrap();
    assert_eq!(frame.y(), [0, 1, 2, 8, 9, 10, 16, 17, 18]);
    assert_eq!(frame.u(), [100, 101, 105, 106]);
    assert_eq!(frame.v(), [101, 102, 106, 107]);
    assert!(I420Frame::from_planes(3, 3, [(&y[..18], 8), (&chroma, 5), (&chroma, 5)]).is_err());
    assert!(I420Frame::from_planes(3, 3, [(&y, 2), (&chroma, 5), (&chroma, 5)]).is_err());
    assert!(I420Frame::from_planes(3, 3, [(&y, usize::MAX), (&chroma, 5), (&chroma, 5)]).is_err());
}

#[test]
fn clones_share_their_pixels() {
    let frame = moving_picture(64, 64, 0);
    assert_eq!(frame.clone().y().as_ptr(), frame.y().as_ptr());
}

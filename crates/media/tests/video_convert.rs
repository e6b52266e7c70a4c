//! Conversion between pixel layouts: against values recorded from livekit 1.2.1 (`VideoFrame.convert`), and round trips.

use greenroom_media::video::{
    BufferType::{self, Abgr, Argb, Bgra, I010, I420, I420A, I422, I444, Nv12, Rgb24, Rgba},
    VideoError, buffer_size, convert, from_i420, to_i420,
};

/// One conversion of [`noise`].
struct Golden {
    from: BufferType,
    to: BufferType,
    width: u32,
    height: u32,
    flip_y: bool,
    bytes: &'static str,
}

/// A reproducible picture of random bytes, luma not below black.
fn noise(width: u32, height: u32, layout: BufferType) -> Vec<u8> {
    let mut state = 12_345_u64;
    let mut bytes: Vec<u8> = (0..buffer_size(width, height, layout).unwrap())
        .map(|_| {
            state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff;
            (state >> 16) as u8
        })
        .collect();
    if layout == I010 {
        bytes.iter_mut().skip(1).step_by(2).for_each(|byte| *byte &= 3);
    }
    if matches!(layout, I420 | I420A | I422 | I444 | Nv12) {
        let luma = (width * height) as usize;
        bytes[..luma]
            .iter_mut()
            .for_each(|value| *value = (*value).max(16));
    }
    bytes
}

/// A picture of slow gradients, which chroma sampling hardly changes; made opaque RGBA first.
fn gradient(width: u32, height: u32, layout: BufferType) -> Vec<u8> {
    let mut rgba = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
            rgba.extend([
                (40.0 + 150.0 * x) as u8,
                (60.0 + 120.0 * y) as u8,
                (80.0 + 60.0 * (x + y)) as u8,
                255,
            ]);
        }
    }
    convert(&rgba, width, height, Rgba, layout, false).unwrap()
}

fn largest_difference(left: &[u8], right: &[u8]) -> u8 {
    assert_eq!(left.len(), right.len());
    left.iter()
        .zip(right)
        .map(|(a, b)| a.abs_diff(*b))
        .max()
        .unwrap_or(0)
}

fn mean_difference(left: &[u8], right: &[u8]) -> f64 {
    assert_eq!(left.len(), right.len());
    left.iter()
        .zip(right)
        .map(|(a, b)| f64::from(a.abs_diff(*b)))
        .sum::<f64>()
        / left.len() as f64
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn values_are_those_of_the_reference() {
    let mut wrong = Vec::new();
    for golden in GOLDEN {
        let (width, height) = (golden.width, golden.height);
        let data = noise(width, height, golden.from);
        let ours = convert(&data, width, height, golden.from, golden.to, golden.flip_y).unwrap();
        let difference = largest_difference(&ours, &unhex(golden.bytes));
        if difference > 2 {
            wrong.push(format!(
                "{:?} to {:?} {width}x{height} flip {}: off by {difference}",
                golden.from, golden.to, golden.flip_y
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_pair_makes_the_round_trip() {
    for (width, height) in [(64, 48), (33, 17), (1, 1), (2, 1), (1, 5), (3, 2)] {
        for &from in BufferType::all() {
            let original = gradient(width, height, from);
            for &to in BufferType::all() {
                let there = convert(&original, width, height, from, to, false).unwrap();
                assert_eq!(
                    there.len(),
                    buffer_size(width, height, to).unwrap(),
                    "{from:?} to {to:?}"
                );
                let back = convert(&there, width, height, to, from, false).unwrap();
                if (width, height) == (64, 48) {
                    // The high bytes of 10-bit words count 256 steps of the low ones, so compare those as 8 bits.
                    let eight_bits = |data: &[u8]| convert(data, width, height, from, I444, false).unwrap();
                    let mean = mean_difference(&eight_bits(&original), &eight_bits(&back));
                    assert!(
                        mean < 2.0,
                        "{from:?} to {to:?} and back at {width}x{height}: {mean}"
                    );
                } else {
                    assert_eq!(back.len(), original.len());
                }
            }
        }
    }
}

#[test]
fn a_flat_colour_survives_every_pair_at_odd_sizes() {
    for (width, height) in [(1, 1), (3, 3), (17, 5), (67, 9)] {
        let rgba = [200, 100, 50, 255].repeat((width * height) as usize);
        for &from in BufferType::all() {
            let source = convert(&rgba, width, height, Rgba, from, false).unwrap();
            for &to in BufferType::all() {
                let there = convert(&source, width, height, from, to, false).unwrap();
                let back = convert(&there, width, height, to, Rgba, false).unwrap();
                let difference = largest_difference(&rgba, &back);
                assert!(
                    difference <= 4,
                    "{from:?} to {to:?} at {width}x{height}: {difference}"
                );
            }
        }
    }
}

#[test]
fn flipping_twice_changes_nothing_and_flips_every_plane() {
    for &layout in BufferType::all() {
        for (width, height) in [(6, 4), (5, 3), (1, 1)] {
            let original = noise(width, height, layout);
            let flipped = convert(&original, width, height, layout, layout, true).unwrap();
            if height > 1 {
                assert_ne!(flipped, original, "{layout:?}");
            }
            let back = convert(&flipped, width, height, layout, layout, true).unwrap();
            assert_eq!(back, original, "{layout:?} {width}x{height}");
        }
    }
}

#[test]
fn alpha_is_kept_where_there_is_room_and_opaque_elsewhere() {
    let rgba = [10, 20, 30, 77].repeat(12);
    let with_alpha = convert(&rgba, 4, 3, Rgba, I420A, false).unwrap();
    assert_eq!(with_alpha[with_alpha.len() - 12..], [77; 12]);
    let argb = convert(&with_alpha, 4, 3, I420A, Argb, false).unwrap();
    assert!(argb.iter().step_by(4).all(|alpha| *alpha == 77));
    let without = convert(&rgba, 4, 3, Rgba, I420, false).unwrap();
    let abgr = convert(&without, 4, 3, I420, Abgr, false).unwrap();
    assert!(abgr.iter().step_by(4).all(|alpha| *alpha == 255));
    let opaque = convert(&without, 4, 3, I420, I420A, false).unwrap();
    assert_eq!(opaque[opaque.len() - 12..], [255; 12]);
    let bgra = convert(
        &convert(&rgba, 4, 3, Rgba, Rgb24, false).unwrap(),
        4,
        3,
        Rgb24,
        Bgra,
        false,
    )
    .unwrap();
    assert_eq!(bgra[..4], [30, 20, 10, 255]);
}

#[test]
fn ten_bits_are_eight_shifted() {
    let i420 = noise(6, 4, I420);
    let i010 = convert(&i420, 6, 4, I420, I010, false).unwrap();
    assert_eq!(u16::from_le_bytes([i010[0], i010[1]]), u16::from(i420[0]) << 2);
    assert_eq!(convert(&i010, 6, 4, I010, I420, false).unwrap(), i420);
}

#[test]
fn sizes_are_those_of_the_layouts() {
    let expected = [
        (Rgba, 60),
        (Abgr, 60),
        (Argb, 60),
        (Bgra, 60),
        (Rgb24, 45),
        (I420, 27),
        (I420A, 42),
        (I422, 33),
        (I444, 45),
        (I010, 54),
        (Nv12, 27),
    ];
    for (layout, bytes) in expected {
        assert_eq!(buffer_size(5, 3, layout).unwrap(), bytes, "{layout:?}");
        assert_eq!(BufferType::try_from(layout as u32).unwrap(), layout);
    }
}

#[test]
fn bad_input_is_refused_with_the_reason() {
    let short = convert(&[0; 10], 4, 4, Rgba, I420, false).unwrap_err();
    assert_eq!(
        short,
        VideoError::BufferTooSmall {
            buffer_type: Rgba,
            width: 4,
            height: 4,
            needed: 64,
            actual: 10
        }
    );
    assert!(matches!(
        convert(&[], 0, 4, Rgba, I420, false),
        Err(VideoError::Size { .. })
    ));
    assert!(matches!(
        buffer_size(u32::MAX, u32::MAX, I444),
        Err(VideoError::Size { .. })
    ));
    assert_eq!(
        BufferType::try_from(11).unwrap_err(),
        VideoError::UnknownBufferType(11)
    );
    assert!(
        convert(&[0; 100], 4, 4, Rgba, I420, false).is_ok(),
        "surplus bytes are ignored"
    );
}

#[test]
fn frames_go_both_ways() {
    let data = gradient(32, 20, Nv12);
    let frame = to_i420(&data, 32, 20, Nv12).unwrap();
    assert_eq!((frame.width(), frame.height()), (32, 20));
    assert_eq!(from_i420(&frame, Nv12, false).unwrap(), data);
}

/// Pairs the reference can't convert are absent.
#[rustfmt::skip]
const GOLDEN: &[Golden] = &[
    Golden { from: Rgba, to: Bgra, width: 6, height: 4, flip_y: false, bytes: "6504dcaa1dad1f5aace5da1b135f1e70fd6c7910af19ff60ac041db42b021d463a7378f2ae5fdfb7d15908eecb103948ccb59589ff1129062e62b6df35f93cfd28944bca447c09b3965e025f6deab3ac812dd46ee0af69e69c4c870436d2e75d" },
    Golden { from: Rgba, to: I420, width: 6, height: 4, flip_y: false, bytes: "5572cc497e6f2a1d6f8a533ba63c75a272574fbf6a9968bb8c71ba9a73698a888b6b8178" },
    Golden { from: Argb, to: I420, width: 6, height: 4, flip_y: false, bytes: "5554a43dad78792d6392a881b39556845e647d9467c4736a988b6865a3886b8945708697" },
    Golden { from: Bgra, to: Rgba, width: 6, height: 4, flip_y: false, bytes: "6504dcaa1dad1f5aace5da1b135f1e70fd6c7910af19ff60ac041db42b021d463a7378f2ae5fdfb7d15908eecb103948ccb59589ff1129062e62b6df35f93cfd28944bca447c09b3965e025f6deab3ac812dd46ee0af69e69c4c870436d2e75d" },
    Golden { from: Bgra, to: I420, width: 6, height: 4, flip_y: false, bytes: "4272c5489363411f65837452ae5e5fa16c6166b35dac6c9e878a7f67837d8f72be977367" },
    Golden { from: Rgb24, to: I420, width: 6, height: 4, flip_y: false, bytes: "555c5aa4497472782a4d4a638a4cc381a64a6756a28581649a8791a15978a99078b96f7d" },
    Golden { from: I420, to: Rgba, width: 6, height: 4, flip_y: false, bytes: "66ff27ff006c00ff07c300ff57ff00ff050769ffaaacffff007b00ff00c200ff8fff00ff9bff00ffa9abffff000265ff000778ff4752c4ff006300ff00cf00ffff4f00ffff4000ffffffffff000068ffa7ff50ff006a00ffff8e00ffff3200ff" },
    Golden { from: I420, to: Abgr, width: 6, height: 4, flip_y: false, bytes: "ff27ff66ff006c00ff00c307ff00ff57ff690705ffffacaaff007b00ff00c200ff00ff8fff00ff9bffffaba9ff650200ff780700ffc45247ff006300ff00cf00ff004fffff0040ffffffffffff680000ff50ffa7ff006a00ff008effff0032ff" },
    Golden { from: I420, to: Argb, width: 6, height: 4, flip_y: false, bytes: "ff66ff27ff006c00ff07c300ff57ff00ff050769ffaaacffff007b00ff00c200ff8fff00ff9bff00ffa9abffff000265ff000778ff4752c4ff006300ff00cf00ffff4f00ffff4000ffffffffff000068ffa7ff50ff006a00ffff8e00ffff3200" },
    Golden { from: I420, to: Bgra, width: 6, height: 4, flip_y: false, bytes: "27ff66ff006c00ff00c307ff00ff57ff690705ffffacaaff007b00ff00c200ff00ff8fff00ff9bffffaba9ff650200ff780700ffc45247ff006300ff00cf00ff004fffff0040ffffffffffff680000ff50ffa7ff006a00ff008effff0032ffff" },
    Golden { from: I420, to: Rgb24, width: 6, height: 4, flip_y: false, bytes: "66ff27006c0007c30057ff00050769aaacff007b0000c2008fff009bff00a9abff0002650007784752c400630000cf00ff4f00ff4000ffffff000068a7ff50006a00ff8e00ff3200" },
    Golden { from: I420A, to: I420, width: 6, height: 4, flip_y: false, bytes: "dc1065aa1fad1d5adae5ac1b1e5f1370796cfd10ff19af601d04acb41d022b4678733af2" },
    Golden { from: I422, to: Rgba, width: 6, height: 4, flip_y: false, bytes: "ffc727ff970000ff2eae00ff7fff00ff5b0069ffff80ffff670077ffae15beff2cff25ff39ff32ff77ff00ff005e00ff910000ffdd3b00ffb30000ffff2d00ff09b76aff00a85bff61fffaff006000fffff58aff820000ff60baffff045effff" },
    Golden { from: I422, to: Abgr, width: 6, height: 4, flip_y: false, bytes: "ff27c7ffff000097ff00ae2eff00ff7fff69005bffff80ffff770067ffbe15aeff25ff2cff32ff39ff00ff77ff005e00ff000091ff003bddff0000b3ff002dffff6ab709ff5ba800fffaff61ff006000ff8af5ffff000082ffffba60ffff5e04" },
    Golden { from: I422, to: Argb, width: 6, height: 4, flip_y: false, bytes: "ffffc727ff970000ff2eae00ff7fff00ff5b0069ffff80ffff670077ffae15beff2cff25ff39ff32ff77ff00ff005e00ff910000ffdd3b00ffb30000ffff2d00ff09b76aff00a85bff61fffaff006000fffff58aff820000ff60baffff045eff" },
    Golden { from: I422, to: I420, width: 6, height: 4, flip_y: false, bytes: "dc1065aa1fad1d5adae5ac1b1e5f1370796cfd10ff19af606911574f40b5cb348471dd41" },
    Golden { from: I444, to: Rgba, width: 6, height: 4, flip_y: false, bytes: "ffff27ff540500ffdc14bbffc298ffff007f00ff06ff00ffda0000ff00d000ffffc2dbffc8ffdeff33ff2affa400f1ff0022ceffff071aff002e5fffff00deff26d400ff8b6a1dff88ffffff7600dcff59ff88ff043900ff59cdffffae4a00ff" },
    Golden { from: I444, to: Bgra, width: 6, height: 4, flip_y: false, bytes: "27ffffff000554ffbb14dcffff98c2ff007f00ff00ff06ff0000daff00d000ffdbc2ffffdeffc8ff2aff33fff100a4ffce2200ff1a07ffff5f2e00ffde00ffff00d426ff1d6a8bffffff88ffdc0076ff88ff59ff003904ffffcd59ff004aaeff" },
    Golden { from: I444, to: I420, width: 6, height: 4, flip_y: false, bytes: "dc1065aa1fad1d5adae5ac1b1e5f1370796cfd10ff19af60259353bf6c5d949b528a6e76" },
    Golden { from: Nv12, to: Rgba, width: 6, height: 4, flip_y: false, bytes: "28ff27ff008b00ffb628bbffff78ffff009f00ff00ff00ff009b00ff00e200ffffb0ffffffbcffff00ff00ff009a00ff006100ff00ac00ff001100ff5b7d60ffff3900ffff2a00ffb7ff6aff005000ffffffffff001800ffff782dffff1c00ff" },
    Golden { from: Nv12, to: Bgra, width: 6, height: 4, flip_y: false, bytes: "27ff28ff008b00ffbb28b6ffff78ffff009f00ff00ff00ff009b00ff00e200ffffb0ffffffbcffff00ff00ff009a00ff006100ff00ac00ff001100ff607d5bff0039ffff002affff6affb7ff005000ffffffffff001800ff2d78ffff001cffff" },
    Golden { from: Nv12, to: I420, width: 6, height: 4, flip_y: false, bytes: "dc1065aa1fad1d5adae5ac1b1e5f1370796cfd10ff19af601dac1d2b783a04b4024673f2" },
    Golden { from: Rgba, to: Bgra, width: 5, height: 3, flip_y: false, bytes: "6504dcaa1dad1f5aace5da1b135f1e70fd6c7910af19ff60ac041db42b021d463a7378f2ae5fdfb7d15908eecb103948ccb59589ff1129062e62b6df" },
    Golden { from: Rgba, to: I420, width: 5, height: 3, flip_y: false, bytes: "5572cc497e6f2a1d6f8a533ba63c759171a6c5b95c9f7d966c75a8" },
    Golden { from: Argb, to: I420, width: 5, height: 3, flip_y: false, bytes: "5554a43dad78792d6392a881b39556908c5e804ec5618d5740518a" },
    Golden { from: Bgra, to: Rgba, width: 5, height: 3, flip_y: false, bytes: "6504dcaa1dad1f5aace5da1b135f1e70fd6c7910af19ff60ac041db42b021d463a7378f2ae5fdfb7d15908eecb103948ccb59589ff1129062e62b6df" },
    Golden { from: Bgra, to: I420, width: 5, height: 3, flip_y: false, bytes: "4272c5489363411f65837452ae5e5f99808e606aac9770acc4b963" },
    Golden { from: Rgb24, to: I420, width: 5, height: 3, flip_y: false, bytes: "555c5aa4497472782a4d4a638a4cc39d8c63b08c35b770967ebc80" },
    Golden { from: I420, to: Rgba, width: 5, height: 3, flip_y: false, bytes: "49ffcdff005a00ffae3f55fffe90a5ff003300ff13ff97ff006900ffa13348ffffc8ddffc5ffd0ff18d5ffff002cffff00a100ff00ec00ff4a00ffff" },
    Golden { from: I420, to: Abgr, width: 5, height: 3, flip_y: false, bytes: "ffcdff49ff005a00ff553faeffa590feff003300ff97ff13ff006900ff4833a1ffddc8ffffd0ffc5ffffd518ffff2c00ff00a100ff00ec00ffff004a" },
    Golden { from: I420, to: Argb, width: 5, height: 3, flip_y: false, bytes: "ff49ffcdff005a00ffae3f55fffe90a5ff003300ff13ff97ff006900ffa13348ffffc8ddffc5ffd0ff18d5ffff002cffff00a100ff00ec00ff4a00ff" },
    Golden { from: I420, to: Bgra, width: 5, height: 3, flip_y: false, bytes: "cdff49ff005a00ff553faeffa590feff003300ff97ff13ff006900ff4833a1ffddc8ffffd0ffc5ffffd518ffff2c00ff00a100ff00ec00ffff004aff" },
    Golden { from: I420, to: Rgb24, width: 5, height: 3, flip_y: false, bytes: "49ffcd005a00ae3f55fe90a500330013ff97006900a13348ffc8ddc5ffd018d5ff002cff00a10000ec004a00ff" },
    Golden { from: I420A, to: I420, width: 5, height: 3, flip_y: false, bytes: "dc1065aa1fad1d5adae5ac1b1e5f1370796cfd10ff19af601d04ac" },
    Golden { from: I422, to: Rgba, width: 5, height: 3, flip_y: false, bytes: "50ffcdff005700ff00ca55ff00ffa5ff580000ffff5cffff6200ffff00d200ff4dff0bff2fffffff2eff00ff007a00ff002d6eff0079baff001600ff" },
    Golden { from: I422, to: Abgr, width: 5, height: 3, flip_y: false, bytes: "ffcdff50ff005700ff55ca00ffa5ff00ff000058ffff5cffffff0062ff00d200ff0bff4dffffff2fff00ff2eff007a00ff6e2d00ffba7900ff001600" },
    Golden { from: I422, to: Argb, width: 5, height: 3, flip_y: false, bytes: "ff50ffcdff005700ff00ca55ff00ffa5ff580000ffff5cffff6200ffff00d200ff4dff0bff2fffffff2eff00ff007a00ff002d6eff0079baff001600" },
    Golden { from: I444, to: Rgba, width: 5, height: 3, flip_y: false, bytes: "66ffcdff003200ff56713bff9f8dffff007600ffff29ffffa70000ff225fb4ffffd2abfffff232ff00ff00ff001b65ff910078ffff2900ff006e00ff" },
    Golden { from: I444, to: Bgra, width: 5, height: 3, flip_y: false, bytes: "cdff66ff003200ff3b7156ffff8d9fff007600ffff29ffff0000a7ffb45f22ffabd2ffff32f2ffff00ff00ff651b00ff780091ff0029ffff006e00ff" },
    Golden { from: Nv12, to: Rgba, width: 5, height: 3, flip_y: false, bytes: "e2f9cdff000c00ffff053bffff568bffdc0000ffacc397ff041b00ffff002effff8dc3ffffbc18ffffb800ff580f00ff006d00ff00b91cff4a1000ff" },
    Golden { from: Nv12, to: Bgra, width: 5, height: 3, flip_y: false, bytes: "cdf9e2ff000c00ff3b05ffff8b56ffff0000dcff97c3acff001b04ff2e00ffffc38dffff18bcffff00b8ffff000f58ff006d00ff1cb900ff00104aff" },
    Golden { from: Nv12, to: I420, width: 5, height: 3, flip_y: false, bytes: "dc1065aa1fad1d5adae5ac1b1e5f13706c1019600479fdffaf1dac" },
    Golden { from: Rgba, to: Bgra, width: 5, height: 3, flip_y: true, bytes: "d15908eecb103948ccb59589ff1129062e62b6dfaf19ff60ac041db42b021d463a7378f2ae5fdfb76504dcaa1dad1f5aace5da1b135f1e70fd6c7910" },
    Golden { from: Rgba, to: I420, width: 5, height: 3, flip_y: true, bytes: "533ba63c756f2a1d6f8a5572cc497ebc99757068bd8c7ead91747b" },
    Golden { from: Rgb24, to: I420, width: 5, height: 3, flip_y: true, bytes: "4a638a4cc37472782a4d555c5aa449a89449997c68948ea2c57f68" },
    Golden { from: I420, to: Rgba, width: 5, height: 3, flip_y: true, bytes: "18d5ffff002cffff00a100ff00ec00ff4a00ffff13ff97ff006900ffa13348ffffc8ddffc5ffd0ff49ffcdff005a00ffae3f55fffe90a5ff003300ff" },
    Golden { from: I420, to: Rgb24, width: 5, height: 3, flip_y: true, bytes: "18d5ff002cff00a10000ec004a00ff13ff97006900a13348ffc8ddc5ffd049ffcd005a00ae3f55fe90a5003300" },
    Golden { from: Nv12, to: Rgba, width: 5, height: 3, flip_y: true, bytes: "ffb800ff580f00ff006d00ff00b91cff4a1000ffacc397ff041b00ffff002effff8dc3ffffbc18ffe2f9cdff000c00ffff053bffff568bffdc0000ff" },
    Golden { from: Nv12, to: I420, width: 5, height: 3, flip_y: true, bytes: "ac1b1e5f13ad1d5adae5dc1065aa1f196004706c10af1dac79fdff" },
    Golden { from: I420A, to: I420, width: 5, height: 3, flip_y: true, bytes: "ac1b1e5f13ad1d5adae5dc1065aa1ffd10ff70796c1d04ac19af60" },
];

//! Decoders facing damaged, foreign and random data: errors, never a panic, a crash or unbounded memory.

mod video_common;

use greenroom_media::video::{Codec, EncodedFrame, VideoDecoder, VideoError, create_decoder, create_encoder};
use video_common::{CODECS, config, encode_range, moving_picture, psnr_db};

/// Reproducible random numbers (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

fn stream(codec: Codec) -> Vec<EncodedFrame> {
    let mut encoder = create_encoder(codec, config(160, 120, 300_000)).unwrap();
    encode_range(&mut *encoder, (160, 120), 0..20)
        .into_iter()
        .flatten()
        .collect()
}

fn assert_recovers(decoder: &mut dyn VideoDecoder, frames: &[EncodedFrame], codec: Codec) {
    let picture = decoder.decode(&frames[0].data).unwrap().unwrap();
    assert!(
        psnr_db(&moving_picture(160, 120, 0), &picture) > 25.0,
        "{codec:?}"
    );
    assert!(decoder.decode(&frames[1].data).unwrap().is_some(), "{codec:?}");
}

#[test]
fn random_bytes_are_refused_or_ignored() {
    for codec in CODECS {
        let frames = stream(codec);
        let mut decoder = create_decoder(codec).unwrap();
        let mut random = Random(0x5eed_0001);
        for round in 0..2000 {
            let length = random.below(1500);
            let mut data = random.bytes(length);
            // Half of them look like the start of a real frame.
            if round % 2 == 0 {
                let kept = random.below(30).min(frames[0].data.len());
                data.splice(0..kept.min(data.len()), frames[0].data[..kept].iter().copied());
            }
            // Keep what the header may make us allocate small enough for a quick test.
            if codec == Codec::Vp8 && data.len() > 10 {
                data[7] &= 0x01;
                data[9] &= 0x01;
            }
            let _ = decoder.decode(&data);
        }
        assert_recovers(&mut *decoder, &frames, codec);
    }
}

#[test]
fn truncated_frames_do_no_harm() {
    for codec in CODECS {
        let frames = stream(codec);
        let mut decoder = create_decoder(codec).unwrap();
        for length in 0..frames[0].data.len().min(400) {
            let _ = decoder.decode(&frames[0].data[..length]);
            let _ = decoder.decode(&frames[1].data[..length.min(frames[1].data.len())]);
        }
        assert_recovers(&mut *decoder, &frames, codec);
    }
}

#[test]
fn flipped_bits_do_no_harm() {
    for codec in CODECS {
        let frames = stream(codec);
        let mut random = Random(0x5eed_0002);
        for _ in 0..40 {
            let mut decoder = create_decoder(codec).unwrap();
            for frame in &frames {
                let mut data = frame.data.clone();
                for _ in 0..random.below(4) {
                    // Sizes in the VP8 header stay: they are tested on their own.
                    let at = random.below(data.len());
                    if codec == Codec::H264 || !(6..10).contains(&at) {
                        data[at] ^= 1 << random.below(8);
                    }
                }
                let _ = decoder.decode(&data);
            }
            assert_recovers(&mut *decoder, &frames, codec);
        }
    }
}

#[test]
fn missing_frames_are_noticed_or_harmless() {
    for codec in CODECS {
        let frames = stream(codec);
        let mut decoder = create_decoder(codec).unwrap();
        for frame in frames
            .iter()
            .enumerate()
            .filter(|(index, _)| index % 3 != 1)
            .map(|(_, frame)| frame)
        {
            let _ = decoder.decode(&frame.data);
        }
        assert_recovers(&mut *decoder, &frames, codec);
    }
}

#[test]
fn nothing_starts_without_a_key_frame() {
    for codec in CODECS {
        let frames = stream(codec);
        let mut decoder = create_decoder(codec).unwrap();
        assert!(matches!(
            decoder.decode(&frames[1].data),
            Err(VideoError::Decode { .. })
        ));
        assert!(matches!(decoder.decode(&[]), Err(VideoError::Decode { .. })));
        assert_recovers(&mut *decoder, &frames, codec);
    }
}

#[test]
fn a_frame_of_the_other_codec_is_refused() {
    let (vp8, h264) = (stream(Codec::Vp8), stream(Codec::H264));
    assert!(create_decoder(Codec::Vp8).unwrap().decode(&h264[0].data).is_err());
    assert!(create_decoder(Codec::H264).unwrap().decode(&vp8[0].data).is_err());
}

#[test]
fn giant_pictures_are_refused_before_memory_is_taken() {
    let mut data = stream(Codec::Vp8).swap_remove(0).data;
    data[6..10].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
    let error = create_decoder(Codec::Vp8).unwrap().decode(&data).unwrap_err();
    assert!(matches!(
        error,
        VideoError::DecodedTooLarge {
            width: 16_383,
            height: 16_383,
            ..
        }
    ));
}

//! Cost of pictures at 1280x720: `cargo bench -p greenroom-media --bench video`.

#[path = "../tests/video_common/mod.rs"]
mod video_common;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use greenroom_media::video::{
    BufferType, convert, create_decoder, create_encoder, from_i420, rotate, scale, to_i420,
};
use video_common::{CODECS, config, encode_range, moving_picture};

const SIZE: (u32, u32) = (1280, 720);

fn codecs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("720p");
    group.sample_size(20).throughput(Throughput::Elements(1));
    for codec in CODECS {
        let frames: Vec<_> = (0..30)
            .map(|index| moving_picture(SIZE.0, SIZE.1, index))
            .collect();
        let mut encoder = create_encoder(codec, config(SIZE.0, SIZE.1, 2_000_000)).unwrap();
        let mut index = 0_usize;
        group.bench_function(format!("encode {codec:?}"), |bencher| {
            bencher.iter(|| {
                index += 1;
                encoder
                    .encode(&frames[index % frames.len()], false, index as i64 * 33_333)
                    .unwrap()
            });
        });
        let mut encoder = create_encoder(codec, config(SIZE.0, SIZE.1, 2_000_000)).unwrap();
        let stream: Vec<_> = encode_range(&mut *encoder, SIZE, 0..60)
            .into_iter()
            .flatten()
            .collect();
        let mut decoder = create_decoder(codec).unwrap();
        let mut position = 0;
        group.bench_function(format!("decode {codec:?}"), |bencher| {
            bencher.iter(|| {
                let decoded = decoder.decode(&stream[position % stream.len()].data).unwrap();
                position += 1;
                decoded
            });
        });
    }
}

fn pictures(criterion: &mut Criterion) {
    let frame = moving_picture(SIZE.0, SIZE.1, 0);
    let mut group = criterion.benchmark_group("720p");
    for layout in [
        BufferType::Rgba,
        BufferType::Argb,
        BufferType::Rgb24,
        BufferType::Nv12,
    ] {
        let data = from_i420(&frame, layout, false).unwrap();
        group.bench_function(format!("{layout:?} to I420"), |bencher| {
            bencher.iter(|| to_i420(black_box(&data), SIZE.0, SIZE.1, layout).unwrap());
        });
        group.bench_function(format!("I420 to {layout:?}"), |bencher| {
            bencher.iter(|| from_i420(black_box(&frame), layout, false).unwrap());
        });
    }
    let rgba = from_i420(&frame, BufferType::Rgba, false).unwrap();
    group.bench_function("Rgba to Bgra", |bencher| {
        bencher.iter(|| {
            convert(
                black_box(&rgba),
                SIZE.0,
                SIZE.1,
                BufferType::Rgba,
                BufferType::Bgra,
                false,
            )
            .unwrap()
        });
    });
    for (width, height) in [(640, 360), (320, 180), (960, 540)] {
        group.bench_function(format!("scale to {width}x{height}"), |bencher| {
            bencher.iter(|| scale(black_box(&frame), width, height).unwrap());
        });
    }
    group.bench_function("rotate 90", |bencher| {
        bencher.iter(|| rotate(black_box(&frame), 90).unwrap())
    });
}

criterion_group!(benches, codecs, pictures);
criterion_main!(benches);

//! Encrypting and decrypting frames of the sizes that a call has.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use greenroom_e2ee::{FrameCodec, FrameCryptor, KeyOwner, KeyProvider, KeyProviderOptions};

fn cryptor() -> Arc<FrameCryptor> {
    let provider = KeyProvider::new(KeyProviderOptions::default(), Arc::new(|work| work())).unwrap();
    provider.set_key(KeyOwner::Shared, b"bench".to_vec(), 0);
    FrameCryptor::new(&provider, "bench", vec![], Box::new(|_| {}))
}

fn frame(codec: FrameCodec, bytes: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..bytes).map(|n| (n * 31 + n / 256) as u8).collect();
    if codec == FrameCodec::H264 {
        frame[..6].copy_from_slice(&[0, 0, 0, 1, 0x41, 0x9A]);
    }
    frame
}

fn frames(criterion: &mut Criterion) {
    let cryptor = cryptor();
    let sizes = [
        (FrameCodec::Audio, 120),
        (FrameCodec::Vp8, 8_000),
        (FrameCodec::Vp8, 60_000),
        (FrameCodec::H264, 8_000),
        (FrameCodec::H264, 60_000),
    ];
    for (way, sealing) in [("seal", true), ("open", false)] {
        let mut group = criterion.benchmark_group(way);
        for (codec, bytes) in sizes {
            let plain = frame(codec, bytes);
            let sealed = cryptor.seal(codec, 1, 1, plain.clone()).unwrap();
            group.throughput(Throughput::Bytes(bytes as u64));
            group.bench_function(BenchmarkId::new(format!("{codec:?}"), bytes), |bencher| {
                bencher.iter(|| {
                    if sealing {
                        black_box(cryptor.seal(codec, 1, 1, plain.clone()))
                    } else {
                        black_box(cryptor.open(codec, &sealed))
                    }
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, frames);
criterion_main!(benches);

//! Opus packets into the decoder and the jitter buffer.
#![no_main]

use std::time::{Duration, Instant};

use greenroom_fuzz::Input;
use greenroom_media::audio::{
    AudioPacket, BLOCK_SAMPLES, JitterBuffer, JitterBufferConfig, MAX_PACKET_SAMPLES, OpusDecoder,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let channels = 1 + usize::from(input.byte() & 1);
    let mut now = Instant::now();
    let config = JitterBufferConfig {
        channels,
        ..JitterBufferConfig::default()
    };
    let mut buffer = JitterBuffer::new(config).expect("valid");
    let mut decoder = OpusDecoder::new(channels).expect("valid");
    let (mut block, mut decoded) = (Vec::new(), Vec::new());
    let (mut sequence, mut timestamp) = (65_536u64, 0u32);
    while !input.is_empty() {
        let step = input.byte();
        sequence = sequence.wrapping_add_signed(i64::from((step & 15) as i8 - 4));
        timestamp = timestamp.wrapping_add(match step >> 6 {
            0 => 960,
            1 => 2_880,
            2 => u32::from(input.number()),
            _ => u32::from(input.number()) << 16,
        });
        let payload = input.packet(1).to_vec();
        decoded.clear();
        let samples = decoder.decode(&payload, &mut decoded).unwrap_or(0);
        assert!(samples <= MAX_PACKET_SAMPLES && decoded.len() == samples * channels);
        let _ = decoder.decode_fec(&payload, samples, &mut decoded);
        buffer.insert(
            now,
            AudioPacket {
                sequence,
                timestamp,
                payload,
            },
        );
        for _ in 0..step >> 4 & 3 {
            now += Duration::from_millis(10);
            buffer.pull(now, &mut block);
            assert_eq!(block.len(), BLOCK_SAMPLES * channels);
        }
    }
    assert!(buffer.statistics().current_delay_ms.is_finite());
});

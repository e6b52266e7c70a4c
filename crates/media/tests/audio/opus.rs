use greenroom_media::audio::{AudioError, OpusDecoder, OpusEncoder, OpusEncoderConfig};

use crate::signal::{Random, channel, frequency, root_mean_square, signal_to_noise_db, sine};

const RATE_HZ: u32 = 48_000;

fn encoder(channels: usize, dtx: bool) -> OpusEncoder {
    OpusEncoder::new(OpusEncoderConfig {
        channels,
        bitrate_bps: 64_000,
        dtx,
        fec: true,
        voice: channels == 1,
    })
    .unwrap()
}

#[test]
fn a_sine_keeps_its_frequency_and_level() {
    for channels in [1, 2] {
        let (mut encoder, mut decoder) = (encoder(channels, false), OpusDecoder::new(channels).unwrap());
        let (mut packet, mut decoded) = (Vec::new(), Vec::new());
        for index in 0..100 {
            encoder
                .encode(
                    &sine(RATE_HZ, channels, 440.0, 8_000.0, index * 960, 960),
                    &mut packet,
                )
                .unwrap();
            assert!(!packet.is_empty());
            assert_eq!(decoder.decode(&packet, &mut decoded).unwrap(), 960);
        }
        assert_eq!(decoded.len(), 100 * 960 * channels);
        for index in 0..channels {
            let settled = channel(&decoded[9_600 * channels..], channels, index);
            assert!((frequency(RATE_HZ, &settled) - 440.0).abs() < 1.0);
            let ratio = root_mean_square(&settled) / (8_000.0 / 2.0_f64.sqrt());
            assert!(
                (0.9..1.1).contains(&ratio),
                "{channels} channels: level ratio {ratio}"
            );
        }
    }
}

/// The mode for speech, which redundancy needs, would mix them.
#[test]
fn the_sides_of_stereo_stay_apart_whatever_loss_is_expected() {
    for percent in [0, 1, 5, 20] {
        let config = OpusEncoderConfig {
            channels: 2,
            voice: false,
            ..OpusEncoderConfig::default()
        };
        let (mut encoder, mut decoder) = (OpusEncoder::new(config).unwrap(), OpusDecoder::new(2).unwrap());
        encoder.set_expected_loss_percent(percent).unwrap();
        let (mut packet, mut decoded) = (Vec::new(), Vec::new());
        for index in 0..100 {
            let sides = [500.0, 1_300.0].map(|hz| sine(RATE_HZ, 1, hz, 10_000.0, index * 960, 960));
            let pcm: Vec<i16> = (sides[0].iter().zip(&sides[1]))
                .flat_map(|(left, right)| [*left, *right])
                .collect();
            encoder.encode(&pcm, &mut packet).unwrap();
            decoder.decode(&packet, &mut decoded).unwrap();
        }
        let heard = &decoded[decoded.len() / 2..];
        for (index, hz) in [500.0, 1_300.0].into_iter().enumerate() {
            let side = channel(heard, 2, index);
            let noise_db = signal_to_noise_db(RATE_HZ, &side, hz);
            assert!(noise_db > 15.0, "{percent} % of loss, {hz} Hz: {noise_db} dB");
        }
    }
}

#[test]
fn silence_under_dtx_sends_almost_nothing() {
    let mut encoder = encoder(1, true);
    let mut packet = Vec::new();
    let mut lengths = Vec::new();
    for _ in 0..200 {
        encoder.encode(&[0; 960], &mut packet).unwrap();
        lengths.push(packet.len());
    }
    let sent = lengths[50..].iter().filter(|&&length| length > 0).count();
    assert!(sent <= 20, "{sent} of 150 packets sent: {lengths:?}");
    let announcement = lengths
        .windows(2)
        .any(|pair| (1..=2).contains(&pair[0]) && pair[1] == 0);
    assert!(
        announcement,
        "silence starts with a packet of one or two bytes: {lengths:?}"
    );
}

#[test]
fn a_steady_tone_is_not_taken_for_silence_under_dtx() {
    let mut encoder = encoder(1, true);
    let mut packet = Vec::new();
    for index in 0..500 {
        let block = sine(RATE_HZ, 1, 1_000.0, 10_000.0, index * 960, 960);
        encoder.encode(&block, &mut packet).unwrap();
        assert!(packet.len() > 2, "block {index} was dropped");
    }
}

#[test]
fn redundancy_rebuilds_a_lost_packet_better_than_a_guess() {
    let mut encoder = OpusEncoder::new(OpusEncoderConfig {
        bitrate_bps: 32_000,
        dtx: false,
        ..Default::default()
    })
    .unwrap();
    encoder.set_expected_loss_percent(30).unwrap();
    let mut random = Random(5);
    // Bursts of a voiced sound, so that a guess from the past misses them.
    let packets: Vec<Vec<u8>> = (0..60)
        .map(|index| {
            let amplitude = if random.chance(50) { 9_000.0 } else { 300.0 };
            let mut packet = Vec::new();
            encoder
                .encode(&sine(RATE_HZ, 1, 200.0, amplitude, index * 960, 960), &mut packet)
                .unwrap();
            packet
        })
        .collect();
    let error_of = |fec: bool| {
        let (mut whole, mut lossy) = (OpusDecoder::new(1).unwrap(), OpusDecoder::new(1).unwrap());
        let mut error = 0.0;
        for index in 0..packets.len() - 1 {
            let (mut expected, mut actual) = (Vec::new(), Vec::new());
            whole.decode(&packets[index], &mut expected).unwrap();
            match (index % 5 == 4, fec) {
                (false, _) => lossy.decode(&packets[index], &mut actual).unwrap(),
                (true, true) => lossy.decode_fec(&packets[index + 1], 960, &mut actual).unwrap(),
                (true, false) => lossy.conceal(960, &mut actual).unwrap(),
            };
            assert_eq!(actual.len(), 960);
            error += expected
                .iter()
                .zip(&actual)
                .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
                .sum::<f64>();
        }
        error
    };
    let (with, without) = (error_of(true), error_of(false));
    assert!(
        with < without * 0.7,
        "error {with} with redundancy, {without} without"
    );
}

#[test]
fn hostile_payloads_are_errors_or_sound_but_never_a_panic() {
    let mut random = Random(1);
    let mut decoder = OpusDecoder::new(2).unwrap();
    let mut out = Vec::new();
    for _ in 0..20_000 {
        let length = random.below(120) as usize;
        let payload: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        out.clear();
        match random.below(3) {
            0 => drop(decoder.decode_fec(&payload, random.below(10_000) as usize, &mut out)),
            1 => drop(decoder.conceal(random.below(10_000) as usize, &mut out)),
            _ => drop(decoder.decode(&payload, &mut out)),
        }
        assert!(out.len() <= 2 * 5_760);
    }
    assert!(decoder.decode(&[], &mut out).is_err());
    assert!(decoder.decode(&vec![0; 100_000], &mut out).is_err());
}

#[test]
fn arguments_are_checked() {
    assert_eq!(OpusDecoder::new(3).err(), Some(AudioError::Channels(3)));
    assert_eq!(
        encoder(2, false).encode(&[0; 960], &mut Vec::new()),
        Err(AudioError::BlockSize {
            expected: 1_920,
            actual: 960
        })
    );
}

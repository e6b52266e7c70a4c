//! Writes the seed corpus, a few valid inputs per target: `cargo run --release -p greenroom-fuzz --example make_corpus`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use greenroom_datatrack::{Encryption, Extensions, Packet};
use greenroom_e2ee::{Derivation, FrameCodec, FrameCryptor, KeyOwner, KeyProvider, KeyProviderOptions};
use greenroom_fuzz::write_step;
use greenroom_media::audio::{OpusEncoder, OpusEncoderConfig, PACKET_SAMPLES};
use greenroom_media::video::{Codec, EncoderConfig, I420Frame, create_encoder};
use greenroom_sfu::rtcp;
use greenroom_sfu::rtp_header::{ExtensionList, RtpHeader};

const VP8_PAYLOAD: &[u8] = &[
    0x90, 0xE0, 0x80, 0x05, 9, 0x21, 0x10, 0x02, 0, 0x9D, 1, 0x2A, 64, 0, 64, 0, 1, 2,
];
const RED_PAYLOAD: &[u8] = &[0xEF, 0x0F, 0x00, 2, 111, 8, 8, 1, 2];
const DCEP_OPEN: &[u8] = &[
    3, 0x81, 1, 0, 0, 0, 0, 2, 0, 5, 0, 0, b'_', b'l', b'o', b's', b's',
];

fn main() -> std::io::Result<()> {
    let rtp = [
        rtp_packet(111, 100, &[0x78, 1, 2, 3]),
        rtp_packet(96, 300, VP8_PAYLOAD),
        rtp_packet(102, 200, &[0x67, 1, 2, 3]),
        rtp_packet(63, 400, RED_PAYLOAD),
        rtp_packet(97, 301, &[0, 1, 0x90, 0x80, 5, 0x10]),
    ];
    let rtcp = rtcp_compounds();
    let stun = [stun_request("abcd:peer"), stun_request("none:peer")];
    let steps = |kinds: &[u8], packets: &[Vec<u8>]| {
        let mut out = Vec::new();
        for (index, packet) in packets.iter().enumerate() {
            write_step(&mut out, kinds[index % kinds.len()], packet);
        }
        out
    };
    let both: Vec<Vec<u8>> = rtp
        .iter()
        .zip(rtcp.iter().cycle())
        .flat_map(|(a, b)| [a.clone(), b.clone()])
        .collect();
    let prefixed = |first: u8, rest: Vec<u8>| [vec![first], rest].concat();
    let opus = opus_packets();
    seeds("candidate", &[candidates()])?;
    seeds("data_track", &data_track_packets())?;
    seeds("dcep", &[DCEP_OPEN.to_vec(), vec![2]])?;
    seeds("forwarding", &[steps(&[0, 3], &both), steps(&[1, 0x83], &both)])?;
    seeds("frame_cryptor", &sealed_frames())?;
    seeds("h264", &[video(Codec::H264)])?;
    seeds(
        "opus",
        &[
            prefixed(0, steps(&[0x15, 0x25], &opus)),
            prefixed(1, steps(&[0x34, 0x16], &opus)),
        ],
    )?;
    seeds("red", &[RED_PAYLOAD.to_vec(), vec![111, 1]])?;
    seeds("rtcp", &rtcp)?;
    seeds("rtp", &rtp)?;
    seeds("sctp", &sctp_chunks())?;
    seeds("sfu", &[steps(&[1, 2], &both), steps(&[0, 0x82], &stun)])?;
    seeds(
        "srtp",
        &[0, 1, 2].map(|profile| prefixed(profile, steps(&[2, 3], &both))),
    )?;
    seeds("stun", &[steps(&[0x80, 0x81], &stun), steps(&[0, 0xC0], &stun)])?;
    seeds(
        "transport",
        &[
            prefixed(0, steps(&[1, 2, 3, 4, 5], &both)),
            prefixed(1, steps(&[0], &stun)),
        ],
    )?;
    seeds("twcc", &[twcc(10), twcc(200)])?;
    seeds("vp8", &[video(Codec::Vp8)])?;
    seeds(
        "vp8_descriptor",
        &[VP8_PAYLOAD.to_vec(), vec![0x10], vec![0x90, 0x80, 5]],
    )
}

fn seeds(target: &str, inputs: &[Vec<u8>]) -> std::io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&directory)?;
    for (index, input) in inputs.iter().enumerate() {
        fs::write(directory.join(format!("seed-{index}")), input)?;
    }
    Ok(())
}

fn rtp_packet(payload_type: u8, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut extensions = ExtensionList::default();
    extensions.push(1, &[0x90]);
    extensions.push(3, &[0, 7]);
    extensions.push(4, if ssrc / 100 == 3 { b"v" } else { b"r" });
    extensions.push(10, b"h");
    let header = RtpHeader {
        marker: true,
        payload_type,
        sequence_number: 65_535,
        timestamp: 960,
        ssrc,
    };
    let mut out = Vec::new();
    header.write(&extensions, &mut out);
    out.extend_from_slice(payload);
    out
}

fn rtcp_compounds() -> Vec<Vec<u8>> {
    let write = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        out
    };
    let block = rtcp::ReportBlock {
        ssrc: 1_000,
        ..Default::default()
    };
    vec![
        write(&|out| rtcp::write_sender_report(out, 100, 1 << 40, 960, 5, 500, "name")),
        write(&|out| {
            rtcp::write_receiver_reports(out, 1, &[block]);
            rtcp::write_nack(out, 1, 1_000, &[3, 4, 19, 70]);
        }),
        write(&|out| rtcp::write_picture_loss(out, 1, 1_020)),
        write(&|out| rtcp::write_full_intra(out, 1, 1_030, 1)),
        write(&|out| rtcp::write_transport_wide(out, 1, 2, &[0, 1, 0, 1, 0, 0, 1, 0, 0x20, 1, 4, 0])),
        vec![
            0x8F, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0x0A, 1, 0, 0, 0, 0, 7,
        ],
    ]
}

fn stun_request(username: &str) -> Vec<u8> {
    let padded = username.len().next_multiple_of(4);
    let mut out = vec![0, 1, 0, padded as u8 + 4, 0x21, 0x12, 0xA4, 0x42];
    out.extend([7; 12]);
    out.extend([0, 6, 0, username.len() as u8]);
    out.extend_from_slice(username.as_bytes());
    out.resize(24 + padded, 0);
    out
}

/// As the target reads them: the number of the codec, and a frame that its key opens.
fn sealed_frames() -> Vec<Vec<u8>> {
    let options = KeyProviderOptions {
        derivation: Derivation::Hkdf,
        ..KeyProviderOptions::default()
    };
    let provider = KeyProvider::new(options, Arc::new(|work| work())).expect("options");
    provider.set_key(KeyOwner::Shared, b"fuzz".to_vec(), 0);
    let cryptor = FrameCryptor::new(&provider, "fuzz", vec![], Box::new(|_| {}));
    let frames: [(u8, FrameCodec, &[u8]); 4] = [
        (0, FrameCodec::Audio, &[0x78, 1, 2, 3, 0, 0, 0, 1]),
        (1, FrameCodec::Vp8, VP8_PAYLOAD),
        (
            4,
            FrameCodec::H264,
            &[0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x65, 0x88, 0, 0, 1, 7],
        ),
        (
            5,
            FrameCodec::H265,
            &[0, 0, 0, 1, 0x40, 1, 0, 0, 1, 0x26, 1, 0xAF, 9],
        ),
    ];
    let sealed = |(number, codec, frame): (u8, FrameCodec, &[u8])| {
        let sealed = cryptor.seal(codec, 1, 2, frame.to_vec()).expect("there is a key");
        [vec![number], sealed].concat()
    };
    frames.into_iter().map(sealed).collect()
}

fn candidates() -> Vec<u8> {
    let fingerprint = vec!["AB"; 32].join(":");
    let lines = "candidate:1 1 udp 2113929471 127.0.0.1 10100 typ host generation 0 ufrag abcd\n\
        a=candidate:2 1 udp 1 2001:db8::1 9 typ srflx raddr 10.0.0.1 rport 4\n\
        candidate:3 1 tcp 9 10.0.0.1 9 typ host tcptype passive";
    format!("abcdefgh\n0123456789abcdef0123456789\nsha-256 {fingerprint}\n{lines}").into_bytes()
}

/// Arrivals as the target reads them: flags, microseconds, number.
fn twcc(count: u16) -> Vec<u8> {
    (0..count)
        .flat_map(|index| {
            let [high, low] = (index + index % 3).to_be_bytes();
            [if index % 50 == 49 { 0x18 } else { 1 }, 2, 0, high, low]
        })
        .collect()
}

/// Two frames of a track, with and without extensions, as steps of [`greenroom_fuzz::Input::packet`].
fn data_track_packets() -> Vec<Vec<u8>> {
    let extended = Extensions {
        encryption: Some(Encryption {
            key_index: 1,
            iv: [2; 12],
        }),
        user_timestamp: Some(3),
    };
    [Extensions::default(), extended]
        .into_iter()
        .map(|extensions| {
            let mut input = vec![1];
            for sequence in 0..3 {
                let packet = Packet {
                    is_start: sequence == 0,
                    is_final: sequence == 2,
                    handle: 1,
                    sequence,
                    frame_number: 9,
                    timestamp: 90_000,
                    extensions,
                    payload: b"part",
                };
                let bytes = packet.to_bytes();
                input.push(bytes.len() as u8);
                input.extend(bytes);
            }
            input
        })
        .collect()
}

fn opus_packets() -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::new(OpusEncoderConfig::default()).expect("encoder");
    let tone: Vec<i16> = (0..PACKET_SAMPLES)
        .map(|index| ((index as f32 / 17.0).sin() * 9_000.0) as i16)
        .collect();
    let mut packets = vec![Vec::new(); 5];
    for packet in &mut packets {
        encoder.encode(&tone, packet).expect("encoded");
    }
    packets
}

/// Frames as the targets read them: length in units of 16 bytes, contents.
fn video(codec: Codec) -> Vec<u8> {
    let config = EncoderConfig {
        width: 32,
        height: 32,
        bitrate_bps: 50_000,
        framerate: 30.0,
        is_screencast: false,
        threads: 1,
    };
    let mut encoder = create_encoder(codec, config).expect("encoder");
    let mut out = Vec::new();
    for index in 0..4u32 {
        let picture = (0..32 * 32 * 3 / 2).map(|at| (at * (index + 1)) as u8).collect();
        let picture = I420Frame::from_vec(picture, 32, 32).expect("picture");
        let frame = encoder
            .encode(&picture, index == 0, i64::from(index) * 33_333)
            .expect("encoded");
        let Some(mut frame) = frame.map(|frame| frame.data) else {
            continue;
        };
        frame.resize(frame.len().next_multiple_of(16), 0);
        out.push((frame.len() / 16) as u8);
        out.extend_from_slice(&frame);
    }
    out
}

/// A delay in ms and chunks, between bytes of 0xff: DATA, SACK, FORWARD TSN and a reset request.
fn sctp_chunks() -> [Vec<u8>; 2] {
    let data = [&[0, 3, 0, 20, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 53][..], b"text"].concat();
    let sack = [3, 0, 0, 20, 0, 0, 0, 1, 0, 16, 0, 0, 0, 1, 0, 0, 0, 2, 0, 3];
    let forward = [192, 0, 0, 12, 0, 0, 0, 9, 0, 1, 0, 2];
    let reset = [
        130, 0, 0, 22, 0, 13, 0, 18, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0, 1, 0, 0,
    ];
    let first = [&[5][..], &data, &sack, &[0xff, 200], &forward].concat();
    let second = [&[0][..], &reset, &[0xff, 50], &data, &forward].concat();
    [first, second]
}

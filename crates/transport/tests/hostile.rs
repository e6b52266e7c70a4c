//! Malformed packets at every stage of a connection.

mod common;

use std::time::Duration;

use common::{Pair, rtcp, rtp};
use greenroom_transport::{ChannelConfig, Transport, TransportEvent};
use rand::Rng;

const FIRST_BYTES: [u8; 12] = [0, 1, 3, 20, 21, 22, 23, 25, 40, 63, 0x80, 0x90];

/// Random bytes of every protocol, and every kind of damage to real packets.
fn attack(pair: &mut Pair, samples: &[Vec<u8>]) {
    for to in 0..2 {
        for first in FIRST_BYTES {
            for _ in 0..20 {
                let length = pair.random().random_range(0..200);
                let mut bytes: Vec<u8> = (0..length).map(|_| pair.random().random()).collect();
                if let Some(byte) = bytes.first_mut() {
                    *byte = first;
                }
                pair.inject(to, &bytes);
            }
        }
        // Handshake packets carry no authentication: damaged ones may end a handshake by design, when
        // they come from an address that ICE has verified. Afterwards they must not matter.
        let is_connected = pair.sides.iter().all(Transport::is_connected);
        for sample in samples.iter().filter(|sample| is_connected || !is_dtls(sample)) {
            let cut = pair.random().random_range(0..sample.len());
            pair.inject(to, &sample[..cut]);
            let mut flipped = sample.clone();
            let at = pair.random().random_range(0..sample.len());
            flipped[at] ^= 1 << pair.random().random_range(0..8);
            pair.inject(to, &flipped);
        }
    }
}

fn is_dtls(packet: &[u8]) -> bool {
    (20..=63).contains(&packet[0])
}

fn sample_packets() -> Vec<Vec<u8>> {
    let mut pair = Pair::new(99);
    pair.keep_delivered = true;
    pair.introduce(1);
    pair.run_until(Duration::from_secs(5), |pair| {
        pair.sides.iter().all(Transport::is_connected)
    });
    pair.sides[0].send_rtp(rtp(1, 1, b"sample")).expect("RTP");
    pair.sides[1].send_rtcp(rtcp(1)).expect("RTCP");
    pair.run_for(Duration::from_secs(1));
    pair.delivered
        .into_iter()
        .map(|(_, transmit)| transmit.contents)
        .collect()
}

#[test]
fn rubbish_at_every_stage_costs_nothing_but_a_counter() {
    let samples = sample_packets();
    assert!(samples.len() > 10);
    for (seed, active) in [(1, 0), (2, 1)] {
        let mut pair = Pair::new(seed);
        attack(&mut pair, &samples);
        pair.introduce(active);
        let limit = pair.now + Duration::from_secs(20);
        for _ in 0..400 {
            attack(&mut pair, &samples);
            if pair.sides.iter().all(Transport::is_connected) || !pair.step(limit) {
                break;
            }
        }
        pair.run_until(Duration::from_secs(30), |pair| {
            pair.sides.iter().all(Transport::is_connected)
        });
        let channel = pair.sides[0].open_channel(ChannelConfig {
            label: "alive".to_owned(),
            ordered: true,
            max_retransmits: None,
        });
        for _ in 0..50 {
            attack(&mut pair, &samples);
            pair.run_for(Duration::from_millis(20));
        }
        pair.sides[0].send_message(channel, b"unharmed").expect("send");
        pair.run_for(Duration::from_secs(5));
        let is_message = |event: &TransportEvent| matches!(event, TransportEvent::ChannelMessage { data, .. } if data == b"unharmed");
        assert!(pair.events[1].iter().any(is_message));
        let statistics = pair.sides[0].statistics();
        assert!(statistics.malformed_packets > 0 && statistics.rejected_stun_packets > 0);
        assert!(statistics.unauthenticated_packets > 0);
        assert!(
            !pair
                .events
                .iter()
                .flatten()
                .any(|event| matches!(event, TransportEvent::Rtp(_)))
        );
    }
}

#[test]
fn dtls_from_strangers_is_not_looked_at() {
    let samples = sample_packets();
    let mut pair = Pair::new(3);
    pair.introduce(1);
    for sample in samples.iter().filter(|sample| is_dtls(sample)) {
        pair.inject(0, sample);
    }
    let handshake = samples.iter().filter(|sample| is_dtls(sample)).count() as u64;
    assert_eq!(pair.sides[0].statistics().rejected_dtls_packets, handshake);
    pair.run_until(Duration::from_secs(5), |pair| {
        pair.sides.iter().all(Transport::is_connected)
    });
}

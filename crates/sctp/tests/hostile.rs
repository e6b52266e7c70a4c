//! Whatever a peer sends, an association does not panic, and what it keeps is bounded.

mod common;

use std::time::{Duration, Instant};

use common::Pair;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sctp_proto::{Event, ReliabilityType, fuzzing};

/// Kinds that are parsed, and some that are not.
const KINDS: [u8; 19] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 0x41, 0x84, 130, 192, 0xfe,
];

fn chunk(random: &mut StdRng) -> Vec<u8> {
    let length = random.random_range(0..60);
    let told = if random.random_bool(0.9) {
        length + 4
    } else {
        random.random_range(0..100)
    };
    let mut bytes = vec![
        KINDS[random.random_range(0..KINDS.len())],
        random.random(),
        0,
        told as u8,
    ];
    // Small numbers meet lengths, counts and sequence numbers.
    bytes.extend((0..length).map(|_| {
        if random.random_bool(0.5) {
            random.random_range(0..4)
        } else {
            random.random()
        }
    }));
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn made_up_chunks_do_no_harm() {
    let seed = 17;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let now = Instant::now();
    for _ in 0..2_000 {
        let mut input = Vec::new();
        for _ in 0..random.random_range(1..20) {
            input.push(random.random_range(0..255));
            input.extend((0..random.random_range(1..4)).flat_map(|_| chunk(&mut random)));
            input.push(0xff);
        }
        fuzzing::parse(&input);
        fuzzing::associate(&input, now);
    }
}

#[test]
fn a_peer_that_never_finishes_a_message_is_cut_off() {
    let mut pair = Pair::connected(1);
    pair.open(0, 0, ReliabilityType::Reliable, false);
    // The sender's limit is higher than the receiver's.
    pair.association(0).set_max_send_message_size(0);
    pair.write(0, 0, &vec![1; 3 << 20]);
    pair.run_for(Duration::from_secs(5));
    let lost = |event: &Event| matches!(event, Event::AssociationLost { .. });
    assert!(pair.sides.iter().all(|side| side.events.iter().any(lost)));
}

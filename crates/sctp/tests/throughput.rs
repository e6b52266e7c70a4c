//! Bytes per virtual second over paths with delay and loss; and, printed only, the CPU time that takes.

mod common;

use std::time::{Duration, Instant};

use common::{Link, Pair};
use sctp_proto::ReliabilityType;

const TOTAL_BYTES: usize = 64 << 20;

/// Megabytes per virtual second.
fn rate(seed: u64, link: Link) -> f64 {
    let mut pair = Pair::connected(seed);
    pair.link = link;
    pair.open(0, 0, ReliabilityType::Reliable, false);
    let start = Instant::now();
    let took = pair.transfer(TOTAL_BYTES, 14_000, 4 << 20);
    let megabytes = TOTAL_BYTES as f64 / 1e6;
    let rate = megabytes / took.as_secs_f64();
    let cpu = start.elapsed().as_secs_f64() * 1e3 / megabytes;
    println!("{link:?}: {rate:.1} MB/s, {cpu:.2} ms per MB for both ends");
    rate
}

fn path(round_trip_ms: u64, loss: f64) -> Link {
    Link {
        delay: Duration::from_micros(round_trip_ms * 500),
        loss,
        ..Link::default()
    }
}

#[test]
fn a_round_trip_of_20_ms_carries_20_megabytes_a_second() {
    let rate = rate(1, path(20, 0.0));
    assert!(rate >= 20.0, "{rate:.1} MB/s");
}

#[test]
fn loss_of_a_thousandth_leaves_5_megabytes_a_second() {
    for seed in 0..3 {
        let rate = rate(seed, path(20, 0.001));
        assert!(rate >= 5.0, "{rate:.1} MB/s");
    }
}

#[test]
fn loss_of_a_hundredth_leaves_half_a_megabyte_a_second() {
    let rate = rate(2, path(20, 0.01));
    assert!(rate >= 0.5, "{rate:.1} MB/s");
}

#[test]
fn a_path_without_delay_is_bound_by_the_processor_alone() {
    let rate = rate(3, path(0, 0.0));
    assert!(rate >= 100.0, "{rate:.1} MB/s");
}

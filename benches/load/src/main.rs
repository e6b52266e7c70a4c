//! A load for a room server: participants that join, publish made-up media and count what arrives.
//!
//! One thread drives them all: sockets, ICE, DTLS and SRTP are real, nothing is encoded or decoded. Prints one line of
//! JSON. `python -m benches.load` runs it against both servers.
#![forbid(unsafe_code)]

mod connection;
mod description;
mod messages;
mod options;
mod packet;
mod participant;
mod process;
mod reception;
mod scenario;
mod signal;
mod token;
mod track;
mod world;

use std::io;
use std::time::{Duration, Instant};

use options::Options;
use reception::Summary;
use world::World;

/// How long it may take until all that is expected arrives.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);

fn main() {
    let result = Options::parse(std::env::args().skip(1)).and_then(|options| measure(&options));
    match result {
        Ok(figures) => println!("{figures}"),
        Err(error) => {
            eprintln!("greenroom-load: {error}");
            std::process::exit(1);
        }
    }
}

fn measure(options: &Options) -> io::Result<String> {
    let scenario = scenario::by_name(&options.scenario, options.publishers, options.others)
        .ok_or_else(|| io::Error::other(format!("no scenario is called {:?}", options.scenario)))?;
    let participants = scenario.publishers.len() + scenario.others.len();
    let joins = scenario.others.len();
    let resident_before_kb = process::resident_kb(&options.pid)?;
    let mut world = World::new(options.access())?;
    world.join(scenario.publishers)?;
    let cpu_before_joins_s = process::cpu_s(&options.pid)?;
    let join_time = world.join(scenario.others)?;
    let join_cpu_s = process::cpu_s(&options.pid)? - cpu_before_joins_s;
    world.settle(SETTLE_LIMIT)?;

    world.begin();
    let sent_before = world.packets_sent();
    let (started, cpu_before_s) = (Instant::now(), process::cpu_s(&options.pid)?);
    let own_before_s = process::cpu_s("self")?;
    world.run(options.time)?;
    let elapsed_s = started.elapsed().as_secs_f64();
    let cpu_s = process::cpu_s(&options.pid)? - cpu_before_s;
    let own_cpu_s = process::cpu_s("self")? - own_before_s;
    let resident_kb = process::resident_kb(&options.pid)?.saturating_sub(resident_before_kb);
    let sent = world.packets_sent() - sent_before;
    let stall = world.longest_step();
    let mut summary = world.summary();
    world.leave()?;
    world.run(Duration::from_millis(20)).ok();

    let [p50, p99] = [0.50, 0.99].map(|part| percentile_ms(&mut summary, part));
    let packets = summary.packets.max(1) as f64;
    let expected = world.expected().packets_per_s.max(1);
    let figures = [
        ("participants", participants as f64),
        ("streams", summary.streams as f64),
        ("packets_sent_per_s", sent as f64 / elapsed_s),
        ("packets_received_per_s", packets / elapsed_s),
        (
            "received_percent_of_expected",
            packets / elapsed_s / expected as f64 * 100.0,
        ),
        ("cpu_us_per_packet", cpu_s * 1e6 / packets),
        ("cpu_percent", cpu_s / elapsed_s * 100.0),
        (
            "memory_kb_per_participant",
            resident_kb as f64 / participants as f64,
        ),
        ("joins_per_s", joins as f64 / join_time.as_secs_f64()),
        ("cpu_ms_per_join", join_cpu_s * 1e3 / joins as f64),
        ("loss_percent", loss_percent(&summary)),
        ("delay_ms_p50", p50),
        ("delay_ms_p99", p99),
        ("generator_cpu_percent", own_cpu_s / elapsed_s * 100.0),
        ("generator_stall_ms", stall.as_secs_f64() * 1e3),
    ];
    let fields: Vec<String> = figures
        .iter()
        .map(|(name, value)| format!("\"{name}\": {value:.4}"))
        .collect();
    Ok(format!("{{{}}}", fields.join(", ")))
}

fn loss_percent(summary: &Summary) -> f64 {
    let lost = summary.expected.saturating_sub(summary.packets);
    lost as f64 / summary.expected.max(1) as f64 * 100.0
}

fn percentile_ms(summary: &mut Summary, part: f64) -> f64 {
    let delays = &mut summary.delays_us;
    if delays.is_empty() {
        return f64::NAN;
    }
    let rank = ((delays.len() - 1) as f64 * part) as usize;
    f64::from(*delays.select_nth_unstable(rank).1) / 1e3
}

//! What a process uses, from /proc.

use std::fs;
use std::io;

/// Clock ticks of /proc in a second; Linux never has it otherwise towards programs.
const TICKS_PER_S: f64 = 100.0;

/// Processor time of all threads of a process, user and system, in seconds.
pub fn cpu_s(pid: &str) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may hold anything.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok((user + system) / TICKS_PER_S),
        _ => Err(io::Error::other(format!(
            "/proc/{pid}/stat can't be read: {stat}"
        ))),
    }
}

/// Resident memory, in kB.
pub fn resident_kb(pid: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/status has no VmRSS")))
}

//! `Simulator`: the engine in virtual time, for `greenroom.testing`.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use greenroom_sim::{Direction, Faults};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::engine_error;

/// How far ahead of the real clock virtual time begins: what a library takes from the real clock is always past.
const AHEAD: Duration = Duration::from_secs(86_400);

/// A world of its own with its own time.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct Simulator {
    pub simulator: greenroom_sim::Simulator,
}

pub fn ip(text: &str) -> PyResult<IpAddr> {
    text.parse()
        .map_err(|_| engine_error(format_args!("{text:?} is no IP address")))
}

fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|_| engine_error(format_args!("{name} is {value}; give seconds, at least 0")))
}

fn probability(name: &str, value: f64) -> PyResult<f64> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(engine_error(format_args!(
            "{name} is {value}; give a probability, 0 to 1"
        )))
    }
}

#[pymethods]
impl Simulator {
    #[new]
    #[pyo3(signature = (*, seed, keep_trace = false))]
    fn new(seed: u64, keep_trace: bool) -> Self {
        let base = Instant::now() + AHEAD;
        Self {
            simulator: greenroom_sim::Simulator::new(seed, base, keep_trace),
        }
    }

    fn now_ns(&self) -> u64 {
        self.simulator.now_ns()
    }

    #[pyo3(signature = (limit_ns = None))]
    fn run(&self, limit_ns: Option<u64>) -> bool {
        self.simulator.run(limit_ns)
    }

    #[pyo3(signature = (address, *, up, delay_s, jitter_s, loss, duplicate, reorder, blackhole, bitrate_bps, queue_s))]
    #[allow(clippy::too_many_arguments)]
    fn set_link(
        &self,
        address: &str,
        up: bool,
        delay_s: f64,
        jitter_s: f64,
        loss: f64,
        duplicate: f64,
        reorder: f64,
        blackhole: bool,
        bitrate_bps: u64,
        queue_s: f64,
    ) -> PyResult<()> {
        let faults = Faults {
            delay: seconds("delay_s", delay_s)?,
            jitter: seconds("jitter_s", jitter_s)?,
            loss: probability("loss", loss)?,
            duplicate: probability("duplicate", duplicate)?,
            reorder: probability("reorder", reorder)?,
            blackhole,
            bitrate_bps,
            queue: seconds("queue_s", queue_s)?,
        };
        let direction = if up { Direction::Up } else { Direction::Down };
        self.simulator.set_faults(ip(address)?, direction, faults);
        Ok(())
    }

    fn rebind(&self, address: &str) -> PyResult<()> {
        self.simulator.rebind(ip(address)?);
        Ok(())
    }

    fn record(&self, text: &str) {
        self.simulator.record(text);
    }

    fn trace_hash(&self) -> (u64, u64) {
        self.simulator.trace_hash()
    }

    fn take_trace(&self) -> Vec<String> {
        self.simulator.take_trace()
    }

    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.simulator.counts();
        let dict = PyDict::new(py);
        dict.set_item("endpoints", counts.endpoints)?;
        dict.set_item("sockets", counts.sockets)?;
        dict.set_item("datagrams", counts.datagrams)?;
        dict.set_item("tick_callbacks", counts.tick_callbacks)?;
        Ok(dict)
    }

    fn close(&self) {
        self.simulator.close();
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Simulator>()
}

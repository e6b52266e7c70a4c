//! What the engine's threads have to say, kept until Python takes it: a thread of the engine never waits for the GIL.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;

/// Records kept; later ones are counted only.
const RECORDS_LIMIT: usize = 256;
/// Of each message.
const CHARACTERS_LIMIT: usize = 2_000;

/// Whose records are kept; the first part of their module paths.
const OURS: [&str; 2] = ["greenroom", "sctp_proto"];

static QUEUE: LogQueue = LogQueue::new();

struct LogQueue {
    /// Spares those who look the lock.
    filled: AtomicBool,
    records: Mutex<Records>,
}

struct Records {
    kept: VecDeque<(Level, String)>,
    dropped: usize,
}

impl LogQueue {
    const fn new() -> LogQueue {
        LogQueue {
            filled: AtomicBool::new(false),
            records: Mutex::new(Records {
                kept: VecDeque::new(),
                dropped: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<(Level, String)> {
        if !self.filled.swap(false, Ordering::AcqRel) {
            return vec![];
        }
        let mut records = self.lock();
        let mut taken = Vec::from(std::mem::take(&mut records.kept));
        let dropped = std::mem::take(&mut records.dropped);
        if dropped > 0 {
            taken.push((
                Level::Warn,
                format!("{dropped} more messages of the engine are dropped"),
            ));
        }
        taken
    }
}

impl Log for LogQueue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn && OURS.iter().any(|name| metadata.target().starts_with(name))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut records = self.lock();
        if records.kept.len() < RECORDS_LIMIT {
            let text = record.args().to_string().chars().take(CHARACTERS_LIMIT).collect();
            records.kept.push_back((record.level(), text));
        } else {
            records.dropped += 1;
        }
        self.filled.store(true, Ordering::Release);
    }

    fn flush(&self) {}
}

/// What was logged since the last call, as (level of Python's `logging`, message).
#[pyfunction]
fn take_log() -> Vec<(u8, String)> {
    let number = |level| if level == Level::Error { 40 } else { 30 };
    let records = QUEUE.take().into_iter();
    records.map(|(level, text)| (number(level), text)).collect()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // A second module of one process shares the first one's queue.
    if log::set_logger(&QUEUE).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
    module.add_function(wrap_pyfunction!(take_log, module)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_bounded_and_what_is_dropped_is_counted() {
        let queue = LogQueue::new();
        assert_eq!(queue.take(), []);
        for number in 0..RECORDS_LIMIT + 3 {
            let record = |target| {
                queue.log(
                    &Record::builder()
                        .args(format_args!("{number}"))
                        .level(Level::Warn)
                        .target(target)
                        .build(),
                );
            };
            record("greenroom_net::slot");
            record("str0m::ice");
        }
        let taken = queue.take();
        assert_eq!(taken.len(), RECORDS_LIMIT + 1);
        assert_eq!(taken[0], (Level::Warn, "0".to_owned()));
        assert_eq!(
            taken[RECORDS_LIMIT].1,
            "3 more messages of the engine are dropped"
        );
        assert_eq!(queue.take(), []);
    }
}

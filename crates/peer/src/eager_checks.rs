//! Connectivity checks while a path is looked for. str0m's ICE paces itself by ticks of 50 ms, so a candidate that comes
//! just after one waits for the next. For a moment ICE is driven more often than it asks to be. Not at once: a remote
//! on the same machine is told our description as it tells us its own, and may not be ready for a check yet.

use std::time::{Duration, Instant};

/// How soon the first check of a pair is repeated; each repetition waits twice as long as the one before, up to 3 s.
pub(crate) const FIRST_RETRANSMISSION: Duration = Duration::from_millis(100);
/// How often ICE is driven; no pair is checked before its time.
const TICK: Duration = Duration::from_millis(5);
/// For how long after the last news of the remote.
const EAGER_FOR: Duration = Duration::from_millis(300);

/// When ICE is to be driven though it did not ask.
#[derive(Debug, Default)]
pub(crate) struct EagerChecks {
    next: Option<Instant>,
    until: Option<Instant>,
}

impl EagerChecks {
    /// Credentials or a candidate of the remote came.
    pub fn begin(&mut self, now: Instant) {
        self.next = Some(now + TICK);
        self.until = Some(now + EAGER_FOR);
    }

    /// A path was found, or the connection is over.
    pub fn end(&mut self) {
        *self = Self::default();
    }

    /// Whether to drive ICE now.
    pub fn is_due(&mut self, now: Instant) -> bool {
        if self.next.is_none_or(|next| next > now) {
            return false;
        }
        self.next = self.until.is_some_and(|until| now < until).then_some(now + TICK);
        true
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_come_for_a_moment_after_the_last_news() {
        let start = Instant::now();
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        let mut checks = EagerChecks::default();
        assert!(!checks.is_due(at(0)));
        checks.begin(at(0));
        assert!(!checks.is_due(at(4)));
        assert!(checks.is_due(at(5)));
        assert!(!checks.is_due(at(9)));
        checks.begin(at(200));
        let mut ticks = 0;
        while let Some(next) = checks.poll_timeout() {
            assert!(checks.is_due(next));
            ticks += 1;
        }
        assert_eq!(ticks, 60);
    }

    #[test]
    fn a_path_that_was_found_ends_them() {
        let mut checks = EagerChecks::default();
        checks.begin(Instant::now());
        checks.end();
        assert_eq!(checks.poll_timeout(), None);
    }
}

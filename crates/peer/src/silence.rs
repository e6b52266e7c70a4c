//! A path that is dead, in one direction or both, is noticed long before ICE gives it up: our checks have no answer
//! (RFC 7675). str0m keeps a pair for as long as the remote's checks arrive, although nothing of ours may.

use std::time::{Duration, Instant};

/// An idle path is checked every 3 s, and more often once an answer is missing: several are lost by then.
pub(crate) const SILENCE_TIMEOUT: Duration = Duration::from_secs(6);

/// The message type of a Binding success response (RFC 8489 section 5).
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];

/// When a check was last answered, and whether the absence of answers was reported.
#[derive(Default)]
pub(crate) struct Silence {
    answered_at: Option<Instant>,
    silent: bool,
}

impl Silence {
    /// A STUN message came from where everything is sent to; only an answer to ours proves both directions.
    pub fn stun_received(&mut self, message: &[u8], now: Instant) {
        if message.starts_with(&BINDING_SUCCESS) {
            self.answered_at = Some(now);
        }
    }

    /// The ICE state to report, when that is news. One that is not connected reports its own.
    pub fn update(&mut self, connected: bool, now: Instant) -> Option<&'static str> {
        let silent = connected && self.falls_silent_at().is_some_and(|at| at <= now);
        let was_silent = std::mem::replace(&mut self.silent, silent);
        match (was_silent, silent) {
            (false, true) => Some("disconnected"),
            (true, false) if connected => Some("connected"),
            _ => None,
        }
    }

    pub fn poll_timeout(&self, connected: bool) -> Option<Instant> {
        self.falls_silent_at().filter(|_| connected && !self.silent)
    }

    fn falls_silent_at(&self) -> Option<Instant> {
        Some(self.answered_at? + SILENCE_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_reported_once_and_so_is_its_end() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut silence = Silence::default();
        assert_eq!(silence.poll_timeout(true), None);
        assert_eq!(silence.update(true, at(100)), None, "nothing was ever heard");
        silence.stun_received(&BINDING_SUCCESS, at(100));
        assert_eq!(silence.poll_timeout(true), Some(at(106)));
        silence.stun_received(&[0x00, 0x01], at(105));
        assert_eq!(silence.update(true, at(105)), None);
        assert_eq!(silence.update(true, at(106)), Some("disconnected"));
        assert_eq!(silence.poll_timeout(true), None);
        assert_eq!(silence.update(true, at(107)), None);
        silence.stun_received(&BINDING_SUCCESS, at(108));
        assert_eq!(silence.update(true, at(108)), Some("connected"));
        assert_eq!(silence.update(true, at(109)), None);
    }

    #[test]
    fn a_restart_of_ice_begins_anew() {
        let start = Instant::now();
        let mut silence = Silence::default();
        silence.stun_received(&BINDING_SUCCESS, start);
        let later = start + SILENCE_TIMEOUT;
        assert_eq!(silence.update(true, later), Some("disconnected"));
        assert_eq!(silence.update(false, later), None);
        assert_eq!(silence.poll_timeout(false), None);
    }
}

//! ICE over TCP (RFC 6544, active): which connections are opened, and when.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// UDP is better where it works, and tells so within this; until then no connection is opened.
const UDP_FIRST: Duration = Duration::from_millis(500);
/// A connection that ended is not opened again before.
const PAUSE: Duration = Duration::from_secs(3);
/// Connections of one peer, ended ones included.
const MAX_PATHS: usize = 64;

enum State {
    /// Open, or being opened.
    Open,
    Ended(Instant),
}

/// What becomes of something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Send,
    OpenAndSend,
    Drop,
}

/// By our end, which only names it, and the remote's.
#[derive(Default)]
pub(crate) struct TcpPaths {
    states: HashMap<(SocketAddr, SocketAddr), State>,
    opens_at: Option<Instant>,
}

impl TcpPaths {
    /// Checks begin, at first or anew. `has_udp`: there is something else to try.
    pub fn begin(&mut self, now: Instant, has_udp: bool) {
        self.opens_at = Some(if has_udp { now + UDP_FIRST } else { now });
    }

    /// `connected`: there is a path already.
    pub fn judge(&mut self, now: Instant, ends: (SocketAddr, SocketAddr), connected: bool) -> Verdict {
        let may_open = match self.states.get(&ends) {
            Some(State::Open) => return Verdict::Send,
            Some(State::Ended(at)) => *at + PAUSE <= now,
            None => !connected && self.states.len() < MAX_PATHS && self.opens_at.is_some_and(|at| at <= now),
        };
        if !may_open {
            return Verdict::Drop;
        }
        self.states.insert(ends, State::Open);
        Verdict::OpenAndSend
    }

    pub fn ended(&mut self, now: Instant, ends: (SocketAddr, SocketAddr)) {
        if let Some(state) = self.states.get_mut(&ends) {
            *state = State::Ended(now);
        }
    }

    /// Forget all from our end; those that were open are returned.
    pub fn remove(&mut self, local: SocketAddr) -> Vec<(SocketAddr, SocketAddr)> {
        let mut open = Vec::new();
        self.states.retain(|ends, state| {
            let gone = ends.0 == local;
            if gone && matches!(state, State::Open) {
                open.push(*ends);
            }
            !gone
        });
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (SocketAddr, SocketAddr) {
        ("10.0.0.1:9".parse().unwrap(), "10.0.0.2:7881".parse().unwrap())
    }

    #[test]
    fn udp_is_given_a_moment() {
        let now = Instant::now();
        let mut paths = TcpPaths::default();
        assert_eq!(paths.judge(now, ends(), false), Verdict::Drop);
        paths.begin(now, true);
        assert_eq!(paths.judge(now, ends(), false), Verdict::Drop);
        let later = now + UDP_FIRST;
        assert_eq!(paths.judge(later, ends(), true), Verdict::Drop, "UDP works");
        assert_eq!(paths.judge(later, ends(), false), Verdict::OpenAndSend);
        assert_eq!(paths.judge(later, ends(), true), Verdict::Send);
    }

    #[test]
    fn without_udp_there_is_nothing_to_wait_for() {
        let now = Instant::now();
        let mut paths = TcpPaths::default();
        paths.begin(now, false);
        assert_eq!(paths.judge(now, ends(), false), Verdict::OpenAndSend);
    }

    #[test]
    fn what_ended_is_opened_again_after_a_pause() {
        let now = Instant::now();
        let mut paths = TcpPaths::default();
        paths.begin(now, false);
        paths.judge(now, ends(), false);
        paths.ended(now, ends());
        assert_eq!(paths.judge(now, ends(), false), Verdict::Drop);
        assert_eq!(paths.judge(now + PAUSE, ends(), false), Verdict::OpenAndSend);
        assert_eq!(paths.remove(ends().0), [ends()]);
        assert_eq!(paths.remove(ends().0), []);
    }
}

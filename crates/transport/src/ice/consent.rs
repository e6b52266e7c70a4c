//! Whether the path works: nominated pairs, consent to send on them (RFC 7675), and the state that follows.
//!
//! Every authentic STUN packet on the path renews consent. Without it the path is disconnected after a while, then
//! failed; a restart under way gets time of its own.

use std::time::{Duration, Instant};

use is::IceAgentEvent;

use super::follower::Sign;
use super::session::Session;
use super::{Ice, Path, protocol};
use crate::types::{IceState, Received};

/// Without any sign of consent for this long the path counts as disconnected.
const DISCONNECTED_AFTER: Duration = Duration::from_secs(10);
/// Without any sign of consent for this long the path counts as failed.
const FAILED_AFTER: Duration = Duration::from_secs(15);
/// How long the first path may take, from the remote description on.
const CHECKING_FOR_AT_MOST: Duration = Duration::from_secs(30);

impl Ice {
    pub(super) fn collect_paths(&mut self, now: Instant) {
        if let Some(path) = self.previous.as_mut().and_then(nominated) {
            self.take_chosen(path, now);
        }
        if let Some(path) = nominated(&mut self.current) {
            self.take_chosen(path, now);
            self.previous = None;
        }
    }

    /// What an agent has chosen. One that gives a pair up turns to the best that worked once, though the peer may be gone
    /// from there, and followed elsewhere.
    fn take_chosen(&mut self, path: Path, now: Instant) {
        if self.follower.is_alive(&path, now) {
            self.take_path(path, now);
        }
    }

    fn take_path(&mut self, path: Path, now: Instant) {
        log::debug!("ICE path is now {path:?}");
        let previous = self.path.replace(path);
        self.follower.chosen(path, previous, now);
        self.last_consent = Some(now);
        self.checking_since = None;
        self.state = IceState::Connected;
    }

    /// Any authentic STUN packet on the path shows that the peer still wants its traffic (RFC 7675); one from elsewhere
    /// may show that the peer is there now.
    pub(super) fn note_sign(&mut self, now: Instant, received: &Received<'_>, sign: Sign) {
        let is_path = |path: &Path| path.is_peer(received.protocol, received.source);
        if self.path.as_ref().is_some_and(is_path) {
            self.last_consent = Some(now);
            self.follower.heard_path(now);
        } else {
            self.follow(now, received, sign);
        }
    }

    /// Take another path, if this sign from there says so.
    pub(super) fn follow(&mut self, now: Instant, received: &Received<'_>, sign: Sign) {
        let has_path = self.path.is_some();
        if let Some(path) = self.follower.heard_other(now, received, sign, has_path) {
            self.take_path(path, now);
        }
    }

    pub(super) fn evaluate(&mut self, now: Instant) {
        let silence = self.last_consent.map(|at| now.saturating_duration_since(at));
        let next = match (self.path, silence) {
            (Some(_), Some(silence)) if silence >= FAILED_AFTER => self.state_without_consent(now),
            (Some(_), Some(silence)) if silence >= DISCONNECTED_AFTER => IceState::Disconnected,
            (Some(_), Some(_)) => IceState::Connected,
            _ => self.state_without_path(now),
        };
        self.state = next;
    }

    /// A restart under way gets its own time before the connection is given up.
    fn state_without_consent(&self, now: Instant) -> IceState {
        let is_checking = |since| now.saturating_duration_since(since) < CHECKING_FOR_AT_MOST;
        if self.checking_since.is_some_and(is_checking) {
            IceState::Checking
        } else {
            IceState::Failed
        }
    }

    fn state_without_path(&self, now: Instant) -> IceState {
        match self.checking_since {
            Some(_) => self.state_without_consent(now),
            None => self.state,
        }
    }

    pub(super) fn update_deadline(&mut self) {
        let agents = [Some(&mut self.current), self.previous.as_mut()];
        let checks = agents
            .into_iter()
            .flatten()
            .filter_map(|session| session.agent.poll_timeout())
            .min();
        let consent = match (self.state, self.last_consent) {
            (IceState::Connected, Some(at)) => Some(at + DISCONNECTED_AFTER),
            (IceState::Disconnected, Some(at)) => Some(at + FAILED_AFTER),
            (IceState::Checking, _) => self.checking_since.map(|at| at + CHECKING_FOR_AT_MOST),
            _ => None,
        };
        self.deadline = [checks, consent].into_iter().flatten().min();
    }
}

fn nominated(session: &mut Session) -> Option<Path> {
    let mut newest = None;
    while let Some(event) = session.agent.poll_event() {
        if let IceAgentEvent::NominatedSend {
            proto,
            source,
            destination,
        } = event
            && let Some(protocol) = protocol(proto)
        {
            newest = Some(Path {
                protocol,
                source,
                destination,
            });
        }
    }
    session.has_path |= newest.is_some();
    newest
}

//! Following a peer whose address changes: a NAT has forgotten it, or it has moved to another network.
//!
//! An agent stays with the pair of the highest priority until its checks have failed for many seconds. What comes from
//! a new address while the old one is silent says the same at once. Only authentic STUN counts, and an address is
//! followed only after our own check of it was answered: a repeated request sends nobody's media elsewhere.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Path;
use crate::types::Received;

/// Addresses that are remembered beside the path's; the oldest gives way.
const MAX_OTHERS: usize = 16;
/// An address that was there when the path was chosen, or that is not nominated, takes over after this silence.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// One that media or data come from, after this.
const SILENT_BESIDE_TRAFFIC_AFTER: Duration = Duration::from_secs(1);

/// What an authentic packet was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Request {
        nominates: bool,
    },
    /// The answer to a check of ours.
    Answer,
    /// RTP, RTCP or data: what the peer sends goes this way.
    Traffic,
}

/// An address of the peer that packets don't go to.
#[derive(Debug)]
struct Other {
    path: Path,
    heard_at: Instant,
    /// First heard, or nominated, after the path was chosen; or, where the path was heard meanwhile, since then.
    new_since: Option<Instant>,
    is_nominated: bool,
    is_reached: bool,
}

impl Other {
    /// The peer wants this one. If it did not before, that is as good as a new address.
    fn nominate(&mut self, now: Instant) {
        if !self.is_nominated {
            self.is_nominated = true;
            self.new_since.get_or_insert(now);
        }
    }
}

/// The addresses that the peer was heard from.
#[derive(Debug, Default)]
pub(super) struct Follower {
    path_heard_at: Option<Instant>,
    others: VecDeque<Other>,
}

impl Follower {
    /// Something authentic came over the path.
    pub(super) fn heard_path(&mut self, now: Instant) {
        self.path_heard_at = Some(now);
    }

    /// Packets go elsewhere now; whoever is known is new no more. Nor is where they went before: a peer that has once
    /// nominated a pair may go on saying so in every check of it.
    pub(super) fn chosen(&mut self, path: Path, previous: Option<Path>, now: Instant) {
        let previous_heard_at = self.path_heard_at.replace(now);
        if let Some(previous) = previous {
            self.remember(Other {
                path: previous,
                heard_at: previous_heard_at.unwrap_or(now),
                new_since: None,
                is_nominated: true,
                is_reached: true,
            });
        }
        self.others
            .retain(|other| !other.path.is_peer(path.protocol, path.destination));
        self.others.iter_mut().for_each(|other| other.new_since = None);
    }

    /// Whether a path may be taken: not one that is silent beside one that is not.
    pub(super) fn is_alive(&self, path: &Path, now: Instant) -> bool {
        let is_silent = |heard_at| now.saturating_duration_since(heard_at) >= SILENT_AFTER;
        let is_it = |other: &&Other| other.path.is_peer(path.protocol, path.destination);
        self.path_heard_at.is_none_or(is_silent)
            || !self
                .others
                .iter()
                .find(is_it)
                .is_some_and(|other| is_silent(other.heard_at))
    }

    /// An authentic packet from elsewhere; the path to take from now on, if it shows one.
    pub(super) fn heard_other(
        &mut self,
        now: Instant,
        received: &Received<'_>,
        sign: Sign,
        has_path: bool,
    ) -> Option<Path> {
        let path_heard_at = self.path_heard_at;
        let other = self.other(now, received, has_path);
        other.heard_at = now;
        match sign {
            Sign::Request { nominates: true } => other.nominate(now),
            Sign::Request { nominates: false } => {}
            Sign::Answer => other.is_reached = true,
            Sign::Traffic => {}
        }
        let heard_at = path_heard_at?;
        let is_silent_since = match &mut other.new_since {
            Some(since) if heard_at > *since => {
                *since = now;
                false
            }
            since => since.is_some(),
        };
        let limit = match sign {
            Sign::Traffic => SILENT_BESIDE_TRAFFIC_AFTER,
            Sign::Request { .. } | Sign::Answer => SILENT_AFTER,
        };
        let is_silent = now.saturating_duration_since(heard_at) >= limit;
        let is_followed =
            has_path && other.is_reached && (is_silent || other.is_nominated && is_silent_since);
        is_followed.then_some(other.path)
    }

    fn other(&mut self, now: Instant, received: &Received<'_>, has_path: bool) -> &mut Other {
        let is_it = |other: &Other| other.path.is_peer(received.protocol, received.source);
        let index = self.others.iter().position(is_it).unwrap_or_else(|| {
            self.remember(Other {
                path: Path {
                    protocol: received.protocol,
                    source: received.destination,
                    destination: received.source,
                },
                heard_at: now,
                new_since: has_path.then_some(now),
                is_nominated: false,
                is_reached: false,
            })
        });
        &mut self.others[index]
    }

    fn remember(&mut self, other: Other) -> usize {
        if self.others.len() >= MAX_OTHERS {
            self.others.pop_front();
        }
        self.others.push_back(other);
        self.others.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::types::Protocol;

    const OLD: &str = "192.0.2.1:1000";
    const NEW: &str = "192.0.2.1:2000";
    const NOMINATION: Sign = Sign::Request { nominates: true };
    const CHECK: Sign = Sign::Request { nominates: false };

    fn path(peer: &str) -> Path {
        Path {
            protocol: Protocol::Udp,
            source: "10.0.0.1:7882".parse().expect("address"),
            destination: peer.parse().expect("address"),
        }
    }

    fn from(path: &Path) -> Received<'static> {
        Received {
            protocol: path.protocol,
            source: path.destination,
            destination: path.source,
            contents: &[],
        }
    }

    /// What happens at which millisecond; the path is heard, or a sign comes from elsewhere.
    type Story<'a> = &'a [(u64, Option<(&'a str, Sign)>)];

    /// When another address was taken as the path.
    fn followed(story: Story<'_>) -> Option<u64> {
        let begin = Instant::now();
        let mut follower = Follower::default();
        follower.chosen(path(OLD), None, begin);
        for (at_ms, happening) in story {
            let now = begin + Duration::from_millis(*at_ms);
            let Some((peer, sign)) = happening else {
                follower.heard_path(now);
                continue;
            };
            let other = path(peer);
            let received = from(&other);
            if let Some(next) = follower.heard_other(now, &received, *sign, true) {
                assert_eq!(next, other);
                return Some(*at_ms);
            }
        }
        None
    }

    #[test]
    fn the_path_follows_a_peer_that_moved() {
        let new = |sign| Some((NEW, sign));
        let table: &[(&str, Story<'_>, Option<u64>)] = &[
            (
                "a new address that is nominated and answers, the old one silent",
                &[(10, None), (20, new(NOMINATION)), (30, new(Sign::Answer))],
                Some(30),
            ),
            (
                "nothing proves that it is reached",
                &[(20, new(NOMINATION)), (3_000, new(NOMINATION))],
                None,
            ),
            (
                "the old path is alive",
                &[
                    (20, new(NOMINATION)),
                    (25, None),
                    (30, new(Sign::Answer)),
                    (35, None),
                    (40, new(Sign::Answer)),
                ],
                None,
            ),
            (
                "a late packet of the old path only delays it",
                &[
                    (20, new(NOMINATION)),
                    (25, None),
                    (30, new(Sign::Answer)),
                    (280, new(Sign::Answer)),
                ],
                Some(280),
            ),
            (
                "a peer that does not nominate again is followed after a while",
                &[
                    (20, new(CHECK)),
                    (30, new(Sign::Answer)),
                    (4_000, new(CHECK)),
                    (5_000, new(CHECK)),
                ],
                Some(5_000),
            ),
        ];
        for (name, story, expected) in table {
            assert_eq!(followed(story), *expected, "{name}");
        }
    }

    /// An address that was heard before another one was chosen as the path.
    struct Known {
        follower: Follower,
        chosen_at: Instant,
    }

    impl Known {
        fn by(signs: &[Sign]) -> Known {
            let chosen_at = Instant::now();
            let mut follower = Follower::default();
            for sign in signs {
                let followed = follower.heard_other(chosen_at, &from(&path(NEW)), *sign, false);
                assert_eq!(followed, None);
            }
            follower.chosen(path(OLD), None, chosen_at);
            Known { follower, chosen_at }
        }

        fn hear(&mut self, after: Duration, sign: Sign) -> Option<Path> {
            let at = self.chosen_at + after;
            self.follower.heard_other(at, &from(&path(NEW)), sign, true)
        }
    }

    #[test]
    fn an_address_that_was_known_before_the_choice_does_not_take_over_at_once() {
        let mut known = Known::by(&[NOMINATION, Sign::Answer]);
        assert_eq!(known.hear(Duration::from_secs(3), NOMINATION), None);
        assert_eq!(known.hear(SILENT_AFTER, NOMINATION), Some(path(NEW)));
    }

    #[test]
    fn an_address_that_was_known_takes_over_soon_when_traffic_comes_from_it() {
        let mut known = Known::by(&[NOMINATION]);
        let late = SILENT_BESIDE_TRAFFIC_AFTER;
        assert_eq!(
            known.hear(late, Sign::Traffic),
            None,
            "nothing proves that it is reached"
        );
        known.hear(late, Sign::Answer);
        let soon = late - Duration::from_millis(1);
        assert_eq!(
            known.hear(soon, Sign::Traffic),
            None,
            "the path was heard just now"
        );
        assert_eq!(known.hear(late, Sign::Traffic), Some(path(NEW)));
    }

    #[test]
    fn an_address_that_was_known_takes_over_at_once_when_it_is_nominated() {
        let mut known = Known::by(&[CHECK, Sign::Answer]);
        let soon = Duration::from_millis(50);
        assert_eq!(known.hear(soon, CHECK), None);
        assert_eq!(known.hear(soon, NOMINATION), Some(path(NEW)));
    }

    #[test]
    fn a_path_that_was_left_is_not_new_when_it_is_nominated_again() {
        let begin = Instant::now();
        let mut follower = Follower::default();
        let left = path(OLD);
        follower.chosen(left, None, begin);
        follower.chosen(path(NEW), Some(left), begin);
        let received = from(&left);
        let soon = begin + Duration::from_millis(50);
        for sign in [NOMINATION, Sign::Answer, Sign::Traffic] {
            assert_eq!(follower.heard_other(soon, &received, sign, true), None);
        }
        let late = begin + SILENT_BESIDE_TRAFFIC_AFTER;
        assert_eq!(
            follower.heard_other(late, &received, Sign::Traffic, true),
            Some(left)
        );
    }

    #[test]
    fn a_silent_path_is_not_taken_beside_one_that_is_alive() {
        let begin = Instant::now();
        let mut follower = Follower::default();
        assert!(follower.is_alive(&path(OLD), begin), "nothing is known");
        follower.chosen(path(OLD), None, begin);
        follower.chosen(path(NEW), Some(path(OLD)), begin);
        let late = begin + SILENT_AFTER;
        assert!(follower.is_alive(&path(OLD), late), "both are silent");
        follower.heard_path(late);
        assert!(!follower.is_alive(&path(OLD), late));
        assert!(follower.is_alive(&path(NEW), late), "it is the path");
        follower.heard_other(late, &from(&path(OLD)), Sign::Answer, true);
        assert!(follower.is_alive(&path(OLD), late), "it was heard");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut follower = Follower::default();
        let now = Instant::now();
        for port in 1..1_000 {
            let peer = SocketAddr::from(([192, 0, 2, 1], port));
            let received = Received {
                protocol: Protocol::Udp,
                source: peer,
                destination: path(OLD).source,
                contents: &[],
            };
            follower.heard_other(now, &received, CHECK, true);
        }
        assert_eq!(follower.others.len(), MAX_OTHERS);
    }
}

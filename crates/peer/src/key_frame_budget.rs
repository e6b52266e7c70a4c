//! How often one layer may begin anew: key frames are many times the size of others, and a room of joiners asks often.

use std::time::{Duration, Instant};

/// On average key frames come no closer than this.
const SPACING: Duration = Duration::from_millis(300);
/// One that is asked for out of turn need not wait. A track's first key frame leaves before its first receiver is
/// there, so the second one is what that receiver sees first.
const AHEAD: Duration = SPACING;

/// A leaky bucket of two key frames (ITU-T I.371's "generic cell rate algorithm").
#[derive(Debug, Default)]
pub(crate) struct KeyFrameBudget {
    /// When the next key frame would come if they were evenly spaced.
    due: Option<Instant>,
}

impl KeyFrameBudget {
    /// From when on a key frame may be made; None: it may be made at any time, for there was none yet.
    pub fn allowed_at(&self) -> Option<Instant> {
        self.due.map(|due| due.checked_sub(AHEAD).unwrap_or(due))
    }

    pub fn allows(&self, now: Instant) -> bool {
        self.allowed_at().is_none_or(|at| at <= now)
    }

    /// A key frame was made.
    pub fn spend(&mut self, now: Instant) {
        self.due = Some(self.due.map_or(now, |due| due.max(now)) + SPACING);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_key_frame_is_free_and_the_rest_are_spaced() {
        let start = Instant::now();
        let mut budget = KeyFrameBudget::default();
        let made: Vec<u64> = (0..2_000)
            .filter(|ms| {
                let now = start + Duration::from_millis(*ms);
                let allowed = budget.allows(now);
                if allowed {
                    budget.spend(now);
                }
                allowed
            })
            .collect();
        assert_eq!(made, [0, 1, 300, 600, 900, 1_200, 1_500, 1_800]);
    }

    #[test]
    fn a_quiet_while_earns_one_key_frame_and_not_more() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut budget = KeyFrameBudget::default();
        budget.spend(at(0));
        for ms in [10_000, 10_001] {
            assert!(budget.allows(at(ms)));
            budget.spend(at(ms));
        }
        assert_eq!(budget.allowed_at(), Some(at(10_300)));
    }
}

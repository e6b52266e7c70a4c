//! Which transmission sequence numbers have arrived.

use std::collections::VecDeque;

use crate::serial::{at_or_before, before, distance};

/// Runs above the cumulative number that are remembered; what would make more is not taken.
const MAX_RUNS: usize = 2048;
const MAX_DUPLICATES: usize = 16;

/// The cumulative number and the runs above it.
#[derive(Debug, Default)]
pub(crate) struct Received {
    cumulative: u32,
    /// First and last of each run, ascending, with gaps between them.
    runs: VecDeque<(u32, u32)>,
    duplicates: Vec<u32>,
}

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    New,
    Duplicate,
    /// Too many gaps.
    Refused,
}

impl Received {
    /// Nothing before `first` is expected.
    pub(crate) fn starting_at(first: u32) -> Received {
        Received {
            cumulative: first.wrapping_sub(1),
            ..Received::default()
        }
    }

    pub(crate) fn cumulative(&self) -> u32 {
        self.cumulative
    }

    pub(crate) fn has_gaps(&self) -> bool {
        !self.runs.is_empty()
    }

    pub(crate) fn insert(&mut self, tsn: u32) -> Arrival {
        if at_or_before(tsn, self.cumulative) {
            return self.duplicate(tsn);
        }
        if tsn == self.cumulative.wrapping_add(1) {
            self.cumulative = tsn;
            self.absorb();
            return Arrival::New;
        }
        // Most numbers belong to the last run, so look from the end.
        let after = self.runs.iter().rposition(|run| at_or_before(run.0, tsn));
        let index = after.map_or(0, |index| index + 1);
        if let Some(run) = after.map(|index| self.runs[index]) {
            if at_or_before(tsn, run.1) {
                return self.duplicate(tsn);
            }
            if tsn == run.1.wrapping_add(1) {
                self.runs[index - 1].1 = tsn;
                self.join(index);
                return Arrival::New;
            }
        }
        if let Some(next) = self.runs.get_mut(index)
            && next.0 == tsn.wrapping_add(1)
        {
            next.0 = tsn;
            return Arrival::New;
        }
        if self.runs.len() >= MAX_RUNS {
            return Arrival::Refused;
        }
        self.runs.insert(index, (tsn, tsn));
        Arrival::New
    }

    /// Takes everything up to `tsn` as arrived.
    pub(crate) fn advance_to(&mut self, tsn: u32) {
        if !before(self.cumulative, tsn) {
            return;
        }
        self.cumulative = tsn;
        while let Some(run) = self.runs.front() {
            if before(self.cumulative.wrapping_add(1), run.0) {
                break;
            }
            if before(self.cumulative, run.1) {
                self.cumulative = run.1;
            }
            self.runs.pop_front();
        }
    }

    /// The runs as offsets from the cumulative number, the first `limit` of them.
    pub(crate) fn gaps(&self, limit: usize) -> Vec<(u16, u16)> {
        let offset = |tsn| u16::try_from(distance(self.cumulative, tsn)).ok();
        let runs = self.runs.iter().take(limit);
        runs.map_while(|run| Some((offset(run.0)?, offset(run.1)?)))
            .collect()
    }

    pub(crate) fn take_duplicates(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.duplicates)
    }

    fn duplicate(&mut self, tsn: u32) -> Arrival {
        if self.duplicates.len() < MAX_DUPLICATES {
            self.duplicates.push(tsn);
        }
        Arrival::Duplicate
    }

    fn absorb(&mut self) {
        if let Some(run) = self.runs.front()
            && run.0 == self.cumulative.wrapping_add(1)
        {
            self.cumulative = run.1;
            self.runs.pop_front();
        }
    }

    /// Joins the run at `index` to the one before it when nothing is between them.
    fn join(&mut self, index: usize) {
        if let Some(next) = self.runs.get(index).copied()
            && next.0 == self.runs[index - 1].1.wrapping_add(1)
        {
            self.runs[index - 1].1 = next.1;
            self.runs.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_order_ends_in_one_number() {
        for first in [1, u32::MAX - 3] {
            for order in [
                [0, 1, 2, 3, 4, 5, 6],
                [6, 5, 4, 3, 2, 1, 0],
                [1, 3, 5, 0, 2, 4, 6],
                [5, 1, 6, 3, 2, 4, 0],
            ] {
                let mut received = Received::starting_at(first);
                for offset in order {
                    let tsn = first.wrapping_add(offset);
                    assert_eq!(received.insert(tsn), Arrival::New, "{order:?}");
                    assert_eq!(received.insert(tsn), Arrival::Duplicate, "{order:?}");
                }
                assert_eq!(received.cumulative(), first.wrapping_add(6));
                assert!(!received.has_gaps());
            }
        }
    }

    #[test]
    fn gaps_are_offsets_and_skipping_closes_them() {
        let mut received = Received::starting_at(100);
        for tsn in [100, 102, 103, 106, 110] {
            received.insert(tsn);
        }
        assert_eq!(received.gaps(10), [(2, 3), (6, 6), (10, 10)]);
        assert_eq!(received.gaps(1), [(2, 3)]);
        received.advance_to(105);
        assert_eq!(received.cumulative(), 106);
        received.advance_to(50);
        assert_eq!(received.gaps(10), [(4, 4)]);
        received.advance_to(109);
        assert_eq!((received.cumulative(), received.has_gaps()), (110, false));
    }

    #[test]
    fn runs_are_bounded() {
        let mut received = Received::starting_at(0);
        let refused = (0..3 * MAX_RUNS as u32)
            .filter(|number| received.insert(2 * number + 1) == Arrival::Refused)
            .count();
        assert_eq!(refused, 2 * MAX_RUNS);
    }
}

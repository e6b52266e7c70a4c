//! Splits what the network carries among the layers of all video senders, lowest layers first.

/// What a layer could use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    /// 0 is lowest.
    pub rank: usize,
    pub max_bitrate_bps: u32,
    /// Whether it gets bits now: going on costs less than coming back, so that layers don't flap.
    pub running: bool,
}

/// A layer above the lowest is not worth sending under this share of its maximum.
const WORTHWHILE_PERCENT: u64 = 35;
/// A layer that is off comes back only at this share.
const RETURN_PERCENT: u64 = 45;
/// The lowest layer is always sent, with at least this.
pub(crate) const FLOOR_BPS: u32 = 30_000;

/// Bit/s per demand, 0 for off. `budget_bps` None: nothing is known, everyone gets the maximum.
pub(crate) fn allocate(budget_bps: Option<u64>, demands: &[Demand]) -> Vec<u32> {
    let Some(mut left) = budget_bps else {
        return demands.iter().map(|demand| demand.max_bitrate_bps).collect();
    };
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by_key(|&index| demands[index].rank);
    let mut given = vec![0; demands.len()];
    let mut rank_closed = None;
    for index in order {
        let demand = demands[index];
        if rank_closed.is_some_and(|closed| demand.rank > closed) {
            continue;
        }
        let maximum = u64::from(demand.max_bitrate_bps);
        let share = maximum.min(left);
        let percent = if demand.running {
            WORTHWHILE_PERCENT
        } else {
            RETURN_PERCENT
        };
        if demand.rank == 0 {
            given[index] = (share as u32).max(FLOOR_BPS.min(demand.max_bitrate_bps));
        } else if share * 100 >= maximum * percent {
            given[index] = share as u32;
        } else {
            // A layer above one that is off is off too.
            rank_closed = Some(demand.rank);
            continue;
        }
        left = left.saturating_sub(u64::from(given[index]));
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demands(running: bool) -> Vec<Demand> {
        [160_000, 450_000, 1_700_000]
            .into_iter()
            .enumerate()
            .map(|(rank, max_bitrate_bps)| Demand {
                rank,
                max_bitrate_bps,
                running,
            })
            .collect()
    }

    #[test]
    fn fills_from_the_lowest_layer() {
        let table: [(Option<u64>, bool, [u32; 3]); 7] = [
            (None, false, [160_000, 450_000, 1_700_000]),
            (Some(10_000_000), false, [160_000, 450_000, 1_700_000]),
            (Some(1_610_000), false, [160_000, 450_000, 1_000_000]),
            (Some(1_250_000), false, [160_000, 450_000, 0]),
            (Some(1_250_000), true, [160_000, 450_000, 640_000]),
            (Some(200_000), true, [160_000, 0, 0]),
            (Some(0), true, [30_000, 0, 0]),
        ];
        for (budget, running, expected) in table {
            assert_eq!(
                allocate(budget, &demands(running)),
                expected,
                "budget {budget:?}, running {running}"
            );
        }
    }

    #[test]
    fn every_track_gets_its_lowest_layer_before_any_gets_its_second() {
        let low = Demand {
            rank: 0,
            max_bitrate_bps: 160_000,
            running: true,
        };
        let high = Demand {
            rank: 1,
            max_bitrate_bps: 450_000,
            running: true,
        };
        assert_eq!(
            allocate(Some(330_000), &[low, high, low, high]),
            [160_000, 0, 160_000, 0]
        );
    }
}

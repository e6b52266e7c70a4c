//! What the path carries, and what may be queued and under way on it therefore.

use std::time::{Duration, Instant};

/// Bytes that a reliable channel queues above SCTP: what it sends in `QUEUE_TIME`, within these bounds. Whatever is
/// urgent waits behind it.
pub(super) const RELIABLE_LIMIT_BYTES: (usize, usize) = (256 << 10, 1 << 20);
const QUEUE_TIME: Duration = Duration::from_millis(50);
/// Least and most bytes to leave to SCTP unacknowledged, over all channels: throughput is at most this much per round
/// trip, but what is not on its way yet delays what is urgent. So it gets twice what the path carries.
pub(crate) const TRANSPORT_LIMIT_BYTES: (usize, usize) = (256 << 10, 4 << 20);
/// Least and most bytes of what is not urgent, in the queue of its channel or in SCTP: twice what the path carries in a
/// round trip or in `BULK_TIME`. So what is urgent waits behind little, also where the server lets a slow receiver's
/// stream in slowly.
const BULK_LIMIT_BYTES: (usize, usize) = (64 << 10, 768 << 10);
const BULK_TIME: Duration = Duration::from_millis(10);
/// What may be under way before the rate is known, which is measured over this time.
pub(super) const FIRST_BULK_LIMIT_BYTES: usize = 128 << 10;
const BULK_MEASURING_TIME: Duration = Duration::from_millis(50);
/// The rate is measured over a round trip, within these bounds.
const MEASURING_TIME: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(300));

/// What the path has been seen to carry.
pub(super) struct Path {
    pub(super) limit_bytes: usize,
    pub(super) bulk: Bulk,
    shortest_round_trip: Option<Duration>,
    /// What SCTP held when it was last looked at.
    pub(super) in_transport: usize,
    measured_since: Option<Instant>,
    delivered: usize,
    bytes_per_second: f64,
}

/// How much bulk data may be under way.
pub(super) struct Bulk {
    pub(super) limit_bytes: usize,
    since: Option<Instant>,
    delivered: usize,
    last: Option<Instant>,
}

impl Bulk {
    fn new() -> Self {
        Self {
            limit_bytes: FIRST_BULK_LIMIT_BYTES,
            since: None,
            delivered: 0,
            last: None,
        }
    }

    fn observe(&mut self, delivered: usize, is_empty: bool, round_trip: Duration, now: Instant) {
        self.delivered += delivered;
        let last = self.last.replace(now).unwrap_or(now);
        if is_empty && now.saturating_duration_since(last) > BULK_MEASURING_TIME {
            // Who sends little says nothing about the path.
            self.limit_bytes = self.limit_bytes.max(FIRST_BULK_LIMIT_BYTES);
            (self.since, self.delivered) = (None, 0);
            return;
        }
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= BULK_MEASURING_TIME.max(round_trip) {
            let per_second = self.delivered as f64 / elapsed.as_secs_f64();
            let bytes = 2.0 * per_second * round_trip.max(BULK_TIME).as_secs_f64();
            self.limit_bytes = (bytes as usize).clamp(BULK_LIMIT_BYTES.0, BULK_LIMIT_BYTES.1);
            (self.since, self.delivered) = (Some(now), 0);
        }
    }
}

impl Path {
    pub(super) fn new() -> Self {
        Self {
            limit_bytes: TRANSPORT_LIMIT_BYTES.0,
            bulk: Bulk::new(),
            shortest_round_trip: None,
            in_transport: 0,
            measured_since: None,
            delivered: 0,
            bytes_per_second: 0.0,
        }
    }

    /// A measured round trip. The shortest counts, forgotten slowly: under load others hold queueing of our own making.
    pub(super) fn set_round_trip(&mut self, round_trip: Duration) {
        let remembered = self
            .shortest_round_trip
            .map_or(round_trip, |shortest| shortest.mul_f64(1.02));
        self.shortest_round_trip = Some(remembered.min(round_trip));
    }

    /// SCTP holds this much now.
    pub(super) fn observe(&mut self, in_transport: usize, now: Instant) {
        let delivered = self.in_transport.saturating_sub(in_transport);
        self.delivered += delivered;
        self.in_transport = in_transport;
        let round_trip = self.shortest_round_trip.unwrap_or_default();
        self.bulk.observe(delivered, in_transport == 0, round_trip, now);
        let since = *self.measured_since.get_or_insert(now);
        let round_trip = self
            .shortest_round_trip
            .unwrap_or(MEASURING_TIME.1 / 4)
            .clamp(MEASURING_TIME.0, MEASURING_TIME.1);
        let elapsed = now.saturating_duration_since(since);
        if elapsed < round_trip {
            return;
        }
        self.bytes_per_second = self.delivered as f64 / elapsed.as_secs_f64();
        let carried = (self.bytes_per_second * round_trip.as_secs_f64()) as usize;
        self.limit_bytes = (2 * carried).clamp(TRANSPORT_LIMIT_BYTES.0, TRANSPORT_LIMIT_BYTES.1);
        (self.measured_since, self.delivered) = (Some(now), 0);
    }

    /// What a reliable channel should queue.
    pub(super) fn queue_bytes(&self) -> usize {
        let bytes = self.bytes_per_second * QUEUE_TIME.as_secs_f64();
        (bytes as usize).clamp(RELIABLE_LIMIT_BYTES.0, RELIABLE_LIMIT_BYTES.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_data_fills_the_path_and_no_more() {
        let begun = Instant::now();
        let at = |milliseconds| begun + Duration::from_millis(milliseconds);
        let round_trip = Duration::from_millis(20);
        let limit_at_rate = |bytes_per_ms: usize| {
            let mut bulk = Bulk::new();
            for number in 0..200 {
                bulk.observe(bytes_per_ms, false, round_trip, at(number));
            }
            bulk.limit_bytes
        };
        assert_eq!(Bulk::new().limit_bytes, FIRST_BULK_LIMIT_BYTES);
        assert_eq!(limit_at_rate(100), BULK_LIMIT_BYTES.0);
        assert!((390_000..420_000).contains(&limit_at_rate(10_000)));
        assert_eq!(limit_at_rate(100_000), BULK_LIMIT_BYTES.1);
        // Nothing under way: the path may have become better.
        let mut bulk = Bulk::new();
        bulk.observe(0, false, round_trip, at(0));
        bulk.observe(0, false, round_trip, at(200));
        assert_eq!(bulk.limit_bytes, BULK_LIMIT_BYTES.0);
        bulk.observe(0, true, round_trip, at(201));
        assert_eq!(bulk.limit_bytes, BULK_LIMIT_BYTES.0);
        bulk.observe(0, true, round_trip, at(300));
        assert_eq!(bulk.limit_bytes, FIRST_BULK_LIMIT_BYTES);
    }
}

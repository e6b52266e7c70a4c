//! What arrived lately: how much, how long it queued, and what did not arrive. In slots of 50 ms of the peer's clock.

const SLOT_US: i64 = 50_000;
/// A second and a half.
const SLOTS: usize = 30;

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Which 50 ms; a slot with another number is void.
    number: i64,
    bytes: u32,
    /// Of the first packet.
    first_bytes: u32,
    received: u32,
    lost: u32,
    first_us: i64,
    last_us: i64,
    /// The least of its packets.
    queue_us: i64,
}

/// While packets queue all the time, the link is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullLink {
    /// Since when, in microseconds before the newest arrival.
    pub lasts_us: i64,
    /// In how many slots packets arrived.
    pub slots: usize,
    /// The rate of arrival meanwhile.
    pub rate_bps: u64,
    /// The shortest queue of the last 100 ms.
    pub queue_us: i64,
}

/// The arrivals of the last second and a half.
#[derive(Debug, Default)]
pub struct Arrivals {
    slots: [Slot; SLOTS],
    newest: i64,
}

impl Arrivals {
    fn slot(&mut self, number: i64) -> &mut Slot {
        let slot = &mut self.slots[number.rem_euclid(SLOTS as i64) as usize];
        if slot.number != number {
            *slot = Slot {
                number,
                ..Slot::default()
            };
        }
        slot
    }

    /// A packet arrived.
    pub fn arrived(&mut self, at_us: i64, size_bytes: u32, queue_us: i64) {
        let number = at_us.div_euclid(SLOT_US);
        if number + (SLOTS as i64) <= self.newest {
            return;
        }
        self.newest = self.newest.max(number);
        let slot = self.slot(number);
        if slot.received == 0 {
            (slot.first_us, slot.last_us, slot.queue_us) = (at_us, at_us, queue_us);
            slot.first_bytes = size_bytes;
        }
        slot.received += 1;
        slot.bytes += size_bytes;
        slot.first_us = slot.first_us.min(at_us);
        slot.last_us = slot.last_us.max(at_us);
        slot.queue_us = slot.queue_us.min(queue_us);
    }

    /// A packet did not arrive, as of now.
    pub fn lost(&mut self) {
        let newest = self.newest;
        self.slot(newest).lost += 1;
    }

    /// What was lost so far says nothing about what is lost from now on.
    pub fn forget_losses(&mut self) {
        for slot in &mut self.slots {
            slot.lost = 0;
        }
    }

    /// Slots with arrivals, newest first, of the last `count`.
    fn recent(&self, count: usize) -> impl Iterator<Item = &Slot> {
        (0..count.min(SLOTS) as i64)
            .map(|back| self.newest - back)
            .filter_map(|number| {
                let slot = &self.slots[number.rem_euclid(SLOTS as i64) as usize];
                (slot.number == number && slot.received > 0).then_some(slot)
            })
    }

    /// The part of the packets of the last `milliseconds` that was lost, at the least: what chance alone may have added
    /// (two standard deviations) is taken off. None for fewer than `at_least` packets.
    pub fn loss(&self, milliseconds: i64, at_least: u32) -> Option<f64> {
        let slots = self.recent((milliseconds * 1_000 / SLOT_US) as usize);
        let (received, lost) = slots.fold((0, 0), |sum, slot| (sum.0 + slot.received, sum.1 + slot.lost));
        let sent = f64::from(received + lost);
        (received + lost >= at_least).then(|| {
            let part = f64::from(lost) / sent;
            (part - 2.0 * (part * (1.0 - part) / sent).sqrt()).max(0.0)
        })
    }

    /// The mean rate over the whole slots of the last `milliseconds`; 0 when there are none.
    pub fn rate_bps(&self, milliseconds: i64) -> u64 {
        let count = milliseconds * 1_000 / SLOT_US;
        let oldest = self.newest - count;
        let whole = self
            .recent(count as usize + 1)
            .filter(|slot| slot.number < self.newest && slot.number >= oldest);
        let bytes: u64 = whole.map(|slot| u64::from(slot.bytes)).sum();
        bytes * 8_000 / milliseconds.max(1) as u64
    }

    /// The shortest queue of the last `milliseconds`, in microseconds.
    pub fn queue_us(&self, milliseconds: i64) -> Option<i64> {
        let slots = self.recent((milliseconds * 1_000 / SLOT_US) as usize);
        slots.map(|slot| slot.queue_us).min()
    }

    /// For how long each packet has had to wait for more than `queue_us`, and how fast they arrived meanwhile.
    pub fn full_link(&self, queue_us: i64) -> Option<FullLink> {
        let standing = || self.recent(SLOTS).take_while(|slot| slot.queue_us > queue_us);
        let (newest, oldest) = (standing().next()?, standing().last()?);
        let lasts_us = newest.last_us - oldest.first_us;
        let bytes: u64 = standing().map(|slot| u64::from(slot.bytes)).sum();
        let after_first = bytes - u64::from(oldest.first_bytes);
        let rate_bps = (after_first * 8_000_000).checked_div(lasts_us.max(0) as u64)?;
        Some(FullLink {
            lasts_us,
            slots: standing().count(),
            rate_bps,
            queue_us: self.queue_us(100)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of 1,000 bytes every 10 ms, with these queues in ms for 100 ms each.
    fn with_queues(queues_ms: &[i64]) -> Arrivals {
        let mut arrivals = Arrivals::default();
        for (index, queue_ms) in queues_ms.iter().enumerate() {
            for packet in 0..10 {
                let at_ms = 5_000 + index as i64 * 100 + packet * 10;
                arrivals.arrived(at_ms * 1_000, 1_000, queue_ms * 1_000);
            }
        }
        arrivals
    }

    #[test]
    fn a_full_link_is_measured_while_it_is_full() {
        assert_eq!(Arrivals::default().full_link(0), None);
        // (queues, (lasts ms, shortest of the last 100 ms))
        type Case<'a> = (&'a [i64], Option<(i64, i64)>);
        let cases: &[Case] = &[
            (&[0, 5, 3], None),
            (&[0, 50, 60, 70], Some((290, 70))),
            (&[50, 0, 60, 70], Some((190, 70))),
            (&[50, 60, 0], None),
        ];
        for (queues, expected) in cases {
            let found = with_queues(queues).full_link(30_000);
            let short = found.map(|full| (full.lasts_us / 1_000, full.queue_us / 1_000));
            assert_eq!(short, *expected, "{queues:?}");
            assert!(found.is_none_or(|full| full.rate_bps == 800_000), "{found:?}");
        }
    }

    #[test]
    fn rates_and_losses_are_of_the_last_moments() {
        let mut arrivals = with_queues(&[0; 20]);
        assert_eq!(arrivals.rate_bps(500), 800_000);
        assert_eq!(arrivals.rate_bps(1_000), 800_000);
        assert_eq!(arrivals.loss(1_000, 50), Some(0.0));
        for _ in 0..25 {
            arrivals.lost();
        }
        assert!(
            arrivals
                .loss(1_000, 50)
                .is_some_and(|loss| (0.12..0.13).contains(&loss))
        );
        assert_eq!(arrivals.loss(1_000, 500), None);
        arrivals.arrived(60_000_000, 1, 7);
        assert_eq!((arrivals.queue_us(300), arrivals.rate_bps(500)), (Some(7), 0));
        arrivals.arrived(5_000_000, 1, 0);
        assert_eq!(arrivals.queue_us(300), Some(7), "too old");
    }
}

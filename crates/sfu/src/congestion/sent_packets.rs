//! When packets with transport-wide numbers were sent, until feedback tells of them.

use std::time::{Duration, Instant};

/// Packets remembered; more than a second and a half of 10 Mb/s.
const CAPACITY: usize = 2_048;

/// One packet that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentPacket {
    /// Since the ring's epoch.
    pub sent_at_us: i64,
    /// The RTP packet.
    pub size_bytes: u32,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    number: u16,
    size_bytes: u16,
    told: Told,
    sent_at_us: i64,
}

/// What feedback said of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    Missing,
    Arrived,
}

/// A ring by transport-wide number; its memory is taken with the first packet.
#[derive(Debug)]
pub struct SentPackets {
    epoch: Instant,
    slots: Vec<Option<Slot>>,
}

impl SentPackets {
    /// `epoch` is any instant not after the first packet.
    pub fn new(epoch: Instant) -> SentPackets {
        SentPackets {
            epoch,
            slots: Vec::new(),
        }
    }

    /// A packet was sent.
    pub fn push(&mut self, now: Instant, number: u16, size_bytes: usize) {
        if self.slots.is_empty() {
            self.slots.resize(CAPACITY, None);
        }
        self.slots[usize::from(number) % CAPACITY] = Some(Slot {
            number,
            size_bytes: u16::try_from(size_bytes).unwrap_or(u16::MAX),
            told: Told::Nothing,
            sent_at_us: self.since_epoch(now).as_micros() as i64,
        });
    }

    fn since_epoch(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }

    /// The packet has arrived. None when it is not remembered, or was told of before.
    pub fn arrived(&mut self, number: u16) -> Option<SentPacket> {
        self.tell(number, Told::Arrived)
    }

    /// The packet has not arrived so far. None when it is not remembered, or was told of before.
    pub fn missing(&mut self, number: u16) -> Option<SentPacket> {
        self.tell(number, Told::Missing)
    }

    fn tell(&mut self, number: u16, told: Told) -> Option<SentPacket> {
        let slot = self.slots.get_mut(usize::from(number) % CAPACITY)?.as_mut()?;
        if slot.number != number || slot.told >= told {
            return None;
        }
        slot.told = told;
        Some(SentPacket {
            sent_at_us: slot.sent_at_us,
            size_bytes: slot.size_bytes.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_of_once() {
        let epoch = Instant::now();
        let mut sent = SentPackets::new(epoch);
        assert_eq!(sent.arrived(1), None);
        sent.push(epoch + Duration::from_millis(3), 65_535, 100);
        sent.push(epoch + Duration::from_millis(4), 0, 200);
        assert_eq!(sent.arrived(1), None);
        let expected = SentPacket {
            sent_at_us: 3_000,
            size_bytes: 100,
        };
        assert_eq!(sent.missing(65_535), Some(expected));
        assert_eq!(sent.missing(65_535), None);
        assert_eq!(sent.arrived(65_535), Some(expected), "it was only late");
        assert_eq!(sent.arrived(65_535), None);
        assert_eq!(sent.missing(65_535), None);
        assert_eq!(sent.arrived(0).map(|packet| packet.size_bytes), Some(200));
    }

    #[test]
    fn later_packets_take_the_place_of_earlier_ones() {
        let epoch = Instant::now();
        let mut sent = SentPackets::new(epoch);
        sent.push(epoch, 5, 100);
        sent.push(epoch, 5 + CAPACITY as u16, 200);
        assert_eq!(sent.arrived(5), None);
        assert!(sent.arrived(5 + CAPACITY as u16).is_some());
    }
}

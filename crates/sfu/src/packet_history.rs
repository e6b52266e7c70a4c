//! The last packets received on one layer, for retransmission and replay.

/// Memory for a packet is taken in steps of this: a place that has had a few packets seldom has to grow.
const STEP_BYTES: usize = 256;

/// One received packet, as it came (decrypted, RTX unwrapped).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredPacket {
    /// Extended sequence number.
    pub sequence: u64,
    /// The whole RTP packet.
    pub bytes: Vec<u8>,
}

impl StoredPacket {
    /// Takes the place of the packet before, memory included.
    fn replace(&mut self, sequence: u64, packet: &[u8]) {
        self.sequence = sequence;
        self.bytes.clear();
        if self.bytes.capacity() < packet.len() {
            self.bytes
                .reserve_exact(packet.len().next_multiple_of(STEP_BYTES));
        }
        self.bytes.extend_from_slice(packet);
    }
}

/// A ring over the last `capacity` sequence numbers. Each place keeps the memory of the largest packet that it had.
#[derive(Debug, Default)]
pub struct PacketHistory {
    slots: Vec<Option<StoredPacket>>,
    capacity: usize,
    highest: u64,
}

impl PacketHistory {
    /// Room for `capacity` sequence numbers (500 for video, 200 for audio). Allocated with the first packet.
    pub fn new(capacity: usize) -> PacketHistory {
        PacketHistory {
            slots: Vec::new(),
            capacity,
            highest: 0,
        }
    }

    /// Stores a copy of a packet, in the place of the one `capacity` before it. False when it is too old or there already.
    pub fn insert(&mut self, sequence: u64, packet: &[u8]) -> bool {
        if self.slots.is_empty() {
            self.slots.resize_with(self.capacity, || None);
        }
        if sequence + self.capacity as u64 <= self.highest {
            return false;
        }
        let slot = &mut self.slots[(sequence % self.capacity as u64) as usize];
        if slot.as_ref().is_some_and(|stored| stored.sequence == sequence) {
            return false;
        }
        slot.get_or_insert_default().replace(sequence, packet);
        self.highest = self.highest.max(sequence);
        true
    }

    /// The packet with this number, while it is kept.
    pub fn get(&self, sequence: u64) -> Option<&StoredPacket> {
        let slot = self
            .slots
            .get((sequence % self.capacity.max(1) as u64) as usize)?;
        slot.as_ref().filter(|stored| stored.sequence == sequence)
    }

    /// Forget everything.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.highest = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_packets_make_room() {
        let mut history = PacketHistory::new(4);
        assert!(history.get(1).is_none());
        for sequence in [10, 11, 13, 12] {
            assert!(history.insert(sequence, &[sequence as u8]));
        }
        assert!(!history.insert(12, &[0]), "a duplicate");
        assert!(history.insert(14, &[14]));
        assert!(!history.insert(10, &[10]), "too old");
        let kept: Vec<u64> = (0..20)
            .filter(|sequence| history.get(*sequence).is_some())
            .collect();
        assert_eq!(kept, [11, 12, 13, 14]);
        history.clear();
        assert!(history.get(14).is_none());
    }

    #[test]
    fn places_are_used_again() {
        let mut history = PacketHistory::new(1);
        history.insert(1, &[1; 300]);
        let place = history.get(1).map(|stored| stored.bytes.as_ptr());
        for length in [0, 1, 512] {
            history.insert(2 + length as u64, &vec![2; length]);
            let stored = history.get(2 + length as u64).expect("stored");
            assert_eq!((Some(stored.bytes.as_ptr()), stored.bytes.len()), (place, length));
        }
    }
}

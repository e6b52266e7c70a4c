//! The numbers and times that all down tracks of one transport share.

use std::time::Instant;

use crate::congestion::SentPackets;
use crate::sender_report::ntp_duration;

/// What all down tracks of a transport share for writing packets.
#[derive(Debug)]
pub struct Egress {
    epoch: Instant,
    next_transport_sequence: u16,
    /// Of the packet that is being written.
    unsent: Option<u16>,
    /// What went out with a transport-wide number.
    pub sent: SentPackets,
    /// Of video, padding included.
    pub video_bytes: u64,
}

impl Egress {
    /// `epoch` is any instant not after the first packet.
    pub fn new(epoch: Instant) -> Egress {
        Egress {
            epoch,
            next_transport_sequence: 1,
            unsent: None,
            sent: SentPackets::new(epoch),
            video_bytes: 0,
        }
    }

    /// The next transport-wide sequence number, as its extension carries it.
    pub fn next_number(&mut self) -> [u8; 2] {
        let number = self.next_transport_sequence;
        self.next_transport_sequence = number.wrapping_add(1);
        self.unsent = Some(number);
        number.to_be_bytes()
    }

    /// The packet is complete: so many bytes of a video track.
    pub fn wrote_video(&mut self, now: Instant, size_bytes: usize) {
        self.video_bytes += size_bytes as u64;
        if let Some(number) = self.unsent.take() {
            self.sent.push(now, number, size_bytes);
        }
    }

    /// The abs-send-time extension: seconds in 6.18 fixed point.
    pub fn absolute_send_time(&self, now: Instant) -> [u8; 3] {
        let fixed = (ntp_duration(now.saturating_duration_since(self.epoch)) >> 14) as u32;
        let [_, high, middle, low] = fixed.to_be_bytes();
        [high, middle, low]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_fixed_point_and_wrap_at_64_seconds() {
        let epoch = Instant::now();
        let egress = Egress::new(epoch);
        let cases = [
            (0, [0, 0, 0]),
            (500, [2, 0, 0]),
            (1_000, [4, 0, 0]),
            (64_500, [2, 0, 0]),
        ];
        for (milliseconds, expected) in cases {
            let now = epoch + Duration::from_millis(milliseconds);
            assert_eq!(egress.absolute_send_time(now), expected, "{milliseconds}");
        }
    }

    #[test]
    fn numbers_follow_each_other() {
        let mut egress = Egress::new(Instant::now());
        assert_eq!([egress.next_number(), egress.next_number()], [[0, 1], [0, 2]]);
    }
}

//! One received stream: an SSRC of an up track, with its history, losses and clock.

use std::time::Instant;

use crate::extended_sequence::{Extended, ExtendedSequence};
use crate::key_frame_request::KeyFrameRequest;
use crate::layer_rates::RateMeter;
use crate::nack_generator::NackGenerator;
use crate::packet_history::PacketHistory;
use crate::parameters::Kind;
use crate::receiver_report::ReceptionStatistics;
use crate::rtp_header::RtpView;
use crate::sender_report::SenderClock;
use crate::stream_tracker::StreamTracker;

const VIDEO_HISTORY_PACKETS: usize = 500;
const AUDIO_HISTORY_PACKETS: usize = 200;

/// A packet that was taken into the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Extended.
    pub sequence: u64,
    /// Whether it is ahead of all before it.
    pub newest: bool,
    /// Whether it carries no media.
    pub padding_only: bool,
}

/// One layer of an up track.
#[derive(Debug)]
pub struct UpLayer {
    /// The media SSRC, once known.
    pub ssrc: Option<u32>,
    /// The SSRC of retransmissions, once known.
    pub rtx_ssrc: Option<u32>,
    /// The rid, if simulcast by rid.
    pub rid: Option<String>,
    /// Counts restarts of the source: sequence numbers of another generation are void.
    pub generation: u32,
    /// The last packets.
    pub history: PacketHistory,
    /// What is missing.
    pub nacks: NackGenerator,
    /// Whether to ask for what is missing (by the payload type of the last packet).
    pub nack_enabled: bool,
    /// None before the first packet.
    pub statistics: Option<ReceptionStatistics>,
    /// The last sender report.
    pub clock: Option<SenderClock>,
    /// Whether it flows.
    pub tracker: StreamTracker,
    /// What it takes.
    pub rate: RateMeter,
    /// Pending key frame request.
    pub key_frame_request: KeyFrameRequest,
    /// Received, without duplicates.
    pub packets: u64,
    /// Of those packets.
    pub bytes: u64,
    /// Width and height, (0, 0) while unknown.
    pub dimensions: (u16, u16),
    sequence: ExtendedSequence,
}

impl UpLayer {
    /// Spatial layer `index` of a track.
    pub fn new(kind: Kind, index: usize, rid: Option<String>) -> UpLayer {
        let capacity = if kind == Kind::Video {
            VIDEO_HISTORY_PACKETS
        } else {
            AUDIO_HISTORY_PACKETS
        };
        UpLayer {
            ssrc: None,
            rtx_ssrc: None,
            rid,
            generation: 0,
            history: PacketHistory::new(capacity),
            nacks: NackGenerator::default(),
            nack_enabled: false,
            statistics: None,
            clock: None,
            tracker: StreamTracker::new(index),
            rate: RateMeter::default(),
            key_frame_request: KeyFrameRequest::new(index),
            packets: 0,
            bytes: 0,
            dimensions: (0, 0),
            sequence: ExtendedSequence::default(),
        }
    }

    /// The layer's source is another SSRC now.
    pub fn rebind(&mut self, ssrc: u32) {
        if self.ssrc == Some(ssrc) {
            return;
        }
        if self.ssrc.replace(ssrc).is_some() {
            self.rtx_ssrc = None;
            self.sequence = ExtendedSequence::default();
            self.restart();
        }
    }

    fn restart(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.history.clear();
        self.nacks.clear();
        self.statistics = None;
        self.clock = None;
    }

    /// Takes one media packet (RTX unwrapped already). None when it is a duplicate, too old or implausible.
    pub fn receive(&mut self, now: Instant, packet: &[u8], clock_rate_hz: u32) -> Option<Accepted> {
        let view = RtpView::parse(packet)?;
        let (number, timestamp, padding_only) =
            (view.sequence_number, view.timestamp, view.payload.is_empty());
        let length = packet.len() as u64;
        let highest_before = self.sequence.highest();
        let (sequence, newest) = match self.sequence.extend(number) {
            Extended::First(sequence) => {
                if highest_before.is_some() {
                    self.restart();
                }
                (sequence, true)
            }
            Extended::Newer(sequence) => (sequence, true),
            Extended::Older(sequence) => (sequence, false),
            Extended::Suspicious => return None,
        };
        // A padding-only packet is remembered as an empty one: known, but nothing to forward or resend.
        if !self
            .history
            .insert(sequence, if padding_only { &[] } else { packet })
        {
            return None;
        }
        let statistics = self
            .statistics
            .get_or_insert_with(|| ReceptionStatistics::new(clock_rate_hz, sequence));
        statistics.record(now, sequence, timestamp);
        self.packets += 1;
        self.bytes += length;
        self.note_losses(now, sequence, newest, highest_before);
        Some(Accepted {
            sequence,
            newest,
            padding_only,
        })
    }

    fn note_losses(&mut self, now: Instant, sequence: u64, newest: bool, highest_before: Option<u64>) {
        if !newest {
            self.nacks.received(sequence);
        } else if let Some(highest) =
            highest_before.filter(|highest| self.nack_enabled && highest + 1 < sequence)
        {
            self.nacks.add_gap(highest + 1, sequence, now);
        }
    }

    /// The newest extended sequence number.
    pub fn highest(&self) -> Option<u64> {
        self.sequence.highest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp_header::{ExtensionList, RtpHeader};
    use std::time::Duration;

    fn packet(sequence_number: u16, payload: &[u8]) -> Vec<u8> {
        let header = RtpHeader {
            marker: false,
            payload_type: 96,
            sequence_number,
            timestamp: 0,
            ssrc: 1,
        };
        let mut out = Vec::new();
        header.write(&ExtensionList::default(), &mut out);
        out.extend_from_slice(payload);
        out
    }

    #[test]
    fn packets_are_taken_once_and_gaps_asked_for() {
        let now = Instant::now();
        let mut layer = UpLayer::new(Kind::Video, 0, None);
        layer.nack_enabled = true;
        let take = |layer: &mut UpLayer, number| {
            layer
                .receive(now, &packet(number, &[1]), 90_000)
                .map(|accepted| (accepted.sequence - 65_536, accepted.newest))
        };
        assert_eq!(take(&mut layer, 5), Some((5, true)));
        assert_eq!(take(&mut layer, 8), Some((8, true)));
        assert_eq!(take(&mut layer, 8), None);
        assert_eq!(take(&mut layer, 6), Some((6, false)));
        let mut asked = Vec::new();
        layer.nacks.collect(now + Duration::from_millis(20), &mut asked);
        assert_eq!(asked, [7]);
    }

    #[test]
    fn another_source_starts_anew() {
        let now = Instant::now();
        let mut layer = UpLayer::new(Kind::Video, 0, None);
        layer.rebind(1);
        assert_eq!(layer.generation, 0);
        layer.receive(now, &packet(5, &[1]), 90_000);
        layer.rebind(2);
        assert_eq!((layer.generation, layer.highest()), (1, None));
        layer.receive(now, &packet(40_000, &[1]), 90_000);
        layer.receive(now, &packet(5, &[1]), 90_000);
        assert!(
            layer
                .receive(now, &packet(6, &[1]), 90_000)
                .is_some_and(|accepted| accepted.newest)
        );
        assert_eq!(layer.generation, 2);
    }

    #[test]
    fn padding_is_known_but_empty() {
        let mut padded = packet(5, &[0, 0, 3]);
        padded[0] |= 0x20;
        let mut layer = UpLayer::new(Kind::Video, 0, None);
        let accepted = layer.receive(Instant::now(), &padded, 90_000).expect("taken");
        assert!(accepted.padding_only);
        assert!(
            layer
                .history
                .get(accepted.sequence)
                .is_some_and(|stored| stored.bytes.is_empty())
        );
    }
}

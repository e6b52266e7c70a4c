//! RTCP (RFC 3550 section 6, RFC 4585, REMB, transport-wide feedback): a bounded reader and small writers.

mod lost_packets;
mod reader;
mod writer;

pub use self::lost_packets::LostPackets;
pub use self::reader::parse;
pub use self::writer::{
    write_full_intra, write_nack, write_picture_loss, write_receiver_reports, write_sender_report,
    write_transport_wide,
};

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

/// A reception report block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream that is reported on.
    pub ssrc: u32,
    /// Of 256.
    pub fraction_lost: u8,
    /// 24 bits, may be negative.
    pub cumulative_lost: i32,
    /// Extended.
    pub highest_sequence: u32,
    /// In clock units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the last sender report, 0 when there is none.
    pub last_sender_report: u32,
    /// Since then, in 1/65,536 s.
    pub delay_since_last_sender_report: u32,
}

/// One thing that an RTCP compound says; what is long is borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback<'a> {
    /// What a sender knows about its clock.
    SenderReport {
        /// The stream.
        ssrc: u32,
        /// 32.32 seconds.
        ntp_time: u64,
        /// The same instant in the stream's clock.
        rtp_time: u32,
    },
    /// One block of a sender or receiver report.
    Report(ReportBlock),
    /// Packets are wanted again.
    Nack {
        /// The stream.
        ssrc: u32,
        /// Which.
        lost: LostPackets<'a>,
    },
    /// A key frame is wanted (PLI or FIR).
    KeyFrame {
        /// The stream.
        ssrc: u32,
    },
    /// Receiver estimated maximum bitrate.
    Remb {
        /// In bits per second.
        bitrate_bps: u64,
    },
    /// A transport-wide feedback message: what follows the two SSRCs, to be read by a
    /// [`FeedbackReader`](crate::congestion::FeedbackReader).
    TransportWide {
        /// At least the fixed part.
        body: &'a [u8],
    },
    /// The source ends.
    Goodbye {
        /// The stream.
        ssrc: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> (Vec<Feedback<'_>>, bool) {
        let mut found = Vec::new();
        let clean = parse(bytes, |feedback| found.push(feedback));
        (found, clean)
    }

    #[test]
    fn what_is_written_is_read() {
        let block = ReportBlock {
            ssrc: 9,
            fraction_lost: 3,
            cumulative_lost: -5,
            highest_sequence: 70_000,
            ..Default::default()
        };
        let mut bytes = Vec::new();
        write_sender_report(&mut bytes, 1, 0x0102_0304_0506_0708, 99, 5, 6, "name");
        write_receiver_reports(&mut bytes, 2, &[block]);
        write_nack(&mut bytes, 2, 3, &[65_534, 65_535, 1, 14, 15, 200]);
        write_picture_loss(&mut bytes, 2, 4);
        write_full_intra(&mut bytes, 2, 5, 1);
        write_transport_wide(&mut bytes, 2, 6, &[0, 7, 0, 1, 0, 0, 0, 0, 0x20, 0x01, 4]);
        let lost = [0xFF, 0xFE, 0b1000_0000, 0b0000_0101, 0, 15, 0, 0, 0, 200, 0, 0];
        let expected = vec![
            Feedback::SenderReport {
                ssrc: 1,
                ntp_time: 0x0102_0304_0506_0708,
                rtp_time: 99,
            },
            Feedback::Report(block),
            Feedback::Nack {
                ssrc: 3,
                lost: LostPackets::new(&lost),
            },
            Feedback::KeyFrame { ssrc: 4 },
            Feedback::KeyFrame { ssrc: 5 },
            Feedback::TransportWide {
                body: &[0, 7, 0, 1, 0, 0, 0, 0, 0x20, 0x01, 4],
            },
        ];
        assert_eq!(all(&bytes), (expected, true));
    }

    #[test]
    fn many_blocks_are_split() {
        let mut bytes = Vec::new();
        write_receiver_reports(&mut bytes, 2, &[ReportBlock::default(); 40]);
        let (found, clean) = all(&bytes);
        assert_eq!((found.len(), clean), (40, true));
    }

    #[test]
    fn estimates_are_read() {
        let mut bytes = vec![0x8F, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0];
        bytes.extend_from_slice(b"REMB");
        bytes.extend_from_slice(&[1, 0x0B, 0xFF, 0xFF, 0, 0, 0, 9]);
        assert_eq!(
            all(&bytes).0,
            vec![Feedback::Remb {
                bitrate_bps: 0x3_FFFF << 2
            }]
        );
    }

    #[test]
    fn malformed_compounds_keep_what_came_before() {
        let mut good = Vec::new();
        write_picture_loss(&mut good, 1, 2);
        let tails: &[&[u8]] = &[
            &[0x80],
            &[0x81, 201, 0, 1, 0, 0, 0, 1],
            &[0x80, 200, 0, 1, 0, 0, 0, 1],
            &[0x41, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2],
            &[0x81, 206, 0, 9, 0, 0, 0, 1],
            &[0xA1, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 200],
            &[0x81, 205, 0, 0],
        ];
        for tail in tails {
            let compound = [&good[..], tail].concat();
            let (found, clean) = all(&compound);
            assert_eq!((found.len(), clean), (1, false), "{tail:?}");
        }
    }
}

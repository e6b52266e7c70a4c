//! RTCP (RFC 3550 section 6, RFC 4585, REMB, transport-wide feedback): a bounded reader and small writers.
//!
//! The reader never fails as a whole: what is malformed or unknown in a compound is skipped.

use crate::rtp_header::{read_u16, read_u32};

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

/// Report blocks and NACK pairs beyond this many per packet are ignored.
const MAX_ITEMS: usize = 64;

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

/// One thing that an RTCP compound says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feedback {
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
    /// Lost packets: (first, bitmap of the 16 after it).
    Nack {
        /// The stream.
        ssrc: u32,
        /// At most 64 pairs.
        pairs: Vec<(u16, u16)>,
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
    /// A transport-wide feedback message arrived; its contents are not interpreted here.
    TransportWide {
        /// The first sequence number.
        base: u16,
        /// How many packets it reports on.
        count: u16,
    },
    /// The source ends.
    Goodbye {
        /// The stream.
        ssrc: u32,
    },
}

/// Calls `each` for everything usable in `compound`. False when some of it was malformed.
pub fn parse(compound: &[u8], mut each: impl FnMut(Feedback)) -> bool {
    let mut rest = compound;
    while !rest.is_empty() {
        let (Some(&first), Some(&kind), Some(words)) = (rest.first(), rest.get(1), read_u16(rest, 2)) else {
            return false;
        };
        let length = (usize::from(words) + 1) * 4;
        if first >> 6 != 2 || rest.len() < length {
            return false;
        }
        let (packet, tail) = rest.split_at(length);
        let Some(body) = without_padding(packet, first & 0x20 != 0) else {
            return false;
        };
        if parse_packet(kind, first & 0x1F, body, &mut each).is_none() {
            return false;
        }
        rest = tail;
    }
    true
}

fn without_padding(packet: &[u8], padded: bool) -> Option<&[u8]> {
    let body = packet.get(4..)?;
    if !padded {
        return Some(body);
    }
    let padding = usize::from(*body.last()?);
    body.get(..body.len().checked_sub(padding)?)
}

fn parse_packet(kind: u8, count: u8, body: &[u8], each: &mut impl FnMut(Feedback)) -> Option<()> {
    match (kind, count) {
        (SENDER_REPORT, _) => {
            let ntp_time = u64::from(read_u32(body, 4)?) << 32 | u64::from(read_u32(body, 8)?);
            let rtp_time = read_u32(body, 12)?;
            read_u32(body, 20)?;
            each(Feedback::SenderReport {
                ssrc: read_u32(body, 0)?,
                ntp_time,
                rtp_time,
            });
            parse_blocks(&body[24..], count, each)
        }
        (RECEIVER_REPORT, _) => parse_blocks(body.get(4..)?, count, each),
        (GOODBYE, _) => {
            for index in 0..usize::from(count) {
                each(Feedback::Goodbye {
                    ssrc: read_u32(body, index * 4)?,
                });
            }
            Some(())
        }
        (TRANSPORT_FEEDBACK, 1) => {
            let ssrc = read_u32(body, 4)?;
            let pairs = body[8..].chunks_exact(4).take(MAX_ITEMS);
            let pairs = pairs
                .map(|pair| {
                    (
                        u16::from_be_bytes([pair[0], pair[1]]),
                        u16::from_be_bytes([pair[2], pair[3]]),
                    )
                })
                .collect();
            each(Feedback::Nack { ssrc, pairs });
            Some(())
        }
        (TRANSPORT_FEEDBACK, 15) => {
            each(Feedback::TransportWide {
                base: read_u16(body, 8)?,
                count: read_u16(body, 10)?,
            });
            Some(())
        }
        (PAYLOAD_FEEDBACK, 1) => {
            each(Feedback::KeyFrame {
                ssrc: read_u32(body, 4)?,
            });
            Some(())
        }
        (PAYLOAD_FEEDBACK, 4) => {
            read_u32(body, 4)?;
            for entry in body[8..].chunks_exact(8).take(MAX_ITEMS) {
                each(Feedback::KeyFrame {
                    ssrc: read_u32(entry, 0)?,
                });
            }
            Some(())
        }
        (PAYLOAD_FEEDBACK, 15) => parse_remb(body, each),
        _ => Some(()),
    }
}

fn parse_blocks(blocks: &[u8], count: u8, each: &mut impl FnMut(Feedback)) -> Option<()> {
    for index in 0..usize::from(count) {
        let block = blocks.get(index * 24..index * 24 + 24)?;
        let word = |at: usize| read_u32(block, at);
        let lost = word(4)?;
        each(Feedback::Report(ReportBlock {
            ssrc: word(0)?,
            fraction_lost: (lost >> 24) as u8,
            cumulative_lost: ((lost << 8) as i32) >> 8,
            highest_sequence: word(8)?,
            jitter: word(12)?,
            last_sender_report: word(16)?,
            delay_since_last_sender_report: word(20)?,
        }));
    }
    Some(())
}

fn parse_remb(body: &[u8], each: &mut impl FnMut(Feedback)) -> Option<()> {
    if body.get(8..12)? != b"REMB" {
        return Some(());
    }
    let word = read_u32(body, 12)?;
    let (exponent, mantissa) = (word >> 18 & 0x3F, u64::from(word & 0x3_FFFF));
    let bitrate_bps = u64::try_from(u128::from(mantissa) << exponent).unwrap_or(u64::MAX);
    each(Feedback::Remb { bitrate_bps });
    Some(())
}

fn begin(out: &mut Vec<u8>, count: u8, kind: u8) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0x80 | count & 0x1F, kind, 0, 0]);
    at
}

fn finish(out: &mut [u8], at: usize) {
    let words = ((out.len() - at) / 4 - 1) as u16;
    out[at + 2..at + 4].copy_from_slice(&words.to_be_bytes());
}

fn put(out: &mut Vec<u8>, word: u32) {
    out.extend_from_slice(&word.to_be_bytes());
}

/// Appends receiver reports with these blocks, 31 to a packet; one empty packet when there are none.
pub fn write_receiver_reports(out: &mut Vec<u8>, sender_ssrc: u32, blocks: &[ReportBlock]) {
    let mut groups = blocks.chunks(31);
    let mut group: &[ReportBlock] = groups.next().unwrap_or(&[]);
    loop {
        let at = begin(out, group.len() as u8, RECEIVER_REPORT);
        put(out, sender_ssrc);
        for block in group {
            put(out, block.ssrc);
            let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7F_FFFF) as u32 & 0xFF_FFFF;
            put(out, u32::from(block.fraction_lost) << 24 | lost);
            put(out, block.highest_sequence);
            put(out, block.jitter);
            put(out, block.last_sender_report);
            put(out, block.delay_since_last_sender_report);
        }
        finish(out, at);
        match groups.next() {
            Some(next) => group = next,
            None => return,
        }
    }
}

/// Appends a sender report without blocks and the SDES with the CNAME (at most 255 bytes of it).
pub fn write_sender_report(
    out: &mut Vec<u8>,
    ssrc: u32,
    ntp_time: u64,
    rtp_time: u32,
    packets: u32,
    octets: u32,
    cname: &str,
) {
    let at = begin(out, 0, SENDER_REPORT);
    put(out, ssrc);
    out.extend_from_slice(&ntp_time.to_be_bytes());
    put(out, rtp_time);
    put(out, packets);
    put(out, octets);
    finish(out, at);
    let at = begin(out, 1, SOURCE_DESCRIPTION);
    put(out, ssrc);
    let name = &cname.as_bytes()[..cname.len().min(255)];
    out.extend_from_slice(&[1, name.len() as u8]);
    out.extend_from_slice(name);
    out.push(0);
    while !(out.len() - at).is_multiple_of(4) {
        out.push(0);
    }
    finish(out, at);
}

/// Appends a generic NACK for these sequence numbers (ascending); nothing when there are none.
pub fn write_nack(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32, lost: &[u16]) {
    if lost.is_empty() {
        return;
    }
    let at = begin(out, 1, TRANSPORT_FEEDBACK);
    put(out, sender_ssrc);
    put(out, media_ssrc);
    let mut rest = lost;
    while let Some((&first, tail)) = rest.split_first() {
        let mut bitmap = 0u16;
        rest = tail;
        while let Some((&next, tail)) = rest.split_first() {
            let distance = next.wrapping_sub(first);
            if !(1..=16).contains(&distance) {
                break;
            }
            bitmap |= 1 << (distance - 1);
            rest = tail;
        }
        put(out, u32::from(first) << 16 | u32::from(bitmap));
    }
    finish(out, at);
}

/// Appends a picture loss indication.
pub fn write_picture_loss(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32) {
    let at = begin(out, 1, PAYLOAD_FEEDBACK);
    put(out, sender_ssrc);
    put(out, media_ssrc);
    finish(out, at);
}

/// Appends a full intra request (RFC 5104 section 4.3.1).
pub fn write_full_intra(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32, number: u8) {
    let at = begin(out, 4, PAYLOAD_FEEDBACK);
    put(out, sender_ssrc);
    put(out, 0);
    put(out, media_ssrc);
    put(out, u32::from(number) << 24);
    finish(out, at);
}

/// Appends a transport-wide feedback message whose part after the two SSRCs is `body`, padded with zeros.
pub fn write_transport_wide(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32, body: &[u8]) {
    let at = begin(out, 15, TRANSPORT_FEEDBACK);
    put(out, sender_ssrc);
    put(out, media_ssrc);
    out.extend_from_slice(body);
    let padding = (4 - body.len() % 4) % 4;
    if padding > 0 {
        out.extend_from_slice(&[0, 0, 0][..padding - 1]);
        out.push(padding as u8);
        out[at] |= 0x20;
    }
    finish(out, at);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> (Vec<Feedback>, bool) {
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
        let expected = vec![
            Feedback::SenderReport {
                ssrc: 1,
                ntp_time: 0x0102_0304_0506_0708,
                rtp_time: 99,
            },
            Feedback::Report(block),
            Feedback::Nack {
                ssrc: 3,
                pairs: vec![(65_534, 0b1000_0000_0000_0101), (15, 0), (200, 0)],
            },
            Feedback::KeyFrame { ssrc: 4 },
            Feedback::KeyFrame { ssrc: 5 },
            Feedback::TransportWide { base: 7, count: 1 },
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
            let (found, clean) = all(&[&good[..], tail].concat());
            assert_eq!((found.len(), clean), (1, false), "{tail:?}");
        }
    }
}

//! Reads RTCP compounds. It never fails as a whole: what is malformed or unknown is skipped.

use super::{
    Feedback, GOODBYE, LostPackets, PAYLOAD_FEEDBACK, RECEIVER_REPORT, ReportBlock, SENDER_REPORT,
    TRANSPORT_FEEDBACK,
};
use crate::rtp_header::{read_u16, read_u32};

/// Entries of a full intra request beyond this many are ignored.
const MAX_ITEMS: usize = 64;

/// Calls `each` for everything usable in `compound`. False when some of it was malformed.
pub fn parse<'a>(compound: &'a [u8], mut each: impl FnMut(Feedback<'a>)) -> bool {
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

fn parse_packet<'a>(kind: u8, count: u8, body: &'a [u8], each: &mut impl FnMut(Feedback<'a>)) -> Option<()> {
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
            each(Feedback::Nack {
                ssrc: read_u32(body, 4)?,
                lost: LostPackets::new(&body[8..]),
            });
            Some(())
        }
        (TRANSPORT_FEEDBACK, 15) => {
            read_u32(body, 12)?;
            each(Feedback::TransportWide { body: &body[8..] });
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

fn parse_blocks<'a>(blocks: &[u8], count: u8, each: &mut impl FnMut(Feedback<'a>)) -> Option<()> {
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

fn parse_remb<'a>(body: &[u8], each: &mut impl FnMut(Feedback<'a>)) -> Option<()> {
    if body.get(8..12)? != b"REMB" {
        return Some(());
    }
    let word = read_u32(body, 12)?;
    let (exponent, mantissa) = (word >> 18 & 0x3F, u64::from(word & 0x3_FFFF));
    let bitrate_bps = u64::try_from(u128::from(mantissa) << exponent).unwrap_or(u64::MAX);
    each(Feedback::Remb { bitrate_bps });
    Some(())
}

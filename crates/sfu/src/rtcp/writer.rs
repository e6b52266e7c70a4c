//! Writes RTCP packets, each appended to a compound.

use super::{
    PAYLOAD_FEEDBACK, RECEIVER_REPORT, ReportBlock, SENDER_REPORT, SOURCE_DESCRIPTION, TRANSPORT_FEEDBACK,
};

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

//! Reading and writing RTP headers (RFC 3550 section 5.1) and their extensions (RFC 8285).

const ONE_BYTE_PROFILE: u16 = 0xBEDE;
const TWO_BYTE_PROFILE: u16 = 0x1000;
const FIXED_LENGTH: usize = 12;

/// A view of one RTP packet.
#[derive(Debug, Clone, Copy)]
pub struct RtpView<'a> {
    /// The marker bit.
    pub marker: bool,
    /// 0..=127.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence_number: u16,
    /// In units of the codec's clock.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
    /// Where the payload begins.
    pub payload_offset: usize,
    /// Without padding; empty for a packet of padding only.
    pub payload: &'a [u8],
    profile: u16,
    extension: &'a [u8],
}

impl<'a> RtpView<'a> {
    /// None when the packet is cut short or no RTP of version 2.
    pub fn parse(packet: &'a [u8]) -> Option<RtpView<'a>> {
        let first = *packet.first()?;
        if packet.len() < FIXED_LENGTH || first >> 6 != 2 {
            return None;
        }
        let mut offset = FIXED_LENGTH + usize::from(first & 0x0F) * 4;
        let (mut profile, mut extension): (u16, &[u8]) = (0, &[]);
        if first & 0x10 != 0 {
            profile = read_u16(packet, offset)?;
            let length = usize::from(read_u16(packet, offset + 2)?) * 4;
            extension = packet.get(offset + 4..offset + 4 + length)?;
            offset += 4 + length;
        }
        let mut end = packet.len();
        if first & 0x20 != 0 {
            let padding = usize::from(*packet.last()?);
            end = end.checked_sub(padding).filter(|_| padding > 0)?;
        }
        Some(RtpView {
            marker: packet[1] & 0x80 != 0,
            payload_type: packet[1] & 0x7F,
            sequence_number: read_u16(packet, 2)?,
            timestamp: read_u32(packet, 4)?,
            ssrc: read_u32(packet, 8)?,
            payload_offset: offset,
            payload: packet.get(offset..end)?,
            profile,
            extension,
        })
    }

    /// The value of the extension with this id (0: never there).
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        if id == 0 {
            return None;
        }
        if self.profile == ONE_BYTE_PROFILE {
            return find_one_byte(self.extension, id);
        }
        (self.profile & 0xFFF0 == TWO_BYTE_PROFILE)
            .then(|| find_two_byte(self.extension, id))
            .flatten()
    }

    /// The value of an extension that is text.
    pub fn text_extension(&self, id: u8) -> Option<&'a str> {
        std::str::from_utf8(self.extension(id)?).ok()
    }
}

fn find_one_byte(mut rest: &[u8], wanted: u8) -> Option<&[u8]> {
    while let Some((&head, tail)) = rest.split_first() {
        let (id, length) = (head >> 4, usize::from(head & 0x0F) + 1);
        if head == 0 {
            rest = tail;
            continue;
        }
        if id == 15 {
            return None;
        }
        let value = tail.get(..length)?;
        if id == wanted {
            return Some(value);
        }
        rest = &tail[length..];
    }
    None
}

fn find_two_byte(mut rest: &[u8], wanted: u8) -> Option<&[u8]> {
    while let Some((&id, tail)) = rest.split_first() {
        if id == 0 {
            rest = tail;
            continue;
        }
        let (&length, tail) = tail.split_first()?;
        let value = tail.get(..usize::from(length))?;
        if id == wanted {
            return Some(value);
        }
        rest = &tail[usize::from(length)..];
    }
    None
}

pub(crate) fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The fields of a header to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// The marker bit.
    pub marker: bool,
    /// 0..=127.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence_number: u16,
    /// In units of the codec's clock.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

/// The extensions of one outgoing packet, at most eight, borrowed.
#[derive(Debug, Default, Clone, Copy)]
pub struct ExtensionList<'a> {
    items: [(u8, &'a [u8]); 8],
    count: usize,
}

impl<'a> ExtensionList<'a> {
    /// Adds one; ignored when the id is 0, the value is empty or longer than 255 bytes, or the list is full.
    pub fn push(&mut self, id: u8, value: &'a [u8]) {
        if id != 0 && !value.is_empty() && value.len() <= 255 && self.count < self.items.len() {
            self.items[self.count] = (id, value);
            self.count += 1;
        }
    }

    fn items(&self) -> &[(u8, &'a [u8])] {
        &self.items[..self.count]
    }
}

impl RtpHeader {
    /// Appends the header with these extensions, in the two-byte form only when one of them needs it.
    pub fn write(&self, extensions: &ExtensionList<'_>, out: &mut Vec<u8>) {
        let items = extensions.items();
        out.push(if items.is_empty() { 0x80 } else { 0x90 });
        out.push(u8::from(self.marker) << 7 | self.payload_type & 0x7F);
        out.extend_from_slice(&self.sequence_number.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        if items.is_empty() {
            return;
        }
        let two_byte = items.iter().any(|(id, value)| *id > 14 || value.len() > 16);
        out.extend_from_slice(
            &(if two_byte {
                TWO_BYTE_PROFILE
            } else {
                ONE_BYTE_PROFILE
            })
            .to_be_bytes(),
        );
        let length_at = out.len();
        out.extend_from_slice(&[0, 0]);
        for (id, value) in items {
            if two_byte {
                out.extend_from_slice(&[*id, value.len() as u8]);
            } else {
                out.push(id << 4 | (value.len() - 1) as u8);
            }
            out.extend_from_slice(value);
        }
        while !(out.len() - length_at - 2).is_multiple_of(4) {
            out.push(0);
        }
        let words = ((out.len() - length_at - 2) / 4) as u16;
        out[length_at..length_at + 2].copy_from_slice(&words.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: RtpHeader = RtpHeader {
        marker: true,
        payload_type: 96,
        sequence_number: 65_535,
        timestamp: 7,
        ssrc: 0xDEAD_BEEF,
    };

    fn packet(extensions: &[(u8, &[u8])], payload: &[u8]) -> Vec<u8> {
        let mut list = ExtensionList::default();
        for (id, value) in extensions {
            list.push(*id, value);
        }
        let mut out = Vec::new();
        HEADER.write(&list, &mut out);
        out.extend_from_slice(payload);
        out
    }

    #[test]
    fn what_is_written_is_read() {
        let long = [5u8; 40];
        let cases: &[&[(u8, &[u8])]] = &[
            &[],
            &[(3, &[1, 2, 3])],
            &[(3, &[1]), (14, &[9; 16])],
            &[(2, &[1; 8]), (1, &long)],
            &[(20, &[1])],
        ];
        for extensions in cases {
            let bytes = packet(extensions, b"payload");
            let view = RtpView::parse(&bytes).expect("valid");
            assert_eq!(
                (view.marker, view.payload_type, view.sequence_number),
                (true, 96, 65_535)
            );
            assert_eq!(
                (view.timestamp, view.ssrc, view.payload),
                (7, 0xDEAD_BEEF, &b"payload"[..])
            );
            for (id, value) in *extensions {
                assert_eq!(view.extension(*id), Some(*value), "{extensions:?}");
            }
            assert_eq!(view.extension(13), None);
            assert_eq!(view.extension(0), None);
        }
    }

    #[test]
    fn padding_and_contributors_are_skipped() {
        let mut bytes = packet(&[], &[]);
        bytes[0] |= 0x22;
        bytes.extend_from_slice(&[1, 1, 1, 1, 2, 2, 2, 2, 7, 7, 0, 0, 3]);
        let view = RtpView::parse(&bytes).expect("valid");
        assert_eq!((view.payload_offset, view.payload), (20, &[7, 7][..]));
    }

    #[test]
    fn malformed_packets_are_refused() {
        let mut too_much_padding = packet(&[], &[9]);
        too_much_padding[0] |= 0x20;
        let mut zero_padding = packet(&[], &[0]);
        zero_padding[0] |= 0x20;
        let mut long_extension = packet(&[(1, &[1])], &[]);
        long_extension[15] = 9;
        let mut version = packet(&[], &[]);
        version[0] = 0x40;
        let cases: &[&[u8]] = &[
            &[],
            &[0x80; 11],
            &too_much_padding,
            &zero_padding,
            &long_extension,
            &version,
        ];
        for case in cases {
            assert!(RtpView::parse(case).is_none(), "{case:?}");
        }
    }
}

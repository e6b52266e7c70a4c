//! The VP8 payload descriptor (RFC 7741 section 4.2): read, and written with other indices.

/// A parsed descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp8Descriptor {
    /// Bytes before the VP8 payload.
    pub length: usize,
    first: u8,
    /// 7 or 15 bits.
    pub picture_id: Option<u16>,
    /// Whether `picture_id` came with 15 bits.
    pub picture_id_is_wide: bool,
    /// TL0PICIDX.
    pub tl0_picture_index: Option<u8>,
    /// TID.
    pub temporal_id: Option<u8>,
    /// Y: depends on the base layer only.
    pub layer_sync: bool,
    /// KEYIDX, 5 bits.
    pub key_index: Option<u8>,
}

/// The indices to write in place of the publisher's; used only where the descriptor has the field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vp8Indices {
    /// 15 bits.
    pub picture_id: u16,
    /// 8 bits.
    pub tl0_picture_index: u8,
    /// 5 bits.
    pub key_index: u8,
}

impl Vp8Descriptor {
    /// None when cut short.
    pub fn parse(payload: &[u8]) -> Option<Vp8Descriptor> {
        let first = *payload.first()?;
        let mut descriptor = Vp8Descriptor {
            length: 1,
            first,
            picture_id: None,
            picture_id_is_wide: false,
            tl0_picture_index: None,
            temporal_id: None,
            layer_sync: false,
            key_index: None,
        };
        if first & 0x80 == 0 {
            return Some(descriptor);
        }
        let flags = *payload.get(1)?;
        let mut at = 2;
        if flags & 0x80 != 0 {
            let high = *payload.get(at)?;
            at += 1;
            if high & 0x80 != 0 {
                descriptor.picture_id = Some(u16::from(high & 0x7F) << 8 | u16::from(*payload.get(at)?));
                descriptor.picture_id_is_wide = true;
                at += 1;
            } else {
                descriptor.picture_id = Some(u16::from(high));
            }
        }
        if flags & 0x40 != 0 {
            descriptor.tl0_picture_index = Some(*payload.get(at)?);
            at += 1;
        }
        if flags & 0x30 != 0 {
            let byte = *payload.get(at)?;
            at += 1;
            if flags & 0x20 != 0 {
                descriptor.temporal_id = Some(byte >> 6);
                descriptor.layer_sync = byte & 0x20 != 0;
            }
            if flags & 0x10 != 0 {
                descriptor.key_index = Some(byte & 0x1F);
            }
        }
        descriptor.length = at;
        Some(descriptor)
    }

    /// Whether the packet begins a frame (first partition).
    pub fn starts_frame(&self) -> bool {
        self.first & 0x17 == 0x10
    }

    /// Appends the descriptor with these indices. A picture id keeps its width unless it needs 15 bits.
    pub fn write(&self, indices: &Vp8Indices, out: &mut Vec<u8>) {
        out.push(self.first);
        if self.first & 0x80 == 0 {
            return;
        }
        let flag = |present: bool, bit: u8| if present { bit } else { 0 };
        out.push(
            flag(self.picture_id.is_some(), 0x80)
                | flag(self.tl0_picture_index.is_some(), 0x40)
                | flag(self.temporal_id.is_some(), 0x20)
                | flag(self.key_index.is_some(), 0x10),
        );
        if self.picture_id.is_some() {
            if self.picture_id_is_wide || indices.picture_id > 127 {
                out.extend_from_slice(&(indices.picture_id | 0x8000).to_be_bytes());
            } else {
                out.push(indices.picture_id as u8);
            }
        }
        if self.tl0_picture_index.is_some() {
            out.push(indices.tl0_picture_index);
        }
        if self.temporal_id.is_some() || self.key_index.is_some() {
            let sync = flag(self.layer_sync, 0x20);
            let key_index = self.key_index.map_or(0, |_| indices.key_index & 0x1F);
            out.push(self.temporal_id.unwrap_or(0) << 6 | sync | key_index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_survive_rewriting() {
        let cases: &[(&[u8], Vp8Indices, &[u8])] = &[
            (&[0x10], Vp8Indices::default(), &[0x10]),
            (
                &[0x90, 0x80, 0x05],
                Vp8Indices {
                    picture_id: 127,
                    ..Default::default()
                },
                &[0x90, 0x80, 0x7F],
            ),
            (
                &[0x90, 0x80, 0x7F],
                Vp8Indices {
                    picture_id: 128,
                    ..Default::default()
                },
                &[0x90, 0x80, 0x80, 0x80],
            ),
            (
                &[0x90, 0x80, 0x80, 0x01],
                Vp8Indices {
                    picture_id: 2,
                    ..Default::default()
                },
                &[0x90, 0x80, 0x80, 0x02],
            ),
            (
                &[0x80, 0xF0, 0xFF, 0xFF, 9, 0x61],
                Vp8Indices {
                    picture_id: 0,
                    tl0_picture_index: 255,
                    key_index: 31,
                },
                &[0x80, 0xF0, 0x80, 0x00, 255, 0x7F],
            ),
            (
                &[0x80, 0x20, 0xA0],
                Vp8Indices {
                    key_index: 7,
                    ..Default::default()
                },
                &[0x80, 0x20, 0xA0],
            ),
        ];
        for (source, indices, expected) in cases {
            let descriptor = Vp8Descriptor::parse(source).expect("valid");
            assert_eq!(descriptor.length, source.len());
            let mut out = Vec::new();
            descriptor.write(indices, &mut out);
            assert_eq!(out, *expected, "{source:x?}");
        }
    }

    #[test]
    fn cut_short_is_refused() {
        let whole = [0x80, 0xF0, 0xFF, 0xFF, 9, 0x61];
        for length in 0..whole.len() {
            assert!(Vp8Descriptor::parse(&whole[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn frames_start_with_the_first_partition() {
        for (first, expected) in [(0x10, true), (0x30, true), (0x11, false), (0x00, false)] {
            assert_eq!(
                Vp8Descriptor::parse(&[first]).map(|found| found.starts_frame()),
                Some(expected)
            );
        }
    }
}

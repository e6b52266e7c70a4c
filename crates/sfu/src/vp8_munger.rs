//! Picture ids and their kin, kept continuous over layer switches and dropped temporal layers.

use std::collections::VecDeque;

use crate::vp8_descriptor::{Vp8Descriptor, Vp8Indices};

const MAX_RANGES: usize = 50;
const MAX_DROPPED: usize = 50;

/// The mapping of one down track.
#[derive(Debug, Default)]
pub struct Vp8Munger {
    started: bool,
    /// Of the source, unwrapped.
    highest_picture: i64,
    /// (from this source picture on, offset): output = source - offset.
    ranges: VecDeque<(i64, i64)>,
    dropped: VecDeque<i64>,
    tl0_offset: u8,
    key_offset: u8,
    last: Vp8Indices,
    current_temporal: u8,
}

impl Vp8Munger {
    /// The packet begins the stream, or another source: the indices go on from the last ones sent.
    pub fn switch(&mut self, descriptor: &Vp8Descriptor, max_temporal: u8) {
        let picture = i64::from(descriptor.picture_id.unwrap_or(0));
        let tl0 = descriptor.tl0_picture_index.unwrap_or(0);
        let key = descriptor.key_index.unwrap_or(0);
        let mut offset = 0;
        if self.started {
            offset = picture - (i64::from(self.last.picture_id) + 1);
            self.tl0_offset = tl0.wrapping_sub(self.last.tl0_picture_index.wrapping_add(1));
            self.key_offset = key.wrapping_sub(self.last.key_index.wrapping_add(1)) & 0x1F;
        }
        self.started = true;
        self.highest_picture = picture;
        self.current_temporal = max_temporal;
        self.dropped.clear();
        self.ranges.clear();
        self.ranges.push_back((picture, offset));
    }

    /// The indices for this packet, or None when its temporal layer is not wanted. `after_gap`: the packet before
    /// it is missing, so the picture may be needed whatever its layer.
    pub fn munge(
        &mut self,
        descriptor: &Vp8Descriptor,
        max_temporal: u8,
        after_gap: bool,
    ) -> Option<Vp8Indices> {
        let picture = self.unwrap_picture(descriptor);
        if picture > self.highest_picture {
            self.highest_picture = picture;
            if self.drops_picture(descriptor, max_temporal, after_gap) {
                self.drop_picture(picture);
                return None;
            }
        } else if self.dropped.contains(&picture) {
            return None;
        }
        let (_, offset) = self.ranges.iter().rev().find(|(from, _)| *from <= picture)?;
        let indices = Vp8Indices {
            picture_id: ((picture - offset) & 0x7FFF) as u16,
            tl0_picture_index: descriptor
                .tl0_picture_index
                .unwrap_or(0)
                .wrapping_sub(self.tl0_offset),
            key_index: descriptor.key_index.unwrap_or(0).wrapping_sub(self.key_offset) & 0x1F,
        };
        if picture == self.highest_picture {
            self.last = indices;
        }
        Some(indices)
    }

    fn unwrap_picture(&self, descriptor: &Vp8Descriptor) -> i64 {
        let Some(id) = descriptor.picture_id else {
            return self.highest_picture;
        };
        let modulus: i64 = if descriptor.picture_id_is_wide {
            1 << 15
        } else {
            1 << 7
        };
        let mut step = (i64::from(id) - self.highest_picture).rem_euclid(modulus);
        if step >= modulus / 2 {
            step -= modulus;
        }
        self.highest_picture + step
    }

    fn drops_picture(&mut self, descriptor: &Vp8Descriptor, max_temporal: u8, after_gap: bool) -> bool {
        let Some(temporal_id) = descriptor.temporal_id else {
            return false;
        };
        self.current_temporal = self.current_temporal.min(max_temporal);
        let climbs = descriptor.layer_sync && descriptor.starts_frame();
        if climbs && temporal_id > self.current_temporal && temporal_id <= max_temporal {
            self.current_temporal = temporal_id;
        }
        temporal_id > self.current_temporal && !after_gap
    }

    fn drop_picture(&mut self, picture: i64) {
        let offset = self.ranges.back().map_or(0, |(_, offset)| *offset);
        self.dropped.push_back(picture);
        self.ranges.push_back((picture + 1, offset + 1));
        if self.dropped.len() > MAX_DROPPED {
            self.dropped.pop_front();
        }
        if self.ranges.len() > MAX_RANGES {
            self.ranges.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(picture: u16, tl0: u8, temporal: u8, sync: bool) -> Vp8Descriptor {
        let high = (picture >> 8) as u8 | 0x80;
        let last = temporal << 6 | u8::from(sync) << 5;
        Vp8Descriptor::parse(&[0x90, 0xE0, high, picture as u8, tl0, last]).expect("valid")
    }

    fn picture(munger: &mut Vp8Munger, packet: (u16, u8, bool), max_temporal: u8) -> Option<u16> {
        let indices = munger.munge(&descriptor(packet.0, 0, packet.1, packet.2), max_temporal, false);
        indices.map(|indices| indices.picture_id)
    }

    #[test]
    fn switches_are_continuous() {
        let mut munger = Vp8Munger::default();
        let first = descriptor(32_767, 200, 0, false);
        munger.switch(&first, 3);
        assert_eq!(
            munger
                .munge(&first, 3, false)
                .map(|found| (found.picture_id, found.tl0_picture_index)),
            Some((32_767, 200))
        );
        assert_eq!(
            munger
                .munge(&descriptor(0, 201, 0, false), 3, false)
                .map(|found| found.picture_id),
            Some(0)
        );
        let other = descriptor(7_000, 3, 0, false);
        munger.switch(&other, 3);
        let found = munger.munge(&other, 3, false).expect("forwarded");
        assert_eq!((found.picture_id, found.tl0_picture_index), (1, 202));
        let found = munger
            .munge(&descriptor(7_001, 4, 0, false), 3, false)
            .expect("forwarded");
        assert_eq!((found.picture_id, found.tl0_picture_index), (2, 203));
        assert_eq!(
            munger.munge(&descriptor(6_999, 3, 0, false), 3, false),
            None,
            "of before the switch"
        );
    }

    #[test]
    fn dropped_temporal_layers_leave_no_gap() {
        let mut munger = Vp8Munger::default();
        munger.switch(&descriptor(10, 0, 0, false), 0);
        type Step = ((u16, u8, bool), u8, Option<u16>);
        let steps: &[Step] = &[
            ((10, 0, false), 0, Some(10)),
            ((11, 1, true), 0, None),
            ((12, 0, false), 0, Some(11)),
            ((11, 1, true), 0, None),
            ((12, 0, false), 0, Some(11)),
            ((13, 1, false), 1, None),
            ((14, 0, false), 1, Some(12)),
            ((15, 1, true), 1, Some(13)),
            ((14, 0, false), 1, Some(12)),
            ((16, 0, false), 1, Some(14)),
            ((17, 1, false), 0, None),
            ((18, 0, false), 0, Some(15)),
        ];
        for (packet, max_temporal, expected) in steps {
            assert_eq!(
                picture(&mut munger, *packet, *max_temporal),
                *expected,
                "{packet:?}"
            );
        }
    }

    #[test]
    fn a_picture_after_a_gap_is_kept() {
        let mut munger = Vp8Munger::default();
        munger.switch(&descriptor(10, 0, 0, false), 0);
        assert!(munger.munge(&descriptor(12, 0, 2, false), 0, true).is_some());
        assert!(
            munger.munge(&descriptor(12, 0, 2, false), 0, false).is_some(),
            "the rest of it too"
        );
    }

    #[test]
    fn seven_bit_ids_wrap_at_128_and_come_out_wider() {
        let narrow = |id: u8| Vp8Descriptor::parse(&[0x90, 0x80, id]).expect("valid");
        let mut munger = Vp8Munger::default();
        munger.switch(&narrow(126), 3);
        let ids: Vec<u16> = [126, 127, 0, 1]
            .iter()
            .filter_map(|id| munger.munge(&narrow(*id), 3, false))
            .map(|found| found.picture_id)
            .collect();
        assert_eq!(ids, [126, 127, 128, 129]);
    }
}

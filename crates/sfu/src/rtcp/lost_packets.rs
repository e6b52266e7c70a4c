//! Which packets a generic NACK asks for (RFC 4585 section 6.2.1).

use std::iter::once;

/// Pairs beyond this many are ignored.
const MAX_PAIRS: usize = 64;

/// Lost packets, as the message has them: pairs of a number and a bitmap of the 16 after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostPackets<'a>(&'a [[u8; 4]]);

impl<'a> LostPackets<'a> {
    /// What follows the two SSRCs; its first 64 pairs count.
    pub fn new(body: &'a [u8]) -> LostPackets<'a> {
        let (pairs, _) = body.as_chunks();
        LostPackets(&pairs[..pairs.len().min(MAX_PAIRS)])
    }

    /// Their sequence numbers, at most 1,088.
    pub fn numbers(self) -> impl Iterator<Item = u16> + 'a {
        self.0.iter().flat_map(|[high, low, rest @ ..]| {
            let (first, bitmap) = (u16::from_be_bytes([*high, *low]), u16::from_be_bytes(*rest));
            let others = (0..16).filter(move |bit| bitmap >> bit & 1 != 0);
            once(first).chain(others.map(move |bit| first.wrapping_add(bit + 1)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitmaps_are_unfolded() {
        let body = [0xFF, 0xFE, 0b1000_0000, 0b0000_0101, 0, 9, 0, 0, 7];
        let numbers: Vec<u16> = LostPackets::new(&body).numbers().collect();
        assert_eq!(numbers, [65_534, 65_535, 1, 14, 9]);
    }

    #[test]
    fn what_one_message_asks_for_is_bounded() {
        let body = [0xFF; 4 * (MAX_PAIRS + 9)];
        assert_eq!(LostPackets::new(&body).numbers().count(), MAX_PAIRS * 17);
    }
}

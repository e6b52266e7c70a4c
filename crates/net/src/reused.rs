//! Lists of borrowed things whose memory outlives what they borrow.

/// The same list, empty, for things with another lifetime. Its memory stays: collecting an iterator over a list into a list
/// of things of the same size happens in place.
pub(crate) fn emptied<'b, T: ?Sized>(mut list: Vec<&T>) -> Vec<&'b T> {
    list.clear();
    list.into_iter().map_while(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stays() {
        let mut kept: Vec<&'static u8> = Vec::with_capacity(100);
        let place = kept.as_ptr();
        for _ in 0..3 {
            let value = 7;
            let mut list = emptied(kept);
            list.push(&value);
            assert_eq!((list.as_ptr(), list.capacity()), (place, 100));
            kept = emptied(list);
        }
    }
}

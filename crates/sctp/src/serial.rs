//! Serial number arithmetic (RFC 1982): numbers that wrap around.

/// Whether `a` comes before `b`.
pub(crate) fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// Whether `a` comes before `b` or is it.
pub(crate) fn at_or_before(a: u32, b: u32) -> bool {
    !before(b, a)
}

/// How far `later` is ahead of `earlier`; 0 when it is behind.
pub(crate) fn distance(earlier: u32, later: u32) -> usize {
    if before(later, earlier) {
        0
    } else {
        later.wrapping_sub(earlier) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_the_wrap() {
        for (a, b) in [(1, 2), (u32::MAX, 0), (u32::MAX - 5, 7)] {
            assert!(before(a, b) && at_or_before(a, b) && !before(b, a));
        }
        assert!(at_or_before(9, 9) && !before(9, 9));
        assert_eq!(distance(u32::MAX, 2), 3);
        assert_eq!(distance(2, u32::MAX), 0);
    }
}

//! What the unit allocates for media, apart from what its clients do and from ICE.

use std::cell::Cell;

thread_local! {
    static IN_UNIT: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// A counting allocator has served this thread.
pub fn allocated() {
    if IN_UNIT.get() {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    }
}

/// What the unit has allocated on this thread so far.
pub fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// Lets the unit work. It did so for ICE when `is_ice` says so of the result: that does not count.
pub fn unit<R>(work: impl FnOnce() -> R, is_ice: impl FnOnce(&R) -> bool) -> R {
    let before = ALLOCATIONS.get();
    IN_UNIT.set(true);
    let result = work();
    IN_UNIT.set(false);
    if is_ice(&result) {
        ALLOCATIONS.set(before);
    }
    result
}

/// RFC 7983.
pub fn is_stun(contents: &[u8]) -> bool {
    contents.first().is_some_and(|byte| *byte <= 3)
}

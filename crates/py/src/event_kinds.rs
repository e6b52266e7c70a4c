//! The kinds of events, as numbers; their payloads are described in `_engine.pyi`.

use pyo3::prelude::*;

macro_rules! event_kinds {
    ($($name:ident = $number:literal),* $(,)?) => {
        $(pub const $name: u16 = $number;)*
        const ALL: &[(&str, u16)] = &[$((stringify!($name), $name)),*];
    };
}

event_kinds! {
    ICE_STATE = 1,
    CONNECTED = 2,
    FAILED = 3,
    CHANNEL_OPEN = 4,
    CHANNEL_MESSAGE = 5,
    CHANNEL_CLOSED = 6,
    CHANNEL_WRITABLE = 7,
    CAPTURED = 8,
    DRAINED = 9,
    STREAM_READY = 10,
    STREAM_ENDED = 11,
    RECEIVER_STARTED = 12,
    UP_TRACK_STARTED = 13,
    UP_TRACK_LAYERS = 14,
    DOWN_TRACK_STARTED = 15,
    LOCAL_CANDIDATE = 16,
    ENCRYPTION_STATE = 17,
    DOWN_TRACK_PAUSED = 18,
    ADDRESSES_CHANGED = 19,
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    for (name, number) in ALL {
        module.add(*name, *number)?;
    }
    Ok(())
}

//! Data channel establishment messages.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    greenroom_transport::fuzzing::check_dcep(bytes);
});

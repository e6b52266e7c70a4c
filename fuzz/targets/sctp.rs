//! SCTP chunks: parsed alone, and given to an association in mid-flow.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    sctp_proto::fuzzing::parse(bytes);
    sctp_proto::fuzzing::associate(bytes, Instant::now());
});

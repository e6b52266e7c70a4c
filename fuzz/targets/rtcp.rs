//! Compound RTCP packets.
#![no_main]

use greenroom_sfu::rtcp::{self, Feedback};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut lost = Vec::new();
    let mut count = 0usize;
    rtcp::parse(bytes, |feedback| {
        count += 1;
        if let Feedback::Nack { ssrc, pairs } = feedback {
            assert!(pairs.len() <= 64);
            lost.push((ssrc, pairs));
        }
    });
    assert!(count <= bytes.len(), "more said than bytes received");
    for (ssrc, pairs) in lost {
        let mut numbers: Vec<u16> = pairs.iter().map(|(first, _)| *first).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() {
            continue;
        }
        let mut out = Vec::new();
        rtcp::write_nack(&mut out, 1, ssrc, &numbers);
        assert!(rtcp::parse(&out, |_| ()), "we write clean RTCP");
    }
});

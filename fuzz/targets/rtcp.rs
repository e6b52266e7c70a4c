//! Compound RTCP packets.
#![no_main]

use greenroom_sfu::rtcp::{self, Feedback};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut lost = Vec::new();
    let mut count = 0usize;
    rtcp::parse(bytes, |feedback| {
        count += 1;
        if let Feedback::Nack { ssrc, lost: numbers } = feedback {
            let numbers: Vec<u16> = numbers.numbers().collect();
            assert!(numbers.len() <= 64 * 17);
            lost.push((ssrc, numbers));
        }
    });
    assert!(count <= bytes.len(), "more said than bytes received");
    for (ssrc, mut numbers) in lost {
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

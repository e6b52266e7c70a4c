//! Transport-wide feedback: whatever arrives, the messages are well formed and bounded.
#![no_main]

use std::time::{Duration, Instant};

use greenroom_fuzz::Input;
use greenroom_sfu::rtcp::{self, Feedback};
use greenroom_sfu::twcc::FeedbackGenerator;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut now = Instant::now();
    let mut generator = FeedbackGenerator::new(now);
    let mut input = Input::new(bytes);
    let mut recorded = 0;
    let mut reported = 0;
    while !input.is_empty() {
        let flags = input.byte();
        now += Duration::from_micros(u64::from(input.number()) << (flags & 7));
        generator.record(now, input.number(), flags & 8 != 0);
        recorded += 1;
        if flags & 16 != 0 || input.is_empty() {
            now += Duration::from_millis(100);
            generator.collect(now, |body| reported += check(body));
        }
    }
    assert!(reported <= recorded, "{reported} of {recorded}");
});

/// How many packets a message says have arrived.
fn check(body: &[u8]) -> usize {
    let word = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let count = usize::from(word(2));
    assert!((1..=500).contains(&count), "spans {count}");
    let (mut at, mut symbols) = (8, Vec::new());
    while symbols.len() < count {
        let chunk = word(at);
        at += 2;
        match chunk >> 14 {
            0 | 1 => {
                assert!(chunk & 0x1FFF > 0, "an empty run");
                symbols.extend(std::iter::repeat_n(chunk >> 13 & 3, usize::from(chunk & 0x1FFF)));
            }
            2 => symbols.extend((0..14).rev().map(|bit| chunk >> bit & 1)),
            _ => symbols.extend((0..7).rev().map(|pair| chunk >> (pair * 2) & 3)),
        }
    }
    symbols.truncate(count);
    let deltas: usize = symbols.iter().map(|symbol| usize::from(*symbol)).sum();
    assert_eq!(at + deltas, body.len(), "a delta per arrival");
    let mut out = Vec::new();
    rtcp::write_transport_wide(&mut out, 1, 2, body);
    let mut bases = Vec::new();
    assert!(rtcp::parse(&out, |feedback| {
        if let Feedback::TransportWide { body } = feedback {
            bases.push(u16::from_be_bytes([body[0], body[1]]));
        }
    }));
    assert_eq!(bases, [word(0)]);
    symbols.iter().filter(|symbol| **symbol != 0).count()
}

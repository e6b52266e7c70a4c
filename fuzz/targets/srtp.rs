//! Protected media: forgeries are refused, what was protected is opened.
#![no_main]

use greenroom_fuzz::Input;
use greenroom_transport::fuzzing::SrtpSession;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let mut session = SrtpSession::new(input.byte());
    while !input.is_empty() {
        let step = input.byte();
        let packet = input.packet(1);
        match step % 4 {
            0 => session.check_forged_rtp(packet),
            1 => session.check_forged_rtcp(packet),
            2 => session.check_rtp(packet),
            _ => session.check_rtcp(packet),
        }
    }
});

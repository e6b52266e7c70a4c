//! Forwarding behind the encryption: what a publisher and a subscriber may say once they are connected.
#![no_main]

use std::time::{Duration, Instant};

use greenroom_fuzz::Input;
use greenroom_sfu::sfu::random_ice_credentials;
use greenroom_sfu::{
    DownTrackParameters, Kind, PlayoutDelayLimits, ReceiveLayer, Sfu, TransportParameters, UpTrackParameters,
};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/sfu/tests/common/mod.rs"]
mod common;
use common::{
    LEVEL_URI, MID_URI, PLAYOUT_DELAY_URI, RID_URI, TWCC_URI, certificate, extension, opus, payload, vp8,
};

const PLAYOUT_DELAY: PlayoutDelayLimits = PlayoutDelayLimits {
    min_ms: 100,
    max_ms: 2_000,
    follows_jitter: true,
};

const PUBLISHER: u64 = 1;
const SUBSCRIBER: u64 = 2;

fuzz_target!(|bytes: &[u8]| {
    let mut now = Instant::now();
    let mut sfu = room(now);
    let mut input = Input::new(bytes);
    while !input.is_empty() {
        let step = input.byte();
        let from = if step & 0x80 == 0 { PUBLISHER } else { SUBSCRIBER };
        match step & 7 {
            0..=2 => sfu.fuzz_rtp(now, from, input.packet(1)),
            3 | 4 => sfu.fuzz_rtcp(now, from, input.packet(1)),
            5 => now += Duration::from_millis(u64::from(input.byte())),
            6 => sfu.set_max_layer(u64::from(20 + (step >> 3 & 3)), step >> 5 & 3, 3, now),
            _ => sfu.set_up_track_muted(u64::from(10 + (step >> 3 & 3)), step & 0x20 != 0, now),
        }
        sfu.handle_timeout(now);
        while sfu.poll_transmit().is_some() {}
        while sfu.poll_event().is_some() {}
    }
});

/// A publisher of four tracks and a subscriber of all.
fn room(now: Instant) -> Sfu {
    let mut sfu = Sfu::new(certificate(), Vec::new());
    for handle in [PUBLISHER, SUBSCRIBER] {
        let parameters = TransportParameters {
            controlling: false,
            ice_credentials: random_ice_credentials(),
        };
        sfu.create_transport(handle, parameters, now);
    }
    let h264 = || payload(102, "h264", 90_000, Some(103), &["nack", "nack pli"]);
    let red = || payload(63, "red", 48_000, None, &[]);
    let tracks = [
        ("a", Kind::Audio, vec![opus()], vec![100], vec![]),
        ("r", Kind::Audio, vec![red(), opus()], vec![], vec![]),
        ("v", Kind::Video, vec![vp8(true)], vec![], vec!["q", "h", "f"]),
        ("h", Kind::Video, vec![h264()], vec![200], vec![]),
    ];
    for (index, (mid, kind, payload_types, ssrcs, rids)) in tracks.into_iter().enumerate() {
        let index = index as u32;
        let up_track = u64::from(10 + index);
        let layer = |ssrc: &u32| ReceiveLayer {
            ssrc: *ssrc,
            rtx_ssrc: Some(ssrc + 1),
            rid: None,
        };
        let uris = [(1, LEVEL_URI), (3, TWCC_URI), (4, MID_URI), (10, RID_URI)];
        let up = UpTrackParameters {
            transport: PUBLISHER,
            mid: mid.into(),
            kind,
            payload_types: payload_types.clone(),
            header_extensions: uris.map(|(id, uri)| extension(id, uri)).into(),
            layers: ssrcs.iter().map(layer).collect(),
            rids: rids.into_iter().map(str::to_owned).collect(),
        };
        sfu.set_up_track(up_track, &up).expect("published");
        let down = DownTrackParameters {
            transport: SUBSCRIBER,
            mid: mid.into(),
            up_track,
            ssrc: 1_000 + index * 10,
            rtx_ssrc: Some(1_001 + index * 10),
            payload_types,
            header_extensions: [up.header_extensions, vec![extension(5, PLAYOUT_DELAY_URI)]].concat(),
            frame_trailer: vec![],
            playout_delay: Some(PLAYOUT_DELAY),
        };
        sfu.add_down_track(u64::from(20 + index), &down, now)
            .expect("subscribed");
    }
    sfu
}

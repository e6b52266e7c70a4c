//! RTP headers, extensions and retransmissions.
#![no_main]

use greenroom_fuzz::Input;
use greenroom_sfu::key_frame::{is_key_frame_start, vp8_dimensions};
use greenroom_sfu::parameters::Codec;
use greenroom_sfu::rtp_header::{ExtensionList, RtpHeader, RtpView};
use greenroom_sfu::rtx;
use libfuzzer_sys::fuzz_target;

const CODECS: [Codec; 10] = [
    Codec::Opus,
    Codec::Red,
    Codec::Pcmu,
    Codec::Pcma,
    Codec::Vp8,
    Codec::Vp9,
    Codec::H264,
    Codec::H265,
    Codec::Av1,
    Codec::Other,
];

fuzz_target!(|bytes: &[u8]| {
    let Some(view) = RtpView::parse(bytes) else {
        return;
    };
    assert!(view.payload_offset + view.payload.len() <= bytes.len());
    let found: Vec<(u8, &[u8])> = (0..=255)
        .filter_map(|id| Some((id, view.extension(id)?)))
        .collect();
    let _ = view.text_extension(Input::new(bytes).byte());
    for codec in CODECS {
        let _ = is_key_frame_start(codec, view.payload);
    }
    let _ = vp8_dimensions(view.payload);
    let mut unwrapped = bytes.to_vec();
    if rtx::unwrap(&mut unwrapped, 7, 96).is_some() {
        assert_eq!(RtpView::parse(&unwrapped).map(|view| view.ssrc), Some(7));
    }
    check_rewritten(&view, &found);
});

/// What is written with the same extensions reads the same.
fn check_rewritten(view: &RtpView<'_>, found: &[(u8, &[u8])]) {
    let mut list = ExtensionList::default();
    let kept: Vec<_> = found
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .take(8)
        .collect();
    for (id, value) in &kept {
        list.push(*id, value);
    }
    let header = RtpHeader {
        marker: view.marker,
        payload_type: view.payload_type,
        sequence_number: view.sequence_number,
        timestamp: view.timestamp,
        ssrc: view.ssrc,
    };
    let mut out = Vec::new();
    header.write(&list, &mut out);
    out.extend_from_slice(view.payload);
    let again = RtpView::parse(&out).expect("written by us");
    assert_eq!(again.payload, view.payload);
    assert_eq!((again.ssrc, again.timestamp), (view.ssrc, view.timestamp));
    for (id, value) in kept {
        assert_eq!(again.extension(*id), Some(*value));
    }
}

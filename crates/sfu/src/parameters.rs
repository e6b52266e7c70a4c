//! What negotiation says about a track, as typed values.

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An audio track.
    Audio,
    /// A video track.
    Video,
}

/// The codecs that are treated by name; anything else passes through untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Opus (RFC 7587).
    Opus,
    /// Redundant audio over Opus (RFC 2198).
    Red,
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// H.264 (RFC 6184).
    H264,
    /// H.265 (RFC 7798).
    H265,
    /// AV1 (its RTP specification).
    Av1,
    /// Something else.
    Other,
}

const CODEC_NAMES: &[(&str, Codec)] = &[
    ("opus", Codec::Opus),
    ("red", Codec::Red),
    ("pcmu", Codec::Pcmu),
    ("pcma", Codec::Pcma),
    ("vp8", Codec::Vp8),
    ("vp9", Codec::Vp9),
    ("h264", Codec::H264),
    ("h265", Codec::H265),
    ("av1", Codec::Av1),
];

impl Codec {
    /// By its SDP encoding name, in any case.
    pub fn from_name(name: &str) -> Codec {
        let found = CODEC_NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(Codec::Other, |(_, codec)| *codec)
    }
}

/// One negotiated codec of an m-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadType {
    /// 0..=127.
    pub payload_type: u8,
    /// The encoding name, lower case.
    pub codec: String,
    /// The RTP clock.
    pub clock_rate_hz: u32,
    /// The fmtp text, empty when there is none.
    pub format_parameters: String,
    /// The payload type of its retransmissions (RFC 4588), if negotiated.
    pub rtx_payload_type: Option<u8>,
    /// rtcp-fb values such as `nack` or `nack pli`.
    pub feedback: Vec<String>,
}

impl PayloadType {
    /// The codec as an enum.
    pub fn kind_of_codec(&self) -> Codec {
        Codec::from_name(&self.codec)
    }

    /// Whether generic NACK was negotiated.
    pub fn has_nack(&self) -> bool {
        self.feedback.iter().any(|value| value == "nack")
    }

    /// The value of one `name=value` fmtp parameter, lower case.
    pub fn format_parameter(&self, name: &str) -> Option<String> {
        self.format_parameters.split(';').find_map(|part| {
            let (key, value) = part.trim().split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_ascii_lowercase())
        })
    }
}

/// How well `offered` of a subscriber can carry `wanted` of a publisher: None not at all, higher is better.
fn match_score(wanted: &PayloadType, offered: &PayloadType) -> Option<u8> {
    if !wanted.codec.eq_ignore_ascii_case(&offered.codec) || wanted.clock_rate_hz != offered.clock_rate_hz {
        return None;
    }
    let parameter = |payload: &PayloadType, name: &str, default: &str| {
        payload
            .format_parameter(name)
            .unwrap_or_else(|| default.to_owned())
    };
    match wanted.kind_of_codec() {
        Codec::H264 => {
            let mode = "packetization-mode";
            if parameter(wanted, mode, "0") != parameter(offered, mode, "0") {
                return None;
            }
            let (ours, theirs) = (
                parameter(wanted, "profile-level-id", "42e01f"),
                parameter(offered, "profile-level-id", "42e01f"),
            );
            if ours == theirs {
                return Some(3);
            }
            let same_profile = ours.get(..2).is_some() && ours.get(..2) == theirs.get(..2);
            Some(if same_profile { 2 } else { 1 })
        }
        Codec::Vp9 => {
            (parameter(wanted, "profile-id", "0") == parameter(offered, "profile-id", "0")).then_some(3)
        }
        _ => Some(3),
    }
}

/// The subscriber's payload type that carries the publisher's, matched by codec and fmtp, never by number.
pub fn match_payload_type<'a>(wanted: &PayloadType, answered: &'a [PayloadType]) -> Option<&'a PayloadType> {
    let scored = answered
        .iter()
        .filter_map(|offered| Some((match_score(wanted, offered)?, offered)));
    // The first of equals: the answerer's preference.
    scored
        .fold(None, |best: Option<(u8, &PayloadType)>, next| match best {
            Some(kept) if kept.0 >= next.0 => Some(kept),
            _ => Some(next),
        })
        .map(|(_, payload)| payload)
}

/// One extmap line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderExtension {
    /// 1..=255 except 15 in the one-byte form.
    pub id: u8,
    /// What it means.
    pub uri: String,
}

/// One encoding whose SSRC the publisher's description names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiveLayer {
    /// The media SSRC.
    pub ssrc: u32,
    /// The SSRC of its retransmissions.
    pub rtx_ssrc: Option<u32>,
    /// Its rid, if simulcast by rid.
    pub rid: Option<String>,
}

/// The ids of the header extensions that matter here; 0 is "not negotiated".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    /// sdes:mid
    pub mid: u8,
    /// sdes:rtp-stream-id
    pub rid: u8,
    /// sdes:repaired-rtp-stream-id
    pub repaired_rid: u8,
    /// RFC 6464.
    pub audio_level: u8,
    /// transport-wide-cc-extensions-01
    pub transport_wide_cc: u8,
    /// abs-send-time
    pub abs_send_time: u8,
    /// abs-capture-time
    pub abs_capture_time: u8,
    /// AV1's dependency descriptor
    pub dependency_descriptor: u8,
    /// 3GPP video orientation
    pub video_orientation: u8,
    /// playout-delay
    pub playout_delay: u8,
}

type Slot = fn(&mut ExtensionIds) -> &mut u8;

const EXTENSIONS: &[(&str, Slot)] = &[
    ("urn:ietf:params:rtp-hdrext:sdes:mid", |ids| &mut ids.mid),
    ("urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", |ids| {
        &mut ids.rid
    }),
    ("urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id", |ids| {
        &mut ids.repaired_rid
    }),
    ("urn:ietf:params:rtp-hdrext:ssrc-audio-level", |ids| {
        &mut ids.audio_level
    }),
    (
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        |ids| &mut ids.transport_wide_cc,
    ),
    (
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        |ids| &mut ids.abs_send_time,
    ),
    (
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
        |ids| &mut ids.abs_capture_time,
    ),
    (
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
        |ids| &mut ids.dependency_descriptor,
    ),
    ("urn:3gpp:video-orientation", |ids| &mut ids.video_orientation),
    (
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        |ids| &mut ids.playout_delay,
    ),
];

impl ExtensionIds {
    /// The ids among `extensions`; unknown URIs are ignored.
    pub fn from_list(extensions: &[HeaderExtension]) -> ExtensionIds {
        let mut ids = ExtensionIds::default();
        ids.merge(extensions);
        ids
    }

    /// Adds what `extensions` says (one id means one URI across a bundle).
    pub fn merge(&mut self, extensions: &[HeaderExtension]) {
        for extension in extensions {
            if let Some((_, slot)) = EXTENSIONS.iter().find(|(uri, _)| *uri == extension.uri) {
                *slot(self) = extension.id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(payload_type: u8, codec: &str, fmtp: &str) -> PayloadType {
        PayloadType {
            payload_type,
            codec: codec.into(),
            clock_rate_hz: 90_000,
            format_parameters: fmtp.into(),
            rtx_payload_type: None,
            feedback: vec![],
        }
    }

    #[test]
    fn payload_types_match_by_codec_and_fmtp() {
        let answered = [
            payload(96, "vp8", ""),
            payload(98, "vp9", "profile-id=0"),
            payload(100, "vp9", "profile-id=1"),
            payload(125, "h264", "packetization-mode=0;profile-level-id=42e01f"),
            payload(108, "h264", "packetization-mode=1;profile-level-id=42e01f"),
        ];
        let cases: &[(&str, &str, Option<u8>)] = &[
            ("vp8", "x-google-start-bitrate=1000", Some(96)),
            ("vp9", "", Some(98)),
            ("vp9", "profile-id=1", Some(100)),
            ("vp9", "profile-id=2", None),
            ("h264", "profile-level-id=42e01f;packetization-mode=1", Some(108)),
            ("h264", "profile-level-id=42e01f", Some(125)),
            ("h264", "profile-level-id=640032;packetization-mode=1", Some(108)),
            ("av1", "", None),
        ];
        for (codec, fmtp, expected) in cases {
            let found = match_payload_type(&payload(1, codec, fmtp), &answered);
            assert_eq!(
                found.map(|payload| payload.payload_type),
                *expected,
                "{codec} {fmtp}"
            );
        }
    }

    #[test]
    fn extensions_are_found_by_uri() {
        let list = [
            HeaderExtension {
                id: 4,
                uri: "urn:ietf:params:rtp-hdrext:sdes:mid".into(),
            },
            HeaderExtension {
                id: 9,
                uri: "urn:something:else".into(),
            },
        ];
        let ids = ExtensionIds::from_list(&list);
        assert_eq!(
            ids,
            ExtensionIds {
                mid: 4,
                ..ExtensionIds::default()
            }
        );
    }
}

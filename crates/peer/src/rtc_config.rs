//! From our parameters to str0m's configuration.

use std::collections::HashSet;
use std::time::Duration;

use str0m::RtcConfig;
use str0m::bwe::Bitrate;
use str0m::format::{Codec, FormatParams};
use str0m::media::Frequency;
use str0m::rtp::{Extension, ExtensionMap};

use crate::certificate::identity;
use crate::eager_checks::FIRST_RETRANSMISSION;
use crate::{HeaderExtension, PayloadType, PeerConfig, PeerError, Result, TrackKind};

/// Audio packets held back while one before them is missing: none, and those that come late are not dropped. The jitter
/// buffer does the ordering and the waiting, by how late packets are, those that were sent again included.
const AUDIO_REORDERING_PACKETS: usize = 0;
/// How often a working path is checked. A server learns from a check that a NAT has given us another address, so this is
/// how long such a change may interrupt everything.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// Unanswered checks before a path is given up, after about twenty seconds.
const CHECKS_UNTIL_GIVEN_UP: usize = 12;
const STATISTICS_INTERVAL: Duration = Duration::from_secs(1);
/// Where bandwidth estimation starts; probes find the rest within a second or two.
pub(crate) const INITIAL_ESTIMATE_BPS: u64 = 1_500_000;
/// Bytes that SCTP may ever hold unacknowledged, over all channels; how much it gets is in `channels`.
const SCTP_BUFFER_BYTES: usize = crate::channels::TRANSPORT_LIMIT_BYTES.1;
const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

const CODECS: &[(&str, Codec)] = &[
    ("opus", Codec::Opus),
    ("pcmu", Codec::PCMU),
    ("pcma", Codec::PCMA),
    ("vp8", Codec::Vp8),
    ("vp9", Codec::Vp9),
    ("h264", Codec::H264),
];

/// What str0m can write or read itself; other URIs are skipped when packets are parsed.
const EXTENSIONS: &[Extension] = &[
    Extension::AudioLevel,
    Extension::AbsoluteSendTime,
    Extension::AbsoluteCaptureTime,
    Extension::TransportSequenceNumber,
    Extension::RtpMid,
    Extension::RtpStreamId,
    Extension::RepairedRtpStreamId,
    Extension::PlayoutDelay,
    Extension::VideoOrientation,
];

pub(crate) fn build(config: &PeerConfig) -> Result<RtcConfig> {
    let identity = identity();
    let mut rtc = RtcConfig::new()
        .set_crypto_provider(identity.crypto(config.repeatable))
        .set_dtls_cert(identity.certificate.clone())
        .clear_codecs()
        .set_extension_map(extension_map(config)?)
        .set_reordering_size_audio(AUDIO_REORDERING_PACKETS)
        .set_rtcp_report_interval_audio(Duration::from_secs(2))
        .set_stats_interval(Some(STATISTICS_INTERVAL))
        .set_sctp_max_buffered_amount(SCTP_BUFFER_BYTES);
    rtc.set_max_stun_rto(CHECK_INTERVAL);
    rtc.set_max_stun_retransmits(CHECKS_UNTIL_GIVEN_UP);
    rtc.set_initial_stun_rto(FIRST_RETRANSMISSION);
    if estimates_bandwidth(config) {
        rtc = rtc.enable_bwe(Some(Bitrate::bps(INITIAL_ESTIMATE_BPS)));
    }
    add_payload_types(&mut rtc, &config.payload_types)?;
    Ok(rtc)
}

/// Whether there is transport-wide congestion control for video to estimate with.
pub(crate) fn estimates_bandwidth(config: &PeerConfig) -> bool {
    config
        .header_extensions_video
        .iter()
        .any(|extension| extension.uri == TRANSPORT_CC)
}

fn add_payload_types(rtc: &mut RtcConfig, payload_types: &[PayloadType]) -> Result<()> {
    let mut seen = HashSet::new();
    for payload in payload_types {
        for number in [Some(payload.payload_type), payload.rtx_payload_type]
            .into_iter()
            .flatten()
        {
            let reason = if number > 127 {
                "it must be at most 127"
            } else if !seen.insert(number) {
                "it is given twice"
            } else {
                continue;
            };
            return Err(PeerError::Parameter {
                name: "payload type",
                value: number.to_string(),
                reason: reason.into(),
            });
        }
        // Codecs that str0m can't carry are never sent and their packets are dropped.
        let Some((_, codec)) = CODECS.iter().find(|(name, _)| *name == payload.codec) else {
            continue;
        };
        let clock_rate = Frequency::new(payload.clock_rate_hz).ok_or_else(|| PeerError::Parameter {
            name: "clock rate",
            value: payload.clock_rate_hz.to_string(),
            reason: "it must be above 0".into(),
        })?;
        rtc.codec_config().add_config(
            payload.payload_type.into(),
            payload.rtx_payload_type.map(Into::into),
            *codec,
            clock_rate,
            payload.channels,
            FormatParams::parse_line(&payload.format_parameters),
        );
    }
    Ok(())
}

/// Configurations whose extensions are those of one kind of media, where the session has more.
///
/// It matters: audio that carries transport-wide sequence numbers which were agreed on for video only is reported
/// as lost, and the bandwidth estimate collapses.
pub(crate) struct Templates {
    audio: Option<RtcConfig>,
    video: Option<RtcConfig>,
}

impl Templates {
    pub fn new(config: &PeerConfig) -> Result<Self> {
        let one_kind = |audio: &[HeaderExtension], video: &[HeaderExtension]| {
            let own = audio.len() + video.len();
            let all = config.header_extensions_audio.len() + config.header_extensions_video.len();
            let reduced = PeerConfig {
                header_extensions_audio: audio.to_vec(),
                header_extensions_video: video.to_vec(),
                repeatable: config.repeatable,
                ..PeerConfig::default()
            };
            (own < all).then(|| build(&reduced)).transpose()
        };
        Ok(Self {
            audio: one_kind(&config.header_extensions_audio, &[])?,
            video: one_kind(&[], &config.header_extensions_video)?,
        })
    }

    pub fn get(&self, kind: TrackKind) -> Option<&RtcConfig> {
        match kind {
            TrackKind::Audio => self.audio.as_ref(),
            TrackKind::Video => self.video.as_ref(),
        }
    }
}

fn extension_map(config: &PeerConfig) -> Result<ExtensionMap> {
    let mut map = ExtensionMap::empty();
    let mut uris: [Option<&str>; 15] = [None; 15];
    for HeaderExtension { id, uri } in config
        .header_extensions_audio
        .iter()
        .chain(&config.header_extensions_video)
    {
        let refuse = |reason: String| PeerError::Parameter {
            name: "header extension id",
            value: id.to_string(),
            reason,
        };
        let slot = uris
            .get_mut(usize::from(*id))
            .filter(|_| *id > 0)
            .ok_or_else(|| refuse("it must be 1 to 14".into()))?;
        if slot.is_some_and(|other| other != uri) {
            return Err(refuse(format!(
                "it means {} and {uri}; one id has one URI in a bundle",
                slot.unwrap_or_default()
            )));
        }
        *slot = Some(uri);
        if let Some(extension) = EXTENSIONS.iter().find(|extension| extension.as_uri() == uri) {
            map.set(*id, extension.clone());
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(number: u8, rtx: Option<u8>) -> PayloadType {
        PayloadType {
            payload_type: number,
            codec: "vp8".into(),
            clock_rate_hz: 90_000,
            channels: None,
            format_parameters: String::new(),
            rtx_payload_type: rtx,
            feedback: vec![],
        }
    }

    #[test]
    fn payload_types_must_be_distinct_and_in_range() {
        let table = [
            (vec![payload(96, Some(97))], true),
            (vec![payload(96, Some(96))], false),
            (vec![payload(96, None), payload(96, None)], false),
            (vec![payload(128, None)], false),
            (
                vec![PayloadType {
                    clock_rate_hz: 0,
                    ..payload(96, None)
                }],
                false,
            ),
            (
                vec![PayloadType {
                    codec: "flexfec".into(),
                    ..payload(96, None)
                }],
                true,
            ),
        ];
        for (payload_types, accepted) in table {
            let config = PeerConfig {
                payload_types,
                ..PeerConfig::default()
            };
            assert_eq!(build(&config).is_ok(), accepted, "{config:?}");
        }
    }

    #[test]
    fn an_extension_id_means_one_uri() {
        let extension = |id, uri: &str| HeaderExtension { id, uri: uri.into() };
        let table = [
            (
                vec![extension(3, TRANSPORT_CC)],
                vec![extension(3, TRANSPORT_CC)],
                true,
            ),
            (
                vec![extension(3, TRANSPORT_CC)],
                vec![extension(3, "urn:x")],
                false,
            ),
            (vec![extension(0, TRANSPORT_CC)], vec![], false),
            (vec![extension(15, TRANSPORT_CC)], vec![], false),
        ];
        for (header_extensions_audio, header_extensions_video, accepted) in table {
            let config = PeerConfig {
                header_extensions_audio,
                header_extensions_video,
                ..PeerConfig::default()
            };
            assert_eq!(build(&config).is_ok(), accepted, "{config:?}");
        }
    }
}

//! The session descriptions of the load: an offer of what it publishes, and answers to what a server offers.

use std::fmt::Write as _;

use greenroom_transport::{RemoteParameters, Transport};

use crate::track::{AUDIO_PAYLOAD_TYPE, ExtensionId, OutgoingTrack, VIDEO_PAYLOAD_TYPE};

const EXTENSIONS: [(ExtensionId, &str); 4] = [
    (
        ExtensionId::AudioLevel,
        "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    ),
    (
        ExtensionId::TransportCc,
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    ),
    (ExtensionId::Mid, "urn:ietf:params:rtp-hdrext:sdes:mid"),
    (ExtensionId::Rid, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
];

/// The offer of a publisher's connection: a section for each track, its MID its index.
pub fn offer(transport: &Transport, fingerprint: &str, tracks: &[OutgoingTrack]) -> String {
    let mut sdp = session((0..tracks.len()).map(|index| index.to_string()));
    for (index, track) in tracks.iter().enumerate() {
        let (kind, payload_type) = if track.is_video() {
            ("video", VIDEO_PAYLOAD_TYPE)
        } else {
            ("audio", AUDIO_PAYLOAD_TYPE)
        };
        let _ = write!(
            sdp,
            "m={kind} 9 UDP/TLS/RTP/SAVPF {payload_type}\r\nc=IN IP4 0.0.0.0\r\n\
             a=mid:{index}\r\na=sendonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=msid:- {cid}\r\n",
            cid = track.cid()
        );
        sdp += &credentials(transport, fingerprint, "actpass");
        for (id, uri) in EXTENSIONS {
            let _ = write!(sdp, "a=extmap:{} {uri}\r\n", id as u8);
        }
        let _ = write!(sdp, "a=rtcp-fb:{payload_type} transport-cc\r\n");
        sdp += match kind {
            "audio" => "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n",
            _ => {
                "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 ccm fir\r\n\
                 a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n"
            }
        };
        sdp += &streams(track);
    }
    sdp
}

fn streams(track: &OutgoingTrack) -> String {
    let rids = track.rids();
    if rids.is_empty() {
        let ssrc = track.ssrc();
        return format!(
            "a=ssrc:{ssrc} cname:load\r\na=ssrc:{ssrc} msid:- {}\r\n",
            track.cid()
        );
    }
    let sends: String = rids.iter().map(|rid| format!("a=rid:{rid} send\r\n")).collect();
    format!("{sends}a=simulcast:send {}\r\n", rids.join(";"))
}

fn session(mids: impl Iterator<Item = String>) -> String {
    let bundle: Vec<String> = mids.collect();
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=msid-semantic: WMS *\r\n",
        bundle.join(" ")
    )
}

fn credentials(transport: &Transport, fingerprint: &str, setup: &str) -> String {
    let local = transport.local_credentials();
    let mut lines = format!(
        "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:{fingerprint}\r\na=setup:{setup}\r\n",
        local.ufrag, local.pwd
    );
    for line in transport.local_candidate_lines() {
        let _ = write!(lines, "a={}\r\n", line.trim_start_matches("a="));
    }
    lines
}

/// The value of the first line that begins so.
fn value<'a>(sdp: &'a str, prefix: &str) -> Option<&'a str> {
    sdp.lines()
        .find_map(|line| line.strip_prefix(prefix))
        .map(str::trim)
}

/// What a server's description says of its connection. None when it lacks something.
pub fn remote(sdp: &str) -> Option<RemoteParameters> {
    Some(RemoteParameters {
        ice_ufrag: value(sdp, "a=ice-ufrag:")?.to_owned(),
        ice_pwd: value(sdp, "a=ice-pwd:")?.to_owned(),
        fingerprint: value(sdp, "a=fingerprint:")?.to_owned(),
        // To an offer (actpass) we answer that we are active; an answer that is passive makes us that too.
        dtls_active: value(sdp, "a=setup:")? != "active",
        ice_lite: sdp.lines().any(|line| line.trim() == "a=ice-lite"),
        max_message_size: 65_536,
    })
}

/// The candidates in a description.
pub fn candidates(sdp: &str) -> impl Iterator<Item = &str> {
    sdp.lines()
        .filter_map(|line| line.trim().strip_prefix("a="))
        .filter(|line| line.starts_with("candidate:"))
}

/// The candidate in the JSON of a trickled one.
pub fn trickled(json: &str) -> Option<&str> {
    let start = json.find("candidate:")?;
    json[start..].split('"').next()
}

/// Whether this payload type of a section is one that the load takes: Opus and VP8, without RTX and RED.
fn is_wanted(section: &str, payload_type: &str) -> bool {
    let codec = value(section, &format!("a=rtpmap:{payload_type} ")).unwrap_or_default();
    codec.eq_ignore_ascii_case("opus/48000/2") || codec.eq_ignore_ascii_case("VP8/90000")
}

/// The answer to a server's offer: everything is received, with all extensions but transport-wide feedback (the load
/// sends REMB, on both servers).
pub fn answer(offer: &str, transport: &Transport, fingerprint: &str) -> String {
    let mut parts = offer.split("\r\nm=");
    parts.next();
    let sections: Vec<&str> = parts.collect();
    let mut sdp = session(
        sections
            .iter()
            .filter_map(|section| value(section, "a=mid:").map(str::to_owned)),
    );
    for section in sections {
        sdp += &answer_section(section);
        sdp += &credentials(transport, fingerprint, "active");
    }
    sdp
}

fn answer_section(section: &str) -> String {
    let first = section.lines().next().unwrap_or_default().trim();
    let mid = value(section, "a=mid:").unwrap_or_default();
    let words: Vec<&str> = first.split(' ').collect();
    let (head, formats) = words.split_at(words.len().min(3));
    if head.first() == Some(&"application") {
        return format!("m={first}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=sctp-port:5000\r\n");
    }
    let taken: Vec<&&str> = formats
        .iter()
        .filter(|format| is_wanted(section, format))
        .collect();
    let formats: Vec<String> = taken.iter().map(|format| (**format).to_owned()).collect();
    let direction = if section.lines().any(|line| line.trim() == "a=inactive") {
        "inactive"
    } else {
        "recvonly"
    };
    let mut sdp = format!(
        "m={} {}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n",
        head.join(" "),
        formats.join(" ")
    );
    for line in section.lines().map(str::trim) {
        let of_codec = taken.iter().any(|format| {
            ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"]
                .iter()
                .any(|kind| line.starts_with(&format!("{kind}{format} ")))
        });
        if (of_codec || line.starts_with("a=extmap:")) && !line.contains("transport-") {
            let _ = write!(sdp, "{line}\r\n");
        }
    }
    sdp
}

"""The server's descriptions against what livekit-server writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.signalling.media_parameters import (
    ABS_SEND_TIME_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    TRANSPORT_CC_URI,
    HeaderExtension,
    PayloadType,
)
from greenroom.signalling.sdp import Direction, MediaKind, MediaSection, Rid, parse
from greenroom.signalling.server_description import (
    LocalTransport,
    OfferedSection,
    OfferedTrack,
    PublishedSection,
    acceptable_extensions,
    acceptable_payload_types,
    answered_extensions,
    answered_payload_types,
    codec_of_mime_type,
    mime_type,
    ordered_rids,
    payload_types_for,
    publisher_answer,
    subscriber_offer,
)

LOCAL = LocalTransport(
    "ufrag", "pwd", "sha-256 AA:BB", ["candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host"]
)
H264_MODE_1 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"

BROWSER_OFFER = """v=0
o=- 46117317 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlUx
a=ice-options:trickle
a=fingerprint:sha-256 19:E2:1C
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:262144
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlUx
a=fingerprint:sha-256 19:E2:1C
a=setup:actpass
a=mid:1
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendonly
a=msid:s audio-track
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=rtcp-fb:111 nack
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=ssrc:3735928559 cname:abc
a=ssrc:3735928559 msid:s audio-track
m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 109 114 98 99
c=IN IP4 0.0.0.0
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlUx
a=fingerprint:sha-256 19:E2:1C
a=setup:actpass
a=mid:2
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id
a=extmap:13 urn:3gpp:video-orientation
a=sendonly
a=msid:s video-track
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:103 H264/90000
a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:104 rtx/90000
a=fmtp:104 apt=103
a=rtpmap:109 H264/90000
a=rtcp-fb:109 nack
a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:114 rtx/90000
a=fmtp:114 apt=109
a=rtpmap:98 VP9/90000
a=fmtp:98 profile-id=2
a=rtpmap:99 rtx/90000
a=fmtp:99 apt=98
a=rid:q send
a=rid:h send
a=rid:f send
a=simulcast:send q;h;f
"""

ANSWER = """v=0
o=- 5 6 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic:WMS *
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:ufrag
a=ice-pwd:pwd
a=ice-options:trickle
a=fingerprint:sha-256 AA:BB
a=setup:active
a=candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host
a=end-of-candidates
a=mid:0
a=sctp-port:5000
a=max-message-size:65535
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:ufrag
a=ice-pwd:pwd
a=ice-options:trickle
a=fingerprint:sha-256 AA:BB
a=setup:active
a=mid:1
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 nack
a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1
m=video 9 UDP/TLS/RTP/SAVPF 109 114 96 97
c=IN IP4 0.0.0.0
a=ice-ufrag:ufrag
a=ice-pwd:pwd
a=ice-options:trickle
a=fingerprint:sha-256 AA:BB
a=setup:active
a=mid:2
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:109 H264/90000
a=rtcp-fb:109 nack
a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:114 rtx/90000
a=fmtp:114 apt=109
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rid:q recv
a=rid:h recv
a=rid:f recv
a=simulcast:recv q;h;f
"""

OFFER = """v=0
o=- 5 6 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic:WMS *
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:ufrag
a=ice-pwd:pwd
a=ice-options:trickle
a=fingerprint:sha-256 AA:BB
a=setup:actpass
a=candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host
a=end-of-candidates
a=mid:0
a=sctp-port:5000
a=max-message-size:65535
m=audio 9 UDP/TLS/RTP/SAVPF 111 63
c=IN IP4 0.0.0.0
a=ice-ufrag:ufrag
a=ice-pwd:pwd
a=ice-options:trickle
a=fingerprint:sha-256 AA:BB
a=setup:actpass
a=mid:1
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time
a=sendrecv
a=msid:PA_a|TR_b TR_b
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 nack
a=fmtp:111 minptime=10;useinbandfec=1;sprop-stereo=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=ssrc:100 cname:PA_a|TR_b
a=ssrc:100 msid:PA_a|TR_b TR_b
m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 125 126 108 109 35 36
"""


def text(lines: str) -> str:
    return lines.replace("\n", "\r\n")


def video_section(**fields: object) -> MediaSection:
    section = MediaSection(MediaKind.VIDEO, "1")
    for name, value in fields.items():
        setattr(section, name, value)
    return section


def test_answer_to_a_browser() -> None:
    published = {"1": PublishedSection(), "2": PublishedSection(wanted_codec="h264")}

    answer = publisher_answer(
        parse(text(BROWSER_OFFER)), published, LOCAL, setup="active", session_id=5, session_version=6
    )

    assert answer.to_text() == text(ANSWER)


@pytest.mark.parametrize(
    ("section", "added"),
    [
        (PublishedSection(), ";usedtx=1"),
        (PublishedSection(dtx=False), ""),
        (PublishedSection(stereo=True), ";usedtx=1;stereo=1;maxaveragebitrate=510000"),
        (PublishedSection(dtx=False, stereo=True), ";stereo=1;maxaveragebitrate=510000"),
    ],
)
def test_opus_parameters_follow_the_track(section: PublishedSection, added: str) -> None:
    answer = publisher_answer(
        parse(text(BROWSER_OFFER)), {"1": section}, LOCAL, setup="active", session_id=1, session_version=1
    )

    assert answer.media[1].payload_types[0].format_parameters == "minptime=10;useinbandfec=1" + added


def test_section_without_a_known_codec_is_rejected_and_the_rest_lives() -> None:
    offer = text(BROWSER_OFFER).replace("opus/48000", "speex/48000")

    answer = publisher_answer(parse(offer), {}, LOCAL, setup="active", session_id=1, session_version=1)

    assert [m.rejected for m in answer.media] == [False, True, False]
    assert answer.bundle == ["0", "2"]
    assert parse(answer.to_text()).media[1].port == 0


def test_section_the_client_only_receives_on_is_idle() -> None:
    offer = text(BROWSER_OFFER).replace("a=sendonly", "a=recvonly")

    answer = publisher_answer(parse(offer), {}, LOCAL, setup="active", session_id=1, session_version=1)

    assert [m.direction for m in answer.media[1:]] == [Direction.INACTIVE] * 2


def test_offer_to_a_subscriber() -> None:
    sections = [
        OfferedSection(MediaKind.APPLICATION, "0"),
        OfferedSection(MediaKind.AUDIO, "1", OfferedTrack("PA_a|TR_b", "TR_b", 100, None, stereo=True)),
        OfferedSection(MediaKind.VIDEO, "2", OfferedTrack("PA_a|TR_c", "TR_c", 200, 201)),
    ]

    offer = subscriber_offer(sections, LOCAL, session_id=5, session_version=6)

    written = offer.to_text()
    assert written.startswith(text(OFFER))
    assert "a=ssrc-group:FID 200 201\r\n" in written
    assert "a=extmap:1 https://aomediacodec.github.io/av1-rtp-spec" in written
    assert "a=fmtp:125 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f\r\n" in written
    assert f"a=fmtp:108 {H264_MODE_1}\r\n" in written
    assert "sdes:mid" not in written


def test_offer_agrees_with_livekit_servers() -> None:
    """Whatever is offered is offered as livekit-server does; codecs that can't be forwarded are missing, and
    transport-wide feedback is asked for beside REMB."""
    reference = parse((Path(__file__).parent / "golden" / "server-offer-three-tracks.sdp").read_text())
    sections = [OfferedSection(section.kind, section.mid, _track_of(section)) for section in reference.media]

    offer = parse(subscriber_offer(sections, LOCAL, session_id=1, session_version=1).to_text())

    for ours, theirs in zip(offer.media, reference.media, strict=True):
        assert (ours.kind, ours.mid, ours.direction) == (theirs.kind, theirs.mid, theirs.direction)
        assert (ours.setup, ours.sctp_port, ours.max_message_size) == (
            theirs.setup,
            theirs.sctp_port,
            theirs.max_message_size,
        )
        assert (ours.msid, ours.sources, ours.source_groups) == (
            theirs.msid,
            theirs.sources,
            theirs.source_groups,
        )
        added = {HeaderExtension(4, TRANSPORT_CC_URI)} if ours.kind is MediaKind.VIDEO else set()
        assert set(ours.header_extensions) == {*theirs.header_extensions, *added}
        known = {p.payload_type: p for p in theirs.payload_types}
        for payload in ours.payload_types:
            expected = known[payload.payload_type]
            assert (payload.codec, payload.format_parameters, payload.rtx_payload_type) == (
                expected.codec,
                expected.format_parameters,
                expected.rtx_payload_type,
            )
            assert set(payload.feedback) >= set(expected.feedback)


def _track_of(section: MediaSection) -> OfferedTrack | None:
    if section.msid is None:
        return None
    (layer,) = section.receive_layers()
    return OfferedTrack(section.msid.stream_id, section.msid.track_id, layer.ssrc, layer.rtx_ssrc)


def test_freed_section_stays_and_only_receives() -> None:
    offer = subscriber_offer([OfferedSection(MediaKind.VIDEO, "3")], LOCAL, session_id=1, session_version=1)

    (section,) = parse(offer.to_text()).media
    assert (section.direction, section.port, section.msid, section.sources) == (
        Direction.RECVONLY,
        9,
        None,
        [],
    )


def test_extension_ids_mean_one_thing_across_the_bundle() -> None:
    sections = [OfferedSection(kind, kind.value) for kind in (MediaKind.AUDIO, MediaKind.VIDEO)]
    offer = subscriber_offer(sections, LOCAL, session_id=1, session_version=1)

    meanings = {(e.id, e.uri) for m in offer.media for e in m.header_extensions}

    assert len(meanings) == len({number for number, _ in meanings}) == len({uri for _, uri in meanings})


def test_answered_payload_types_are_those_that_were_offered() -> None:
    answer = video_section(
        payload_types=[
            PayloadType(108, "h264", 90_000, None, H264_MODE_1, 109, ("nack", "nack pli", "transport-cc")),
            PayloadType(96, "vp8", 90_000),
            PayloadType(98, "vp8", 90_000),
            PayloadType(77, "h265", 90_000),
        ]
    )

    taken = answered_payload_types(answer)

    assert [(p.payload_type, p.rtx_payload_type) for p in taken] == [(108, 109), (96, None)]
    assert set(taken[0].feedback) == {"nack", "nack pli", "transport-cc"}


@pytest.mark.parametrize(("feedback", "numbered"), [((), False), (("goog-remb", "transport-cc"), True)])
def test_packets_are_numbered_for_who_reports_on_them(feedback: tuple[str, ...], numbered: bool) -> None:
    number, send_time = HeaderExtension(4, TRANSPORT_CC_URI), HeaderExtension(3, ABS_SEND_TIME_URI)
    answer = video_section(
        payload_types=[PayloadType(96, "vp8", 90_000, feedback=feedback)],
        header_extensions=[number, send_time],
    )

    assert answered_extensions(answer) == ([number, send_time] if numbered else [send_time])


@pytest.mark.parametrize(("mode", "numbers"), [("1", [108, 125, 96]), ("0", [125, 108, 96])])
def test_packetization_mode_of_the_publisher_comes_first(mode: str, numbers: list[int]) -> None:
    taken = [
        PayloadType(96, "vp8", 90_000),
        PayloadType(125, "h264", 90_000, None, "packetization-mode=0;profile-level-id=42e01f"),
        PayloadType(108, "h264", 90_000, None, H264_MODE_1),
    ]
    published = PayloadType(97, "h264", 90_000, None, f"packetization-mode={mode}")

    assert [p.payload_type for p in payload_types_for(taken, "h264", published)] == numbers
    assert payload_types_for(taken[:1], "h264", published) == []


@pytest.mark.parametrize(
    ("sent", "declared", "ordered"),
    [
        (["f", "h", "q"], [], ["q", "h", "f"]),
        (["h", "q"], [], ["q", "h"]),
        (["0", "1", "2"], [], ["2", "1", "0"]),
        (["low", "high"], ["low", "mid", "high"], ["low", "high"]),
        (["x", "y"], [], ["x", "y"]),
        ([], [], []),
    ],
)
def test_rids_lowest_first(sent: list[str], declared: list[str], ordered: list[str]) -> None:
    section = video_section(rids=[Rid(rid, "send") for rid in sent])

    assert ordered_rids(section, declared) == ordered


def test_profiles_that_no_subscriber_is_offered_are_left_out() -> None:
    section = parse(text(BROWSER_OFFER)).media[2]

    assert [p.payload_type for p in acceptable_payload_types(section)] == [96, 109]


@pytest.mark.parametrize(("codec", "told"), [("vp8", False), ("h264", False), ("vp9", True), ("av1", True)])
def test_layers_are_told_outside_of_the_packets_only_where_they_do_not_say_it_themselves(
    codec: str, told: bool
) -> None:
    offered = parse(text(BROWSER_OFFER)).media[2]
    descriptor = HeaderExtension(14, DEPENDENCY_DESCRIPTOR_URI)
    offered.header_extensions = [*offered.header_extensions, descriptor]
    taken = acceptable_extensions(offered, codec)
    assert (descriptor in taken) is told
    assert len(taken) > 1


_OPUS = PayloadType(111, "opus", 48_000, 2)


@pytest.mark.parametrize(
    ("inner", "wanted", "taken"),
    [
        ("111/111", "red", ["red", "opus"]),
        ("111/111", "opus", ["opus"]),
        ("111/111", "", ["opus"]),
        ("9/9", "red", ["opus"]),
        ("", "red", ["opus"]),
    ],
    ids=["wanted", "not wanted", "of an unknown track", "of another codec", "of nothing"],
)
def test_redundant_audio_is_taken_where_it_is_wanted(inner: str, wanted: str, taken: list[str]) -> None:
    red = PayloadType(63, "red", 48_000, 2, inner)
    section = MediaSection(MediaKind.AUDIO, "0", payload_types=[_OPUS, red])
    assert [p.codec for p in acceptable_payload_types(section, wanted)] == taken


@pytest.mark.parametrize(
    ("answered", "codec", "sent"),
    [
        (["opus", "red"], "red", "red"),
        (["opus"], "red", "opus"),
        (["opus", "red"], "opus", "opus"),
        (["red", "opus"], "opus", "opus"),
        ([], "red", None),
    ],
)
def test_who_takes_no_redundant_audio_gets_what_is_in_it(
    answered: list[str], codec: str, sent: str | None
) -> None:
    taken = [PayloadType(number, name, 48_000, 2) for number, name in enumerate(answered, 100)]
    fitting = payload_types_for(taken, codec, None)
    assert (fitting[0].codec if fitting else None) == sent


@pytest.mark.parametrize(
    ("mime", "codec"), [("video/VP8", "vp8"), ("H264", "h264"), ("video/h265", ""), ("", "")]
)
def test_codec_names(mime: str, codec: str) -> None:
    assert codec_of_mime_type(mime) == codec
    assert codec_of_mime_type(mime_type(codec)) == codec

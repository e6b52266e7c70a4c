"""The parser reads what LiveKit's peers write, and refuses the rest by name."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.signalling.sdp import Direction, MediaKind, Msid, SdpError, parse

SERVER_OFFER = """v=0
o=- 4215775240449105457 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic:WMS *
a=fingerprint:sha-256 ab:cd
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:0
a=sendrecv
a=sctp-port:5000
a=max-message-size:65535
a=ice-ufrag:abcd
a=ice-pwd:secret
a=candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host
a=candidate:1 2 udp 2130706431 127.0.0.1 7882 typ host
a=end-of-candidates
m=video 9 UDP/TLS/RTP/SAVPF 96 97 125 126
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:1
a=ice-ufrag:abcd
a=ice-pwd:secret
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 nack pli
a=rtcp-fb:* ccm fir
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:125 H264/90000
a=fmtp:125 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f
a=rtpmap:126 rtx/90000
a=fmtp:126 apt=125
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time
a=ssrc-group:FID 1001 1002
a=ssrc:1001 cname:PA_x|TR_y
a=ssrc:1001 msid:PA_x|TR_y TR_y
a=ssrc:1002 cname:PA_x|TR_y
a=ssrc:1002 msid:PA_x|TR_y TR_y
a=msid:PA_x|TR_y TR_y
a=sendrecv
""".replace("\n", "\r\n")


def test_reads_a_subscriber_offer() -> None:
    offer = parse(SERVER_OFFER)
    application, video = offer.media
    assert application.kind is MediaKind.APPLICATION
    assert (application.sctp_port, application.max_message_size) == (5000, 65535)
    assert offer.candidates == [
        "candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host",
        "candidate:1 2 udp 2130706431 127.0.0.1 7882 typ host",
    ]
    assert offer.bundle == ["0", "1"]
    assert video.fingerprint == "sha-256 AB:CD", "the session-level fingerprint holds for every section"
    assert [(p.payload_type, p.codec, p.rtx_payload_type) for p in video.payload_types] == [
        (96, "vp8", 97),
        (125, "h264", 126),
    ]
    assert video.payload_types[0].feedback == ("ccm fir", "goog-remb", "nack pli")
    assert video.payload_types[1].format_parameter("packetization-mode") == "0"
    assert video.msid == Msid("PA_x|TR_y", "TR_y")
    [layer] = video.receive_layers()
    assert (layer.ssrc, layer.rtx_ssrc) == (1001, 1002)


def test_writing_and_reading_again_changes_nothing() -> None:
    offer = parse(SERVER_OFFER)
    assert parse(offer.to_text()) == offer


def test_reads_simulcast_with_paused_and_alternative_layers() -> None:
    text = (
        "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\na=rtpmap:96 VP8/90000\r\na=sendonly\r\n"
        "a=rid:q send\r\na=rid:h send max-br=400000\r\na=simulcast:send q;~h,x recv z\r\n"
    )
    [video] = parse(text).media
    assert video.direction is Direction.SENDONLY
    assert video.simulcast_send == ["q", "h"]
    assert video.simulcast_recv == ["z"]
    assert [(r.id, r.direction, r.restrictions) for r in video.rids] == [
        ("q", "send", ""),
        ("h", "send", "max-br=400000"),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "v=0"),
        ("hello", "v=0"),
        ("v=0\r\nm=audio x UDP/TLS/RTP/SAVPF 0", "m=audio x"),
        ("v=0\r\nm=text 9 RTP/AVP 0", "'text'"),
        ("v=0\r\nm=audio 9 RTP/AVP 999", "999"),
        ("v=0\r\nm=audio 9 RTP/AVP 0\r\na=ssrc:99999999999 cname:x", "99999999999"),
        ("v=0\r\nm=audio 9 RTP/AVP 0\r\na=mid:a\r\nm=audio 9 RTP/AVP 0\r\na=mid:a", "share a mid"),
        ("v=0\r\na=setup:sideways", "sideways"),
        ("v=0\r\nnonsense", "nonsense"),
        ("v=0\r\n" + "a=x\r\n" * 30_000, "lines"),
        ("v=0\r\n" + "a" * 600_000, "600005"),
    ],
)
def test_malformed_text_is_refused_by_name(text: str, complaint: str) -> None:
    with pytest.raises(SdpError, match=complaint):
        parse(text)


@given(st.data())
def test_mutated_descriptions_never_escape_the_error_type(data: st.DataObject) -> None:
    lines = SERVER_OFFER.split("\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        lines[index] = data.draw(
            st.one_of(st.text(max_size=40), st.just(lines[index][:-1]), st.just(lines[-index]))
        )
    with contextlib.suppress(SdpError):
        parse("\r\n".join(lines))

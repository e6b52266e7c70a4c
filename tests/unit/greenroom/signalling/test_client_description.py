"""The client's half of negotiation, on descriptions that a livekit-server wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from greenroom.signalling.client_description import (
    BOTH_WAYS,
    PUBLISH_PAYLOADS,
    LocalTransport,
    OfferedTrack,
    ReceivingSection,
    publisher_offer,
    read_answer_track,
    read_transport,
    subscriber_answer,
)
from greenroom.signalling.media_parameters import SendLayer
from greenroom.signalling.sdp import Direction, MediaKind, SdpError, SessionDescription, parse
from greenroom.signalling.stream_id import carried_track

_GOLDEN = Path(__file__).parent / "golden"
_OURS = LocalTransport(
    "uuuu", "p" * 24, "sha-256 " + ":".join(["0A"] * 32), ("candidate:1 1 udp 1 127.0.0.1 9 typ host",)
)


def golden(name: str) -> SessionDescription:
    return parse((_GOLDEN / f"{name}.sdp").read_bytes().decode())


def answer_to(name: str) -> SessionDescription:
    answer, problems = subscriber_answer(golden(name), _OURS, session_id=1, version=1)
    assert problems == []
    return parse(answer.to_text())


def test_the_first_offer_of_a_server_is_answered_with_data_only() -> None:
    answer = answer_to("server-offer-data-only")
    (data,) = answer.media
    assert (data.kind, data.mid, data.setup, data.sctp_port) == (MediaKind.APPLICATION, "0", "active", 5000)
    assert (data.ice_ufrag, data.fingerprint) == (_OURS.ice_ufrag, _OURS.fingerprint)
    assert answer.candidates == list(_OURS.candidates)


def test_tracks_are_answered_recvonly_with_what_can_be_decoded() -> None:
    answer = answer_to("server-offer-three-tracks")
    assert [(s.mid, s.kind.value, s.direction.value) for s in answer.media[1:]] == [
        ("1", "audio", "recvonly"),
        ("2", "video", "recvonly"),
        ("3", "video", "recvonly"),
    ]
    assert answer.bundle == ["0", "1", "2", "3"]
    audio, video = answer.media[1], answer.media[2]
    assert [(p.payload_type, p.codec) for p in audio.payload_types] == [(111, "opus")]
    assert [(p.payload_type, p.codec, p.rtx_payload_type) for p in video.payload_types] == [
        (96, "vp8", 97),
        (125, "h264", 126),
        (108, "h264", 109),
    ]
    assert video.payload_types[0].feedback == ("ccm fir", "nack", "nack pli", "goog-remb")
    assert sorted(e.id for e in video.header_extensions) == [2, 3]


def test_what_each_section_carries_is_bound_by_ssrc() -> None:
    offer = golden("server-offer-three-tracks")
    carried = [carried_track(s, {}) for s in offer.media]
    assert carried == [
        None,
        ("PA_6o7Q2sdVQUMg", "TR_AMMCt9UzSwAggp"),
        ("PA_6o7Q2sdVQUMg", "TR_VSN9SMKq9rpBND"),
        ("PA_6o7Q2sdVQUMg", "TR_VC2ak95arbqev6"),
    ]
    assert [(layer.ssrc, layer.rtx_ssrc) for s in offer.media for layer in s.receive_layers()] == [
        (138334352, None),
        (4285904288, 1291565609),
        (3091724443, 1260099524),
    ]
    assert carried_track(offer.media[1], {"1": "TR_mapped"}) == ("PA_6o7Q2sdVQUMg", "TR_mapped")


def test_a_freed_section_stays_and_is_answered_inactive() -> None:
    offer = golden("server-offer-one-track-gone")
    assert carried_track(offer.media[3], {}) is None
    assert answer_to("server-offer-one-track-gone").media[3].direction is Direction.INACTIVE


def test_a_codec_under_another_payload_type_is_left_out_and_reported() -> None:
    offer = golden("server-offer-three-tracks")
    offer.media[1].payload_types = [replace(p, payload_type=96) for p in offer.media[1].payload_types]
    answer, problems = subscriber_answer(offer, _OURS, session_id=1, version=1)
    assert problems == ["opus is offered as payload type 96, not 111"]
    assert (answer.media[1].direction, answer.media[1].port) == (Direction.INACTIVE, 0)
    assert answer.bundle == ["0", "2", "3"]


def test_stereo_is_answered_when_the_server_sends_it() -> None:
    offer = golden("server-offer-three-tracks")
    opus = offer.media[1].payload_types[0]
    offer.media[1].payload_types[0] = replace(
        opus, format_parameters=opus.format_parameters + ";sprop-stereo=1"
    )
    answer, _ = subscriber_answer(offer, _OURS, session_id=1, version=1)
    assert answer.media[1].payload_types[0].format_parameter("stereo") == "1"


def test_the_servers_transport_is_read_from_its_answer() -> None:
    remote = read_transport(golden("server-answer-audio-simulcast"), ours_is_offer=True)
    assert (remote.ice_ufrag, remote.dtls_active, remote.ice_lite) == ("iPuPAoPMSssVPsEv", False, False)
    assert remote.max_message_size == 64_000
    assert sum("7992 typ host" in c for c in remote.candidates) == 2


@pytest.mark.parametrize(("theirs", "ours"), [(None, 64_000), (0, 0), (1000, 1000), (1 << 20, 64_000)])
def test_the_message_limit_is_the_smaller_one(theirs: int | None, ours: int) -> None:
    answer = golden("server-answer-data-only")
    answer.media[0].max_message_size = theirs
    assert read_transport(answer, ours_is_offer=True).max_message_size == ours


def test_an_answer_without_transport_or_role_is_refused() -> None:
    answer = golden("server-answer-data-only")
    answer.media[0].setup = "actpass"
    with pytest.raises(SdpError, match="actpass"):
        read_transport(answer, ours_is_offer=True)
    answer.media[0].fingerprint = None
    with pytest.raises(SdpError, match="no transport"):
        read_transport(answer, ours_is_offer=False)


def _track(mid: str, kind: MediaKind, codec: str, *layers: SendLayer) -> OfferedTrack:
    return OfferedTrack(mid, kind, f"cid-{mid}", "PA_me", PUBLISH_PAYLOADS[codec], layers)


def test_the_answer_decides_payload_type_dtx_and_bitrate() -> None:
    answer = golden("server-answer-audio-simulcast")
    audio = read_answer_track(answer, _track("1", MediaKind.AUDIO, "opus"))
    assert audio is not None
    assert (audio.payload_type, audio.dtx, audio.max_bitrate_bps) == (111, True, None)
    video = read_answer_track(answer, _track("2", MediaKind.VIDEO, "vp8"))
    assert video is not None
    assert video.payload_type == 96
    assert read_answer_track(answer, _track("2", MediaKind.VIDEO, "h264")) is None
    assert read_answer_track(answer, _track("7", MediaKind.VIDEO, "vp8")) is None


def test_our_offer_says_what_a_server_needs() -> None:
    single = SendLayer(None, 11, 12, 1.0, 1_000_000, 30)
    simulcast = [SendLayer(rid, 20 + i, 30 + i, 4 / 2**i, 1, 1) for i, rid in enumerate("qhf")]
    tracks = [
        _track("1", MediaKind.AUDIO, "opus", SendLayer(None, 10, None, 1.0, 0, 0)),
        _track("2", MediaKind.VIDEO, "h264", single),
        _track("3", MediaKind.VIDEO, "vp8", *simulcast),
        _track("4", MediaKind.VIDEO, "vp8", single).ended(),
    ]
    offer = parse(publisher_offer(_OURS, tracks, session_id=5, version=2).to_text())
    assert [(s.kind.value, s.mid, s.setup) for s in offer.media] == [
        ("application", "0", "actpass"),
        ("audio", "1", "actpass"),
        ("video", "2", "actpass"),
        ("video", "3", "actpass"),
        ("video", "4", "actpass"),
    ]
    audio, h264, vp8, ended = offer.media[1:]
    assert audio.msid is not None
    assert audio.msid.track_id == "cid-1"
    assert audio.extension_id("urn:ietf:params:rtp-hdrext:ssrc-audio-level") == 1
    assert [(x.ssrc, x.rtx_ssrc) for x in h264.receive_layers()] == [(11, 12)]
    assert [p.codec for p in h264.payload_types] == ["h264", "vp8"], "the codec to be sent first, all named"
    assert "transport-cc" in h264.payload_types[0].feedback
    assert (vp8.simulcast_send, [r.id for r in vp8.rids], vp8.sources) == (
        ["q", "h", "f"],
        ["q", "h", "f"],
        [],
    )
    assert (ended.direction, ended.msid, ended.sources) == (Direction.SENDONLY, None, [])
    assert (offer.session_id, offer.session_version) == (5, 2)


def test_one_id_means_one_extension_across_the_bundle() -> None:
    tracks = [
        _track("1", MediaKind.AUDIO, "opus", SendLayer(None, 1, None, 1, 0, 0)),
        _track("2", MediaKind.VIDEO, "vp8", SendLayer(None, 2, 3, 1, 1, 1)),
    ]
    uris: dict[int, str] = {}
    for section in publisher_offer(_OURS, tracks, session_id=1, version=1).media:
        for extension in section.header_extensions:
            assert uris.setdefault(extension.id, extension.uri) == extension.uri


def test_an_offer_for_both_directions_lists_the_same_in_every_section_of_a_kind() -> None:
    single = SendLayer(None, 11, 12, 1.0, 1_000_000, 30)
    sections = [
        ReceivingSection("1", MediaKind.AUDIO),
        ReceivingSection("2", MediaKind.VIDEO),
        _track("3", MediaKind.VIDEO, "h264", single),
    ]
    offer = parse(publisher_offer(_OURS, sections, session_id=5, version=1, profile=BOTH_WAYS).to_text())
    audio, receiving, sending = offer.media[1:]
    assert [s.direction for s in offer.media[1:]] == [
        Direction.RECVONLY,
        Direction.RECVONLY,
        Direction.SENDONLY,
    ]
    assert [p.payload_type for p in receiving.payload_types] == [96, 108, 125]
    assert [p.payload_type for p in sending.payload_types] == [108, 96, 125], "what is sent comes first"
    assert set(receiving.header_extensions) == set(sending.header_extensions)
    assert {"goog-remb", "transport-cc"} <= set(receiving.payload_types[0].feedback)
    ids = {e.id: e.uri for section in offer.media for e in section.header_extensions}
    assert all(ids[e.id] == e.uri for section in offer.media for e in section.header_extensions)
    assert (audio.msid, receiving.msid) == (None, None)

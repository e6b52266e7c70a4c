"""Answers on one connection for both directions, against livekit-server's to the same offers."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.signalling.down_sections import DownSection, OfferedTrack, can_carry_tracks
from greenroom.signalling.sdp import Direction, MediaSection, Msid, SessionDescription, parse
from greenroom.signalling.server_description import LocalTransport, PublishedSection, publisher_answer

GOLDEN = Path(__file__).parent / "golden"
LOCAL = LocalTransport("ufrag", "pwd", "sha-256 AA:BB", ["candidate:1 1 udp 1 127.0.0.1 7882 typ host"])
MICROPHONE = OfferedTrack("PA_anna|TR_mic", "TR_mic", 11, None)
CAMERA = OfferedTrack("PA_anna|TR_cam", "TR_cam", 21, 22)


def golden(name: str) -> SessionDescription:
    return parse((GOLDEN / f"{name}.sdp").read_text())


def answer(
    offer: SessionDescription, down: dict[str, DownSection], **published: PublishedSection
) -> list[MediaSection]:
    description = publisher_answer(
        offer, {mid.strip("_"): p for mid, p in published.items()}, LOCAL,
        setup="active", session_id=1, session_version=1, down=down,
    )  # fmt: skip
    return parse(description.to_text()).media


def free_sections(offer: SessionDescription) -> dict[str, DownSection]:
    return {section.mid: DownSection() for section in offer.media if can_carry_tracks(section)}


def test_the_official_sdk_offers_three_sections_of_each_kind() -> None:
    assert list(free_sections(golden("official-offer-single-join"))) == ["0", "1", "2", "3", "4", "5"]
    assert list(free_sections(golden("official-offer-single-publishing"))) == ["0", "1", "2", "3", "4", "5"]


def test_tracks_are_answered_as_livekit_server_does() -> None:
    offer = golden("official-offer-single-join")
    down = {**free_sections(offer), "0": DownSection(MICROPHONE, True), "3": DownSection(CAMERA, True)}

    ours, theirs = answer(offer, down), golden("server-answer-single-two-tracks").media

    assert [(m.mid, m.kind, m.direction) for m in ours] == [(m.mid, m.kind, m.direction) for m in theirs]
    assert [len(m.sources) for m in ours] == [len(m.sources) for m in theirs]
    assert [m.msid is None for m in ours] == [m.msid is None for m in theirs]
    taken = [{(p.payload_type, p.codec, p.rtx_payload_type) for p in m.payload_types} for m in ours]
    expected = [{(p.payload_type, p.codec, p.rtx_payload_type) for p in m.payload_types} for m in theirs]
    assert taken[3:] == expected[3:]
    assert taken[0] == {(111, "opus", None), (63, "red", None)} <= expected[0]
    assert {e.id for e in ours[3].header_extensions} == {e.id for e in theirs[3].header_extensions}
    assert ours[3].payload_types[0].feedback == ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")


def test_a_section_with_a_track_names_it() -> None:
    offer = golden("official-offer-single-join")

    section = answer(offer, {"3": DownSection(CAMERA, True)})[3]

    assert section.msid == Msid("PA_anna|TR_cam", "TR_cam")
    assert [(layer.ssrc, layer.rtx_ssrc) for layer in section.receive_layers()] == [(21, 22)]
    assert section.setup == "active"


def test_a_section_whose_track_has_gone_is_closed_as_livekit_server_does() -> None:
    offer = golden("official-offer-single-join")
    down = {**free_sections(offer), "0": DownSection(MICROPHONE, True), "3": DownSection(None, True)}

    ours, theirs = answer(offer, down), golden("server-answer-single-track-gone").media

    assert [m.direction for m in ours] == [m.direction for m in theirs]
    assert ours[3].direction is Direction.INACTIVE
    assert (ours[3].msid, ours[3].sources) == (None, [])


def test_publishing_and_receiving_share_an_answer() -> None:
    offer = golden("official-offer-single-publishing")

    sections = answer(offer, free_sections(offer), _7=PublishedSection(), _8=PublishedSection("vp8"))

    assert [m.direction for m in sections[7:]] == [Direction.RECVONLY] * 2
    assert sections[8].simulcast_recv == ["f", "h", "q"]
    assert [rid.direction for rid in sections[8].rids] == ["recv"] * 3
    rid = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
    assert sections[8].extension_id(rid) == offer.media[8].extension_id(rid) is not None


def test_stereo_is_announced() -> None:
    offer = golden("official-offer-single-join")
    stereo = OfferedTrack("PA_anna|TR_mic", "TR_mic", 11, None, stereo=True)

    opus, red = answer(offer, {"0": DownSection(stereo, True)})[0].payload_types

    assert opus.format_parameter("sprop-stereo") == "1"
    assert (red.codec, red.format_parameters) == ("red", "111/111")


def test_a_section_without_any_codec_of_ours_is_rejected() -> None:
    offer = golden("official-offer-single-join")
    offer.media[0].payload_types = [p for p in offer.media[0].payload_types if p.codec == "g722"]

    section = answer(offer, free_sections(offer))[0]

    assert (section.rejected, section.direction) == (True, Direction.INACTIVE)


@pytest.mark.parametrize(
    "line",
    ["a=msid:- camera\r\na=recvonly", "a=rid:f send\r\na=simulcast:send f\r\na=recvonly", "a=inactive"],
)
def test_a_section_that_was_published_in_or_is_closed_takes_no_track(line: str) -> None:
    text = (GOLDEN / "official-offer-single-join.sdp").read_text().replace("a=recvonly", line, 1)

    offer = parse(text)

    assert not can_carry_tracks(offer.media[0])
    assert answer(offer, {})[0].direction is Direction.INACTIVE


def test_a_browsers_offer_is_answered_section_by_section() -> None:
    offer = golden("chromium-offer-single-publishing")
    down = {**free_sections(offer), "3": DownSection(CAMERA, True)}
    assert list(down) == ["0", "1", "2", "3", "4", "5"]

    ours = answer(offer, down, _8=PublishedSection(), _9=PublishedSection("h264"))

    directions = (
        [Direction.SENDONLY] * 6 + [Direction.SENDRECV, Direction.INACTIVE] + [Direction.RECVONLY] * 2
    )
    assert [m.direction for m in ours] == directions
    assert [m.mid for m in ours] == [m.mid for m in offer.media]
    assert not any(m.rejected for m in ours), "what is idle stays in the bundle"
    video = ours[3]
    offered = {p.payload_type: p for p in offer.media[3].payload_types}
    assert {p.codec for p in video.payload_types} == {"vp8", "vp9", "h264", "av1"}, "no red, ulpfec or h265"
    assert all(p.rtx_payload_type == offered[p.payload_type].rtx_payload_type for p in video.payload_types)
    profiles = {p.format_parameter("profile-level-id") for p in video.payload_types if p.codec == "h264"}
    assert profiles == {"42e01f"}
    assert ours[9].payload_types[0].codec == "h264", "the wanted codec comes first"
    assert ours[9].simulcast_recv == ["q", "h", "f"]
    assert (ours[7].simulcast_recv, ours[7].sources) == (["q", "h", "f"], [])


def test_what_a_browser_publishes_later_needs_extensions_of_its_first_answer() -> None:
    offer = golden("chromium-offer-single-join")

    sections = answer(offer, free_sections(offer))

    for name in ("rtp-stream-id", "repaired-rtp-stream-id", "mid"):
        uri = f"urn:ietf:params:rtp-hdrext:sdes:{name}"
        assert sections[3].extension_id(uri) == offer.media[3].extension_id(uri) is not None

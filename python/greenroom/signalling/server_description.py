"""The server's half of negotiation: answers to publishers, offers to subscribers. Pure functions.

Publisher: the client offers; each section is answered with what can be forwarded, the wanted codec first, the
client's payload types and extension ids kept. Subscriber: the server offers; the application section
comes first, media sections are appended or used again, one SSRC (and one for RTX) per track. With one connection
for both directions, tracks go into the sections that the client offers to receive on (`down_sections`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .down_sections import (
    FORWARDED_CODECS,
    RECEIVED_EXTENSIONS,
    DownSection,
    OfferedTrack,
    answer_down_section,
    describe_track,
    profile_is_forwarded,
    with_feedback,
    with_stereo,
)
from .media_parameters import (
    ABS_CAPTURE_TIME_URI,
    ABS_SEND_TIME_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    PLAYOUT_DELAY_URI,
    TRANSPORT_CC_URI,
    HeaderExtension,
    PayloadType,
)
from .sdp import Direction, MediaKind, MediaSection, Rid, SessionDescription

SCTP_PORT = 5000
MAX_MESSAGE_SIZE = 65_535

_H264_MODE_0 = "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"
_H264_MODE_1 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
_VIDEO_FEEDBACK = ("transport-cc", "ccm fir", "nack", "nack pli", "goog-remb")
"""With transport-wide feedback the server estimates what the subscriber can receive; others say so themselves (REMB)."""

DOWN_PAYLOAD_TYPES: dict[MediaKind, tuple[PayloadType, ...]] = {
    MediaKind.AUDIO: (
        PayloadType(111, "opus", 48_000, 2, "minptime=10;useinbandfec=1", None, ("nack",)),
        PayloadType(63, "red", 48_000, 2, "111/111"),
    ),
    MediaKind.VIDEO: (
        PayloadType(96, "vp8", 90_000, None, "", 97, _VIDEO_FEEDBACK),
        PayloadType(98, "vp9", 90_000, None, "profile-id=0", 99, _VIDEO_FEEDBACK),
        PayloadType(125, "h264", 90_000, None, _H264_MODE_0, 126, _VIDEO_FEEDBACK),
        PayloadType(108, "h264", 90_000, None, _H264_MODE_1, 109, _VIDEO_FEEDBACK),
        PayloadType(35, "av1", 90_000, None, "level-idx=5;profile=0;tier=0", 36, _VIDEO_FEEDBACK),
    ),
}
"""What a subscriber is offered, whatever the track's codec is: the numbers livekit-server uses."""

DOWN_HEADER_EXTENSIONS: dict[MediaKind, tuple[HeaderExtension, ...]] = {
    MediaKind.AUDIO: (HeaderExtension(2, ABS_CAPTURE_TIME_URI),),
    MediaKind.VIDEO: (
        HeaderExtension(1, DEPENDENCY_DESCRIPTOR_URI),
        HeaderExtension(2, ABS_CAPTURE_TIME_URI),
        HeaderExtension(3, ABS_SEND_TIME_URI),
        HeaderExtension(4, TRANSPORT_CC_URI),
    ),
}

_PLAYOUT_DELAY = HeaderExtension(5, PLAYOUT_DELAY_URI)
"""Offered with video in rooms that ask for it."""

_UP_FEEDBACK = {
    MediaKind.AUDIO: frozenset({"nack"}),
    MediaKind.VIDEO: frozenset({"transport-cc", "ccm fir", "nack", "nack pli"}),
}
PUBLISH_MIME_TYPES = ("video/VP8", "video/H264", "video/VP9", "video/AV1", "audio/opus", "audio/red")
"""What clients are told they may publish, in the server's order of preference."""

_DESCRIBED_CODECS = frozenset({"vp9", "av1"})
"""Whose layers the dependency descriptor tells, for subscribers that know it."""
_NO_DOWN_SECTIONS: Mapping[str, DownSection] = {}
_MIME_TYPES = {
    "opus": "audio/opus",
    "red": "audio/red",
    "vp8": "video/VP8",
    "vp9": "video/VP9",
    "h264": "video/H264",
    "av1": "video/AV1",
}


def mime_type(codec: str) -> str:
    """`video/VP8` of `vp8`: the spelling of TrackInfo. Empty for a codec that can't be forwarded."""
    return _MIME_TYPES.get(codec.lower(), "")


def codec_of_mime_type(mime: str) -> str:
    """`vp8` of `video/VP8`, `VP8` or `vp8`; empty for a codec that can't be forwarded."""
    codec = mime.lower().rpartition("/")[2]
    return codec if codec in _MIME_TYPES else ""


@dataclass(frozen=True)
class LocalTransport:
    """What one of the server's peer connections writes into its descriptions."""

    ice_ufrag: str
    ice_pwd: str
    fingerprint: str
    candidates: Sequence[str]

    def fill(self, section: MediaSection, setup: str) -> None:
        section.ice_ufrag, section.ice_pwd = self.ice_ufrag, self.ice_pwd
        section.fingerprint, section.setup = self.fingerprint, setup


@dataclass(frozen=True)
class PublishedSection:
    """What is known about the track in one section of a publisher's offer."""

    wanted_codec: str = ""
    """Lower case; empty: the offer's first."""
    dtx: bool = True
    stereo: bool = False


# ---- publisher: answers ----


def acceptable_payload_types(offered: MediaSection, wanted_codec: str = "") -> list[PayloadType]:
    """Those of the offer that can be forwarded, the wanted codec first, feedback cut to what is supported.

    Redundant audio (RED, RFC 2198) only when it is wanted, and holds Opus that is taken too.
    """
    accepted = [
        replace(payload, feedback=tuple(f for f in payload.feedback if f in _UP_FEEDBACK[offered.kind]))
        for payload in offered.payload_types
        if payload.codec in FORWARDED_CODECS.get(offered.kind, ()) and profile_is_forwarded(payload)
    ]
    opus = {str(payload.payload_type) for payload in accepted if payload.codec == "opus"}
    accepted = [
        payload
        for payload in accepted
        if payload.codec != "red"
        or (wanted_codec == "red" and payload.format_parameters.partition("/")[0] in opus)
    ]
    return sorted(
        accepted, key=lambda payload: payload.codec != wanted_codec
    )  # stable: the offer's order else


def acceptable_extensions(offered: MediaSection, codec: str) -> list[HeaderExtension]:
    """The header extensions of the offer that the server reads of a track in `codec`, under the offer's ids."""
    # With the dependency descriptor libwebrtc leaves picture ids and temporal layers out of VP8's own descriptors,
    # by which they are dropped and renumbered here.
    needless = () if codec in _DESCRIBED_CODECS else (DEPENDENCY_DESCRIPTOR_URI,)
    read = RECEIVED_EXTENSIONS.get(offered.kind, ())
    return [e for e in offered.header_extensions if e.uri in read and e.uri not in needless]


def publisher_answer(
    offer: SessionDescription,
    published: Mapping[str, PublishedSection],
    local: LocalTransport,
    *,
    setup: str,
    session_id: int,
    session_version: int,
    down: Mapping[str, DownSection] = _NO_DOWN_SECTIONS,
) -> SessionDescription:
    """The answer to a client's offer; `published` maps the mid of each section whose track is known, `down` those
    that the server sends in."""
    media = [
        answer_down_section(section, down[section.mid])
        if section.mid in down
        else _answer_section(section, published.get(section.mid, PublishedSection()))
        for section in offer.media
    ]
    carriers = [section for section in media if not section.rejected]
    for section in carriers:
        local.fill(section, setup)
    if carriers:
        carriers[0].candidates = list(local.candidates)
        carriers[0].end_of_candidates = True
    return SessionDescription(
        media=media,
        session_id=session_id,
        session_version=session_version,
        bundle=[section.mid for section in carriers],
        extmap_allow_mixed=offer.extmap_allow_mixed,
    )


def _answer_section(offered: MediaSection, published: PublishedSection) -> MediaSection:
    answer = MediaSection(kind=offered.kind, mid=offered.mid)
    if offered.kind is MediaKind.APPLICATION:
        answer.sctp_port, answer.max_message_size = SCTP_PORT, MAX_MESSAGE_SIZE
        return answer
    payload_types = acceptable_payload_types(offered, published.wanted_codec)
    if not payload_types or offered.rejected:
        answer.port = 0
        answer.direction = Direction.INACTIVE
        answer.payload_types = offered.payload_types[:1]
        return answer
    answer.direction = Direction.RECVONLY if offered.direction.sends else Direction.INACTIVE
    answer.payload_types = [_publisher_opus(p, published) if p.codec == "opus" else p for p in payload_types]
    answer.header_extensions = acceptable_extensions(offered, payload_types[0].codec)
    sent = [rid for rid in offered.rids if rid.direction == "send"]
    if sent and offered.simulcast_send:
        answer.rids = [Rid(rid.id, "recv") for rid in sent]
        answer.simulcast_recv = list(offered.simulcast_send)
    return answer


def _publisher_opus(payload: PayloadType, published: PublishedSection) -> PayloadType:
    # The publisher's encoder is set up by the answer's parameters, so its options are echoed there.
    if not payload.format_parameters:
        return payload
    parameters = payload.format_parameters
    if published.dtx:
        parameters += ";usedtx=1"
    if published.stereo:
        parameters += ";stereo=1;maxaveragebitrate=510000"
    return replace(payload, format_parameters=parameters)


_KNOWN_RID_ORDERS = (("q", "h", "f"), ("2", "1", "0"))


def ordered_rids(offered: MediaSection, declared: Sequence[str] = ()) -> list[str]:
    """The rids an offer sends, lowest layer first.

    `declared`: the rids of the AddTrackRequest's layers, lowest first. Without them the two known sets
    decide, and for other names the offer's order.
    """
    sent = [rid.id for rid in offered.rids if rid.direction == "send"]
    for order in (declared, *_KNOWN_RID_ORDERS):
        if sent and set(sent) <= set(order):
            return sorted(sent, key=list(order).index)
    return sent


# ---- subscriber: offers ----


@dataclass(frozen=True)
class OfferedSection:
    """One section of the server's offer; without a track it is kept for later use."""

    kind: MediaKind
    mid: str
    track: OfferedTrack | None = None


def subscriber_offer(
    sections: Iterable[OfferedSection],
    local: LocalTransport,
    *,
    session_id: int,
    session_version: int,
    playout_delay: bool = False,
) -> SessionDescription:
    """The server's offer: all sections ever used, in order. `playout_delay`: packets of video may say how long to hold
    them back."""
    media = [_offer_section(section, playout_delay) for section in sections]
    for section in media:
        local.fill(section, "actpass")
    if media:
        media[0].candidates = list(local.candidates)
        media[0].end_of_candidates = True
    return SessionDescription(media=media, session_id=session_id, session_version=session_version)


def _offer_section(section: OfferedSection, playout_delay: bool) -> MediaSection:
    media = MediaSection(kind=section.kind, mid=section.mid)
    if section.kind is MediaKind.APPLICATION:
        media.sctp_port, media.max_message_size = SCTP_PORT, MAX_MESSAGE_SIZE
        return media
    track = section.track
    media.payload_types = list(DOWN_PAYLOAD_TYPES[section.kind])
    media.header_extensions = list(DOWN_HEADER_EXTENSIONS[section.kind])
    if playout_delay and section.kind is MediaKind.VIDEO:
        media.header_extensions.append(_PLAYOUT_DELAY)
    if track is None:
        media.direction = Direction.RECVONLY
        return media
    if track.stereo and section.kind is MediaKind.AUDIO:
        media.payload_types = [with_stereo(payload) for payload in media.payload_types]
    media.direction = Direction.SENDRECV
    describe_track(media, track)
    return media


def answered_payload_types(answer: MediaSection) -> list[PayloadType]:
    """What the subscriber took of the server's offer, under the offer's numbers, in the subscriber's
    order.
    """
    offered = {p.payload_type: p for p in DOWN_PAYLOAD_TYPES.get(answer.kind, ())}
    taken = []
    for payload in answer.payload_types:
        known = offered.get(payload.payload_type)
        if known is None or known.codec != payload.codec:
            continue
        has_rtx = payload.rtx_payload_type == known.rtx_payload_type
        feedback = tuple(f for f in known.feedback if f in payload.feedback)
        rtx = known.rtx_payload_type if has_rtx else None
        taken.append(replace(known, rtx_payload_type=rtx, feedback=feedback))
    return taken


def answered_extensions(answer: MediaSection) -> list[HeaderExtension]:
    """The header extensions the subscriber took."""
    offered = (*DOWN_HEADER_EXTENSIONS.get(answer.kind, ()), _PLAYOUT_DELAY)
    return with_feedback(answer, [e for e in answer.header_extensions if e in offered])


def payload_types_for(
    taken: Sequence[PayloadType], codec: str, published: PayloadType | None
) -> list[PayloadType]:
    """`taken` with those that fit the track first; empty when the subscriber took none of the track's codec.

    Who takes no RED gets the Opus in it. Of several payload types of H264, those of the publisher's packetization mode
    come first.
    """
    if not any(p.codec == codec or (codec == "red" and p.codec == "opus") for p in taken):
        return []

    def misfit(payload: PayloadType) -> tuple[bool, bool]:
        mode = (published.format_parameter("packetization-mode") or "0") if published else "0"
        return payload.codec != codec, (payload.format_parameter("packetization-mode") or "0") != mode

    return sorted(taken, key=misfit)

"""Tracks in sections that a client offers to receive on, under the client's payload types and extension ids.

Pure functions for the server's answers on one connection for both directions (LiveKit's `/rtc/v1`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .media_parameters import (
    ABS_CAPTURE_TIME_URI,
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    MID_URI,
    PLAYOUT_DELAY_URI,
    REPAIRED_RID_URI,
    RID_URI,
    TRANSPORT_CC_URI,
    HeaderExtension,
    PayloadType,
)
from .sdp import Direction, MediaKind, MediaSection, Msid, Source, SourceGroup

FORWARDED_CODECS = {
    MediaKind.AUDIO: frozenset({"opus", "red"}),
    MediaKind.VIDEO: frozenset({"vp8", "vp9", "h264", "av1"}),
}
RECEIVED_EXTENSIONS = {
    MediaKind.AUDIO: frozenset({MID_URI, RID_URI, AUDIO_LEVEL_URI, ABS_CAPTURE_TIME_URI}),
    MediaKind.VIDEO: frozenset(
        {
            MID_URI,
            RID_URI,
            REPAIRED_RID_URI,
            TRANSPORT_CC_URI,
            DEPENDENCY_DESCRIPTOR_URI,
            ABS_CAPTURE_TIME_URI,
        }
    ),
}
"""What the server reads in published packets."""
_FEEDBACK = {
    MediaKind.AUDIO: frozenset({"nack"}),
    MediaKind.VIDEO: frozenset({"transport-cc", "ccm fir", "nack", "nack pli", "goog-remb"}),
}
_SENT_EXTENSIONS = {
    MediaKind.AUDIO: frozenset({ABS_CAPTURE_TIME_URI}),
    MediaKind.VIDEO: frozenset(
        {
            DEPENDENCY_DESCRIPTOR_URI,
            ABS_CAPTURE_TIME_URI,
            ABS_SEND_TIME_URI,
            TRANSPORT_CC_URI,
            PLAYOUT_DELAY_URI,
        }
    ),
}
_ANSWERED_EXTENSIONS = {kind: RECEIVED_EXTENSIONS[kind] | _SENT_EXTENSIONS[kind] for kind in _SENT_EXTENSIONS}
"""Also those that only publishers send: browsers leave what the first answers lack out of all later offers, and
could send no simulcast then."""


@dataclass(frozen=True)
class OfferedTrack:
    """A track that the server sends in a section."""

    stream_id: str
    track_sid: str
    ssrc: int
    rtx_ssrc: int | None
    stereo: bool = False


@dataclass(frozen=True)
class DownSection:
    """A section that the client receives on: with a track, or free."""

    track: OfferedTrack | None = None
    used_before: bool = False
    playout_delay: bool = False
    """Packets of video may say how long to hold them back."""


def profile_is_forwarded(payload: PayloadType) -> bool:
    """Video is not transcoded, so only profiles that every subscriber is offered can be taken."""
    if payload.codec == "h264":
        return (payload.format_parameter("profile-level-id") or "42e01f").lower().startswith("42e0")
    if payload.codec == "vp9":
        return (payload.format_parameter("profile-id") or "0") == "0"
    return True


def can_carry_tracks(offered: MediaSection) -> bool:
    """Whether the client offers to receive here. Not in a section that it published in before: its codecs are
    those of that track."""
    return (
        offered.kind is not MediaKind.APPLICATION
        and not offered.rejected
        and offered.direction is Direction.RECVONLY
        and not offered.rids
        and offered.stream_and_track() is None
    )


def down_payload_types(offered: MediaSection) -> list[PayloadType]:
    """What can be sent in a section that the client receives on."""
    return [
        replace(payload, feedback=tuple(f for f in payload.feedback if f in _FEEDBACK[offered.kind]))
        for payload in offered.payload_types
        if payload.codec in FORWARDED_CODECS[offered.kind] and profile_is_forwarded(payload)
    ]


def sent_extensions(offered: MediaSection) -> list[HeaderExtension]:
    """The extensions of the offer that forwarded packets carry."""
    sent = [e for e in offered.header_extensions if e.uri in _SENT_EXTENSIONS[offered.kind]]
    return with_feedback(offered, sent)


def with_feedback(section: MediaSection, extensions: list[HeaderExtension]) -> list[HeaderExtension]:
    """Transport-wide numbers only for who reports on them: others estimate by the time of sending."""
    reports = any("transport-cc" in payload.feedback for payload in section.payload_types)
    return [e for e in extensions if reports or e.uri != TRANSPORT_CC_URI]


def answer_down_section(offered: MediaSection, down: DownSection) -> MediaSection:
    """The answer to a section that the client receives on, without its transport."""
    answer = MediaSection(kind=offered.kind, mid=offered.mid)
    answer.payload_types = down_payload_types(offered)
    if not answer.payload_types:
        answer.payload_types = offered.payload_types[:1]
        answer.direction, answer.port = Direction.INACTIVE, 0
        return answer
    answer.header_extensions = [
        e
        for e in offered.header_extensions
        if e.uri in _ANSWERED_EXTENSIONS[offered.kind] and (down.playout_delay or e.uri != PLAYOUT_DELAY_URI)
    ]
    if down.track is None:
        # A section that never had a track is left open, one whose track has ended is closed until the next.
        answer.direction = Direction.INACTIVE if down.used_before else Direction.SENDONLY
        return answer
    if down.track.stereo and offered.kind is MediaKind.AUDIO:
        answer.payload_types = [with_stereo(payload) for payload in answer.payload_types]
    answer.direction = Direction.SENDONLY
    describe_track(answer, down.track)
    return answer


def with_stereo(payload: PayloadType) -> PayloadType:
    """Told that what is sent has two channels (RFC 7587); another codec than Opus stays as it is."""
    if payload.codec != "opus":
        return payload
    parameters = [payload.format_parameters] if payload.format_parameters else []
    return replace(payload, format_parameters=";".join([*parameters, "sprop-stereo=1"]))


def describe_track(section: MediaSection, track: OfferedTrack) -> None:
    """Write the track's msid and SSRCs into the section that carries it."""
    section.msid = Msid(track.stream_id, track.track_sid)
    ssrcs = [track.ssrc] if track.rtx_ssrc is None else [track.ssrc, track.rtx_ssrc]
    section.sources = [Source(ssrc, cname=track.stream_id, msid=section.msid) for ssrc in ssrcs]
    if len(ssrcs) == 2:
        section.source_groups = [SourceGroup("FID", tuple(ssrcs))]

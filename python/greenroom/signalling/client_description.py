"""What a client writes into its descriptions and reads from the server's: pure functions over the SDP model.

Two peer connections (LiveKit's `/rtc`): the client offers on the publisher, the server on the subscriber. One
(`/rtc/v1`): the client offers, also sections to receive on, which the server puts tracks into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .media_parameters import (
    ABS_CAPTURE_TIME_URI,
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    TRANSPORT_CC_URI,
    HeaderExtension,
    PayloadType,
    SendLayer,
)
from .sdp import (
    Direction,
    MediaKind,
    MediaSection,
    Msid,
    Rid,
    SdpError,
    SessionDescription,
    Source,
    SourceGroup,
)

DATA_MID = "0"
SCTP_PORT = 5000
MAX_MESSAGE_BYTES = 64_000
"""What this client sends at most in one data channel message, whatever the server would take."""
RECEIVE_MESSAGE_BYTES = 65_535
_DATA_SETUP = "actpass"

_VIDEO_FEEDBACK = ("transport-cc", "ccm fir", "nack", "nack pli")
_DOWN_FEEDBACK = (*_VIDEO_FEEDBACK, "goog-remb")
_OPUS = PayloadType(111, "opus", 48_000, 2, "minptime=10;useinbandfec=1", feedback=("nack",))
_H264_MODE_1 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
_H264_MODE_0 = "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"

PUBLISH_PAYLOADS: dict[str, PayloadType] = {
    "opus": _OPUS,
    "vp8": PayloadType(96, "vp8", 90_000, None, "", 97, _VIDEO_FEEDBACK),
    "h264": PayloadType(108, "h264", 90_000, None, _H264_MODE_1, 109, _VIDEO_FEEDBACK),
}
"""The codecs this client can send, each with the payload type it offers."""

SUBSCRIBE_PAYLOADS: tuple[PayloadType, ...] = (
    _OPUS,
    PayloadType(96, "vp8", 90_000, None, "", 97, _DOWN_FEEDBACK),
    PayloadType(108, "h264", 90_000, None, _H264_MODE_1, 109, _DOWN_FEEDBACK),
    PayloadType(125, "h264", 90_000, None, _H264_MODE_0, 126, _DOWN_FEEDBACK),
)
"""The codecs this client can receive, under the payload types that LiveKit servers offer them with."""

PUBLISH_EXTENSIONS: dict[MediaKind, tuple[HeaderExtension, ...]] = {
    MediaKind.AUDIO: (HeaderExtension(1, AUDIO_LEVEL_URI), HeaderExtension(4, MID_URI)),
    MediaKind.VIDEO: (
        HeaderExtension(3, TRANSPORT_CC_URI),
        HeaderExtension(4, MID_URI),
        HeaderExtension(5, RID_URI),
        HeaderExtension(6, REPAIRED_RID_URI),
    ),
}
SUBSCRIBE_EXTENSIONS: dict[MediaKind, tuple[HeaderExtension, ...]] = {
    MediaKind.AUDIO: (HeaderExtension(2, ABS_CAPTURE_TIME_URI),),
    MediaKind.VIDEO: (
        HeaderExtension(2, ABS_CAPTURE_TIME_URI),
        HeaderExtension(3, ABS_SEND_TIME_URI),
        HeaderExtension(4, TRANSPORT_CC_URI),
    ),
}
"""Accepted when the offer maps the same id to the same URI."""


@dataclass(frozen=True)
class MediaProfile:
    """What the sections of one of our offers list."""

    payload_types: tuple[PayloadType, ...]
    extensions: dict[MediaKind, tuple[HeaderExtension, ...]]

    def of_kind(self, kind: MediaKind) -> list[PayloadType]:
        return [p for p in self.payload_types if (p.codec == "opus") == (kind is MediaKind.AUDIO)]


PUBLISHING = MediaProfile(tuple(PUBLISH_PAYLOADS.values()), PUBLISH_EXTENSIONS)
BOTH_WAYS = MediaProfile(
    SUBSCRIBE_PAYLOADS,
    {
        MediaKind.AUDIO: (*PUBLISH_EXTENSIONS[MediaKind.AUDIO], HeaderExtension(2, ABS_CAPTURE_TIME_URI)),
        MediaKind.VIDEO: (
            *PUBLISH_EXTENSIONS[MediaKind.VIDEO],
            HeaderExtension(2, ABS_CAPTURE_TIME_URI),
            HeaderExtension(7, ABS_SEND_TIME_URI),
        ),
    },
)
"""Every section lists all, because some servers settle with the first of a kind what the connection can carry."""


@dataclass(frozen=True)
class LocalTransport:
    """Our half of one peer connection."""

    ice_ufrag: str
    ice_pwd: str
    fingerprint: str
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class RemoteTransport:
    """The server's half, as the engine takes it."""

    ice_ufrag: str
    ice_pwd: str
    fingerprint: str
    dtls_active: bool
    """We are the DTLS client."""
    ice_lite: bool
    max_message_size: int
    """Largest message we may send in bytes; 0 means no limit."""
    candidates: tuple[str, ...]


@dataclass(frozen=True)
class OfferedTrack:
    """One m-line of the publisher's offer. A section without layers carries nothing any more."""

    mid: str
    kind: MediaKind
    cid: str
    stream_id: str
    payload: PayloadType
    """The codec to be sent."""
    layers: tuple[SendLayer, ...]

    def ended(self) -> OfferedTrack:
        return replace(self, layers=())


@dataclass(frozen=True)
class ReceivingSection:
    """One m-line of our offer that the server may put a track into."""

    mid: str
    kind: MediaKind


@dataclass(frozen=True)
class AcceptedTrack:
    """What the server's answer allows for one offered track."""

    payload_type: int
    dtx: bool
    max_bitrate_bps: int | None


def publisher_offer(
    transport: LocalTransport,
    sections: Sequence[OfferedTrack | ReceivingSection],
    *,
    session_id: int,
    version: int,
    profile: MediaProfile = PUBLISHING,
) -> SessionDescription:
    """The offer for data channels and `sections`, which are in the order they were first offered."""
    data = _section(MediaKind.APPLICATION, DATA_MID, transport, _DATA_SETUP)
    data.candidates = list(transport.candidates)
    data.sctp_port = SCTP_PORT
    data.max_message_size = RECEIVE_MESSAGE_BYTES
    media = [data, *(_offered_section(transport, section, profile) for section in sections)]
    return SessionDescription(media=media, session_id=session_id, session_version=version)


def read_transport(description: SessionDescription, *, ours_is_offer: bool) -> RemoteTransport:
    """The server's transport. SdpError when it lacks ICE credentials, a fingerprint, or answers `actpass`."""
    section = description.transport
    if section is None or not (section.ice_ufrag and section.ice_pwd and section.fingerprint):
        raise SdpError(
            "session description without ice-ufrag, ice-pwd or fingerprint: no transport to connect to"
        )
    if ours_is_offer and section.setup not in ("active", "passive"):
        raise SdpError(f"answer with setup {section.setup!r}; it must be active or passive")
    return RemoteTransport(
        ice_ufrag=section.ice_ufrag,
        ice_pwd=section.ice_pwd,
        fingerprint=section.fingerprint,
        dtls_active=section.setup != "active",
        ice_lite=description.ice_lite,
        max_message_size=_message_limit(description),
        candidates=tuple(description.candidates),
    )


def read_answer_track(answer: SessionDescription, track: OfferedTrack) -> AcceptedTrack | None:
    """What the answer says about an offered track; None when the server refused the section or its codec."""
    section = answer.section(track.mid)
    if section is None or section.rejected or not section.direction.receives:
        return None
    payload = next((p for p in section.payload_types if _same_codec(p, track.payload)), None)
    if payload is None:
        return None
    bitrate = payload.format_parameter("maxaveragebitrate")
    return AcceptedTrack(
        payload_type=payload.payload_type,
        dtx=payload.format_parameter("usedtx") == "1",
        max_bitrate_bps=int(bitrate) if bitrate and bitrate.isascii() and bitrate.isdigit() else None,
    )


def subscriber_answer(
    offer: SessionDescription, transport: LocalTransport, *, session_id: int, version: int
) -> tuple[SessionDescription, list[str]]:
    """The answer to a server's offer, and a line for each codec left out because its payload type is
    another's."""
    problems: list[str] = []
    sections = [_answered_section(section, transport, problems) for section in offer.media]
    if sections:
        sections[0].candidates = list(transport.candidates)
    bundle = [s.mid for s in sections if not s.rejected]
    answer = SessionDescription(media=sections, session_id=session_id, session_version=version, bundle=bundle)
    answer.extmap_allow_mixed = offer.extmap_allow_mixed
    return answer, problems


def _section(kind: MediaKind, mid: str, transport: LocalTransport, setup: str) -> MediaSection:
    return MediaSection(
        kind,
        mid,
        ice_ufrag=transport.ice_ufrag,
        ice_pwd=transport.ice_pwd,
        fingerprint=transport.fingerprint,
        setup=setup,
    )


def _offered_section(
    transport: LocalTransport, offered: OfferedTrack | ReceivingSection, profile: MediaProfile
) -> MediaSection:
    section = _section(offered.kind, offered.mid, transport, _DATA_SETUP)
    section.payload_types = profile.of_kind(offered.kind)
    section.header_extensions = list(profile.extensions[offered.kind])
    if isinstance(offered, ReceivingSection):
        section.direction = Direction.RECVONLY
        return section
    # A server may settle with the first section of a kind which codecs the connection can carry, and refuse a
    # later section that has only another one. So each section names all, the one to be sent first.
    section.payload_types.sort(key=lambda p: p.payload_type != offered.payload.payload_type)
    # One without a track is not made inactive: livekit-server 1.13 gives such a section up for ever when it is
    # offered a second time. As `recvonly` it would put a track of its own there.
    section.direction = Direction.SENDONLY
    if offered.layers:
        _describe_layers(section, offered)
    return section


def _describe_layers(section: MediaSection, track: OfferedTrack) -> None:
    section.msid = Msid(track.stream_id, track.cid)
    if track.layers[0].rid is not None:
        rids = [layer.rid for layer in track.layers if layer.rid is not None]
        section.rids = [Rid(rid, "send") for rid in rids]
        section.simulcast_send = rids
        return
    for layer in track.layers:
        ssrcs = (layer.ssrc,) if layer.rtx_ssrc is None else (layer.ssrc, layer.rtx_ssrc)
        section.sources += [Source(ssrc, cname=track.stream_id, msid=section.msid) for ssrc in ssrcs]
        if len(ssrcs) == 2:
            section.source_groups.append(SourceGroup("FID", ssrcs))


def _answered_section(offered: MediaSection, transport: LocalTransport, problems: list[str]) -> MediaSection:
    # The server offers actpass; whoever answers opens the DTLS handshake.
    section = _section(
        offered.kind, offered.mid, transport, "active" if offered.setup != "active" else "passive"
    )
    if offered.kind is MediaKind.APPLICATION:
        section.sctp_port = SCTP_PORT
        section.max_message_size = RECEIVE_MESSAGE_BYTES
        return section
    section.payload_types = [p for o in offered.payload_types if (p := _answered_payload(o, problems))]
    ours = SUBSCRIBE_EXTENSIONS[offered.kind]
    section.header_extensions = [e for e in offered.header_extensions if e in ours]
    section.direction = Direction.RECVONLY if offered.direction.sends else Direction.INACTIVE
    if not section.payload_types:
        section.direction, section.port = Direction.INACTIVE, 0
    return section


def _answered_payload(offered: PayloadType, problems: list[str]) -> PayloadType | None:
    known = [ours for ours in SUBSCRIBE_PAYLOADS if _same_codec(offered, ours)]
    if not known:
        return None
    ours = next((o for o in known if o.payload_type == offered.payload_type), None)
    if ours is None:
        problems.append(
            f"{offered.codec} is offered as payload type {offered.payload_type}, not {known[0].payload_type}"
        )
        return None
    parameters = ours.format_parameters
    if offered.format_parameter("sprop-stereo") == "1":
        parameters += ";stereo=1"
    return replace(
        ours,
        format_parameters=parameters,
        rtx_payload_type=ours.rtx_payload_type if offered.rtx_payload_type == ours.rtx_payload_type else None,
        feedback=tuple(f for f in ours.feedback if f in offered.feedback),
    )


def _same_codec(one: PayloadType, other: PayloadType) -> bool:
    if (one.codec, one.clock_rate_hz) != (other.codec, other.clock_rate_hz):
        return False
    if one.codec != "h264":
        return True
    same_mode = (one.format_parameter("packetization-mode") or "0") == (
        other.format_parameter("packetization-mode") or "0"
    )
    return same_mode and _baseline(one) and _baseline(other)


def _baseline(payload: PayloadType) -> bool:
    # Profiles 42.. decode with any H264 decoder here; High (64..) offers share codec and mode but not
    # the profile.
    return (payload.format_parameter("profile-level-id") or "42").lower().startswith("42")


def _message_limit(description: SessionDescription) -> int:
    data = next((s for s in description.media if s.kind is MediaKind.APPLICATION), None)
    remote = data.max_message_size if data is not None else None
    if remote == 0:
        return 0
    return min(MAX_MESSAGE_BYTES if remote is None else remote, MAX_MESSAGE_BYTES)

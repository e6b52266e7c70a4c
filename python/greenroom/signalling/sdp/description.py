"""The model of a session description: only what LiveKit's two roles exchange, everything typed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ..media_parameters import HeaderExtension, PayloadType, ReceiveLayer


class Direction(str, Enum):
    """RFC 3264 direction of a section, from the describing side's view."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)


class MediaKind(str, Enum):
    AUDIO = "audio"
    VIDEO = "video"
    APPLICATION = "application"


@dataclass(frozen=True)
class Msid:
    """RFC 8830: the stream and the track a section carries."""

    stream_id: str
    track_id: str


@dataclass(frozen=True)
class Source:
    """One `a=ssrc` (RFC 5576)."""

    ssrc: int
    cname: str | None = None
    msid: Msid | None = None


@dataclass(frozen=True)
class SourceGroup:
    """One `a=ssrc-group`, for example FID: (media, rtx)."""

    semantics: str
    ssrcs: tuple[int, ...]


@dataclass(frozen=True)
class Rid:
    """One `a=rid` (RFC 8851); direction is "send" or "recv"."""

    id: str
    direction: str
    restrictions: str = ""


@dataclass
class MediaSection:
    """One m= section. Transport attributes given at session level are filled in here by the parser."""

    kind: MediaKind
    mid: str
    direction: Direction = Direction.SENDRECV
    port: int = 9
    """0 means a rejected section (unless it is bundle-only)."""
    ice_ufrag: str | None = None
    ice_pwd: str | None = None
    fingerprint: str | None = None
    """`sha-256 AB:CD:…`"""
    setup: str | None = None
    """actpass, active or passive (RFC 8842)."""
    candidates: list[str] = field(default_factory=list)
    """`candidate:…` lines without the `a=`."""
    end_of_candidates: bool = False
    payload_types: list[PayloadType] = field(default_factory=list)
    """In order of preference; RTX is folded into the codec it repairs."""
    header_extensions: list[HeaderExtension] = field(default_factory=list)
    msid: Msid | None = None
    sources: list[Source] = field(default_factory=list)
    source_groups: list[SourceGroup] = field(default_factory=list)
    rids: list[Rid] = field(default_factory=list)
    simulcast_send: list[str] = field(default_factory=list)
    """rids of `a=simulcast:send`, in order, without the `~` of a paused one."""
    simulcast_recv: list[str] = field(default_factory=list)
    sctp_port: int | None = None
    max_message_size: int | None = None

    @property
    def rejected(self) -> bool:
        return self.port == 0

    @property
    def has_track(self) -> bool:
        """Something identifies what is sent: an msid, an SSRC or a rid."""
        return self.msid is not None or bool(self.sources or self.rids)

    def extension_id(self, uri: str) -> int | None:
        """The id that this section maps to `uri`; None when it is not negotiated."""
        return next((e.id for e in self.header_extensions if e.uri == uri), None)

    def payload_for(self, codec: str) -> PayloadType | None:
        """The first payload type of that codec (lower case); None when absent."""
        return next((p for p in self.payload_types if p.codec == codec), None)

    def receive_layers(self) -> list[ReceiveLayer]:
        """The SSRCs that the describing side sends with, each with its RTX SSRC from an FID group."""
        repair = {
            g.ssrcs[0]: g.ssrcs[1] for g in self.source_groups if g.semantics == "FID" and len(g.ssrcs) == 2
        }
        repairing = set(repair.values())
        seen: dict[int, None] = {s.ssrc: None for s in self.sources if s.ssrc not in repairing}
        return [ReceiveLayer(ssrc=ssrc, rtx_ssrc=repair.get(ssrc), rid=None) for ssrc in seen]

    def stream_and_track(self) -> Msid | None:
        """The section's msid, or the one its ssrc lines carry."""
        return self.msid or next((s.msid for s in self.sources if s.msid), None)


@dataclass
class SessionDescription:
    """One offer or answer. All sections share one transport (BUNDLE is required by LiveKit)."""

    media: list[MediaSection] = field(default_factory=list)
    session_id: int = 0
    session_version: int = 0
    ice_lite: bool = False
    bundle: list[str] | None = None
    """mids of the BUNDLE group; None: write all sections that are not rejected."""
    extmap_allow_mixed: bool = True

    def section(self, mid: str) -> MediaSection | None:
        return next((m for m in self.media if m.mid == mid), None)

    @property
    def transport(self) -> MediaSection | None:
        """The section whose ICE and DTLS parameters are in force: the first that has them."""
        return next((m for m in self.media if m.ice_ufrag and m.fingerprint), None)

    @property
    def candidates(self) -> list[str]:
        """Candidates of all sections, without repeats."""
        return list(dict.fromkeys(c for m in self.media for c in m.candidates))

    def to_text(self) -> str:
        from .writer import write

        return write(self)

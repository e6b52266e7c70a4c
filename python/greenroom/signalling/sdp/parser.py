"""Session description text to model (RFC 8866), for input that nobody vouches for.

The text is read line by line through one table from attribute name to a small reader. What a reader does not
know is skipped, as RFC 8866 5.13 asks; what is known and malformed raises SdpError with the line. Sizes are bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..media_parameters import HeaderExtension, PayloadType
from .description import (
    Direction,
    MediaKind,
    MediaSection,
    Msid,
    Rid,
    SessionDescription,
    Source,
    SourceGroup,
)

MAX_SDP_BYTES = 512 * 1024
"""Larger descriptions are refused: 500 sections of a LiveKit offer stay below half of it."""
_MAX_LINES = 20_000
_MAX_SECTIONS = 1_000


class SdpError(ValueError):
    """A description that can't be used: the message names the line and what is wrong with it."""


@dataclass
class _Codec:
    name: str
    clock_rate_hz: int
    channels: int | None


@dataclass
class _Section:
    """A section being read, before RTX is folded in and session-level transport is applied."""

    media: MediaSection
    formats: list[int]
    codecs: dict[int, _Codec] = field(default_factory=dict)
    format_parameters: dict[int, str] = field(default_factory=dict)
    feedback: dict[int | None, list[str]] = field(default_factory=dict)
    sources: dict[int, Source] = field(default_factory=dict)


def parse(text: str) -> SessionDescription:
    """Read one description. Raises SdpError for text that is too large, malformed, or has two sections of one mid."""
    if len(text) > MAX_SDP_BYTES:
        raise SdpError(f"session description of {len(text)} characters exceeds the limit of {MAX_SDP_BYTES}")
    lines = [line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line]
    if not lines or lines[0].strip() != "v=0":
        raise SdpError("session description does not begin with v=0")
    if len(lines) > _MAX_LINES:
        raise SdpError(f"session description of {len(lines)} lines exceeds the limit of {_MAX_LINES}")
    description = SessionDescription(bundle=[], extmap_allow_mixed=False)
    session = _Section(MediaSection(MediaKind.APPLICATION, ""), [])
    sections: list[_Section] = []
    for line in lines:
        try:
            _read_line(line, description, session, sections)
        except SdpError:
            raise
        except (ValueError, IndexError, KeyError) as error:
            raise SdpError(f"malformed line {line[:200]!r}: {error}") from error
    description.media = [_finish(section, session.media) for section in sections]
    mids = [m.mid for m in description.media]
    if len(set(mids)) != len(mids):
        raise SdpError(f"two sections share a mid: {mids}")
    return description


def _read_line(
    line: str, description: SessionDescription, session: _Section, sections: list[_Section]
) -> None:
    kind, equals, value = line[:1], line[1:2], line[2:]
    if equals != "=":
        raise SdpError(f"malformed line {line[:200]!r}: expected <letter>=<value>")
    if kind == "o":
        words = value.split()
        description.session_id, description.session_version = int(words[1]), int(words[2])
    elif kind == "m":
        if len(sections) >= _MAX_SECTIONS:
            raise SdpError(f"more than {_MAX_SECTIONS} media sections")
        sections.append(_media_line(value, len(sections)))
    elif kind == "a":
        name, _, argument = value.partition(":")
        if not sections and name in _SESSION_READERS:
            _SESSION_READERS[name](description, argument)
        elif name in _MEDIA_READERS:
            _MEDIA_READERS[name](sections[-1] if sections else session, argument)


def _media_line(value: str, index: int) -> _Section:
    kind, port, protocol, *formats = value.split()
    if kind not in MediaKind._value2member_map_:
        raise SdpError(f"media kind {kind!r} is not audio, video or application")
    section = MediaSection(MediaKind(kind), mid=str(index), port=int(port.split("/")[0]))
    if "RTP" not in protocol:
        return _Section(section, [])
    return _Section(section, [_number(word, 0, 127) for word in formats])


def _number(word: str, low: int, high: int) -> int:
    number = int(word)
    if not low <= number <= high:
        raise SdpError(f"{number} is not in {low}..={high}")
    return number


def _read_bundle(description: SessionDescription, argument: str) -> None:
    semantics, *mids = argument.split()
    if semantics == "BUNDLE":
        description.bundle = mids


def _read_ice_lite(description: SessionDescription, _: str) -> None:
    description.ice_lite = True


def _read_allow_mixed(description: SessionDescription, _: str) -> None:
    description.extmap_allow_mixed = True


def _read_direction(direction: Direction) -> Callable[[_Section, str], None]:
    def read(section: _Section, _: str) -> None:
        section.media.direction = direction

    return read


def _read_mid(section: _Section, argument: str) -> None:
    if not argument or len(argument) > 64:
        raise SdpError(f"mid {argument[:80]!r} must have 1 to 64 characters")
    section.media.mid = argument


def _read_ice_ufrag(section: _Section, argument: str) -> None:
    section.media.ice_ufrag = argument.strip()


def _read_ice_pwd(section: _Section, argument: str) -> None:
    section.media.ice_pwd = argument.strip()


def _read_fingerprint(section: _Section, argument: str) -> None:
    algorithm, digest = argument.split()
    if algorithm.lower() == "sha-256" or section.media.fingerprint is None:
        section.media.fingerprint = f"{algorithm.lower()} {digest.upper()}"


def _read_setup(section: _Section, argument: str) -> None:
    if argument not in ("actpass", "active", "passive", "holdconn"):
        raise SdpError(f"setup {argument[:40]!r} is not actpass, active or passive")
    section.media.setup = argument


def _read_candidate(section: _Section, argument: str) -> None:
    section.media.candidates.append(f"candidate:{argument.strip()}")


def _read_end_of_candidates(section: _Section, _: str) -> None:
    section.media.end_of_candidates = True


def _read_rtpmap(section: _Section, argument: str) -> None:
    number, encoding = argument.split(None, 1)
    name, clock_rate, *channels = encoding.strip().split("/")
    section.codecs[_number(number, 0, 127)] = _Codec(
        name.lower(), _number(clock_rate, 1, 1_000_000), int(channels[0]) if channels else None
    )


def _read_fmtp(section: _Section, argument: str) -> None:
    number, _, parameters = argument.partition(" ")
    section.format_parameters[_number(number, 0, 127)] = parameters.strip()


def _read_feedback(section: _Section, argument: str) -> None:
    number, value = argument.split(None, 1)
    key = None if number == "*" else _number(number, 0, 127)
    section.feedback.setdefault(key, []).append(value.strip())


def _read_extmap(section: _Section, argument: str) -> None:
    number, uri, *_ = argument.split()
    identifier = _number(number.split("/")[0], 1, 255)
    section.media.header_extensions.append(HeaderExtension(identifier, uri))


def _read_msid(section: _Section, argument: str) -> None:
    section.media.msid = _msid(argument) or section.media.msid


def _msid(argument: str) -> Msid | None:
    words = argument.split()
    if not words:
        return None
    return Msid(words[0], words[1] if len(words) > 1 else "")


def _read_ssrc(section: _Section, argument: str) -> None:
    number, _, attribute = argument.partition(" ")
    ssrc = _number(number, 0, 0xFFFF_FFFF)
    source = section.sources.get(ssrc, Source(ssrc))
    name, _, value = attribute.partition(":")
    if name == "cname":
        source = replace(source, cname=value)
    elif name == "msid":
        source = replace(source, msid=_msid(value))
    section.sources[ssrc] = source


def _read_ssrc_group(section: _Section, argument: str) -> None:
    semantics, *ssrcs = argument.split()
    group = SourceGroup(semantics, tuple(_number(s, 0, 0xFFFF_FFFF) for s in ssrcs))
    section.media.source_groups.append(group)


def _read_rid(section: _Section, argument: str) -> None:
    identifier, direction, *restrictions = argument.split(None, 2)
    section.media.rids.append(Rid(identifier, direction, restrictions[0] if restrictions else ""))


def _read_simulcast(section: _Section, argument: str) -> None:
    words = argument.split()
    for direction, rids in zip(words[::2], words[1::2], strict=False):
        # A list item may offer alternatives (a,b) and start paused (~a): the first alternative is the layer.
        layers = [item.split(",")[0].removeprefix("~") for item in rids.split(";") if item]
        if direction == "send":
            section.media.simulcast_send = layers
        elif direction == "recv":
            section.media.simulcast_recv = layers


def _read_sctp_port(section: _Section, argument: str) -> None:
    section.media.sctp_port = _number(argument, 0, 65_535)


def _read_max_message_size(section: _Section, argument: str) -> None:
    section.media.max_message_size = _number(argument, 0, 2**63)


_SESSION_READERS: dict[str, Callable[[SessionDescription, str], None]] = {
    "group": _read_bundle,
    "ice-lite": _read_ice_lite,
    "extmap-allow-mixed": _read_allow_mixed,
}

_MEDIA_READERS: dict[str, Callable[[_Section, str], None]] = {
    "mid": _read_mid,
    "sendrecv": _read_direction(Direction.SENDRECV),
    "sendonly": _read_direction(Direction.SENDONLY),
    "recvonly": _read_direction(Direction.RECVONLY),
    "inactive": _read_direction(Direction.INACTIVE),
    "ice-ufrag": _read_ice_ufrag,
    "ice-pwd": _read_ice_pwd,
    "fingerprint": _read_fingerprint,
    "setup": _read_setup,
    "candidate": _read_candidate,
    "end-of-candidates": _read_end_of_candidates,
    "rtpmap": _read_rtpmap,
    "fmtp": _read_fmtp,
    "rtcp-fb": _read_feedback,
    "extmap": _read_extmap,
    "msid": _read_msid,
    "ssrc": _read_ssrc,
    "ssrc-group": _read_ssrc_group,
    "rid": _read_rid,
    "simulcast": _read_simulcast,
    "sctp-port": _read_sctp_port,
    "max-message-size": _read_max_message_size,
}

_STATIC_CODECS = {0: _Codec("pcmu", 8000, None), 8: _Codec("pcma", 8000, None)}
"""Payload types of RFC 3551 that may come without an rtpmap."""


def _finish(section: _Section, session: MediaSection) -> MediaSection:
    media = section.media
    media.ice_ufrag = media.ice_ufrag or session.ice_ufrag
    media.ice_pwd = media.ice_pwd or session.ice_pwd
    media.fingerprint = media.fingerprint or session.fingerprint
    media.setup = media.setup or session.setup
    media.sources = list(section.sources.values())
    media.payload_types = _payload_types(section)
    return media


def _payload_types(section: _Section) -> list[PayloadType]:
    repaired: dict[int, int] = {}
    for number, codec in section.codecs.items():
        if codec.name == "rtx":
            apt = PayloadType(
                number, "rtx", 1, None, section.format_parameters.get(number, "")
            ).format_parameter("apt")
            if apt is not None and apt.isascii() and apt.isdigit():
                repaired[int(apt)] = number
    payloads = []
    for number in dict.fromkeys(section.formats):
        found = section.codecs.get(number) or _STATIC_CODECS.get(number)
        if found is None or found.name == "rtx":
            continue
        feedback = [*section.feedback.get(None, []), *section.feedback.get(number, [])]
        payloads.append(
            PayloadType(
                payload_type=number,
                codec=found.name,
                clock_rate_hz=found.clock_rate_hz,
                channels=found.channels,
                format_parameters=section.format_parameters.get(number, ""),
                rtx_payload_type=repaired.get(number),
                feedback=tuple(dict.fromkeys(feedback)),
            )
        )
    return payloads

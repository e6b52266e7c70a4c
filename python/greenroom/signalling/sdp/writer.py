"""A session description as text (RFC 8866), in the order browsers write it."""

from __future__ import annotations

from collections.abc import Iterator

from ..media_parameters import PayloadType
from .description import MediaKind, MediaSection, SessionDescription

_PROTOCOL = {
    MediaKind.AUDIO: "UDP/TLS/RTP/SAVPF",
    MediaKind.VIDEO: "UDP/TLS/RTP/SAVPF",
    MediaKind.APPLICATION: "UDP/DTLS/SCTP",
}


def write(description: SessionDescription) -> str:
    """The text of `description`, lines ended by CRLF."""
    return "".join(f"{line}\r\n" for line in _lines(description))


def _lines(description: SessionDescription) -> Iterator[str]:
    yield "v=0"
    yield f"o=- {description.session_id} {description.session_version} IN IP4 0.0.0.0"
    yield "s=-"
    yield "t=0 0"
    bundle = description.bundle
    if bundle is None:
        bundle = [m.mid for m in description.media if not m.rejected]
    if bundle:
        yield "a=group:BUNDLE " + " ".join(bundle)
    if description.extmap_allow_mixed:
        yield "a=extmap-allow-mixed"
    yield "a=msid-semantic:WMS *"
    if description.ice_lite:
        yield "a=ice-lite"
    for section in description.media:
        yield from _section(section)


def _section(section: MediaSection) -> Iterator[str]:
    yield f"m={section.kind.value} {section.port} {_PROTOCOL[section.kind]} {_formats(section)}"
    yield "c=IN IP4 0.0.0.0"
    yield from _transport(section)
    yield f"a=mid:{section.mid}"
    if section.kind is MediaKind.APPLICATION:
        if section.sctp_port is not None:
            yield f"a=sctp-port:{section.sctp_port}"
        if section.max_message_size is not None:
            yield f"a=max-message-size:{section.max_message_size}"
        return
    for extension in section.header_extensions:
        yield f"a=extmap:{extension.id} {extension.uri}"
    yield f"a={section.direction.value}"
    if section.msid:
        yield f"a=msid:{section.msid.stream_id} {section.msid.track_id}"
    yield "a=rtcp-mux"
    yield "a=rtcp-rsize"
    for payload in section.payload_types:
        yield from _payload(payload)
    yield from _layers(section)


def _formats(section: MediaSection) -> str:
    if section.kind is MediaKind.APPLICATION:
        return "webrtc-datachannel"
    numbers = []
    for payload in section.payload_types:
        numbers.append(str(payload.payload_type))
        if payload.rtx_payload_type is not None:
            numbers.append(str(payload.rtx_payload_type))
    return " ".join(numbers) or "0"


def _transport(section: MediaSection) -> Iterator[str]:
    if section.ice_ufrag and section.ice_pwd:
        yield f"a=ice-ufrag:{section.ice_ufrag}"
        yield f"a=ice-pwd:{section.ice_pwd}"
        yield "a=ice-options:trickle"
    if section.fingerprint:
        yield f"a=fingerprint:{section.fingerprint}"
    if section.setup:
        yield f"a=setup:{section.setup}"
    for candidate in section.candidates:
        yield f"a={candidate}"
    if section.end_of_candidates:
        yield "a=end-of-candidates"


def _payload(payload: PayloadType) -> Iterator[str]:
    number = payload.payload_type
    channels = f"/{payload.channels}" if payload.channels and payload.channels > 1 else ""
    yield f"a=rtpmap:{number} {_encoding_name(payload.codec)}/{payload.clock_rate_hz}{channels}"
    for feedback in payload.feedback:
        yield f"a=rtcp-fb:{number} {feedback}"
    if payload.format_parameters:
        yield f"a=fmtp:{number} {payload.format_parameters}"
    if payload.rtx_payload_type is not None:
        yield f"a=rtpmap:{payload.rtx_payload_type} rtx/{payload.clock_rate_hz}"
        yield f"a=fmtp:{payload.rtx_payload_type} apt={number}"


def _encoding_name(codec: str) -> str:
    return codec if codec in ("opus", "red", "rtx") else codec.upper()


def _layers(section: MediaSection) -> Iterator[str]:
    for rid in section.rids:
        yield f"a=rid:{rid.id} {rid.direction}" + (f" {rid.restrictions}" if rid.restrictions else "")
    simulcast = [
        f"{direction} {';'.join(rids)}"
        for direction, rids in (("send", section.simulcast_send), ("recv", section.simulcast_recv))
        if rids
    ]
    if simulcast:
        yield "a=simulcast:" + " ".join(simulcast)
    for group in section.source_groups:
        yield f"a=ssrc-group:{group.semantics} " + " ".join(map(str, group.ssrcs))
    for source in section.sources:
        if source.cname is not None:
            yield f"a=ssrc:{source.ssrc} cname:{source.cname}"
        if source.msid is not None:
            yield f"a=ssrc:{source.ssrc} msid:{source.msid.stream_id} {source.msid.track_id}"
        if source.cname is None and source.msid is None:
            yield f"a=ssrc:{source.ssrc}"

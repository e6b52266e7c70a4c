"""The engine's counters as the statistics messages of the public API."""

from __future__ import annotations

import time
from typing import Any

from ._proto import stats_pb2 as proto

_TRANSPORT_ID = "T01"
_DTLS_PREFIX, _ICE_PREFIX = "DTLS_TRANSPORT_", "ICE_TRANSPORT_"


def sender_stats(stats: dict[str, Any], mid: str) -> list[proto.RtcStats]:
    """The senders of one m-line (one per layer), what the remote reports of them, and the transport."""
    entries: list[proto.RtcStats] = []
    for sender in stats.get("senders", ()):
        if sender.get("mid") == mid:
            entries += [_outbound(sender), _remote_inbound(sender)]
    return [*entries, *_connection(stats)] if entries else []


def receiver_stats(stats: dict[str, Any], mid: str) -> list[proto.RtcStats]:
    """The receiver of one m-line, and the transport."""
    entries = [_inbound(r) for r in stats.get("receivers", ()) if r.get("mid") == mid]
    return [*entries, *_connection(stats)] if entries else []


def peer_stats(stats: dict[str, Any]) -> list[proto.RtcStats]:
    """Everything of one peer connection."""
    entries: list[proto.RtcStats] = []
    for sender in stats.get("senders", ()):
        entries += [_outbound(sender), _remote_inbound(sender)]
    entries += [_inbound(receiver) for receiver in stats.get("receivers", ())]
    return [*entries, *_connection(stats)]


def _rtc(message: Any, identifier: str) -> None:
    message.rtc.id = identifier
    message.rtc.timestamp = time.time_ns() // 1000


def _fill(message: Any, values: dict[str, Any], names: dict[str, str]) -> None:
    """Copy counters by name, as far as the engine has them."""
    for field, key in names.items():
        value = values.get(key)
        if value is not None:
            setattr(message, field, value)


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_OUTBOUND = _same("nack_count", "fir_count", "pli_count") | {"target_bitrate": "target_bitrate_bps"}
_OUTBOUND_VIDEO = _same("frame_width", "frame_height", "frames_encoded", "key_frames_encoded") | {
    "frames_sent": "frames_encoded"
}
"""Every frame that is encoded is sent. Frames are pictures (W3C webrtc-stats): sound has none."""
_INBOUND = _same(
    "frames_decoded", "key_frames_decoded", "frames_dropped", "frame_width", "frame_height",
    "nack_count", "pli_count",
    "bytes_received", "concealed_samples", "audio_level",
) | {"total_samples_received": "total_samples", "jitter_buffer_delay": "jitter_buffer_delay_s"}  # fmt: skip


def _stream(entry: Any, values: dict[str, Any], kind: str) -> None:
    entry.stream.ssrc = values.get("ssrc", 0)
    entry.stream.kind = kind
    entry.stream.transport_id = _TRANSPORT_ID
    entry.stream.codec_id = str(values.get("codec") or "")


def _kind(sender: dict[str, Any]) -> str:
    return "audio" if sender.get("codec") == "opus" else "video"


def _outbound(sender: dict[str, Any]) -> proto.RtcStats:
    stats = proto.RtcStats()
    entry = stats.outbound_rtp
    kind = _kind(sender)
    _rtc(entry, f"O{_TRANSPORT_ID}{sender.get('ssrc', 0)}")
    _stream(entry, sender, kind)
    _fill(entry.sent, sender, _same("packets_sent", "bytes_sent"))
    _fill(entry.outbound, sender, _OUTBOUND)
    if kind == "video":
        _fill(entry.outbound, sender, _OUTBOUND_VIDEO)
    entry.outbound.mid = str(sender.get("mid") or "")
    entry.outbound.rid = str(sender.get("rid") or "")
    entry.outbound.active = True
    return stats


def _remote_inbound(sender: dict[str, Any]) -> proto.RtcStats:
    stats = proto.RtcStats()
    entry = stats.remote_inbound_rtp
    _rtc(entry, f"RI{sender.get('ssrc', 0)}")
    _stream(entry, sender, _kind(sender))
    _fill(
        entry.remote_inbound,
        sender,
        {"round_trip_time": "round_trip_time_s", "fraction_lost": "fraction_lost"},
    )
    entry.remote_inbound.local_id = f"O{_TRANSPORT_ID}{sender.get('ssrc', 0)}"
    return stats


def _inbound(receiver: dict[str, Any]) -> proto.RtcStats:
    stats = proto.RtcStats()
    entry = stats.inbound_rtp
    _rtc(entry, f"I{_TRANSPORT_ID}{receiver.get('ssrc', 0)}")
    _stream(entry, receiver, str(receiver.get("kind") or ""))
    _fill(entry.received, receiver, _same("packets_received", "packets_lost") | {"jitter": "jitter_s"})
    _fill(entry.inbound, receiver, _INBOUND)
    entry.inbound.mid = str(receiver.get("mid") or "")
    return stats


def _connection(stats: dict[str, Any]) -> list[proto.RtcStats]:
    values = stats.get("transport") or {}
    transport, pair = proto.RtcStats(), proto.RtcStats()
    entry = transport.transport
    _rtc(entry, _TRANSPORT_ID)
    _fill(entry.transport, values, _same("packets_sent", "packets_received", "bytes_sent", "bytes_received"))
    dtls = _DTLS_PREFIX + str(values.get("dtls_state", "")).upper()
    ice = _ICE_PREFIX + str(values.get("ice_state", "")).upper()
    if dtls in dict(proto.DtlsTransportState.items()):
        entry.transport.dtls_state = proto.DtlsTransportState.Value(dtls)
    if ice in dict(proto.IceTransportState.items()):
        entry.transport.ice_state = proto.IceTransportState.Value(ice)
    candidate_pair = pair.candidate_pair
    _rtc(candidate_pair, "CP01")
    _fill(
        candidate_pair.candidate_pair,
        values,
        _same("packets_sent", "packets_received", "bytes_sent", "bytes_received")
        | {
            "current_round_trip_time": "round_trip_time_s",
            "available_outgoing_bitrate": "available_outgoing_bitrate_bps",
            "local_candidate_id": "local_candidate",
            "remote_candidate_id": "remote_candidate",
        },
    )
    candidate_pair.candidate_pair.transport_id = _TRANSPORT_ID
    candidate_pair.candidate_pair.nominated = True
    return [transport, pair]

"""Framing of the signal connection: one protobuf message per binary websocket frame, in both directions."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from livekit.protocol import rtc as proto

PROTOCOL_VERSION = 16
"""What this client can do: late room SIDs, `leave.action`, request responses, room moves."""
CLIENT_PROTOCOL = 2
"""Which data features peers may use towards this client: calls as streams, and streams in one packet."""
CAPABILITIES = "CAP_COMPRESSION_DEFLATE_RAW"
"""Names of `models.ClientInfo.Capability`, separated by commas."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""A larger signal message ends the connection."""


class MessageError(ValueError):
    """A frame that is no signal message; it can be skipped."""


def enum_name(enum: Any, number: int) -> str:
    """What messages and users are told of an enum's value; newer servers have values without a name here."""
    return str(enum.Name(number)) if number in enum.values() else f"UNKNOWN_{number}"


def encode_request(kind: str, message: Any) -> bytes:
    """One `SignalRequest` frame; `kind` is the name of its oneof field."""
    return proto.SignalRequest(**{kind: message}).SerializeToString()


def decode_response(frame: bytes) -> tuple[str, Any]:
    """(kind, message) of one `SignalResponse` frame. MessageError when it is malformed, empty or of an
    unknown kind."""
    response = proto.SignalResponse()
    try:
        response.ParseFromString(frame)
    except DecodeError as error:
        raise MessageError(f"{len(frame)} bytes that are no SignalResponse: {error}") from error
    kind = response.WhichOneof("message")
    if kind is None:
        raise MessageError(f"SignalResponse of {len(frame)} bytes with no known message in it")
    return kind, getattr(response, kind)


def decode_request(frame: bytes) -> tuple[str, Any]:
    """(kind, message) of one `SignalRequest` frame. MessageError when it is malformed, empty or of an
    unknown kind."""
    request = proto.SignalRequest()
    try:
        request.ParseFromString(frame)
    except DecodeError as error:
        raise MessageError(f"{len(frame)} bytes that are no SignalRequest: {error}") from error
    kind = request.WhichOneof("message")
    if kind is None:
        raise MessageError(f"SignalRequest of {len(frame)} bytes with no known message in it")
    return kind, getattr(request, kind)

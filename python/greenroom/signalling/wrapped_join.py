"""LiveKit's `join_request` parameter: a JoinRequest in a WrappedJoinRequest, packed and in base64 (both ways)."""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib

from google.protobuf.message import DecodeError
from livekit.protocol import rtc as messages

MAX_JOIN_REQUEST_BYTES = 1 << 20
"""Unpacked; livekit-server's limit."""
_COMPRESSION = messages.WrappedJoinRequest.Compression


class JoinRequestError(ValueError):
    """A parameter that can't be read; the message is the one livekit-server answers with."""


def wrap(request: messages.JoinRequest) -> str:
    """The parameter's value, packed when that makes it shorter."""
    plain = request.SerializeToString()
    packed = gzip.compress(plain, mtime=0)
    is_shorter = len(packed) < len(plain)
    wrapped = messages.WrappedJoinRequest(
        compression=_COMPRESSION.GZIP if is_shorter else _COMPRESSION.NONE,
        join_request=packed if is_shorter else plain,
    )
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


def unwrap(value: str) -> messages.JoinRequest:
    """Read the parameter's value. Raises JoinRequestError.

    A compression that is not known leaves the request empty, as livekit-server does.
    """
    try:
        if "+" in value or "/" in value:
            raise ValueError("the other alphabet")
        encoded = base64.b64decode(value, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise JoinRequestError("cannot base64 decode wrapped join request") from error
    try:
        wrapped = messages.WrappedJoinRequest.FromString(encoded)
    except DecodeError as error:
        raise JoinRequestError("cannot unmarshal wrapped join request") from error
    if wrapped.compression == _COMPRESSION.GZIP:
        plain = _unpack(wrapped.join_request)
    else:
        plain = wrapped.join_request if wrapped.compression == _COMPRESSION.NONE else b""
    if len(plain) > MAX_JOIN_REQUEST_BYTES:
        raise JoinRequestError("join request too large")
    try:
        return messages.JoinRequest.FromString(plain)
    except DecodeError as error:
        raise JoinRequestError("cannot unmarshal join request") from error


def _unpack(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        plain = unpacker.decompress(packed, MAX_JOIN_REQUEST_BYTES + 1)
    except zlib.error as error:
        raise JoinRequestError("cannot read decompressed join request") from error
    if len(plain) <= MAX_JOIN_REQUEST_BYTES and not unpacker.eof:
        raise JoinRequestError("cannot read decompressed join request")
    return plain

"""How a data stream is cut into packets: sizes, splitting of text and bytes, and compression.

Nothing here sends: functions take content and give what goes into chunks.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from livekit.protocol import models

CHUNK_BYTES = 15_000
"""The most content in one chunk, and the most bytes of a serialized header packet."""
DATA_STREAM_RPC, DATA_STREAM_V2 = 1, 2
"""Values of `client_protocol` from which on a peer takes calls as streams; inline and compressed streams."""
DEFLATE_CAPABILITY = models.ClientInfo.Capability.CAP_COMPRESSION_DEFLATE_RAW

RPC_REQUEST_TOPIC, RPC_RESPONSE_TOPIC = "lk.rpc_request", "lk.rpc_response"
RESERVED_TOPICS = frozenset({RPC_REQUEST_TOPIC, RPC_RESPONSE_TOPIC})
"""Streams of these topics belong to calls; users never see them."""

_RAW_DEFLATE_WINDOW = -15
_CONTINUATION_MASK, _CONTINUATION = 0xC0, 0x80
_CHARACTER_BYTES = 4
_FAST = 1


def split_text(encoded: bytes, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Pieces of at most `size` bytes (4 or more) that never cut a UTF-8 character. `encoded` is UTF-8."""
    if size < _CHARACTER_BYTES:
        raise ValueError(f"pieces of {size} bytes can't hold every character; use 4 or more")
    start = 0
    while start < len(encoded):
        end = min(start + size, len(encoded))
        while end < len(encoded) and encoded[end] & _CONTINUATION_MASK == _CONTINUATION:
            end -= 1
        yield encoded[start:end]
        start = end


def split_bytes(data: bytes | memoryview, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Pieces of `size` bytes; the last one may be shorter."""
    view = memoryview(data)
    for start in range(0, len(view), size):
        yield bytes(view[start : start + size])


def deflate(data: bytes) -> bytes:
    """The whole of `data` as one raw DEFLATE stream (RFC 1951, no wrapper)."""
    compressor = raw_compressor()
    return compressor.compress(data) + compressor.flush()


def raw_compressor() -> zlib._Compress:
    return zlib.compressobj(_FAST, zlib.DEFLATED, _RAW_DEFLATE_WINDOW)


def raw_decompressor() -> zlib._Decompress:
    return zlib.decompressobj(_RAW_DEFLATE_WINDOW)


class Cutter:
    """Collects what comes in pieces of any size and gives chunks of exactly CHUNK_BYTES."""

    def __init__(self) -> None:
        self._held = bytearray()

    def add(self, data: bytes) -> Iterator[bytes]:
        self._held += data
        while len(self._held) >= CHUNK_BYTES:
            yield bytes(self._held[:CHUNK_BYTES])
            del self._held[:CHUNK_BYTES]

    def rest(self) -> bytes:
        """What is left for the last chunk; may be empty."""
        rest, self._held = bytes(self._held), bytearray()
        return rest


def cut_to_bytes(text: str, limit: int) -> str:
    """The beginning of `text` that has at most `limit` bytes in UTF-8, whole characters only."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return text
    return encoded[:limit].decode("utf-8", "ignore")

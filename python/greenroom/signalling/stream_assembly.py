"""Puts one arriving data stream together again and finds everything that is wrong with it.

`Assembly` is fed the packets of one stream in the order they came; it gives their content, or raises StreamFault
once and for all. Whether the stream is complete is known from the trailer.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator

from livekit.protocol import models

from .stream_framing import raw_decompressor

MAX_PAYLOAD_BYTES = 5_000_000_000
_INFLATE_STEP_BYTES = 64 * 1024

_NONE = models.DataStream.CompressionType.NONE
_DEFLATE_RAW = models.DataStream.CompressionType.DEFLATE_RAW


class StreamFault(ValueError):
    """The stream is broken; the message says how, in the words users get to see."""


class Assembly:
    """`header` opens it. StreamFault when the header itself can't be served."""

    def __init__(self, header: models.DataStream.Header, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self.header = header
        self.is_text = header.WhichOneof("content_header") == "text_header"
        self.attributes = dict(header.attributes)
        self.total_bytes: int | None = header.total_length if header.HasField("total_length") else None
        self.received_bytes = 0
        """Uncompressed."""
        self._max_payload_bytes = max_payload_bytes
        self._next_index = 0
        self._compressed_bytes = 0
        if header.compression not in (_NONE, _DEFLATE_RAW):
            raise StreamFault(f"compression {header.compression} is unknown; NONE and DEFLATE_RAW are known")
        if self.total_bytes is not None and self.total_bytes > max_payload_bytes:
            raise StreamFault(self._too_large(self.total_bytes))
        self._inflater = raw_decompressor() if header.compression == _DEFLATE_RAW else None
        self._decoder = codecs.getincrementaldecoder("utf-8")() if self.is_text else None

    def inline(self) -> Iterator[bytes | str]:
        """The content of a stream that is all in its header, checked to be complete."""
        yield from self._take(self.header.inline_content)
        yield from self._finish()

    def chunk(self, chunk: models.DataStream.Chunk) -> Iterator[bytes | str]:
        """What one chunk adds: nothing, one piece, or several of a compressed one."""
        index = chunk.chunk_index
        if self._inflater is not None and index < self._next_index:
            return
        if index != self._next_index:
            raise StreamFault(f"chunk {self._next_index} is missing: chunk {index} came")
        self._next_index += 1
        yield from self._take(chunk.content)

    def trailer(self, trailer: models.DataStream.Trailer) -> Iterator[bytes | str]:
        """The end: merges its attributes. What it gives comes before the end."""
        self.attributes.update(trailer.attributes)
        if trailer.reason:
            raise StreamFault(f"stream closed abnormally: {trailer.reason}")
        yield from self._finish()

    def _finish(self) -> Iterator[bytes | str]:
        if self._inflater is not None and self._compressed_bytes and not self._inflater.eof:
            raise StreamFault("stream data is incomplete")
        if self.total_bytes is not None and self.received_bytes < self.total_bytes:
            raise StreamFault("stream data is incomplete")
        if self._decoder is not None:
            yield from self._decoded(b"", final=True)

    def _take(self, content: bytes) -> Iterator[bytes | str]:
        for piece in (content,) if self._inflater is None else self._inflated(content):
            self.received_bytes += len(piece)
            if self.total_bytes is not None and self.received_bytes > self.total_bytes:
                raise StreamFault("read length exceeded total length specified in stream header")
            if self.received_bytes > self._max_payload_bytes:
                raise StreamFault(self._too_large(self.received_bytes))
            if self._decoder is not None:
                yield from self._decoded(piece)
            elif piece:
                yield piece

    def _inflated(self, content: bytes) -> Iterator[bytes]:
        # In steps: a few bytes can stand for a gigabyte, which the limits must stop before it is there.
        assert self._inflater is not None
        self._compressed_bytes += len(content)
        try:
            while content:
                yield self._inflater.decompress(content, _INFLATE_STEP_BYTES)
                if self._inflater.eof:
                    if self._inflater.unused_data:
                        raise StreamFault("compressed stream data goes on after its end")
                    return
                content = self._inflater.unconsumed_tail
            while rest := self._inflater.decompress(b"", _INFLATE_STEP_BYTES):
                yield rest
        except zlib.error as error:
            raise StreamFault(f"compressed stream data is damaged: {error}") from error

    def _decoded(self, piece: bytes, *, final: bool = False) -> Iterator[str]:
        assert self._decoder is not None
        try:
            text = self._decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            raise StreamFault(f"text of the stream is no UTF-8: {error.reason}") from error
        if text:
            yield text

    def _too_large(self, size: int) -> str:
        return f"stream payload of {size} bytes is larger than the limit of {self._max_payload_bytes} bytes"

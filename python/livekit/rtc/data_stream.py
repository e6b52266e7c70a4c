"""Data streams: text, bytes and files of any length, sent in pieces and read as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from livekit.protocol import models

from greenroom.client.errors import StreamError
from greenroom.client.streams_incoming import IncomingStream
from greenroom.client.streams_outgoing import OutgoingStream, StreamOptions, byte_header, text_header
from greenroom.signalling.stream_framing import CHUNK_BYTES as STREAM_CHUNK_SIZE

if TYPE_CHECKING:
    from .participant import LocalParticipant

__all__ = [
    "STREAM_CHUNK_SIZE",
    "BaseStreamInfo",
    "BaseStreamWriter",
    "ByteStreamHandler",
    "ByteStreamInfo",
    "ByteStreamReader",
    "ByteStreamWriter",
    "StreamError",
    "TextStreamHandler",
    "TextStreamInfo",
    "TextStreamReader",
    "TextStreamWriter",
]


@dataclass
class BaseStreamInfo:
    """`timestamp`: when it was sent, in ms since 1970. `size`: bytes of the whole content, 0 when not known."""

    stream_id: str
    mime_type: str
    topic: str
    timestamp: int
    size: int | None
    attributes: dict[str, str] | None


@dataclass
class TextStreamInfo(BaseStreamInfo):
    """`attachments`: ids of byte streams of the same topic that belong to the text."""

    attachments: list[str]


@dataclass
class ByteStreamInfo(BaseStreamInfo):
    """`name` was chosen by the sender: a plain label or relative path, never one that leads out of a directory."""

    name: str


def text_info(header: models.DataStream.Header, attributes: dict[str, str] | None = None) -> TextStreamInfo:
    return TextStreamInfo(
        header.stream_id,
        header.mime_type,
        header.topic,
        header.timestamp,
        header.total_length,
        dict(header.attributes) if attributes is None else attributes,
        list(header.text_header.attached_stream_ids),
    )


def byte_info(header: models.DataStream.Header, attributes: dict[str, str] | None = None) -> ByteStreamInfo:
    return ByteStreamInfo(
        header.stream_id,
        header.mime_type,
        header.topic,
        header.timestamp,
        header.total_length,
        dict(header.attributes) if attributes is None else attributes,
        header.byte_header.name,
    )


def _describe(stream: object, info: BaseStreamInfo) -> str:
    kind = type(stream).__name__
    return f"rtc.{kind}(id={info.stream_id}, topic={info.topic}, size={info.size})"


class TextStreamReader:
    """Iterate over the pieces as they come, or `read_all`. Room handlers get it; it is made by nobody else.

    A stream that ends badly (its sender left, a piece is missing, the length is wrong) raises StreamError, after
    everything that came before.
    """

    def __init__(self, owned_info: IncomingStream, *, on_close: Callable[[], None] | None = None) -> None:
        self._stream = owned_info
        self._on_close = on_close
        # The trailer's attributes appear in the same dictionary.
        self._info = text_info(owned_info.header, owned_info.assembly.attributes)

    @property
    def info(self) -> TextStreamInfo:
        return self._info

    def __repr__(self) -> str:
        return _describe(self, self._info)

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        piece = await self._stream.next()
        if piece is None:
            raise StopAsyncIteration
        return str(piece)

    async def read_all(self) -> str:
        """All that is left, in one text. StreamError when the stream ends badly."""
        return "".join([piece async for piece in self])

    def close(self) -> None:
        """Stop reading: what is left is dropped, and iterating ends."""
        self._stream.close()
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            on_close()

    async def aclose(self) -> None:
        self.close()


class ByteStreamReader:
    """Iterate over the pieces as they come. Room handlers get it; it is made by nobody else.

    A stream that ends badly (its sender left, a piece is missing, the length is wrong) raises StreamError, after
    everything that came before. `capacity` is accepted and not needed: unread bytes are bounded for the whole room.
    """

    def __init__(
        self, owned_info: IncomingStream, capacity: int = 0, *, on_close: Callable[[], None] | None = None
    ) -> None:
        self._stream = owned_info
        self._on_close = on_close
        self._info = byte_info(owned_info.header, owned_info.assembly.attributes)

    @property
    def info(self) -> ByteStreamInfo:
        return self._info

    def __repr__(self) -> str:
        return _describe(self, self._info)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._stream.next()
        if not isinstance(piece, bytes):
            raise StopAsyncIteration
        return piece

    def close(self) -> None:
        """Stop reading: what is left is dropped, and iterating ends."""
        self._stream.close()
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            on_close()

    async def aclose(self) -> None:
        self.close()


TextStreamHandler = Callable[[TextStreamReader, str], None]
ByteStreamHandler = Callable[[ByteStreamReader, str], None]
"""Called at the beginning of a stream with its reader and the sender's identity; starts its own task to read."""

_Self = TypeVar("_Self", bound="BaseStreamWriter")


class BaseStreamWriter:
    """Common to writers. A writer that is dropped without `aclose` ends its stream as broken."""

    def __init__(self, local_participant: LocalParticipant, options: StreamOptions) -> None:
        self._stream = OutgoingStream(local_participant._connected(StreamError, "open a stream"), options)

    async def _open(self: _Self) -> _Self:
        await self._stream.open()
        return self

    async def aclose(self, *, reason: str = "", attributes: dict[str, str] | None = None) -> None:
        """End the stream; a `reason` marks it as broken. `attributes` are merged into those of the stream."""
        await self._stream.close(reason, attributes)


class TextStreamWriter(BaseStreamWriter):
    """Made by `LocalParticipant.stream_text`."""

    def __init__(
        self,
        local_participant: LocalParticipant,
        *,
        topic: str = "",
        attributes: dict[str, str] | None = None,
        stream_id: str | None = None,
        total_size: int | None = None,
        reply_to_id: str | None = None,
        destination_identities: list[str] | None = None,
        sender_identity: str | None = None,
    ) -> None:
        # As in other SDKs the total size of text is not sent: receivers would count bytes, callers characters.
        options = StreamOptions(
            topic,
            attributes,
            stream_id,
            destination_identities or (),
            sender_identity,
            header=text_header(reply_to_id=reply_to_id),
        )
        super().__init__(local_participant, options)
        self._info = text_info(self._stream.header)

    @property
    def info(self) -> TextStreamInfo:
        return self._info

    def __repr__(self) -> str:
        return _describe(self, self._info)

    async def write(self, text: str) -> None:
        """Send text of any length. Waits for room in the channel; StreamError when it can't be sent."""
        await self._stream.write_text(text.encode())


class ByteStreamWriter(BaseStreamWriter):
    """Made by `LocalParticipant.stream_bytes`."""

    def __init__(
        self,
        local_participant: LocalParticipant,
        *,
        name: str,
        topic: str = "",
        attributes: dict[str, str] | None = None,
        stream_id: str | None = None,
        total_size: int | None = None,
        mime_type: str = "application/octet-stream",
        destination_identities: list[str] | None = None,
    ) -> None:
        options = StreamOptions(
            topic,
            attributes,
            stream_id,
            destination_identities or (),
            header=byte_header(name, mime_type, total_size),
        )
        super().__init__(local_participant, options)
        self._info = byte_info(self._stream.header)

    @property
    def info(self) -> ByteStreamInfo:
        return self._info

    def __repr__(self) -> str:
        return _describe(self, self._info)

    async def write(self, data: bytes) -> None:
        """Send bytes of any length. Waits for room in the channel; StreamError when they can't be sent."""
        await self._stream.write_bytes(data)

"""Data streams that are sent: piece by piece, or whole in one packet where every receiver understands that.

Each packet waits for room in the reliable channel, so a writer is as fast as the connection. Destinations are named
on every packet of a stream: others get nothing of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from livekit.protocol import models

from greenroom.signalling.stream_framing import (
    CHUNK_BYTES,
    DATA_STREAM_V2,
    DEFLATE_CAPABILITY,
    Cutter,
    deflate,
    raw_compressor,
    split_bytes,
    split_text,
)

from .bulk import room_for_bulk
from .errors import PublishDataError, StreamError

if TYPE_CHECKING:
    from .session import Session

_logger = logging.getLogger("livekit")

_MIN_DEFLATED_BYTES = 256
_DROPPED = "the writer was dropped without being closed"


@dataclass
class StreamOptions:
    """What a stream's header says. `stream_id` empty: a new one."""

    topic: str = ""
    attributes: Mapping[str, str] | None = None
    stream_id: str | None = None
    destinations: Sequence[str] = ()
    sender_identity: str | None = None
    """Somebody else to speak for; servers allow it to agents."""
    urgent: bool = False
    """Before other data that waits for the channel."""
    header: models.DataStream.Header = field(default_factory=models.DataStream.Header)
    """The rest: MIME type, total length, and the header of its kind."""

    def __post_init__(self) -> None:
        if isinstance(self.destinations, str):
            raise TypeError(
                f"destination_identities is {self.destinations!r}: it must be a list of identities"
            )

    def build(self) -> models.DataStream.Header:
        header = models.DataStream.Header()
        header.CopyFrom(self.header)
        header.stream_id = self.stream_id or str(uuid.uuid4())
        header.timestamp = int(time.time() * 1000)
        header.topic = self.topic
        header.attributes.update(self.attributes or {})
        return header


def text_header(
    *, reply_to_id: str | None = None, attachments: Iterable[str] = (), total_bytes: int | None = None
) -> models.DataStream.Header:
    text = models.DataStream.TextHeader(
        reply_to_stream_id=reply_to_id or "", attached_stream_ids=list(attachments)
    )
    header = models.DataStream.Header(mime_type="text/plain", text_header=text)
    if total_bytes is not None:
        header.total_length = total_bytes
    return header


def byte_header(name: str, mime_type: str, total_bytes: int | None) -> models.DataStream.Header:
    header = models.DataStream.Header(
        mime_type=mime_type, byte_header=models.DataStream.ByteHeader(name=name)
    )
    if total_bytes is not None:
        header.total_length = total_bytes
    return header


class OutgoingStream:
    """One stream piece by piece. Concurrent writes follow each other whole."""

    def __init__(self, session: Session, options: StreamOptions) -> None:
        self._session = session
        self._destinations = list(options.destinations)
        self._sender_identity = options.sender_identity or ""
        self._urgent = options.urgent
        self.header = options.build()
        self.closed = False
        self._opened = False
        self._next_index = 0
        self._lock = asyncio.Lock()
        self._loop = asyncio.get_running_loop()

    async def open(self) -> None:
        """Send the header. StreamError when it is too large or can't be sent."""
        await self._send_header(self.header)
        self._opened = True

    async def write_text(self, encoded: bytes) -> None:
        await self._write(split_text(encoded))

    async def write_bytes(self, data: bytes | memoryview) -> None:
        await self._write(split_bytes(data))

    async def _write(self, pieces: Iterable[bytes]) -> None:
        async with self._lock:
            if self.closed:
                raise RuntimeError("Cannot write after stream is closed")
            for piece in pieces:
                await self._send_chunk(piece)

    async def close(self, reason: str = "", attributes: Mapping[str, str] | None = None) -> None:
        """Send the trailer, after the writes that are under way."""
        if self.closed:
            raise RuntimeError("Stream already closed")
        self.closed = True
        async with self._lock:
            await self._send(models.DataPacket(stream_trailer=self._trailer(reason, attributes)))

    async def send_inline(self, header: models.DataStream.Header) -> None:
        self.closed = True
        await self._send_header(header)

    def packet_size(self, header: models.DataStream.Header) -> int:
        return self._packet(models.DataPacket(stream_header=header)).ByteSize()

    async def _send_header(self, header: models.DataStream.Header) -> None:
        packet = models.DataPacket(stream_header=header)
        packet.participant_identity = self._sender_identity
        size = self._packet(packet).ByteSize()
        if size > CHUNK_BYTES:
            raise StreamError(
                f"stream header exceeds maximum size: {size} bytes of {CHUNK_BYTES}; use fewer or shorter attributes"
            )
        await self._send(packet)

    async def _send_chunk(self, content: bytes) -> None:
        chunk = models.DataStream.Chunk(
            stream_id=self.header.stream_id, chunk_index=self._next_index, content=content
        )
        await room_for_bulk(self._session)
        # A number that was not sent would look like a missing chunk.
        await self._send(models.DataPacket(stream_chunk=chunk))
        self._next_index += 1

    def _trailer(self, reason: str, attributes: Mapping[str, str] | None = None) -> models.DataStream.Trailer:
        return models.DataStream.Trailer(
            stream_id=self.header.stream_id, reason=reason, attributes=dict(attributes or {})
        )

    def _packet(self, packet: models.DataPacket) -> models.DataPacket:
        del packet.destination_identities[:]
        packet.destination_identities.extend(self._destinations)
        return packet

    async def _send(self, packet: models.DataPacket) -> None:
        try:
            await self._session.sender.send(self._packet(packet), reliable=True, urgent=self._urgent)
        except PublishDataError as error:
            raise StreamError(f"stream {self.header.stream_id} was not sent: {error.message}") from error

    def __del__(self) -> None:
        if getattr(self, "_opened", False) and not self.closed and not self._session.closed:
            packet = self._packet(models.DataPacket(stream_trailer=self._trailer(_DROPPED)))
            session, loop = self._session, self._loop
            if not loop.is_closed():
                loop.call_soon_threadsafe(_send_farewell, session, packet)


_farewells: set[asyncio.Future[None]] = set()


def _send_farewell(session: Session, packet: models.DataPacket) -> None:
    async def send() -> None:
        try:
            await session.sender.send(packet, reliable=True)
        except PublishDataError as error:
            _logger.debug("the end of a dropped stream was not sent: %s", error.message)

    task = asyncio.ensure_future(send())
    _farewells.add(task)
    task.add_done_callback(_farewells.discard)


# ---- whole payloads ----


async def send_whole(
    session: Session, options: StreamOptions, payload: bytes, compress: bool
) -> OutgoingStream:
    """Send a payload that is in memory: in its header if it fits and everyone understands, else in chunks."""
    stream = OutgoingStream(session, options)
    header = stream.header
    header.total_length = len(payload)
    modern, inflates = receivers_can(session, options.destinations)
    worth_it = modern and inflates and compress and len(payload) >= _MIN_DEFLATED_BYTES
    deflated = deflate(payload) if worth_it else payload
    smaller = len(deflated) < len(payload)
    if modern and not header.text_header.attached_stream_ids:
        inline = models.DataStream.Header()
        inline.CopyFrom(header)
        inline.inline_content = deflated if smaller else payload
        if smaller:
            inline.compression = models.DataStream.CompressionType.DEFLATE_RAW
        if len(inline.inline_content) < CHUNK_BYTES and stream.packet_size(inline) <= CHUNK_BYTES:
            await stream.send_inline(inline)
            return stream
    if smaller:
        header.compression = models.DataStream.CompressionType.DEFLATE_RAW
    await stream.open()
    is_plain_text = header.WhichOneof("content_header") == "text_header" and not smaller
    await (stream.write_text(payload) if is_plain_text else stream.write_bytes(deflated))
    await stream.close()
    return stream


async def send_blocks(
    session: Session, options: StreamOptions, blocks: AsyncIterator[bytes], compress: bool
) -> OutgoingStream:
    """Send what comes in blocks of any size; `total_length` of the header must be set. Memory stays constant."""
    stream = OutgoingStream(session, options)
    modern, inflates = receivers_can(session, options.destinations)
    first = await anext(blocks, b"")
    compressor: zlib._Compress | None = None
    # Files that are compressed already would only cost time.
    if modern and inflates and compress and len(deflate(first)) < len(first) * 0.9:
        compressor = raw_compressor()
        stream.header.compression = models.DataStream.CompressionType.DEFLATE_RAW
    await stream.open()
    cutter = Cutter()
    block = first
    try:
        while block:
            ready = block if compressor is None else await asyncio.to_thread(compressor.compress, block)
            for piece in cutter.add(ready):
                await stream.write_bytes(piece)
            block = await anext(blocks, b"")
        for piece in cutter.add(b"" if compressor is None else compressor.flush()):
            await stream.write_bytes(piece)
        if rest := cutter.rest():
            await stream.write_bytes(rest)
    except OSError as error:
        if not session.closed:
            await stream.close(reason=f"reading failed: {error}")
        raise
    await stream.close()
    return stream


def receivers_can(session: Session, destinations: Sequence[str]) -> tuple[bool, bool]:
    """(take streams in one packet, inflate them): what all receivers can. Somebody unknown can nothing."""
    remotes = session.state.remotes
    named = [remotes.get(identity) for identity in destinations] if destinations else list(remotes.values())
    modern = inflates = True
    for participant in named:
        info = models.ParticipantInfo() if participant is None else participant.info
        modern = modern and info.client_protocol >= DATA_STREAM_V2
        inflates = inflates and DEFLATE_CAPABILITY in info.capabilities
    return modern, inflates

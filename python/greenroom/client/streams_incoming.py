"""Data streams that arrive: which handler gets them, what readers have not read yet, and how they end.

A stream is known by its sender's SID and its id, so nobody can write into the stream of somebody else. What
readers leave unread is bounded for the whole room: beyond it the stream with the most unread bytes fails, so
that a reader that does not keep up loses its own stream and no other.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from livekit.protocol import models

from greenroom.signalling.file_names import escapes_directory
from greenroom.signalling.stream_assembly import MAX_PAYLOAD_BYTES, Assembly, StreamFault
from greenroom.signalling.stream_framing import RESERVED_TOPICS

from .errors import StreamError
from .state import ParticipantState

if TYPE_CHECKING:
    from .session import Session

_logger = logging.getLogger("livekit")

MAX_UNREAD_BYTES = 256 * 1024 * 1024
"""Of all streams of a room together."""
MAX_OPEN_STREAMS = 10_000
"""Headers beyond it are dropped."""
_PIECE_OVERHEAD_BYTES = 64

Piece = bytes | str
StreamHandler = Callable[["IncomingStream", str], None]
"""Called with the stream and its sender's identity."""


@dataclass(eq=False)
class StreamHandlers:
    """What users registered, by topic. It belongs to the room and outlives sessions."""

    text: dict[str, StreamHandler] = field(default_factory=dict)
    bytes: dict[str, StreamHandler] = field(default_factory=dict)


class IncomingStream:
    """What one reader reads from: pieces in order, then the end or an error."""

    def __init__(self, assembly: Assembly, sender_identity: str, sender_sid: str) -> None:
        self.assembly = assembly
        self.header = assembly.header
        self.sender_identity = sender_identity
        self.sender_sid = sender_sid
        self.unread_bytes = 0
        self.on_read: Callable[[int], None] = lambda _: None
        self.on_closed: Callable[[IncomingStream], None] = lambda _: None
        self._pieces: deque[Piece] = deque()
        self._error: StreamError | None = None
        self._ended = False
        self._closed = False
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def ended(self) -> bool:
        """Nothing more will come; something may still be unread."""
        return self._ended

    def add(self, piece: Piece) -> int:
        """Keep a piece for the reader. How many bytes it counts as unread."""
        if self._closed or self._ended:
            return 0
        cost = _cost(piece)
        self._pieces.append(piece)
        self.unread_bytes += cost
        self._wake()
        return cost

    def end(self, error: StreamError | None = None) -> None:
        """No more pieces. The first end counts."""
        if not self._ended:
            self._ended, self._error = True, error
            self._wake()

    def drop_unread(self) -> None:
        freed, self.unread_bytes = self.unread_bytes, 0
        self._pieces.clear()
        self.on_read(freed)

    def close(self) -> None:
        """The reader has enough: what is unread and what still comes is dropped."""
        if self._closed:
            return
        self._closed = True
        self.end()
        self._error = None
        self.drop_unread()
        self.on_closed(self)

    async def next(self) -> Piece | None:
        """The next piece; None at the end. StreamError when the stream ended badly, each time it is asked."""
        while not self._pieces:
            if self._ended:
                if self._error is not None:
                    raise StreamError(self._error.description)
                return None
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        piece = self._pieces.popleft()
        cost = _cost(piece)
        self.unread_bytes -= cost
        self.on_read(cost)
        return piece

    async def ends(self) -> None:
        """Wait until nothing more will come."""
        while not self._ended:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def take_text(self) -> str:
        """All unread text of a stream that has ended. StreamError when it ended badly."""
        if self._error is not None:
            raise StreamError(self._error.description)
        text = "".join(str(piece) for piece in self._pieces)
        self.drop_unread()
        return text

    def __del__(self) -> None:
        # A reader that was dropped unread: its bytes must not count for ever.
        self.on_read(self.unread_bytes)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)


def _cost(piece: Piece) -> int:
    # A character of a str takes up to four bytes; pieces of one byte each must not be free of charge.
    return len(piece) * (4 if isinstance(piece, str) else 1) + _PIECE_OVERHEAD_BYTES


class IncomingStreams:
    """The open streams of one session."""

    def __init__(self, session: Session, handlers: StreamHandlers) -> None:
        self._session = session
        self._handlers = handlers
        self.reserved: dict[str, StreamHandler] = {}
        """Handlers of text streams that users never see, by topic."""
        self._max_payload_bytes = session.options.max_stream_payload_bytes or MAX_PAYLOAD_BYTES
        self._open: dict[tuple[str, str], IncomingStream] = {}
        self._unread: weakref.WeakSet[IncomingStream] = weakref.WeakSet()
        """Those that readers still hold."""
        self._unread_bytes = 0
        session.receiver.handlers.update(
            stream_header=self._header, stream_chunk=self._chunk, stream_trailer=self._trailer
        )

    def participant_left(self, participant: ParticipantState) -> None:
        """Its streams can't be completed any more."""
        for (sid, _), stream in list(self._open.items()):
            if sid == participant.sid:
                self._end(
                    stream,
                    StreamError(
                        f"stream closed abnormally: Participant {participant.identity} unexpectedly "
                        "disconnected in the middle of sending data"
                    ),
                )

    def close(self) -> None:
        """The session ended: what was received can still be read."""
        for stream in list(self._open.values()):
            self._end(stream, StreamError("Disconnected while receiving"))

    # ---- packets ----

    def _header(self, packet: models.DataPacket, _: bool) -> None:
        header = packet.stream_header
        handler = self._handler(header)
        key = (packet.participant_sid, header.stream_id)
        if handler is None:
            _logger.info("ignored stream %s: no handler for topic %r", header.stream_id, header.topic)
        elif key in self._open:
            _logger.error("ignored a second header of the open stream %s", header.stream_id)
        elif len(self._open) >= MAX_OPEN_STREAMS:
            _logger.error("ignored stream %s: %d are open already", header.stream_id, MAX_OPEN_STREAMS)
        elif escapes_directory(header.byte_header.name):
            _logger.warning(
                "refused stream %s from %s: file name %r leads out of a directory",
                header.stream_id,
                packet.participant_identity,
                header.byte_header.name,
            )
        else:
            self._start(packet, handler, key)

    def _handler(self, header: models.DataStream.Header) -> StreamHandler | None:
        if header.WhichOneof("content_header") != "text_header":
            return self._handlers.bytes.get(header.topic)
        if header.topic in RESERVED_TOPICS:
            return self.reserved.get(header.topic)
        return self._handlers.text.get(header.topic)

    def _start(self, packet: models.DataPacket, handler: StreamHandler, key: tuple[str, str]) -> None:
        header = packet.stream_header
        try:
            assembly = Assembly(header, self._max_payload_bytes)
        except StreamFault as fault:
            _logger.warning("refused stream %s from %s: %s", header.stream_id, key[0], fault)
            return
        stream = IncomingStream(assembly, packet.participant_identity, packet.participant_sid)
        self._open[key] = stream
        self._unread.add(stream)
        stream.on_read = self._read
        stream.on_closed = self._forget
        if header.HasField("inline_content"):
            self._feed(stream, assembly.inline())
            self._end(stream)
        try:
            handler(stream, packet.participant_identity)
        except Exception:
            _logger.exception("the handler of stream topic %r failed", header.topic)

    def _chunk(self, packet: models.DataPacket, _: bool) -> None:
        chunk = packet.stream_chunk
        stream = self._open.get((packet.participant_sid, chunk.stream_id))
        if stream is not None:
            self._feed(stream, stream.assembly.chunk(chunk))

    def _trailer(self, packet: models.DataPacket, _: bool) -> None:
        trailer = packet.stream_trailer
        stream = self._open.get((packet.participant_sid, trailer.stream_id))
        if stream is not None:
            self._feed(stream, stream.assembly.trailer(trailer))
            self._end(stream)

    # ---- what is unread ----

    def _feed(self, stream: IncomingStream, pieces: Iterator[Piece]) -> None:
        try:
            for piece in pieces:
                self._unread_bytes += stream.add(piece)
                if self._unread_bytes > MAX_UNREAD_BYTES:
                    self._relieve()
                if stream.ended:
                    return
        except StreamFault as fault:
            self._end(stream, StreamError(str(fault)))

    def _relieve(self) -> None:
        slowest = max(self._unread, key=lambda stream: stream.unread_bytes)
        _logger.warning(
            "stream %s failed: its reader left %d bytes unread",
            slowest.header.stream_id,
            slowest.unread_bytes,
        )
        error = StreamError(
            f"the reader is too slow: {slowest.unread_bytes} bytes were unread "
            f"(limit for all streams: {MAX_UNREAD_BYTES}); read faster, or close readers"
        )
        self._end(slowest, error)
        slowest.drop_unread()
        self._unread.discard(slowest)

    def _read(self, count: int) -> None:
        self._unread_bytes -= count

    def _end(self, stream: IncomingStream, error: StreamError | None = None) -> None:
        stream.end(error)
        self._open.pop((stream.sender_sid, stream.header.stream_id), None)
        if not stream.unread_bytes:
            self._unread.discard(stream)

    def _forget(self, stream: IncomingStream) -> None:
        self._open.pop((stream.sender_sid, stream.header.stream_id), None)
        self._unread.discard(stream)

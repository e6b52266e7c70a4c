"""One signal connection: frames in, messages out in order, bounded both ways."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable

from aiohttp import WSCloseCode, WSMsgType, web
from google.protobuf.message import DecodeError
from livekit.protocol import rtc as messages

from .config import Limits
from .pace import Pace

_logger = logging.getLogger("greenroom.server")


FINISH_LIMIT_S = 0.5
"""A client that does not take its last messages and the close within this long is cut off."""
RETIRE_LIMIT_S = 1.0
"""A client that was told to come back over a new signal connection, and leaves this one open, has it closed after so long."""


class Session:
    """A signal connection that is up. It ends by `finish`, by the client, or by breaking a limit."""

    def __init__(
        self,
        websocket: web.WebSocketResponse,
        transport: asyncio.BaseTransport | None,
        limits: Limits,
        counters: Counter[str],
    ) -> None:
        self._websocket = websocket
        self._transport = transport
        self._limits = limits
        self._counters = counters
        self._outgoing: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._blocked = False
        """A message is being written; seen from outside the writer, it waits for the socket."""
        self._retired = False
        self._finishing = False
        self._close_code = WSCloseCode.OK
        self._retire_timer: asyncio.TimerHandle | None = None
        self._abort_timer: asyncio.TimerHandle | None = None
        self._malformed = 0
        self._pace = Pace(limits.signalling_rate_per_s, limits.signalling_burst)
        self.on_ended: Callable[[], None] | None = None
        """Called once the last message is on its way and the connection is closed."""

    def send(self, encoded: bytes) -> None:
        """Queue one SignalResponse. Nothing follows a `finish`; a client that reads too slowly is cut off."""
        if self._finishing or self._retired:
            return
        # What the writer had no chance to send yet, in a burst to many, is not the client's fault.
        limits = self._limits
        longest = limits.outgoing_messages if self._blocked else limits.outgoing_burst
        if len(self._outgoing) >= longest:
            self._counters["signal_connections_too_slow"] += 1
            _logger.warning("a signal connection is closed: %d messages wait for it", len(self._outgoing))
            self._outgoing.clear()
            self.finish()
            self._abort()
            return
        self._outgoing.append(encoded)
        self._wake.set()

    def retire(self) -> None:
        """Write what is queued, and let the client close. SDKs on LiveKit's Rust core that see a close right behind the
        leave that tells them to resume take it for a resume that failed, and start anew. Of what it says now only a leave is
        heard.
        """
        if not self._finishing and not self._retired:
            self._retired = True
            self._retire_timer = asyncio.get_running_loop().call_later(RETIRE_LIMIT_S, self.finish)

    def finish(self, code: WSCloseCode = WSCloseCode.OK) -> None:
        """Write what is queued, then close. Harmless twice."""
        if self._finishing:
            return
        self._finishing = True
        self._close_code = code
        self._abort_timer = asyncio.get_running_loop().call_later(FINISH_LIMIT_S, self._abort)
        self._wake.set()

    def _abort(self) -> None:
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()

    async def run(self, receive: Callable[[messages.SignalRequest], None]) -> None:
        """Serve the connection until it ends; `receive` gets each message, in order."""
        reader = asyncio.create_task(self._read(receive), name="greenroom signal reader")
        writer = asyncio.create_task(self._write(), name="greenroom signal writer")
        try:
            await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
            if writer.done() and not self._finishing:
                # The client takes no more; what it said before it went, its leave above all, is still to be read.
                await asyncio.wait((reader,), timeout=FINISH_LIMIT_S)
            self.finish()
            # With nobody reading, `close` can wait for the client's close frame: a connection that is dropped
            # right after its last message may never deliver it.
            reader.cancel()
            await asyncio.wait((reader, writer))
            await self._websocket.close(code=self._close_code)
        finally:
            reader.cancel()
            writer.cancel()
            for timer in (self._retire_timer, self._abort_timer):
                if timer is not None:
                    timer.cancel()
            if self.on_ended is not None:
                self.on_ended()
        if not reader.cancelled() and (error := reader.exception()) is not None:
            _logger.error("a signal connection ended by an error", exc_info=error)

    async def _read(self, receive: Callable[[messages.SignalRequest], None]) -> None:
        async for frame in self._websocket:
            if self._finishing:
                break
            request = self._decode(frame.type, frame.data)
            if request is not None:
                if not self._retired or request.HasField("leave"):
                    receive(request)
            elif self._malformed > self._limits.malformed_messages:
                _logger.warning("a signal connection is closed: %d frames were malformed", self._malformed)
                self.finish(WSCloseCode.POLICY_VIOLATION)
                break
            await self._keep_pace()

    async def _keep_pace(self) -> None:
        """A client that sends without end must not keep the others from being served: it is read more slowly."""
        delay_s = self._pace.delay_s(asyncio.get_running_loop().time())
        if delay_s > 0.0:
            self._counters["signal_messages_slowed"] += 1
        await asyncio.sleep(delay_s)

    def _decode(self, kind: WSMsgType, data: bytes) -> messages.SignalRequest | None:
        if kind is WSMsgType.BINARY:
            try:
                return messages.SignalRequest.FromString(data)
            except DecodeError as error:
                _logger.info("signal frame of %d bytes can't be decoded: %s", len(data), error)
        else:
            _logger.info("signal frame of type %s skipped: only binary protobuf is understood", kind.name)
        self._malformed += 1
        self._counters["signal_frames_malformed"] += 1
        return None

    async def _write(self) -> None:
        try:
            while self._outgoing or not self._finishing:
                while self._outgoing:
                    self._blocked = True
                    await self._websocket.send_bytes(self._outgoing.popleft())
                    self._blocked = False
                if self._finishing:
                    break
                self._wake.clear()
                await self._wake.wait()
        except (ConnectionError, RuntimeError) as error:
            _logger.debug("signal connection lost while writing: %s", error)

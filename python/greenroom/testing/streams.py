"""Byte streams between simulated hosts: asyncio transports without a socket."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .host import Host
    from .network import Network

_HIGH_WATER_BYTES = 64 * 1024
_FIRST_RETRY_S = 0.2
_LONGEST_RETRY_S = 5.0

_Kind = Literal["data", "end", "reset"]
Address = tuple[str, int]


class StreamTransport(asyncio.Transport):
    """One end of a stream. What it writes arrives in order at `peer`, when the links between the hosts let it."""

    peer: StreamTransport

    def __init__(self, network: Network, host: Host, own: Address, other: Address) -> None:
        super().__init__({"sockname": own, "peername": other, "socket": None})
        self._network = network
        self._loop = network.loop
        self.host = host
        with host:
            self._context = contextvars.copy_context()
        """What is received is handled on this host, whoever sent it."""
        self._protocol: asyncio.BaseProtocol | None = None
        self._sent: deque[tuple[float, _Kind, bytes]] = deque()
        """What is on its way, with the time of arrival."""
        self._unacknowledged = 0
        self._timer: asyncio.TimerHandle | None = None
        self._last_arrival = 0.0
        self._received: deque[tuple[_Kind, bytes]] = deque()
        """What has arrived and is not handed over, because reading is paused."""
        self._reading = True
        self._writing_paused = False
        self._high_water, self._low_water = _HIGH_WATER_BYTES, _HIGH_WATER_BYTES // 4
        self._closing = False
        self._lost = False

    # ---- as asyncio's own transports ----

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading and not self._closing:
            self._reading = True
            self._loop.call_soon(self._hand_over, context=self._context)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high_water = _HIGH_WATER_BYTES if high is None else high
        self._low_water = self._high_water // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return self._unacknowledged

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low_water, self._high_water

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or not data:
            return
        self._unacknowledged += len(data)
        self._send("data", bytes(data))
        if self._unacknowledged > self._high_water and not self._writing_paused:
            self._writing_paused = True
            self.get_protocol().pause_writing()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return False

    def write_eof(self) -> None:
        raise NotImplementedError("a simulated stream is closed as a whole")

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._send("end", b"")
            self._lose_soon()

    def abort(self) -> None:
        if not self._lost:
            self._closing = True
            self._send("reset", b"")
            self._lose_soon()

    def _lose_soon(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon(self._connection_lost, None, context=self._context)

    # ---- the way to the other end ----

    def _send(self, kind: _Kind, data: bytes) -> None:
        if self._loop.is_closed():
            return  # collected after the end of the simulation
        latency_s = self._network.stream_latency_s(self.host, self.peer.host)
        self._last_arrival = max(self._last_arrival, self._loop.time() + latency_s)
        self._sent.append((self._last_arrival, kind, data))
        if self._timer is None:
            self._timer = self._loop.call_at(self._last_arrival, self._arrive, _FIRST_RETRY_S)

    def _arrive(self, retry_s: float) -> None:
        self._timer = None
        if self._network.is_blocked(self.host, self.peer.host):
            longer_s = min(retry_s * 2, _LONGEST_RETRY_S)
            self._timer = self._loop.call_later(retry_s, self._arrive, longer_s)
            return
        while self._sent and self._sent[0][0] <= self._loop.time():
            _, kind, data = self._sent.popleft()
            self.peer.receive(kind, data)
        if self._sent:
            self._timer = self._loop.call_at(self._sent[0][0], self._arrive, _FIRST_RETRY_S)

    def receive(self, kind: _Kind, data: bytes) -> None:
        """Something of the other end has arrived."""
        if self._lost or self._closing:
            if kind == "data":
                self._send("reset", b"")
            return
        if kind == "reset":
            self.drop(ConnectionResetError(104, "the simulated connection was reset by the other side"))
            return
        self._received.append((kind, data))
        self._context.run(self._hand_over)

    def _hand_over(self) -> None:
        while self._received and self._reading and not self._closing:
            kind, data = self._received.popleft()
            protocol = self.get_protocol()
            assert isinstance(protocol, asyncio.Protocol)
            if kind == "data":
                self.peer.acknowledged(len(data))
                protocol.data_received(data)
            elif not protocol.eof_received():
                self.close()

    def begin(self, protocol: asyncio.BaseProtocol) -> None:
        """The connection is made."""
        self._protocol = protocol
        self._context.run(protocol.connection_made, self)

    def acknowledged(self, count: int) -> None:
        """The other end has taken so many bytes."""
        self._unacknowledged -= count
        if self._writing_paused and self._unacknowledged <= self._low_water and not self._lost:
            self._writing_paused = False
            self.get_protocol().resume_writing()

    def drop(self, error: Exception | None) -> None:
        """The connection is gone, at this end."""
        if not self._lost:
            self._closing = True
            self._context.run(self._connection_lost, error)

    def forget_sent(self) -> None:
        """Nothing that is on its way arrives."""
        self._sent.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _connection_lost(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._received.clear()
        self._network.stream_ended(self)
        if self._protocol is not None:
            self._protocol.connection_lost(error)

"""Data packets to one participant: its open channels, and what waits for room in them."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .config import Limits
from .data_flow import SenderFlow

_logger = logging.getLogger("greenroom.server")

RELIABLE, LOSSY = "_reliable", "_lossy"


@dataclass(eq=False)
class _Queue:
    """What waits of one sender."""

    flow: SenderFlow | None
    messages: deque[bytes] = field(default_factory=deque)
    size: int = 0


class DataSender:
    """Writes to the channels of one receiver.

    A lossy channel keeps what is newest (the engine sees to it). Packets for a full reliable channel wait, in order and in
    turn with those of other senders, up to `Limits.data_backlog_bytes`; beyond it those of senders with more than their
    share are dropped for this receiver, and counted. Senders hear of what waits (`SenderFlow`).
    """

    def __init__(self, send: Callable[[int, bytes], bool], limits: Limits, counters: Counter[str]) -> None:
        self._send = send
        self._limits = limits
        self._counters = counters
        self._channels: dict[str, int] = {}
        self._queues: dict[SenderFlow | None, _Queue] = {}
        """Those with messages, in turn; under None what nobody sent."""
        self._waiting_bytes = 0
        self.established = False
        """Both the reliable and the lossy channel are open."""
        self.on_established: Callable[[], None] | None = None

    def channel_opened(self, label: str, channel: int) -> None:
        self._channels[label] = channel
        if not self.established and RELIABLE in self._channels and LOSSY in self._channels:
            self.established = True
            if self.on_established is not None:
                self.on_established()

    def send(self, label: str, message: bytes, flow: SenderFlow | None = None) -> None:
        """Send or queue one packet of the sender with this flow; dropped when the channel is not open yet."""
        channel = self._channels.get(label)
        if channel is None:
            self._counters["data_dropped_not_open"] += 1
        elif label == LOSSY:
            if not self._send(channel, message):
                self._counters["data_dropped_lossy_full"] += 1
        elif self._queues or not self._send(channel, message):
            self._wait(message, flow)
        elif flow is not None and flow.engaged:
            flow.passed(self, len(message))

    def _wait(self, message: bytes, flow: SenderFlow | None) -> None:
        queue = self._queues.get(flow) or _Queue(flow)
        is_full = self._waiting_bytes + len(message) > self._limits.data_backlog_bytes
        if is_full and queue.size * len(self._queues) >= self._waiting_bytes:
            if not self._counters["data_dropped_receiver_slow"]:
                _logger.warning("a receiver of reliable data is too slow: packets for it are dropped")
            self._counters["data_dropped_receiver_slow"] += 1
            return
        self._queues[flow] = queue
        queue.messages.append(message)
        queue.size += len(message)
        self._waiting_bytes += len(message)
        if flow is not None:
            flow.waits(self, len(message))

    def writable(self, channel: int) -> None:
        """The channel has room again."""
        if channel != self._channels.get(RELIABLE):
            return
        while self._queues:
            queue = next(iter(self._queues.values()))
            if not self._send(channel, queue.messages[0]):
                return
            self._sent_first(queue)

    def _sent_first(self, queue: _Queue) -> None:
        """The first message of this queue went on; it is the next one's turn."""
        size = len(queue.messages.popleft())
        queue.size -= size
        self._waiting_bytes -= size
        del self._queues[queue.flow]
        if queue.messages:
            self._queues[queue.flow] = queue
        if queue.flow is not None:
            queue.flow.taken(self, size)

    def close(self) -> None:
        self._channels.clear()
        queues = list(self._queues.values())
        self._queues.clear()
        self._waiting_bytes = 0
        self.on_established = None
        for queue in queues:
            if queue.flow is not None:
                queue.flow.forget(self)

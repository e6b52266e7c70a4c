"""Data packets to one participant: its open channels, and what waits for room in them."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable

from .config import Limits

_logger = logging.getLogger("greenroom.server")

RELIABLE, LOSSY = "_reliable", "_lossy"


class DataSender:
    """Writes to the channels of one receiver.

    A full lossy channel drops the packet. Packets for a full reliable channel wait in order, up to
    `Limits.data_backlog_bytes`; beyond it they are dropped for this receiver. Both are counted.
    """

    def __init__(self, send: Callable[[int, bytes], bool], limits: Limits, counters: Counter[str]) -> None:
        self._send = send
        self._limits = limits
        self._counters = counters
        self._channels: dict[str, int] = {}
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self.established = False
        """Both the reliable and the lossy channel are open."""
        self.on_established: Callable[[], None] | None = None

    def channel_opened(self, label: str, channel: int) -> None:
        self._channels[label] = channel
        if not self.established and RELIABLE in self._channels and LOSSY in self._channels:
            self.established = True
            if self.on_established is not None:
                self.on_established()

    def send(self, label: str, message: bytes) -> None:
        """Send or queue one packet; dropped when the channel is not open yet."""
        channel = self._channels.get(label)
        if channel is None:
            self._counters["data_dropped_not_open"] += 1
        elif label == LOSSY:
            if not self._send(channel, message):
                self._counters["data_dropped_lossy_full"] += 1
        elif self._backlog or not self._send(channel, message):
            self._wait(message)

    def _wait(self, message: bytes) -> None:
        if self._backlog_bytes + len(message) > self._limits.data_backlog_bytes:
            if not self._counters["data_dropped_receiver_slow"]:
                _logger.warning("a receiver of reliable data is too slow: packets for it are dropped")
            self._counters["data_dropped_receiver_slow"] += 1
            return
        self._backlog.append(message)
        self._backlog_bytes += len(message)

    def writable(self, channel: int) -> None:
        """The channel has room again."""
        if channel != self._channels.get(RELIABLE):
            return
        while self._backlog and self._send(channel, self._backlog[0]):
            self._backlog_bytes -= len(self._backlog.popleft())

    def close(self) -> None:
        self._channels.clear()
        self._backlog.clear()
        self._backlog_bytes = 0
        self.on_established = None

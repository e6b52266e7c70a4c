"""Reliable packets that the server may not have yet (sans-IO)."""

from __future__ import annotations

from collections import deque

TRIM_EVERY_BYTES = 65_536


class ReplayBuffer:
    """Keeps what was handed to the reliable channel until the channel's unacknowledged bytes show that it
    arrived. Its size is bounded by the channel's own buffer (4 MiB) plus `TRIM_EVERY_BYTES`."""

    def __init__(self) -> None:
        self._packets: deque[tuple[int, bytes]] = deque()
        self.size_bytes = 0
        self._since_trim_bytes = 0

    def __len__(self) -> int:
        return len(self._packets)

    def add(self, sequence: int, packet: bytes) -> bool:
        """Keep one packet. True when it is time to `trim`."""
        self._packets.append((sequence, packet))
        self.size_bytes += len(packet)
        self._since_trim_bytes += len(packet)
        return self._since_trim_bytes >= TRIM_EVERY_BYTES

    def trim(self, unacknowledged_bytes: int) -> None:
        """Forget what is acknowledged, given how many bytes of the newest are not."""
        self._since_trim_bytes = 0
        while self._packets and self.size_bytes - len(self._packets[0][1]) >= unacknowledged_bytes:
            self.size_bytes -= len(self._packets.popleft()[1])

    def after(self, sequence: int) -> list[bytes]:
        """Those newer than `sequence`, oldest first."""
        return [packet for number, packet in self._packets if number > sequence]

    def take(self) -> list[bytes]:
        """All, oldest first; nothing is kept."""
        packets = [packet for _, packet in self._packets]
        self._packets.clear()
        self.size_bytes = self._since_trim_bytes = 0
        return packets

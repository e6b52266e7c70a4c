"""Requests that the server may not have got (sans-IO). Pings tell: what was sent before a ping that is answered has
arrived."""

from __future__ import annotations

from collections import deque
from typing import Any

REPEATABLE = frozenset(
    {
        *("mute", "subscription", "track_setting", "subscription_permission", "update_layers"),
        *("update_audio_track", "update_video_track"),
    }
)
"""Nobody answers these, and to hear them twice changes nothing."""
_MOST_KEPT = 4096
"""Of the newest: pings come every few seconds."""


class Unconfirmed:
    """What is to be said again after a resume."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, str, Any]] = deque(maxlen=_MOST_KEPT)
        self._sent = 0
        self._ping = (0, 0)

    def sent(self, kind: str, message: Any) -> None:
        """A request was handed to the connection."""
        if kind in REPEATABLE:
            self._sent += 1
            self._kept.append((self._sent, kind, message))

    def ping(self, timestamp: int) -> None:
        """A ping was handed to the connection."""
        self._ping = (timestamp, self._sent)

    def pong(self, timestamp: int) -> None:
        """The answer to the ping with this timestamp. Only that to the latest ping counts."""
        asked, last = self._ping
        if timestamp == asked:
            while self._kept and self._kept[0][0] <= last:
                self._kept.popleft()

    def take(self) -> list[tuple[str, Any]]:
        """All, oldest first; nothing is kept."""
        requests = [(kind, message) for _, kind, message in self._kept]
        self._kept.clear()
        return requests

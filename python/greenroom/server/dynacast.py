"""Dynacast: which quality of one video track is watched at most. Its publisher is told, and pauses what nobody watches.

A rise is told at once, a fall only after a delay, for to come back costs a key frame; a track that nobody has subscribed to
falls NOBODY_S after its publication. Nothing is told while the publisher is muted. The times are livekit-server's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

from livekit.protocol import models

NOBODY = -1
"""The quality that is watched when nobody watches."""
NOBODY_S = 10.0
_QUALITIES = (models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH)


class Dynacast:
    """`tell` is called with the highest quality that is watched, or NOBODY."""

    def __init__(self, tell: Callable[[int], None], *, pause_delay_s: float) -> None:
        self._tell = tell
        self._pause_delay_s = pause_delay_s
        self._watching: dict[Hashable, int] = {}
        self._counts = [0] * len(_QUALITIES)
        self._told: int | None = None
        self._muted = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """The track is published."""
        if self._told is None:
            self._tell_after(NOBODY_S)

    def watch(self, subscriber: Hashable, quality: int) -> None:
        """A subscriber watches at most this quality from now on; NOBODY when it watches no longer."""
        before = self._watching.pop(subscriber, NOBODY)
        if before != NOBODY:
            self._counts[before] -= 1
        if quality != NOBODY:
            self._watching[subscriber] = quality
            self._counts[quality] += 1
        self._follow()

    def _watched(self) -> int:
        return next((quality for quality in reversed(_QUALITIES) if self._counts[quality]), NOBODY)

    def _follow(self) -> None:
        watched = self._watched()
        if watched > (NOBODY if self._told is None else self._told):
            self._tell_now()
        elif self._told is not None and watched < self._told:
            self._tell_after(self._pause_delay_s)

    def _tell_after(self, delay_s: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._tell_now)

    def _tell_now(self) -> None:
        self.stop()
        self._told = self._watched()
        if not self._muted:
            self._tell(self._told)

    def set_muted(self, muted: bool) -> None:
        """The publisher muted, or unmuted and is told what may have changed meanwhile."""
        self._muted = muted
        self.repeat()

    def repeat(self) -> None:
        """The publisher may have missed what it was told."""
        if self._told is not None and not self._muted:
            self._tell(self._told)

    def stop(self) -> None:
        """Nothing is told later. Harmless twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

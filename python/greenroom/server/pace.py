"""How fast one connection may speak: a token bucket without a clock of its own."""

from __future__ import annotations


class Pace:
    """`burst` messages at once, then `rate_per_s` of them."""

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._credit = float(burst)
        self._last_s: float | None = None

    def delay_s(self, now_s: float) -> float:
        """Take one message into account; how long the next one has to wait."""
        if self._last_s is not None:
            earned = (now_s - self._last_s) * self._rate_per_s
            self._credit = min(float(self._burst), self._credit + earned)
        self._last_s = now_s
        self._credit -= 1.0
        return max(0.0, -self._credit / self._rate_per_s)

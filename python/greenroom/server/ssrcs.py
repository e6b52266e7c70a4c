"""The SSRCs that one connection sends with: random, and none twice (RFC 3550 section 8.1)."""

from __future__ import annotations

import secrets


class Ssrcs:
    def __init__(self) -> None:
        self._used: set[int] = set()

    def take(self) -> int:
        """A new one, never 0."""
        while True:
            ssrc = secrets.randbelow(0xFFFF_FFFF) + 1
            if ssrc not in self._used:
                self._used.add(ssrc)
                return ssrc

    def free(self, *ssrcs: int | None) -> None:
        """These may come again; None is skipped."""
        self._used.difference_update(ssrc for ssrc in ssrcs if ssrc is not None)

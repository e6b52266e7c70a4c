"""Data that overtakes the news of its sender, which comes over another connection.

Handing such data over at once would give it no sender; it is kept, in order, for the moment that the news may be late.
livekit-server announces a participant that publishes no tracks up to 3 s late, too long to sit on data: what it sends
before that comes without a sender, as with every client.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from .waiting import StartTimer, Timer, start_timer

HOLD_S = 0.1
"""A sender still unknown then is delivered without a name, and not waited for again."""
MAX_HELD_BYTES = 1024 * 1024
"""Of all unknown senders together. What comes beyond it releases everything held, in order."""
_MAX_DEPARTED = 256

Deliver = Callable[[], None]


@dataclass
class _Held:
    timer: Timer
    size: int = 0
    deliveries: list[Deliver] = field(default_factory=list)


class EarlyData:
    """Holds deliveries by the identity of a sender that is not known yet."""

    def __init__(self, start_timer: StartTimer = start_timer) -> None:
        self._start_timer = start_timer
        self._held: dict[str, _Held] = {}
        self._bytes = 0
        self._departed: deque[str] = deque(maxlen=_MAX_DEPARTED)

    def hold(self, identity: str, sid: str, size: int, deliver: Deliver) -> bool:
        """Keep `deliver` until the sender arrives. False when it has left already: then nothing is to be waited for."""
        if sid in self._departed:
            return False
        if self._bytes + size > MAX_HELD_BYTES:
            for waiting in list(self._held):
                self.release(waiting)
            return False
        held = self._held.get(identity)
        if held is None:
            timer = self._start_timer(HOLD_S, partial(self._give_up, identity, sid))
            held = self._held[identity] = _Held(timer)
        held.deliveries.append(deliver)
        held.size += size
        self._bytes += size
        return True

    def release(self, identity: str) -> None:
        """The sender is known now, or has been waited for long enough: deliver what it sent, in order."""
        held = self._held.pop(identity, None)
        if held is None:
            return
        held.timer.cancel()
        self._bytes -= held.size
        for deliver in held.deliveries:
            deliver()

    def _give_up(self, identity: str, sid: str) -> None:
        self._departed.append(sid)
        self.release(identity)

    def departed(self, sid: str) -> None:
        """A participant left: data of it that is still under way is not held."""
        self._departed.append(sid)

    def close(self) -> None:
        """Forget what is held."""
        for held in self._held.values():
            held.timer.cancel()
        self._held.clear()
        self._bytes = 0

"""How fast one participant may send reliable data: as fast as those that it sends to take it.

What a receiver has not taken waits in the server, and whatever is urgent waits behind it. So the sender is held (its receive
window closed) while everybody to whom it sends much is behind with what it sent. While one of them keeps up it goes on, at
that one's pace, and only those behind have to wait, for their own; a message or a call now and then makes nobody count.
A receiver that takes next to nothing holds nobody. What waits for one receiver is bounded by its `DataSender`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .data_sender import DataSender

BEHIND_BYTES = 128 * 1024
"""A receiver for which more waits, beside what its channel holds, is behind; it has caught up when half has gone."""
WINDOW_BYTES = 1024 * 1024
"""What a sender is offered that was not held of late."""
LEAST_WINDOW_BYTES = 32 * 1024
"""Half of the last window, but no less, is offered after a hold; it doubles when it was filled four times without another."""
CHECK_INTERVAL_S = 5.0
STALLED_BYTES = 128 * 1024
"""A receiver that takes less of what waits for it from one check to the next holds nobody, until it takes more."""
_SHARE = 8
"""Who gets less than this part of what the one that gets most does, gets little."""
_RECENT_BYTES = 512 * 1024
"""What was sent before the last so many bytes counts half, and so on."""
_RELEASED_AT_ONCE = (128, 64 * 1024)
"""Messages, bytes."""


class Intake(Protocol):
    """Where a sender's messages come in: its SfuTransport."""

    def release(self, messages: int, bytes: int) -> None: ...
    def limit_receive_window(self, bytes: int) -> None: ...


@dataclass
class _Lag:
    """One receiver, as this sender sees it."""

    waiting: int = 0
    allowed: int = BEHIND_BYTES
    """More makes it fall behind. What it was sent while others kept up is not held against it."""
    behind: bool = False
    recent: int = 0
    """Bytes that it was sent, the older the less."""
    taken: int = 0
    """Since the last check."""
    checked: bool = False
    stalled: bool = False


class SenderFlow:
    """The reliable data of one sender."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._handled_messages = self._handled_bytes = 0
        self._lags: dict[DataSender, _Lag] = {}
        """Empty while nothing waits for anybody."""
        self.held = False
        self._window = WINDOW_BYTES
        self._filled = 0
        """Of the window, since it was opened or changed."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def engaged(self) -> bool:
        """Something waits: `passed` has to hear of everything."""
        return bool(self._lags)

    def handled(self, size: int) -> None:
        """A message of the sender was passed on, or dropped: it leaves room for another."""
        self._handled_messages += 1
        self._handled_bytes += size
        if self._handled_messages >= _RELEASED_AT_ONCE[0] or self._handled_bytes >= _RELEASED_AT_ONCE[1]:
            self._intake.release(self._handled_messages, self._handled_bytes)
            self._handled_messages = self._handled_bytes = 0
        if self._window < WINDOW_BYTES and not self.held:
            self._filled += size
            if self._filled >= 4 * self._window:
                self._open_window(min(2 * self._window, WINDOW_BYTES))

    def passed(self, receiver: DataSender, size: int) -> None:
        """A message went on to a receiver at once."""
        self._sent(self._lags.setdefault(receiver, _Lag()), size)

    def waits(self, receiver: DataSender, size: int) -> None:
        """A message waits for a receiver."""
        lag = self._lags.setdefault(receiver, _Lag())
        self._sent(lag, size)
        lag.waiting += size
        if not lag.behind and lag.waiting > lag.allowed:
            lag.behind = True
            self._decide()
        elif lag.behind and not self.held:
            lag.allowed = max(lag.allowed, lag.waiting)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CHECK_INTERVAL_S, self._check)

    def taken(self, receiver: DataSender, size: int) -> None:
        """A message that waited went on."""
        lag = self._lags.get(receiver)
        if lag is None:
            return
        lag.waiting -= size
        lag.taken += size
        caught_up = lag.waiting + BEHIND_BYTES // 2
        if lag.behind and caught_up <= lag.allowed:
            lag.behind = False
            self._decide()
        if not lag.behind:
            lag.allowed = max(BEHIND_BYTES, min(lag.allowed, caught_up))
            self._rest()

    def forget(self, receiver: DataSender) -> None:
        """The receiver is gone."""
        if self._lags.pop(receiver, None) is not None:
            self._decide()
            self._rest()

    def close(self) -> None:
        """The sender is gone; what waits still goes on."""
        self._lags.clear()
        self._rest()

    def _sent(self, lag: _Lag, size: int) -> None:
        lag.recent += size
        if lag.recent > _RECENT_BYTES:
            for other in self._lags.values():
                other.recent //= 2
            self._decide()

    def _decide(self) -> None:
        most = max((lag.recent for lag in self._lags.values()), default=0)
        counting = [lag for lag in self._lags.values() if lag.recent * _SHARE >= most and not lag.stalled]
        held = bool(counting) and all(lag.behind for lag in counting)
        if held and not self.held:
            self.held = True
            self._intake.limit_receive_window(0)
        elif self.held and not held:
            self.held = False
            self._open_window(max(self._window // 2, LEAST_WINDOW_BYTES))

    def _open_window(self, size: int) -> None:
        self._window, self._filled = size, 0
        self._intake.limit_receive_window(size)

    def _rest(self) -> None:
        """Nothing to watch when nothing waits."""
        if not any(lag.waiting for lag in self._lags.values()):
            self._lags.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _check(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(CHECK_INTERVAL_S, self._check)
        for lag in self._lags.values():
            lag.stalled = lag.checked and lag.behind and lag.taken < STALLED_BYTES
            lag.taken, lag.checked = 0, True
        self._decide()

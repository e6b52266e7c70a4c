"""Media that overtakes the news of its track, which comes over another connection.

It is kept until the server tells of the track. News that are late are told as a failure, once; should they come after all,
the track is subscribed all the same, for as long as its section lasts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from greenroom import _engine

from .waiting import StartTimer, Timer, start_timer

_logger = logging.getLogger("livekit")

WAIT_S = 5.0
"""As long as LiveKit's Rust core waits."""
MAX_HELD = 1024
"""Tracks; what comes beyond fails at once and is not kept."""

OnFailed = Callable[[str, str, str], None]
"""Called with the participant's SID, the track's, and the error's text."""


@dataclass
class _Held:
    receiver: _engine.Receiver
    timer: Timer | None
    """None once its failure was told."""


class Unannounced:
    """By track SID. While `is_deaf()` no news can come, and the wait begins anew."""

    def __init__(
        self, on_failed: OnFailed, *, is_deaf: Callable[[], bool], start_timer: StartTimer = start_timer
    ) -> None:
        self._on_failed = on_failed
        self._is_deaf = is_deaf
        self._start_timer = start_timer
        self._held: dict[str, _Held] = {}

    def hold(self, participant_sid: str, track_sid: str, receiver: _engine.Receiver) -> None:
        """Keep it for the news of its track, which was not told of yet."""
        held = self._held.get(track_sid)
        if held is not None:
            held.receiver = receiver
        elif len(self._held) >= MAX_HELD:
            reason = f"it is one of more than {MAX_HELD} tracks that the server sends without telling of them"
            self._fail(
                participant_sid, track_sid, f"{reason}; it is not taken, and has to be published again"
            )
        else:
            self._held[track_sid] = _Held(receiver, self._timer(participant_sid, track_sid))

    def take(self, track_sid: str) -> _engine.Receiver | None:
        """What came of this track before its news."""
        held = self._held.pop(track_sid, None)
        return None if held is None else _release(held)

    def stopped(self, track_sid: str, receiver: _engine.Receiver) -> None:
        """The server sends the track no longer on this receiver."""
        held = self._held.get(track_sid)
        if held is not None and held.receiver is receiver:
            _release(self._held.pop(track_sid))

    def clear(self) -> None:
        """Forget everything; nobody is told."""
        for held in self._held.values():
            _release(held)
        self._held.clear()

    def _timer(self, participant_sid: str, track_sid: str) -> Timer:
        return self._start_timer(WAIT_S, partial(self._overdue, participant_sid, track_sid))

    def _overdue(self, participant_sid: str, track_sid: str) -> None:
        held = self._held[track_sid]
        if self._is_deaf():
            held.timer = self._timer(participant_sid, track_sid)
            return
        held.timer = None
        reason = f"the server sends it, and has not told of it for {WAIT_S:g} s"
        self._fail(
            participant_sid,
            track_sid,
            f"{reason}; it is subscribed if that still comes, else it has to be published again",
        )

    def _fail(self, participant_sid: str, track_sid: str, reason: str) -> None:
        error = f"could not find published track with sid: {track_sid}: {reason}"
        _logger.warning("track of participant %s: %s", participant_sid or "(none)", error)
        self._on_failed(participant_sid, track_sid, error)


def _release(held: _Held) -> _engine.Receiver:
    if held.timer is not None:
        held.timer.cancel()
    return held.receiver

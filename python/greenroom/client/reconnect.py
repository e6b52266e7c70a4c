"""When and how to reconnect: decisions only, as tables over small states. Nothing here waits or sends.

A *resume* keeps the session: a new signal connection, and ICE restarted on both peer connections. A *restart*
joins anew: new SIDs, new peer connections, tracks published again. The first attempt that fails makes all later
ones restarts.
"""

from __future__ import annotations

import enum
import random as _random
from collections.abc import Callable
from dataclasses import dataclass

from livekit.protocol import models
from livekit.protocol import rtc as proto

ATTEMPTS = 10
FIRST_BACKOFF_S = 0.3
LONGEST_BACKOFF_S = 7.0
DEAD_MEDIA_GRACE_S = 0.5
"""A server that ends a session closes media too: its leave may be on the way, and says what to do."""

random_unit: Callable[[], float] = _random.random
"""In [0, 1). Tests replace it."""

_Reason = models.DisconnectReason


class Mode(enum.Enum):
    RESUME = "resume"
    RESTART = "restart"


class Phase(enum.Enum):
    """Of one episode, from the loss to `reconnected` or the end."""

    WAITING = "waiting"
    """Before an attempt."""
    TRYING = "trying"


class Trigger(enum.Enum):
    SIGNAL_LOST = "the signal connection was lost"
    MEDIA_SILENT = "nothing comes over a media connection any more"
    MEDIA_DEAD = "a media connection can't go on"
    LEAVE_RESUME = "the server asks to resume"
    LEAVE_RECONNECT = "the server asks for a new session"
    FORCED = "a restart was asked for"


class Reaction(enum.Enum):
    """What a trigger does to an episode that runs already."""

    IGNORE = "ignore"
    HURRY = "the next attempt begins now"
    ABORT = "this attempt has failed"


@dataclass(frozen=True)
class _Rule:
    mode: Mode
    first_delay_s: float
    reason: int
    """Of the `disconnected` event, should every attempt fail."""
    when_waiting: Reaction
    when_trying: Reaction


_RULES: dict[Trigger, _Rule] = {
    Trigger.SIGNAL_LOST: _Rule(Mode.RESUME, 0.0, _Reason.SIGNAL_CLOSE, Reaction.HURRY, Reaction.ABORT),
    Trigger.MEDIA_SILENT: _Rule(Mode.RESUME, 0.0, _Reason.MEDIA_FAILURE, Reaction.IGNORE, Reaction.IGNORE),
    Trigger.MEDIA_DEAD: _Rule(
        Mode.RESTART, DEAD_MEDIA_GRACE_S, _Reason.MEDIA_FAILURE, Reaction.IGNORE, Reaction.ABORT
    ),
    Trigger.LEAVE_RESUME: _Rule(Mode.RESUME, 0.0, _Reason.SIGNAL_CLOSE, Reaction.HURRY, Reaction.ABORT),
    Trigger.LEAVE_RECONNECT: _Rule(Mode.RESTART, 0.0, _Reason.SIGNAL_CLOSE, Reaction.HURRY, Reaction.ABORT),
    Trigger.FORCED: _Rule(Mode.RESTART, 0.0, _Reason.SIGNAL_CLOSE, Reaction.HURRY, Reaction.ABORT),
}


class LeaveAction(enum.Enum):
    END = "end"
    RESUME = "resume"
    RESTART = "restart"


_LEAVE_ACTIONS = {
    proto.LeaveRequest.Action.RESUME: LeaveAction.RESUME,
    proto.LeaveRequest.Action.RECONNECT: LeaveAction.RESTART,
}
LEAVE_TRIGGERS = {LeaveAction.RESUME: Trigger.LEAVE_RESUME, LeaveAction.RESTART: Trigger.LEAVE_RECONNECT}


def leave_action(leave: proto.LeaveRequest) -> LeaveAction:
    """What a leave asks for: the action decides, not the reason. Old servers only set `can_reconnect`."""
    if leave.action == proto.LeaveRequest.Action.DISCONNECT and leave.can_reconnect:
        return LeaveAction.RESTART
    return _LEAVE_ACTIONS.get(leave.action, LeaveAction.END)


def reason_name(reason: int) -> str:
    """For messages; a reason that this client does not know is shown as its number."""
    known = _Reason.DESCRIPTOR.values_by_number.get(reason)
    return str(reason) if known is None else str(known.name)


def backoff_s(failed_attempts: int) -> float:
    """The pause after the nth failed attempt: anything up to a limit that doubles, so that the clients of a
    server that comes back do not all come at once."""
    limit = FIRST_BACKOFF_S * 2.0 ** min(failed_attempts - 1, 16)
    return random_unit() * min(LONGEST_BACKOFF_S, limit)


@dataclass(frozen=True)
class Attempt:
    number: int
    """From 1."""
    mode: Mode
    delay_s: float
    """To wait before it."""


class Episode:
    """One loss, until the session is whole again or given up. Ask `next_attempt`, wait its delay, say `begin`,
    try, and say `failed` if it did. `trigger` says what news mean meanwhile."""

    def __init__(self, trigger: Trigger) -> None:
        rule = _RULES[trigger]
        self.phase = Phase.WAITING
        self.mode = rule.mode
        self.reason = rule.reason
        """Of the `disconnected` event, should every attempt fail."""
        self.on_purpose = trigger is Trigger.FORCED
        """Nothing was wrong: what is on its way can still arrive."""
        self.failures = 0
        self._first_delay_s = rule.first_delay_s
        self._hurried = False

    def trigger(self, trigger: Trigger) -> Reaction:
        rule = _RULES[trigger]
        reaction = rule.when_trying if self.phase is Phase.TRYING else rule.when_waiting
        if rule.mode is Mode.RESTART:
            self.mode = Mode.RESTART
        if reaction is not Reaction.IGNORE:
            # The attempt that this ends, or the pause, is not followed by another pause when the server asks.
            self._hurried = trigger is not Trigger.SIGNAL_LOST
        return reaction

    def next_attempt(self) -> Attempt | None:
        """None when the limit is reached."""
        self.phase = Phase.WAITING
        if self.failures >= ATTEMPTS:
            return None
        hurried, self._hurried = self._hurried, False
        if hurried:
            delay_s = 0.0
        elif self.failures:
            delay_s = backoff_s(self.failures)
        else:
            delay_s = self._first_delay_s
        return Attempt(self.failures + 1, self.mode, delay_s)

    def begin(self) -> Mode:
        """The delay has passed. The mode may have become another meanwhile."""
        self.phase = Phase.TRYING
        return self.mode

    def failed(self, reason: int | None = None) -> None:
        """The attempt failed; `reason` when it says more than the trigger."""
        self.failures += 1
        self.mode = Mode.RESTART
        if reason is not None:
            self.reason = reason

"""When to send the next offer: one outstanding at a time, wishes folded together (sans-IO).

States: IDLE → WAITING for an answer → RETRY when something changed meanwhile → IDLE with a new wish.
The caller asks `delay_s` after each wish and, when the time has come, makes the offer and says so with
`offered`.
"""

from __future__ import annotations

from enum import Enum

QUIET_S = 0.150
"""Wishes closer together than this are folded into one offer."""
SHORT_DELAY_S = 0.010


class NegotiationState(Enum):
    IDLE = "idle"
    WAITING = "waiting"
    RETRY = "retry"


class Negotiation:
    """The offerer's side. Times are seconds on any steady clock."""

    def __init__(self, first_id: int) -> None:
        self.state = NegotiationState.IDLE
        self.offer_id = first_id - 1
        self.scheduled = False
        self._last_wish_s: float | None = None

    def wish(self, now_s: float, *, at_once: bool = False) -> float | None:
        """Something has to be negotiated.

        The delay until the offer, or None when nothing is to be scheduled.
        """
        if self.state is not NegotiationState.IDLE:
            self.state = NegotiationState.RETRY
            return None
        if self.scheduled and not at_once:
            return None
        quiet = self._last_wish_s is None or now_s - self._last_wish_s > QUIET_S
        self._last_wish_s = now_s
        self.scheduled = True
        return 0.0 if at_once else SHORT_DELAY_S if quiet else QUIET_S

    def offered(self) -> int:
        """The offer goes out now; its id."""
        self.scheduled = False
        self.state = NegotiationState.WAITING
        self.offer_id += 1
        return self.offer_id

    def answered(self, answer_id: int) -> bool | None:
        """An answer came.

        None: it answers no outstanding offer and has to be dropped; else whether to offer again.
        """
        if self.state is NegotiationState.IDLE or answer_id not in (0, self.offer_id):
            return None
        again = self.state is NegotiationState.RETRY
        self.state = NegotiationState.IDLE
        return again

    def reset(self) -> None:
        """Forget the outstanding offer: its answer was lost, or is of no use any more."""
        self.state = NegotiationState.IDLE
        self.scheduled = False

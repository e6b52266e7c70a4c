"""Failures to order: what each kind of `Room.simulate_scenario` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livekit.protocol import rtc as proto

from .reconnect import Trigger

if TYPE_CHECKING:
    from .session import Session


@dataclass(frozen=True)
class Scenario:
    """`request`: fields of the `simulate` message to send, if any; `then`: what happens on this side."""

    request: dict[str, Any] | None = None
    then: Callable[[Session], None] | None = None


def _lose_signal(session: Session) -> None:
    session.reconnector.trigger(Trigger.SIGNAL_LOST, "simulated")


def _restart(session: Session) -> None:
    session.reconnector.trigger(Trigger.FORCED, "simulated")


_SPEAKING_S = 3

SCENARIOS: dict[int, Scenario] = {
    0: Scenario(then=_lose_signal),
    1: Scenario({"speaker_update": _SPEAKING_S}),
    2: Scenario({"node_failure": True}),
    3: Scenario({"server_leave": True}),
    4: Scenario({"migration": True}),
    5: Scenario({"switch_candidate_protocol": proto.CandidateProtocol.TCP}, _restart),
    6: Scenario({"switch_candidate_protocol": proto.CandidateProtocol.TLS}, _restart),
    7: Scenario(then=_restart),
    8: Scenario({"disconnect_signal_on_resume": True}, _lose_signal),
}
"""By the numbers of `SimulateScenarioKind`."""


def simulate(session: Session, kind: int) -> None:
    """Ask for a failure. ValueError for an unknown kind."""
    scenario = SCENARIOS.get(kind)
    if scenario is None:
        raise ValueError(f"there is no scenario {kind!r}; see SimulateScenarioKind")
    if scenario.request is not None:
        session.send("simulate", proto.SimulateScenario(**scenario.request))
    if scenario.then is not None:
        scenario.then(session)

"""Simulated machines, and the links that join them to the network."""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .network import Network

Direction = Literal["up", "down", "both"]
"""As the host sees it: up is what it sends, down what it receives."""

current: contextvars.ContextVar[Host | None] = contextvars.ContextVar("greenroom_host", default=None)
"""The host that the running code is on."""


@dataclass(frozen=True)
class Link:
    """What one direction of a host's link does to what crosses it. Probabilities are 0 to 1.

    Datagrams suffer all of it. Streams (signalling) lose nothing: a loss makes them wait for the repetition, as TCP
    does.
    """

    delay_s: float = 0.005
    """How long everything takes."""
    jitter_s: float = 0.0
    """How much longer some take, at most; the order stays."""
    loss: float = 0.0
    """Probability that a datagram is lost."""
    duplicate: float = 0.0
    """Probability that a datagram arrives twice."""
    reorder: float = 0.0
    """Probability that a datagram comes 25 ms late, and others overtake it."""
    blackhole: bool = False
    """Nothing passes."""
    bitrate_bps: int = 0
    """What passes at most; more waits. 0: any amount. Streams don't count, and don't wait."""
    queue_s: float = 0.3
    """How long the queue before a limited link may be; a datagram that finds no room is lost."""


class Host:
    """One machine of a simulation: `with host:` makes what is begun inside run on it.

    Rooms keep the host that they were connected on.
    """

    def __init__(self, network: Network, name: str, address: str) -> None:
        self._network = network
        self.name = name
        self.address = address
        """Its IPv4 address."""
        self.up = Link()
        """What happens to what it sends. Change it by `set_link`."""
        self.down = Link()
        """What happens to what it receives."""
        self._entered: list[contextvars.Token[Host | None]] = []

    def __repr__(self) -> str:
        return f"Host({self.name!r}, {self.address}, up={self.up}, down={self.down})"

    def __enter__(self) -> Host:
        self._entered.append(current.set(self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        current.reset(self._entered.pop())

    def set_link(self, direction: Direction = "both", **faults: Any) -> None:
        """Change fields of `Link` from now on. What is on its way already is not touched."""
        for name in ("up", "down") if direction == "both" else (direction,):
            setattr(self, name, replace(getattr(self, name), **faults))
        self._network.link_changed(self)

    def heal(self) -> None:
        """A good line again, both ways."""
        self.up = self.down = Link()
        self._network.link_changed(self)

    async def blackhole(self, duration_s: float, direction: Direction = "both") -> None:
        """Nothing passes for a while: returns when that is over."""
        self.set_link(direction, blackhole=True)
        try:
            await asyncio.sleep(duration_s)
        finally:
            self.set_link(direction, blackhole=False)

    def rebind(self) -> None:
        """Its address translation forgets everything: datagrams come from other ports from now on, and those sent
        to the former ones are lost. Streams live on."""
        self._network.rebind(self)

    def cut_streams(self) -> None:
        """All its streams (signalling, HTTP) are reset, at both ends, at once."""
        self._network.cut_streams(self)

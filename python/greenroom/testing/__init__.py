"""Whole rooms in virtual time: clients, server and network in one process and one thread, without a socket, and the
same again for the same seed.

    @greenroom.testing.simulated(seed=7)
    async def test_the_bot_answers(simulation: greenroom.testing.Simulation) -> None:
        async with simulation.server() as server:
            simulation.host("user").set_link(loss=0.05, delay_s=0.04)
            with simulation.host("user"):
                await room.connect(server.url, server.token("lobby", "user"))
            ...

`docs/testing.md` is the guide.
"""

from __future__ import annotations

from .host import Direction, Host, Link
from .loop import DeadlockError, SimulationTimeoutError, StalledError
from .simulation import LeakError, Simulation, simulated

__all__ = [
    "DeadlockError",
    "Direction",
    "Host",
    "LeakError",
    "Link",
    "Simulation",
    "SimulationTimeoutError",
    "StalledError",
    "simulated",
]

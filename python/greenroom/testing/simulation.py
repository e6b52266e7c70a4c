"""The simulation as a test sees it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from greenroom import _engine

from .host import Host
from .loop import VirtualLoop
from .network import Network
from .randomness import seeded
from .server import SimulatedServer

_T = TypeVar("_T")


_END_S = 60.0
"""How long what is left at the end may take to be cancelled, in virtual time."""


class LeakError(AssertionError):
    """Something of the simulation was left when its main function had returned."""


class Simulation:
    """One world: hosts, their links, and a clock that moves only when everybody waits.

        def test_bot() -> None:
            async def main() -> None: ...
            Simulation(seed=7).run(main)

    The same seed gives the same run. `keep_trace`: remember every event for `trace()`. `time_limit_s`: of virtual
    time; more raises SimulationTimeoutError. Unless `check_leaks` is False, tasks, streams and engine objects that
    are left at the end raise LeakError.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        keep_trace: bool = False,
        time_limit_s: float = 3600.0,
        check_leaks: bool = True,
    ) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        """For what a test decides at random: seeded, and used by nothing else."""
        self._check_leaks = check_leaks
        self._time_limit_s = time_limit_s
        self._simulator = _engine.Simulator(seed=seed, keep_trace=keep_trace)
        self._network = Network(self._simulator, random.Random(f"streams {seed}"))
        self._loop: VirtualLoop | None = None

    def __repr__(self) -> str:
        return f"Simulation(seed={self.seed}, now_s={self.now_s:.3f})"

    # ---- the world ----

    @property
    def now_s(self) -> float:
        """Virtual seconds since the beginning."""
        return self._simulator.now_ns() / 1e9

    def host(self, name: str) -> Host:
        """The machine of this name, made when first asked for, with a good line."""
        return self._network.host(name)

    def server(self, *, host: str = "server", **settings: Any) -> SimulatedServer:
        """A server on a host of its own: `async with simulation.server() as server`. Settings are those of
        `greenroom.Server`."""
        return SimulatedServer(self._network, self.host(host), settings)

    def cut_streams(self) -> None:
        """Every signal connection of the world is reset."""
        for host in {id(s.host): s.host for s in self._network.streams}.values():
            host.cut_streams()

    # ---- what happened ----

    def record(self, text: str) -> None:
        """Add something to the trace."""
        self._simulator.record(text)

    def trace(self) -> list[str]:
        """What happened since the last call, a line each with its time: needs `keep_trace`. At most 100,000."""
        return self._simulator.take_trace()

    def trace_hash(self) -> str:
        """Of everything that happened: two runs with this in common were the same."""
        value, events = self._simulator.trace_hash()
        return f"{value:016x}-{events}"

    def counts(self) -> dict[str, int]:
        """What there is now: `endpoints` and `sockets` of the engine, `datagrams` under way, `tick_callbacks` of
        audio sources, `streams` (their ends), `listeners`."""
        counts = dict(self._simulator.counts())
        counts["streams"] = len(self._network.streams)
        counts["listeners"] = len(self._network.listeners)
        if self._loop is not None:
            counts["event_ports"] = self._loop.open_event_ports
        return counts

    # ---- running ----

    def run(self, main: Callable[..., Awaitable[_T]]) -> _T:
        """Run `main` to its end, in virtual time; what it returns. It may take the simulation as argument. Once only."""
        if self._loop is not None:
            raise RuntimeError("a simulation runs once: make another")
        loop = self._loop = VirtualLoop(self._simulator, self._network, self._time_limit_s)
        work = main(self) if inspect.signature(main).parameters else main()
        with seeded(self.seed):
            try:
                result = loop.run_until_complete(_awaited(work))
                if self._check_leaks:
                    loop.run_until_complete(self._check())
                return result
            finally:
                try:
                    _cancel_all(loop)
                    loop.run_until_complete(loop.shutdown_asyncgens())
                finally:
                    loop.close()
                    self._simulator.close()

    async def _check(self) -> None:
        # What was closed last may still be on its way.
        for _ in range(20):
            await asyncio.sleep(0.1)
            left = self._left()
            if not left:
                return
        raise LeakError("left at the end of the simulation: " + "; ".join(left))

    def _left(self) -> list[str]:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        left = [f"task {task.get_name()} ({task.get_coro()})" for task in tasks]
        wanted = ("endpoints", "sockets", "tick_callbacks", "streams", "listeners", "event_ports")
        counts = self.counts()
        return left + [f"{counts[name]} {name}" for name in wanted if counts[name]]


async def _awaited(work: Awaitable[_T]) -> _T:
    return await work


def _cancel_all(loop: VirtualLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    loop.allow_s(2 * _END_S)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=_END_S))


def simulated(**settings: Any) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """Make an async test run in a simulation of its own; `settings` are those of `Simulation`. Its first argument is
    the simulation; others (fixtures, parameters) stay as they are."""

    def decorate(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        @functools.wraps(test)
        def wrapper(*args: Any, **kwargs: Any) -> None:
            simulation = Simulation(**settings)
            simulation.run(lambda: test(simulation, *args, **kwargs))

        signature = inspect.signature(test)
        wrapper.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=list(signature.parameters.values())[1:]
        )
        del wrapper.__wrapped__
        return wrapper

    return decorate

"""An asyncio event loop on the simulator's clock: waiting takes no time, and nothing comes from outside."""

from __future__ import annotations

import asyncio
import math
import socket
import weakref
from collections.abc import Callable
from typing import Any, NoReturn

from greenroom import _engine
from greenroom.signalling.event_port import LoopEventPort

from .host import Host
from .network import Listener, Network

_MAX_STEPS_AT_ONCE = 1_000_000
"""Turns of the loop at one instant; more is somebody who waits by spinning."""


class DeadlockError(RuntimeError):
    """Everything waits, and nothing is left that could end it."""


class SimulationTimeoutError(TimeoutError):
    """More virtual time passed than the simulation was given."""


class StalledError(RuntimeError):
    """A million turns of the loop, and time stood still: something waits by asking again and again."""


class _Selector:
    """In place of the one that waits for descriptors: lets the simulated world go on."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout_s: float | None) -> list[Any]:
        self._loop.advance(timeout_s)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """`time()` is virtual. Executors run at once, in this thread; connections go to simulated hosts only."""

    def __init__(self, simulator: _engine.Simulator, network: Network, time_limit_s: float) -> None:
        super().__init__()
        self._simulator = simulator
        self._network = network
        network.loop = self
        self._limit_ns = math.ceil(time_limit_s * 1e9)
        self._clock_resolution = 1e-9
        # What asyncio's own loops set too; the type stubs don't show it.
        self._selector = _Selector(self)
        self._readers: dict[int, asyncio.Handle] = {}
        self._event_ports: dict[Host, LoopEventPort] = {}
        self._reached: weakref.WeakKeyDictionary[socket.socket, tuple[Host, Listener]] = (
            weakref.WeakKeyDictionary()
        )
        self._steps_at_once = 0

    # ---- time ----

    def time(self) -> float:
        return self._simulator.now_ns() / 1e9

    def allow_s(self, seconds: float) -> None:
        """Move the limit: so much virtual time from now."""
        self._limit_ns = self._simulator.now_ns() + math.ceil(seconds * 1e9)

    def advance(self, timeout_s: float | None) -> None:
        """Let the world go on for so long at most, or until it has something to tell."""
        before_ns = self._simulator.now_ns()
        limit_ns = self._limit_ns
        if timeout_s is not None:
            limit_ns = min(limit_ns, before_ns + math.ceil(timeout_s * 1e9))
        alive = self._simulator.run(
            limit_ns if timeout_s is not None or self._simulator.counts()["endpoints"] else None
        )
        now_ns = self._simulator.now_ns()
        self._steps_at_once = self._steps_at_once + 1 if now_ns == before_ns else 0
        if self._steps_at_once > _MAX_STEPS_AT_ONCE:
            raise StalledError("time stands still: something waits without sleeping")
        if now_ns >= self._limit_ns:
            raise SimulationTimeoutError(
                f"more than {self._limit_ns / 1e9:g} s of virtual time; {_waiting(self)}"
            )
        if not alive:
            raise DeadlockError(f"everything waits, and nothing can happen any more; {_waiting(self)}")
        self._ready.extend(  # type: ignore[attr-defined]
            handle for handle in self._readers.values() if not handle.cancelled()
        )

    def _process_events(self, event_list: list[Any]) -> None:
        """The selector has none."""

    def _write_to_self(self) -> None:
        """Nothing to wake: this loop never waits."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    # ---- the engine ----

    def engine_event_port(self) -> LoopEventPort:
        """The event port of the host that the running code is on."""
        host = self._network.here()
        port = self._event_ports.get(host)
        if port is None or port.closed:
            with host:
                engine_port = _engine.EventPort(simulator=self._simulator, address=host.address)
                port = self._event_ports[host] = LoopEventPort(self, engine_port)
        return port

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        # Only event ports: the callbacks run in the context of their host.
        self._readers[fd] = asyncio.Handle(callback, args, self, None)

    def remove_reader(self, fd: Any) -> bool:
        handle = self._readers.pop(fd, None)
        if handle is None:
            return False
        handle.cancel()
        return True

    @property
    def open_event_ports(self) -> int:
        return len(self._readers)

    # ---- connections ----

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        address = (self._network.resolve(name), int(port or 0))
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)]

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        # Libraries make the socket themselves; it never touches the network, and is closed unused.
        self._reached[sock] = await self._network.reach((address[0], address[1]))

    async def create_connection(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: Any = None,
        sock: socket.socket | None = None,
        **_: Any,
    ) -> tuple[Any, Any]:
        if ssl is not None and ssl is not False:
            raise NotImplementedError("simulated streams have no TLS: use ws:// and http://")
        if sock is not None:
            reached = self._reached.pop(sock)
            sock.close()
        else:
            reached = await self._network.reach((self._network.resolve(host), port or 0))
        return self._network.join(*reached, protocol_factory)

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: Any = None,
        port: int | None = None,
        *,
        ssl: Any = None,
        **_: Any,
    ) -> Listener:
        if ssl is not None:
            raise NotImplementedError("simulated streams have no TLS")
        return self._network.listen(protocol_factory, host, port)

    async def create_datagram_endpoint(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("a simulation has no datagrams but the engine's")


def _waiting(loop: asyncio.AbstractEventLoop) -> str:
    tasks = sorted(str(task.get_coro()) for task in asyncio.all_tasks(loop))
    return f"{len(tasks)} tasks wait: " + "; ".join(tasks[:20])

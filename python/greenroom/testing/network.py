"""Hosts by name and address, who listens where, and the streams between them. Datagrams are the engine's."""

from __future__ import annotations

import asyncio
import errno
import itertools
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenroom import _engine

from .host import Host, current
from .streams import Address, StreamTransport

if TYPE_CHECKING:
    from .loop import VirtualLoop

_REPETITION_S = 0.2
"""How long a stream waits for what was lost."""
_FIRST_PORT = 30_000
_WILDCARDS = (None, "", "0.0.0.0", "::")

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class Listener(asyncio.AbstractServer):
    """A port that is listened on."""

    def __init__(self, network: Network, host: Host, address: Address, factory: ProtocolFactory) -> None:
        self._network = network
        self.host = host
        self.address = address
        self.factory = factory

    @property
    def sockets(self) -> tuple[Listener, ...]:
        return (self,)

    def getsockname(self) -> Address:
        return self.address

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._network.loop

    def is_serving(self) -> bool:
        return self._network.listeners.get(self.address) is self

    async def start_serving(self) -> None:
        """It does already."""

    async def serve_forever(self) -> None:
        await asyncio.Event().wait()

    def close(self) -> None:
        if self.is_serving():
            del self._network.listeners[self.address]

    async def wait_closed(self) -> None:
        """Nothing to wait for."""


class Network:
    """All hosts of one simulation."""

    loop: VirtualLoop

    def __init__(self, simulator: _engine.Simulator, randomness: random.Random) -> None:
        self._simulator = simulator
        self._random = randomness
        self._by_name: dict[str, Host] = {}
        self._by_address: dict[str, Host] = {}
        self._ports = itertools.count(_FIRST_PORT)
        self.listeners: dict[Address, Listener] = {}
        self.streams: list[StreamTransport] = []
        """The ends of open streams, oldest first."""

    # ---- hosts ----

    def host(self, name: str) -> Host:
        """The host of this name, made when first asked for."""
        host = self._by_name.get(name)
        return (
            host
            if host is not None
            else self._add(name, f"10.0.{len(self._by_name) // 250}.{len(self._by_name) % 250 + 1}")
        )

    def at(self, address: str) -> Host:
        """The host with this address; any address will do."""
        host = self._by_address.get(address)
        return host if host is not None else self._add(address, address)

    def here(self) -> Host:
        """The host that the running code is on."""
        return current.get() or self.host("client")

    def resolve(self, name: str | None) -> str:
        """The address of a host by its name, or an address as it is."""
        if name in _WILDCARDS or name is None:
            return self.here().address
        host = self._by_name.get(name)
        if host is not None:
            return host.address
        if name == "localhost":
            return "127.0.0.1"
        if not name.replace(".", "").isdigit():
            raise OSError(errno.EHOSTUNREACH, f"no host of this simulation is called {name!r}")
        return name

    def _add(self, name: str, address: str) -> Host:
        host = self._by_name[name] = self._by_address[address] = Host(self, name, address)
        self.link_changed(host)
        return host

    def link_changed(self, host: Host) -> None:
        for up, link in ((True, host.up), (False, host.down)):
            self._simulator.set_link(
                host.address,
                up=up,
                delay_s=link.delay_s,
                jitter_s=link.jitter_s,
                loss=link.loss,
                duplicate=link.duplicate,
                reorder=link.reorder,
                blackhole=link.blackhole,
                bitrate_bps=link.bitrate_bps,
                queue_s=link.queue_s,
            )
        self._simulator.record(f"{host.name}: {host.up} {host.down}")

    def rebind(self, host: Host) -> None:
        self._simulator.record(f"{host.name}: rebind")
        self._simulator.rebind(host.address)

    # ---- streams ----

    def is_blocked(self, source: Host, destination: Host) -> bool:
        return source.up.blackhole or destination.down.blackhole

    def stream_latency_s(self, source: Host, destination: Host) -> float:
        latency_s = 0.0
        for link in (source.up, destination.down):
            latency_s += link.delay_s + link.jitter_s * self._random.random()
            if self._random.random() < link.loss:
                latency_s += _REPETITION_S
        return latency_s

    def listen(self, factory: ProtocolFactory, name: str | None, port: int | None) -> Listener:
        address = (self.resolve(name), port or next(self._ports))
        if address in self.listeners:
            raise OSError(errno.EADDRINUSE, f"{address} is listened on already in this simulation")
        listener = self.listeners[address] = Listener(self, self.at(address[0]), address, factory)
        return listener

    async def reach(self, address: Address) -> tuple[Host, Listener]:
        """Who listens there, after the time that asking takes. ConnectionRefusedError when nobody does."""
        source, destination = self.here(), self.at(self.resolve(address[0]))
        retry_s = _REPETITION_S
        while self.is_blocked(source, destination) or self.is_blocked(destination, source):
            await asyncio.sleep(retry_s)
            retry_s *= 2
        await asyncio.sleep(
            self.stream_latency_s(source, destination) + self.stream_latency_s(destination, source)
        )
        listener = self.listeners.get((destination.address, address[1]))
        if listener is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens on {address[0]}:{address[1]}")
        return source, listener

    def join(self, source: Host, listener: Listener, factory: ProtocolFactory) -> tuple[Any, Any]:
        """A new stream; its near end and protocol."""
        own = (source.address, next(self._ports))
        near = StreamTransport(self, source, own, listener.address)
        far = StreamTransport(self, listener.host, listener.address, own)
        near.peer, far.peer = far, near
        self.streams += [near, far]
        self._simulator.record(f"stream {own} > {listener.address}")
        far.begin(listener.factory())
        near.begin(factory())
        return near, near.get_protocol()

    def stream_ended(self, stream: StreamTransport) -> None:
        self.streams.remove(stream)

    def cut_streams(self, host: Host) -> None:
        self._simulator.record(f"{host.name}: streams cut")
        for stream in [stream for stream in self.streams if host in (stream.host, stream.peer.host)]:
            stream.forget_sent()
            error = ConnectionResetError(errno.ECONNRESET, "the simulated connection was cut")
            self.loop.call_soon(stream.drop, error)

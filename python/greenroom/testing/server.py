"""A server on a simulated host, that can die and come back."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from greenroom.server import Server

from .host import Host
from .network import Network

PORT = 7880


class SimulatedServer:
    """`greenroom.Server` on a host of its own, always at the same address and with the same keys."""

    def __init__(self, network: Network, host: Host, settings: dict[str, Any]) -> None:
        self._network = network
        self.host = host
        self._settings = {"api_key": "devkey", "api_secret": "simulated-secret-of-32-characters", **settings}
        self.server = self._make()
        """The one that runs now."""

    def __repr__(self) -> str:
        return f"SimulatedServer(url={self.url}, host={self.host.name!r})"

    def _make(self) -> Server:
        return Server(host=self.host.address, port=PORT, udp_port=PORT + 2, tcp_port=None, **self._settings)

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"ws://{self.host.address}:{PORT}"

    def token(self, room: str, identity: str, **grants: Any) -> str:
        """As `greenroom.Server.token`."""
        return self.server.token(room, identity, **grants)

    async def start(self) -> None:
        with self.host:
            await self.server.start()

    async def stop(self) -> None:
        """Say goodbye to everybody and end."""
        await self.server.stop()

    async def kill(self) -> None:
        """End without a word: clients find out by themselves."""
        up, down = self.host.up.blackhole, self.host.down.blackhole
        self.host.set_link(blackhole=True)
        self.host.cut_streams()
        await self.server.stop()
        self.host.set_link("up", blackhole=up)
        self.host.set_link("down", blackhole=down)

    async def restart(self, *, down_s: float = 1.0, graceful: bool = False) -> None:
        """Die (or stop, if `graceful`), stay away for so long, and come back with the same keys, knowing nobody."""
        await (self.stop() if graceful else self.kill())
        await asyncio.sleep(down_s)
        self.server = self._make()
        await self.start()

    async def __aenter__(self) -> SimulatedServer:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

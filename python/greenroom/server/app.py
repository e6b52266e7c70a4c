"""The server as a whole: started and stopped by `Server`, kept running by `run`."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aiohttp import web
from livekit.protocol import models

from . import ids, tokens
from .addresses import WILDCARDS, media_addresses
from .config import ServerConfig
from .http import HttpApp
from .media_connection import MediaPlane, Port
from .rooms import Rooms

if TYPE_CHECKING:
    from greenroom import _engine

_logger = logging.getLogger("greenroom.server")

CLOSE_LIMIT_S = 0.7

SfuFactory = Callable[[ServerConfig], "tuple[_engine.Sfu, Port]"]


class Server:
    """A LiveKit-compatible room server inside this process.

        async with greenroom.Server() as server:
            await room.connect(server.url, server.token("lobby", "anna"))

    Port 0 takes any free one, so that several servers fit in a process. Without keys a pair is made up.
    All settings of `ServerConfig` can be given by name. OSError when a port can't be bound.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        api_secret: str | None = None,
        config: ServerConfig | None = None,
        **settings: Any,
    ) -> None:
        if "keys" in settings and (api_key or api_secret):
            raise TypeError("give either keys or api_key and api_secret, not both")
        if config is None:
            keys = {api_key or ids.api_key(): api_secret or ids.api_secret()}
            config = ServerConfig(**{"keys": keys, "host": host, "port": port, **settings})
        elif settings or api_key or api_secret:
            raise TypeError("give either config or single settings, not both")
        self.config = config
        self.api_key, self.api_secret = next(iter(config.keys.items()))
        self.counters: Counter[str] = Counter()
        """What was refused or dropped, by kind, since the start."""
        self._sfu_factory: SfuFactory = _engine_sfu
        self._sfu: _engine.Sfu | None = None
        self._port_binding: Port | None = None
        self._rooms: Rooms | None = None
        self._http: HttpApp | None = None
        self._runner: web.AppRunner | None = None
        self._port = config.port

    # ---- where it is ----

    @property
    def port(self) -> int:
        """Of HTTP and signalling; the one chosen, once started."""
        return self._port

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"ws://{self._address()}"

    @property
    def http_url(self) -> str:
        return f"http://{self._address()}"

    def _address(self) -> str:
        host = "127.0.0.1" if self.config.host in WILDCARDS else self.config.host
        return f"[{host}]:{self._port}" if ":" in host else f"{host}:{self._port}"

    @property
    def udp_port(self) -> int:
        """Of media; 0 before the start."""
        return self._sfu.udp_port if self._sfu is not None else self.config.udp_port

    @property
    def tcp_port(self) -> int | None:
        """Of media over TCP; None when it is off."""
        return self._sfu.tcp_port if self._sfu is not None else self.config.tcp_port

    @property
    def rooms(self) -> Rooms:
        """The open rooms. RuntimeError before the start."""
        if self._rooms is None:
            raise RuntimeError("the server is not running: use `async with Server()` or await start()")
        return self._rooms

    def token(self, room: str, identity: str, **grants: Any) -> str:
        """A token to join `room` as `identity`, valid for six hours (`life_s`).

        `grants`: video grants (`can_publish=False`, `hidden=True`…) and `name`, `kind`, `metadata`,
        `attributes`, `room_config`. TypeError for an unknown one.
        """
        return tokens.mint(self.api_key, self.api_secret, room, identity, **grants)

    # ---- life ----

    async def start(self) -> None:
        """Bind every port and begin to serve."""
        if self._runner is not None:
            raise RuntimeError("the server is running already")
        self._sfu, self._port_binding = self._sfu_factory(self.config)
        # The loop's port lives as long as something is registered with it: this keeps it while no
        # client is there.
        self._port_binding.register(-id(self), _ignore_event)
        plane = MediaPlane(
            self._sfu,
            self._port_binding,
            self.counters,
            self.config.limits.pending_candidates,
            force_tcp=self.config.force_tcp,
        )
        self._rooms = Rooms(self.config, plane, self.counters)
        self._http = HttpApp(self._rooms)
        self._runner = web.AppRunner(
            self._http.application, handle_signals=False, access_log=None, shutdown_timeout=0.1
        )
        try:
            await self._runner.setup()
            site = web.TCPSite(self._runner, self.config.host or None, self.config.port)
            await site.start()
        except OSError as error:
            await self.stop()
            reason = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error)
            where = f"{self.config.host}:{self.config.port}"
            raise OSError(error.errno, f"HTTP can't listen on {where}: {reason}") from error
        except BaseException:
            await self.stop()
            raise
        self._port = int(self._runner.addresses[0][1])
        _logger.info("serving on %s, media on UDP port %d", self.url, self._sfu.udp_port)

    async def stop(self) -> None:
        """Say goodbye to everybody and free everything, in less than a second. Harmless twice."""
        if self._rooms is not None:
            self._rooms.close(models.DisconnectReason.SERVER_SHUTDOWN)
        if self._http is not None and self._http.sessions:
            await asyncio.wait(self._http.sessions, timeout=CLOSE_LIMIT_S)
        if self._http is not None:
            await self._http.close_agents()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._port_binding is not None:
            self._port_binding.unregister(-id(self))
            self._port_binding = None
        if self._sfu is not None:
            self._sfu.close()
            self._sfu = None
        self._http = None

    @property
    def sessions_open(self) -> int:
        """Signal connections that are up."""
        return len(self._http.sessions) if self._http is not None else 0

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()


async def run(
    config: ServerConfig,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[Server], None] | None = None,
) -> None:
    """Serve until `stop` is set; `on_ready` is called with the server when it accepts connections."""
    async with Server(config=config) as server:
        if on_ready is not None:
            on_ready(server)
        await stop.wait()


def _ignore_event(kind: int, payload: Any) -> None:
    """The server itself has no events."""


def _engine_sfu(config: ServerConfig) -> tuple[_engine.Sfu, Port]:
    from greenroom import _engine
    from greenroom.signalling.event_port import LoopEventPort

    binding = LoopEventPort.of(asyncio.get_running_loop())
    try:
        sfu = _engine.Sfu(
            binding.port,
            bind_addresses=media_addresses(config.host, config.media_addresses),
            udp_port=config.udp_port,
            tcp_port=config.tcp_port,
            advertised_addresses=config.advertised_addresses,
        )
    except _engine.EngineError as error:
        binding.release()
        raise OSError(str(error)) from error
    return sfu, binding

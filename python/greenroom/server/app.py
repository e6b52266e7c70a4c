"""The server as a whole: started and stopped by `Server`, kept running by `run`."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aiohttp import web
from livekit.protocol import models

from . import ids, tokens
from .addresses import media_addresses, shown_host
from .config import ServerConfig
from .drain import Drain
from .http import HttpApp
from .media_connection import MediaPlane, Port
from .metrics import Metrics, metrics_application
from .room_log import RoomLog
from .rooms import Rooms
from .webhooks import Webhooks

if TYPE_CHECKING:
    from greenroom import _engine

_logger = logging.getLogger("greenroom.server")

CLOSE_LIMIT_S = 0.7
WEBHOOK_LIMIT_S = 0.2
"""What the end of a server may wait for its last events to be posted."""
MAX_REQUEST_LINE_BYTES = 1 << 20
"""A `join_request` in the URL may hold an offer."""

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
            key = ids.api_key() if api_key is None else api_key
            keys = {key: ids.api_secret() if api_secret is None else api_secret}
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
        self._metrics_runner: web.AppRunner | None = None
        self._webhooks: Webhooks | None = None
        self._drain: Drain | None = None
        self._port = config.port
        self._metrics_port = config.prometheus.port

    def __repr__(self) -> str:
        """Without keys."""
        running = self._rooms is not None and self._runner is not None
        rooms = f"rooms={len(self.rooms.all())}" if running else "not running"
        return f"greenroom.Server(url={self.url}, {rooms})"

    # ---- where it is ----

    @property
    def port(self) -> int:
        """Of HTTP and signalling; the one chosen, once started."""
        return self._port

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"{'wss' if self.config.tls else 'ws'}://{self._address()}"

    @property
    def http_url(self) -> str:
        return f"{'https' if self.config.tls else 'http'}://{self._address()}"

    def _address(self) -> str:
        return f"{shown_host(self.config.host)}:{self._port}"

    @property
    def udp_port(self) -> int:
        """Of media; 0 before the start."""
        return self._sfu.udp_port if self._sfu is not None else self.config.udp_port

    @property
    def tcp_port(self) -> int | None:
        """Of media over TCP; None when it is off."""
        return self._sfu.tcp_port if self._sfu is not None else self.config.tcp_port

    @property
    def metrics_port(self) -> int | None:
        """Of Prometheus metrics; None when they are off."""
        return self._metrics_port

    @property
    def rooms(self) -> Rooms:
        """The open rooms. RuntimeError before the start."""
        if self._rooms is None:
            raise RuntimeError("the server is not running: use `async with Server()` or await start()")
        return self._rooms

    def token(self, room: str, identity: str, **grants: Any) -> str:
        """A token to join `room` as `identity`, valid for six hours (`life_s`).

        `grants`: video grants (`can_publish=False`, `hidden=True`…) and `name`, `kind`, `metadata`,
        `attributes`, `room_config`. TypeError for an unknown one, and for a room or an identity that is no string;
        ValueError for a `kind` other than standard, ingress, egress, sip, agent, connector and bridge.
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
        self._rooms = rooms = Rooms(self.config, plane, self.counters)
        metrics = Metrics(rooms, self._sfu.stats)
        self._drain = Drain(rooms)
        for listener in (RoomLog(), metrics.tallies, self._drain):
            rooms.listeners.add(listener)
        if self.config.webhooks.urls:
            secret = self.config.keys[self.config.webhooks.api_key]
            self._webhooks = Webhooks(self.config.webhooks, secret, self.counters)
            rooms.listeners.add(self._webhooks)
        self._http = HttpApp(rooms, metrics.tallies)
        self._runner = web.AppRunner(
            self._http.application,
            handle_signals=False,
            access_log=None,
            shutdown_timeout=0.1,
            keepalive_timeout=self.config.limits.http_idle_s,
            max_line_size=MAX_REQUEST_LINE_BYTES,
            max_field_size=self.config.limits.token_bytes + 1024,
        )
        try:
            tls = tls_context(self.config)
            self._port = await self._listen(self._runner, "HTTP", self.config.port, tls)
            if self.config.prometheus.port is not None:
                self._metrics_runner = web.AppRunner(
                    metrics_application(metrics, self.config.prometheus),
                    handle_signals=False,
                    access_log=None,
                    shutdown_timeout=0.1,
                )
                port = self.config.prometheus.port
                self._metrics_port = await self._listen(self._metrics_runner, "metrics", port, None)
        except BaseException:
            await self.stop()
            raise
        for warning in self.config.without_effect():
            _logger.warning("%s", warning)
        _logger.info("serving on %s, media on UDP port %d", self.url, self._sfu.udp_port)

    async def _listen(self, runner: web.AppRunner, what: str, port: int, tls: ssl.SSLContext | None) -> int:
        """The port that was bound. OSError that names what can't listen where."""
        await runner.setup()
        try:
            await web.TCPSite(runner, self.config.host or None, port, ssl_context=tls).start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error)
            where = f"{self.config.host}:{port}"
            raise OSError(error.errno, f"{what} can't listen on {where}: {reason}") from error
        return int(runner.addresses[0][1])

    async def drain(self, limit_s: float) -> bool:
        """Go out of service: joins are refused and `/` answers 406, while those inside may finish.

        Returns when the last participant has left, or False after `limit_s`; `stop` is still to be called.
        """
        if self._drain is None:
            raise RuntimeError("the server is not running: nothing is there to be drained")
        return await self._drain.run(limit_s)

    async def stop(self) -> None:
        """Say goodbye to everybody and free everything, in less than a second. Harmless twice."""
        if self._rooms is not None:
            self._rooms.draining = True  # who comes while goodbye is said would be forgotten
            self._rooms.close(models.DisconnectReason.SERVER_SHUTDOWN)
        if self._http is not None and self._http.sessions:
            await asyncio.wait(self._http.sessions, timeout=CLOSE_LIMIT_S)
        if self._http is not None:
            await self._http.close_agents()
        for runner in (self._runner, self._metrics_runner):
            if runner is not None:
                await runner.cleanup()
        self._runner = self._metrics_runner = None
        if self._webhooks is not None:
            await self._webhooks.close(WEBHOOK_LIMIT_S)
            self._webhooks = None
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


def tls_context(config: ServerConfig) -> ssl.SSLContext | None:
    """For HTTPS; None without. OSError or ssl.SSLError that names the files when they can't be used."""
    if config.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls.cert_file, config.tls.key_file)
    except (OSError, ssl.SSLError) as error:
        files = f"certificate {config.tls.cert_file} and key {config.tls.key_file}"
        raise OSError(error.errno, f"TLS can't use {files}: {error.strerror or error}") from error
    return context


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
            shards=config.media_shards,
        )
    except _engine.EngineError as error:
        binding.release()
        raise OSError(str(error)) from error
    return sfu, binding

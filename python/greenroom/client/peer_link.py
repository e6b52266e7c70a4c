"""One engine peer connection as negotiation uses it: its transport description, candidates, channels and
events."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from livekit.protocol import rtc as proto

from greenroom import _engine
from greenroom.signalling.client_description import LocalTransport, RemoteTransport
from greenroom.signalling.event_port import LoopEventPort
from greenroom.signalling.media_parameters import PayloadType
from greenroom.signalling.sdp import MediaKind

from .ice_servers import IceServer, look_up
from .network import Network

_logger = logging.getLogger("livekit")

DATA_TRACK = "_data_track"
"""Label of the channel that carries packets of data tracks."""
_MAX_CANDIDATES = 256
"""Of the server; further ones are skipped with a warning."""


class PeerLink:
    """Owns the engine's peer. `on_message(label, data)` and `on_failed(why)` are called on the loop.

    `network` None: no candidates yet, `gather` follows.
    """

    def __init__(
        self,
        name: str,
        *,
        controlling: bool,
        payload_types: Sequence[PayloadType],
        extensions: dict[MediaKind, Any],
        network: Network | None,
        on_message: Callable[[str, bytes], None],
        on_failed: Callable[[str], None],
        on_ice_state: Callable[[str], None] = lambda state: None,
        on_addresses: Callable[[frozenset[str]], None] = lambda addresses: None,
    ) -> None:
        self.name = name
        self._on_message = on_message
        self._on_failed = on_failed
        self._on_ice_state = on_ice_state
        self._on_addresses = on_addresses
        loop = asyncio.get_running_loop()
        self._port = LoopEventPort.of(loop)
        self.peer = _engine.Peer(
            self._port.port,
            controlling=controlling,
            payload_types=payload_types,
            header_extensions_audio=extensions[MediaKind.AUDIO],
            header_extensions_video=extensions[MediaKind.VIDEO],
        )
        self._port.register(self.peer.handle, self._on_event)
        # From the start: packets of data tracks never come as messages.
        self.peer.receive_data_tracks(DATA_TRACK, {})
        self.connected: asyncio.Future[None] = loop.create_future()
        """Resolved once; an exception when the connection fails before."""
        self.connected.add_done_callback(_consume)
        self.ice_state = "new"
        self.closed = False
        self._labels: dict[int, str] = {}
        self._open: set[int] = set()
        self._channel_waiters: dict[int, list[asyncio.Future[None]]] = {}
        self._early_candidates: list[str] = []
        self._added_candidates: set[str] = set()
        self._told_of_candidates = False
        self._remote: RemoteTransport | None = None
        self._restarting = False
        """ICE has new credentials, ours or the server's, and is not up with them yet."""
        self._restart_offered = False
        """We began the restart, and the server's half is missing."""
        self._why_failed = ""
        self.was_silent = False
        """When it ended, nothing had come for a while."""
        self._up_waiters: list[asyncio.Future[None]] = []
        self._on_candidate: Callable[[str, str], None] = lambda name, candidate: None
        self._candidates: tuple[str, ...] = ()
        self._servers: set[IceServer] = set()
        self._lookups: set[asyncio.Task[None]] = set()
        self._failed_lookups: dict[str, str] = {}
        if network is not None:
            try:
                self.gather(network)
            except BaseException:
                self.close()
                raise

    def gather(self, network: Network) -> None:
        """Bind sockets, now or once the server's candidates are known, and ask the network's servers. EngineError when
        no socket can be bound."""
        self._on_candidate = network.on_candidate
        self._candidates = tuple(
            self.peer.gather(
                include_loopback=network.include_loopback,
                transport_policy=network.transport_policy,
                gather_continually=network.gather_continually,
                share_sockets=network.may_share_sockets,
            )
        )
        self.use_servers(network.servers)

    @property
    def local_transport(self) -> LocalTransport:
        peer = self.peer
        return LocalTransport(peer.ice_ufrag, peer.ice_pwd, peer.fingerprint, self._candidates)

    @property
    def max_message_size(self) -> int | None:
        """What the server takes on a channel (0: no limit); None before it has said so."""
        return None if self._remote is None else self._remote.max_message_size

    @property
    def is_dtls_client(self) -> bool:
        return self._remote is not None and self._remote.dtls_active

    def is_label_open(self, label: str) -> bool:
        """A channel of this label, ours or the server's, is open."""
        return any(self._labels.get(channel) == label for channel in self._open)

    @property
    def alive(self) -> bool:
        """Neither closed nor failed."""
        return not self.closed and not self._why_failed

    @property
    def is_up(self) -> bool:
        """Media flows, also with the credentials of the last ICE restart."""
        return (
            self.alive
            and not self._restarting
            and self.connected.done()
            and self.ice_state not in ("disconnected", "failed", "closed")
        )

    async def up(self) -> None:
        """Return when media flows. ConnectionError when it can't any more."""
        while not self.is_up:
            if not self.alive:
                raise ConnectionError(self._why_failed or f"{self.name} connection is closed")
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._up_waiters.append(future)
            await future

    def use_servers(self, servers: Sequence[IceServer]) -> None:
        """Ask these STUN and TURN servers, too; those that were there the last time are not asked again."""
        last, self._servers = self._servers, set(servers)
        new = [server for server in servers if server not in last]
        if new and not self.closed:
            task = asyncio.ensure_future(self._ask_servers(new))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)

    async def _ask_servers(self, servers: Sequence[IceServer]) -> None:
        async for server in look_up(servers, self._lookup_failed):
            try:
                self.peer.add_ice_server(server)
            except _engine.EngineError as error:
                _logger.warning("%s: the ICE server %s can't be used: %s", self.name, server.url, error)

    def _lookup_failed(self, server: IceServer, reason: str) -> None:
        _logger.info("%s: the ICE server %s can't be used: %s", self.name, server.url, reason)
        self._failed_lookups[server.url] = reason

    def restart_ice(self) -> None:
        """The next offer carries new credentials. Nothing before the server's first description."""
        if self._remote is not None:
            self.peer.restart_ice()
            self._restarting = self._restart_offered = True

    def set_remote(self, remote: RemoteTransport) -> None:
        """The server's half. Only new credentials reach the engine again; new candidates always do.

        New credentials in an offer are a restart of ICE, which the answer takes part in with new ones of ours.
        """
        last, self._remote = self._remote, remote
        if last is None or (last.ice_ufrag, last.ice_pwd) != (remote.ice_ufrag, remote.ice_pwd):
            self._added_candidates.clear()
            self._restarting = last is not None
            self.peer.set_remote(
                ice_ufrag=remote.ice_ufrag,
                ice_pwd=remote.ice_pwd,
                fingerprint=remote.fingerprint,
                dtls_active=remote.dtls_active,
                ice_lite=remote.ice_lite,
                max_message_size=remote.max_message_size,
            )
            if last is not None and not self._restart_offered:
                self.peer.restart_ice()
            self._restart_offered = False
        early, self._early_candidates = self._early_candidates, []
        for candidate in (*remote.candidates, *early):
            self._add_candidate(candidate)

    def add_trickled(self, trickle: proto.TrickleRequest) -> None:
        """One `trickle` message; kept until the server's description has come. Malformed ones are logged."""
        try:
            candidate = json.loads(trickle.candidateInit)["candidate"] if trickle.candidateInit else ""
        except (ValueError, KeyError, TypeError) as error:
            _logger.warning("%s: skipped a malformed trickle message: %s", self.name, error)
            return
        if not isinstance(candidate, str) or not candidate:
            return
        if self._remote is None or self._restart_offered:
            if len(self._early_candidates) < _MAX_CANDIDATES:
                self._early_candidates.append(candidate)
            else:
                self._too_many_candidates()
            return
        self._add_candidate(candidate)

    def _add_candidate(self, candidate: str) -> None:
        # Every later description repeats all candidates, for RTP and RTCP: each is wanted once, for RTP.
        words = candidate.split()
        if candidate in self._added_candidates or words[1:2] == ["2"]:
            return
        if len(self._added_candidates) >= _MAX_CANDIDATES:
            self._too_many_candidates()
            return
        self._added_candidates.add(candidate)
        try:
            self.peer.add_remote_candidate(candidate)
        except _engine.EngineError as error:
            _logger.warning("%s: skipped a candidate: %s", self.name, error)

    def _too_many_candidates(self) -> None:
        if not self._told_of_candidates:
            self._told_of_candidates = True
            _logger.warning(
                "%s: the server has more than %d candidates; the rest is skipped", self.name, _MAX_CANDIDATES
            )

    def open_channel(self, label: str, *, ordered: bool = True, max_retransmits: int | None = None) -> int:
        channel = self.peer.open_channel(label, ordered=ordered, max_retransmits=max_retransmits)
        self._labels[channel] = label
        return channel

    def is_open(self, channel: int) -> bool:
        return channel in self._open

    def channel_changed(self, channel: int) -> asyncio.Future[None]:
        """Resolves when the channel opens, closes or has room again; an exception when the connection
        ends."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_consume)
        if self.closed:
            future.set_exception(ConnectionError(f"{self.name} connection is closed"))
        else:
            self._channel_waiters.setdefault(channel, []).append(future)
        return future

    def candidate_pairs_tried(self) -> tuple[str, ...]:
        return self._tried("candidate_pairs_tried")

    def ice_servers_tried(self) -> tuple[str, ...]:
        """`URL: what came of it`."""
        failed = (f"{url}: {reason}" for url, reason in self._failed_lookups.items())
        return (*self._tried("ice_servers_tried"), *failed)

    def _tried(self, what: str) -> tuple[str, ...]:
        try:
            return tuple(self.peer.stats()["transport"][what])
        except (_engine.EngineError, KeyError):
            return ()

    def close(self) -> None:
        """Free the engine's peer; no event follows. Harmless twice."""
        if self.closed:
            return
        self.closed = True
        for task in self._lookups:
            task.cancel()
        self._port.unregister(self.peer.handle)
        self.peer.close()
        self._end(ConnectionError(f"{self.name} connection is closed"))

    def _end(self, error: Exception) -> None:
        if not self.connected.done():
            self.connected.set_exception(error)
        self._wake_up_waiters()
        for channel in list(self._channel_waiters):
            self._wake(channel, error)

    def _wake_up_waiters(self) -> None:
        waiters, self._up_waiters = self._up_waiters, []
        for future in waiters:
            if not future.done():
                future.set_result(None)

    def _wake(self, channel: int, error: Exception | None = None) -> None:
        for future in self._channel_waiters.pop(channel, ()):
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    def _on_event(self, kind: int, payload: Any) -> None:
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, payload)

    def _connected(self, _: None) -> None:
        if not self.connected.done():
            self.connected.set_result(None)
        if not self._restart_offered:
            self._restarting = False
        self.ice_state = "connected"
        self._wake_up_waiters()

    def _local_candidate(self, candidate: str) -> None:
        self._candidates = (*self._candidates, candidate)
        self._on_candidate(self.name, candidate)

    def _failed(self, why: str) -> None:
        self._why_failed = why
        self._end(ConnectionError(why))
        self._on_failed(why)

    def _ice_state(self, state: str) -> None:
        if state in ("connected", "disconnected"):
            self.was_silent = state == "disconnected"
        self.ice_state = state
        self._wake_up_waiters()
        self._on_ice_state(state)

    def _addresses_changed(self, addresses: str) -> None:
        self._on_addresses(frozenset(addresses.split()))

    def _channel_open(self, payload: tuple[int, str]) -> None:
        channel, label = payload
        self._labels[channel] = label
        self._open.add(channel)
        self._wake(channel)

    def _channel_message(self, payload: tuple[int, bytes]) -> None:
        channel, data = payload
        self._on_message(self._labels.get(channel, ""), data)

    def _channel_closed(self, channel: int) -> None:
        self._open.discard(channel)
        self._wake(channel)

    def _channel_writable(self, channel: int) -> None:
        self._wake(channel)


_HANDLERS: dict[int, Callable[[PeerLink, Any], None]] = {
    _engine.ICE_STATE: PeerLink._ice_state,
    _engine.CONNECTED: PeerLink._connected,
    _engine.LOCAL_CANDIDATE: PeerLink._local_candidate,
    _engine.ADDRESSES_CHANGED: PeerLink._addresses_changed,
    _engine.FAILED: PeerLink._failed,
    _engine.CHANNEL_OPEN: PeerLink._channel_open,
    _engine.CHANNEL_MESSAGE: PeerLink._channel_message,
    _engine.CHANNEL_CLOSED: PeerLink._channel_closed,
    _engine.CHANNEL_WRITABLE: PeerLink._channel_writable,
}


def _consume(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()

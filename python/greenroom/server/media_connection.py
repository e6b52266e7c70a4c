"""The server's end of one peer connection: candidates kept in order, descriptions applied, events
dispatched.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from greenroom import _engine
from greenroom.signalling.sdp import SessionDescription
from greenroom.signalling.server_description import LocalTransport

from .refusal import ProtocolViolation

if TYPE_CHECKING:
    from collections import Counter

    from greenroom.signalling.event_port import EventCallback

_logger = logging.getLogger("greenroom.server")

DATA_TRACK = "_data_track"
"""Label of the channel that carries packets of data tracks, both ways."""
EventHandlers = Mapping[int, Callable[[Any], None]]
"""From event kind to what to do with its payload; other kinds are ignored."""


class Port(Protocol):
    """The loop's event port (greenroom.signalling.event_port.LoopEventPort), as far as the server uses it."""

    def register(self, handle: int, callback: EventCallback) -> None: ...
    def unregister(self, handle: int) -> None: ...


def is_tcp(candidate: str) -> bool:
    """Whether a candidate line is one of ICE over TCP (RFC 6544)."""
    return candidate.split()[2:3] in (["tcp"], ["TCP"])


class MediaPlane:
    """The forwarding unit of one server, and the way its events come back."""

    def __init__(
        self,
        sfu: _engine.Sfu,
        port: Port,
        counters: Counter[str],
        max_candidates: int,
        *,
        force_tcp: bool = False,
    ) -> None:
        self.sfu = sfu
        self.port = port
        self.counters = counters
        self.max_candidates = max_candidates
        self.shard = 0
        self._candidates = [c for c in sfu.candidates if is_tcp(c) or not force_tcp]

    def for_a_room(self) -> MediaPlane:
        """The same for one room: all of its connections live on one of the unit's shards."""
        plane = copy.copy(self)
        plane.shard = self.sfu.place_room()
        return plane

    @property
    def has_tcp(self) -> bool:
        return any(is_tcp(line) for line in self._candidates)

    def candidates(self, ufrag: str, *, tcp_only: bool = False) -> list[str]:
        """The server's candidates as one peer connection's descriptions carry them."""
        return [f"{line} ufrag {ufrag}" for line in self._candidates if is_tcp(line) or not tcp_only]

    def connect(self, *, controlling: bool, handlers: EventHandlers) -> MediaConnection:
        return MediaConnection(self, controlling=controlling, handlers=handlers)


class MediaConnection:
    """One SfuTransport with what negotiation has to remember of it. Closed once, by its owner."""

    def __init__(self, plane: MediaPlane, *, controlling: bool, handlers: EventHandlers) -> None:
        self._plane = plane
        self._handlers = handlers
        self.transport = plane.sfu.create_transport(controlling=controlling, shard=plane.shard)
        self.connected = False
        self.closed = False
        self.tcp_only = False
        """Leave UDP candidates of both sides out, from the next description on."""
        self._credentials = (self.transport.ice_ufrag, self.transport.ice_pwd)
        self._remote: tuple[str, str] | None = None
        self._pending_candidates: list[str] = []
        self._known_candidates: set[str] = set()
        plane.port.register(self.transport.handle, self._on_event)

    def local(self) -> LocalTransport:
        """What to write into the next description."""
        ufrag, pwd = self._credentials
        return LocalTransport(
            ufrag, pwd, self.transport.fingerprint, self._plane.candidates(ufrag, tcp_only=self.tcp_only)
        )

    def restart_ice(self) -> None:
        """The next description carries new credentials. Nothing to restart before the first answer."""
        if self._remote is not None:
            self._credentials = self.transport.restart_ice()

    def set_remote(
        self, description: SessionDescription, *, dtls_active: bool, is_answer: bool = False
    ) -> None:
        """Apply the client's description: the first starts the connection, one with new credentials
        restarts ICE.

        Raises ProtocolViolation when it has no usable transport parameters.
        """
        section = description.transport
        if section is None or not section.ice_ufrag or not section.ice_pwd or not section.fingerprint:
            raise ProtocolViolation("the description has no ICE credentials or no DTLS fingerprint")
        credentials = (section.ice_ufrag, section.ice_pwd)
        if credentials != self._remote:
            if self._remote is not None:
                self._known_candidates.clear()
                if not is_answer:
                    self.restart_ice()  # the answer to a restart has new credentials too
            sizes = [m.max_message_size for m in description.media if m.max_message_size is not None]
            try:
                self.transport.set_remote(
                    ice_ufrag=section.ice_ufrag,
                    ice_pwd=section.ice_pwd,
                    fingerprint=section.fingerprint,
                    dtls_active=dtls_active,
                    ice_lite=description.ice_lite,
                    max_message_size=min(sizes[0], 2**31) if sizes else 65_535,
                )
            except (_engine.EngineError, ValueError) as error:
                raise ProtocolViolation(f"the description was refused: {error}") from error
            self._remote = credentials
        for candidate in (*self._pending_candidates, *description.candidates):
            self._add(candidate)
        self._pending_candidates.clear()

    def add_candidate(self, candidate: str) -> None:
        """A trickled candidate; kept when the client's description has not come yet. Bad ones are counted."""
        if not candidate:
            return  # end of candidates
        if self._remote is not None:
            self._add(candidate)
        elif len(self._pending_candidates) < self._plane.max_candidates:
            self._pending_candidates.append(candidate)
        else:
            self._plane.counters["candidates_dropped"] += 1

    def _add(self, candidate: str) -> None:
        if candidate in self._known_candidates or (self.tcp_only and not is_tcp(candidate)):
            return
        if len(self._known_candidates) >= self._plane.max_candidates:
            self._plane.counters["candidates_dropped"] += 1
            return
        self._known_candidates.add(candidate)
        try:
            self.transport.add_remote_candidate(candidate)
        except (_engine.EngineError, ValueError) as error:
            self._plane.counters["candidates_malformed"] += 1
            _logger.info("candidate %.200r refused: %s", candidate, error)

    def packets_received(self) -> int:
        """Datagrams of any kind so far."""
        return int(self.transport.stats()["packets_received"])

    def channel_opened(self, channel: int, label: str) -> None:
        """A data channel opened: packets of data tracks are the engine's to forward."""
        if label == DATA_TRACK:
            self.transport.set_data_track_channel(channel)

    def send(self, channel: int, message: bytes) -> bool:
        """Queue one message on a data channel; False when the channel is full. A dead channel takes all
        silently.
        """
        try:
            return self.transport.send(channel, message)
        except _engine.EngineError as error:
            self._plane.counters["data_dropped_channel_closed"] += 1
            _logger.debug("data packet of %d bytes dropped: %s", len(message), error)
            return True

    def release(self, messages: int, bytes: int) -> None:
        """So many messages were handled: the client may send as much anew."""
        if not self.closed:
            self.transport.release(messages, bytes)

    def limit_receive_window(self, bytes: int) -> None:
        """Let the client send at most so much ahead from now on."""
        if not self.closed:
            self.transport.limit_receive_window(bytes)

    def _on_event(self, kind: int, payload: Any) -> None:
        if self.closed:
            return
        if kind == _engine.CONNECTED:
            self.connected = True
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(payload)

    def close(self) -> None:
        """Free the transport. Harmless twice."""
        if self.closed:
            return
        self.closed = True
        self.connected = False
        self._plane.port.unregister(self.transport.handle)
        self.transport.close()

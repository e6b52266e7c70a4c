"""One join of a room: connects signalling and media, keeps the state, and ends once, with one reason."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom import _engine
from greenroom.signalling.messages import enum_name
from greenroom.signalling.url import UrlError, signal_url

from . import participants
from .addresses import Addresses
from .connections import Connections, DualConnections, Hooks, SingleConnection, trickle
from .data import DataReceiver, DataSender
from .data_kinds import DataKinds
from .data_track_encryption import DataTrackCipher
from .data_tracks import DataTracks
from .encryption import Encryption
from .errors import (
    ConnectError,
    ConnectTimeoutError,
    InvalidUrlError,
    MediaPathError,
    ServerRefusedError,
    ServerUnreachableError,
    SignalProtocolError,
    TlsError,
)
from .events import EventQueue, Gate
from .ice_servers import IceUrlError, parse_ice_url
from .join_parameters import SINGLE_PATH, join_query, single_join_query
from .media_tracks import MediaTracks
from .network import Network, transport_policy, usable_servers
from .options import SessionOptions
from .peer_link import PeerLink
from .publications import Publications
from .publisher import Publisher
from .reconnect import LEAVE_TRIGGERS, LeaveAction, Trigger, leave_action, reason_name
from .reconnector import Reconnector
from .requests import Requests
from .returning import Returning
from .signal_connection import SignalConnection
from .signals import AT_ONCE, WHEN_CONNECTED
from .state import Facade, ParticipantState, RoomState
from .streams_incoming import IncomingStreams
from .waiting import loop_time, run_within
from .wishes import Wishes

_logger = logging.getLogger("livekit")
_T = TypeVar("_T")

DisconnectReason = models.DisconnectReason

MAX_QUEUED_REQUESTS = 4096
"""Requests made while reconnecting; further ones are dropped with a warning."""
_ALWAYS_SENT = frozenset({"sync_state", "trickle", "offer", "answer", "simulate", "leave"})
"""These belong to one signal connection, and are of no use on a later one."""


class Session:
    """Made for one `connect`; after it has ended, make another.

    `state`, `connections`, `publications`, `requests`, `sender` and `media` exist once connected.
    """

    state: RoomState
    connections: Connections
    publications: Publications
    requests: Requests
    sender: DataSender
    receiver: DataReceiver
    streams: IncomingStreams
    data_kinds: DataKinds
    data_tracks: DataTracks
    media: MediaTracks

    def __init__(self, facade: Facade, options: SessionOptions) -> None:
        self.facade = facade
        self.options = options
        self.token = ""
        """The newest one: the server refreshes it."""
        self.server_version = ""
        self.closed = False
        self.gate = Gate()
        """Keeps room matters back until `connect` has returned."""
        self.sid: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.sid.add_done_callback(_consume)
        self.wishes = Wishes(self)
        self.returning = Returning()
        self.encryption = Encryption(self, options.encryption)
        self.reconnector = Reconnector(self)
        self.restarted: list[Callable[[], None]] = []
        """Called when this session is given up for a new one: whatever waits on it must fail."""
        self.seen: set[str] | None = None
        """While resuming: who was named in an update since."""
        self._events = EventQueue(facade.emit)
        self.addresses = Addresses("")
        self._pings = (0, 0)
        self._transport_policy = "all"
        self._signal: SignalConnection | None = None
        self._prepared: SingleConnection | None = None
        """Its offer is with the server, which has not accepted it yet."""
        self._hooks = Hooks(
            send=self.send,
            on_message=self._on_data,
            on_failed=self._on_media_failed,
            on_ice_state=self._on_ice_state,
            on_started=lambda sid, receiver: self.gate.pass_through(self.media.started, sid, receiver),
            on_stopped=lambda sid, receiver: self.gate.pass_through(self.media.stopped, sid, receiver),
        )
        self._queued: deque[tuple[str, Any]] = deque()
        self._subscription_permission: proto.SubscriptionPermission | None = None
        self._farewell_task: asyncio.Task[None] | None = None
        self._end_before_connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._end_before_connected.add_done_callback(_consume)
        self._joined_room = False
        """`connect` has succeeded: from here an end is told by an event, not by an error."""

    # ---- joining ----

    async def connect(self, url: str, token: str) -> None:
        """Join. On any error, and when cancelled, everything is freed before this raises."""
        self._check_options()
        deadline = loop_time() + self.options.connect_timeout_s
        self.token, self.addresses = token, Addresses(url, self.options.route)
        try:
            shown = signal_url(url, {})
        except UrlError as error:
            raise InvalidUrlError(str(error)) from error
        try:
            await self._within(deadline, "deriving the key", self.encryption.prepare())
            signal = await self._within(
                deadline, f"opening the signal connection to {shown}", self._open_anywhere()
            )
            kind, message = await self._within(
                deadline, f"waiting for the join of {shown}", signal.receive_first()
            )
            await self._connect_media(deadline, self._joined(kind, message))
        except BaseException:
            await self._free(None)
            raise
        self._joined_room = True
        # After the caller of connect had its turn, so that it can register handlers for what comes next.
        asyncio.get_running_loop().call_soon(self._release)

    def _check_options(self) -> None:
        for url in (url for entry in self.options.ice_servers for url in entry.urls):
            try:
                parse_ice_url(url)
            except IceUrlError as error:
                raise InvalidUrlError(f"RtcConfiguration.ice_servers: {error}") from error

    async def _open_anywhere(self) -> SignalConnection:
        """At the address given or, on LiveKit Cloud, in the first region that works."""
        while True:
            try:
                return await self.open_signal()
            except (ServerUnreachableError, ServerRefusedError, TlsError) as error:
                if not await self.addresses.use_next(self.token):
                    raise
                _logger.warning("%s; trying %s", error, self.addresses.current)

    async def open_signal(self, *, resume: bool = False) -> SignalConnection:
        """Connect with the newest token, for a new join or to resume. ConnectError says why not."""
        sid = self.state.local.sid if resume else ""
        if resume and isinstance(self.connections, SingleConnection):
            return await self._open(single_join_query(self.options, resumed_sid=sid), SINGLE_PATH)
        if not resume and self.options.single_connection:
            self._drop_prepared()
            try:
                self._prepared = SingleConnection(self._hooks)
            except _engine.EngineError as error:
                raise MediaPathError(f"no media connection could be made: {error}") from error
            query = single_join_query(self.options, offer=self._prepared.first_offer)
            try:
                return await self._open(query, SINGLE_PATH)
            except ServerRefusedError as error:
                self._drop_prepared()
                if error.status != 404:
                    raise
        return await self._open(join_query(self.options, resumed_sid=sid), "/rtc")

    async def _open(self, query: dict[str, str], path: str) -> SignalConnection:
        try:
            address = signal_url(self.addresses.current, query, path=path)
        except UrlError as error:  # one that the server named
            raise InvalidUrlError(str(error)) from error
        # Kept at once: a cancellation that comes in the same moment must find it to close it.
        self._signal = signal = await SignalConnection.open(address, self.token, self.options.route)
        return signal

    def _drop_prepared(self) -> None:
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            prepared.close()

    async def _within(self, deadline: float, stage: str, work: Coroutine[Any, Any, _T]) -> _T:
        try:
            return await run_within(work, deadline - loop_time())
        except asyncio.TimeoutError as error:
            if isinstance(error, ConnectError):
                raise
            raise ConnectTimeoutError(
                f"connect did not finish within {self.options.connect_timeout_s:g} s: it was {stage}; "
                "check the network, or raise RoomOptions.connect_timeout"
            ) from error

    def _joined(self, kind: str, message: Any) -> proto.JoinResponse:
        if kind == "leave":
            reason = enum_name(DisconnectReason, message.reason)
            raise SignalProtocolError(f"the server ended the session as it began: {reason}; see its log")
        if kind != "join":
            raise SignalProtocolError(f"the server's first message was {kind!r}, not a join")
        join: proto.JoinResponse = message
        local = ParticipantState(join.participant, is_local=True)
        self.state = RoomState(local=local, room=join.room)
        self.state.by_sid[local.sid] = local
        local.facade = self.facade.make_participant(local)
        self.publications = Publications(self)
        self.requests = Requests(self)
        self.sender = DataSender(self)
        self.receiver = DataReceiver(self)
        self.server_version = join.server_info.version or join.server_version
        self.addresses.moved(join.alternative_url)
        self.encryption.server_trailer = join.sif_trailer
        self.data_kinds = DataKinds(self)
        self.data_tracks = DataTracks(self, DataTrackCipher(self))
        self.media = MediaTracks(self)
        participants.fill(self, list(join.other_participants))
        if join.room.sid:
            self.resolve_sid(join.room.sid)
        return join

    async def _connect_media(self, deadline: float, join: proto.JoinResponse) -> None:
        primary = self.make_media(join)
        self.start_signal()
        self.connections.begin(join)
        try:
            await self._within(
                deadline,
                "waiting for the media path",
                self._first_of(primary.connected, self._end_before_connected),
            )
        except (ConnectTimeoutError, ConnectionError) as error:
            pairs, servers = primary.candidate_pairs_tried(), primary.ice_servers_tried()
            tried = "; ".join(pairs) or "none (no candidate of the server was reachable, or none came)"
            relays = f"STUN and TURN servers: {'; '.join(servers)}; " if servers else ""
            raise MediaPathError(
                f"signalling works but no media path to the server was found ({error}); candidate "
                f"pairs tried: {tried}; {relays}"
                "check that UDP to the server's RTC ports, or TCP to its rtc.tcp_port, is open",
                candidate_pairs=pairs,
                ice_servers=servers,
            ) from error

    def make_media(self, join: proto.JoinResponse) -> PeerLink:
        """New peer connections, as the join says; the primary one. MediaPathError when that can't be."""
        assert self._signal is not None
        self._pings = (join.ping_interval, join.ping_timeout)
        network = self._network(join.ice_servers, join.client_configuration)
        self._transport_policy = network.transport_policy
        prepared, self._prepared = self._prepared, None
        try:
            if prepared is not None:
                self.connections = prepared
                prepared.gather(network)
            else:
                self.connections = DualConnections(self._hooks, join, network)
        except _engine.EngineError as error:
            raise MediaPathError(f"no media connection could be made: {error}") from error
        return self.connections.primary

    def _network(
        self, named: Iterable[proto.ICEServer], configuration: models.ClientConfiguration
    ) -> Network:
        assert self._signal is not None
        servers = usable_servers(self.options.ice_servers, named, self.options.route.ssl_context)
        policy = transport_policy(self.options.transport_policy, configuration)
        if policy == "relay" and not any(server.kind == "turn" for server in servers):
            raise MediaPathError(
                "only relays may be used, and there is no TURN server: RtcConfiguration.ice_servers has none, "
                "and the server named none; give one, or use TRANSPORT_ALL"
            )
        return Network(
            include_loopback=_is_loopback(self._signal.server_address),
            transport_policy=policy,
            gather_continually=self.options.gather_continually,
            servers=servers,
            on_candidate=functools.partial(trickle, self.send),
        )

    def renew_ice_servers(self, reconnect: proto.ReconnectResponse) -> None:
        """The server may name others when a session resumes, or others' credentials. MediaPathError when it wants
        the media to go another way, which takes a new session."""
        network = self._network(reconnect.ice_servers, reconnect.client_configuration)
        if network.transport_policy != self._transport_policy:
            raise MediaPathError("the server wants all media to go through relays from now on")
        for link in self.connections.links:
            link.use_servers(network.servers)

    @property
    def publisher(self) -> Publisher:
        return self.connections.publisher

    async def _first_of(self, *futures: asyncio.Future[None]) -> None:
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        for future in futures:
            if future.done():
                future.result()

    def _release(self) -> None:
        if not self.closed:
            self.emit("connection_state_changed", 1)
            self.emit("connected")
            self.gate.release(lambda error: _logger.error("handling a message failed", exc_info=error))

    # ---- what arrives ----

    def _on_signal(self, kind: str, message: Any) -> None:
        at_once = AT_ONCE.get(kind)
        if at_once is not None:
            at_once(self, message)
            return
        handler = WHEN_CONNECTED.get(kind)
        if handler is not None:
            self.gate.pass_through(handler, self, message)

    def _on_data(self, label: str, data: bytes) -> None:
        self.gate.pass_through(self.receiver.take, label, data)

    def _on_signal_closed(self, why: str) -> None:
        if self._joined_room:
            self.gate.pass_through(self.reconnector.trigger, Trigger.SIGNAL_LOST, why)
            return
        self._end(DisconnectReason.SIGNAL_CLOSE, f"the signal connection was lost: {why}")

    def _on_media_failed(self, which: str, why: str) -> None:
        if self._joined_room:
            self.gate.pass_through(self.reconnector.trigger, Trigger.MEDIA_DEAD, f"{which}: {why}")
            return
        message = f"the {which} connection failed: {why}"
        self._end(DisconnectReason.MEDIA_FAILURE, message, MediaPathError)

    def _on_ice_state(self, which: str, state: str) -> None:
        if self._joined_room and not self.closed:
            if state == "disconnected":
                self.sender.forget_acknowledged()
            self.reconnector.media_state(which, state)

    def ended_by_server(self, leave: proto.LeaveRequest) -> None:
        """A `leave` message: the session is over, or goes on elsewhere."""
        action = leave_action(leave)
        if action is LeaveAction.END or not self._joined_room:
            self._end(leave.reason, f"the server ended the session: {reason_name(leave.reason)}")
            return
        self.addresses.named(region.url for region in leave.regions.regions)
        self.gate.pass_through(self.reconnector.trigger, LEAVE_TRIGGERS[action], "leave")

    # ---- used by reconnecting ----

    @property
    def has_signal(self) -> bool:
        return self._signal is not None and self._signal.is_open

    @property
    def can_resume(self) -> bool:
        """The media connections can go on: a closed one takes a new session."""
        return self.connections.can_resume

    def detach_signal(self) -> SignalConnection | None:
        """Nothing is heard from the signal connection any more; it is the caller's to close. What the server may
        not have got is said again when the session goes on."""
        signal, self._signal = self._signal, None
        if signal is not None:
            signal.mute()
            if not self.closed:
                self._queued.extendleft(reversed(signal.unconfirmed.take()))
        return signal

    def start_signal(self) -> None:
        """Hear what comes over the signal connection, and ping."""
        assert self._signal is not None
        self._signal.start(self._on_signal, self._on_signal_closed)
        self._signal.start_pings(*self._pings)

    def farewell(self, reason: int = DisconnectReason.CLIENT_INITIATED) -> tuple[str, proto.LeaveRequest]:
        action = proto.LeaveRequest.Action.DISCONNECT
        return "leave", proto.LeaveRequest(reason=reason, action=action)  # type: ignore[arg-type]

    def drop_media(self) -> None:
        """This session's connections, and all that waits on them, are over; another session follows."""
        self.sender.session_lost()
        self.publications.lose_senders()
        self.data_tracks.local.fail("the session was restarted before it was")
        self.requests.fail("the session was restarted before the change was made", "restarted")
        self.connections.close("the session was restarted", "restarted")
        self.receiver.start_anew()
        self._queued.clear()
        for fail_pending in list(self.restarted):
            fail_pending()

    def flush_requests(self) -> None:
        """What was asked for while reconnecting goes out, in order."""
        while self._queued and self._signal is not None:
            self._signal.send(*self._queued.popleft())

    def repeat_subscription_permission(self, renamed: dict[str, str]) -> None:
        """In a new session nobody is restricted; track SIDs are others."""
        permission = self._subscription_permission
        if permission is None:
            return
        for entry in permission.track_permissions:
            entry.track_sids[:] = [renamed.get(sid, sid) for sid in entry.track_sids]
        self.send("subscription_permission", permission, urgent=True)

    def tell_state(self, state: int) -> None:
        """Connected (1) or reconnecting (2)."""
        self.facade.state_changed(self, state)
        self.emit("connection_state_changed", state)

    def give_up(self, reason: int) -> None:
        """Reconnecting failed for good."""
        self._end(reason, "reconnecting failed")

    # ---- used by the parts ----

    def emit(self, event: str, *args: Any) -> None:
        self._events.emit(event, *args)

    def send(self, kind: str, message: Any, *, urgent: bool = False) -> None:
        """Queue a signal message. Dropped once the session has ended. While reconnecting it waits, unless
        `urgent` or part of reconnecting itself."""
        if self.closed:
            return
        if kind == "subscription_permission":
            self._subscription_permission = message
        if self.reconnector.active and not urgent and kind not in _ALWAYS_SENT:
            if len(self._queued) < MAX_QUEUED_REQUESTS:
                self._queued.append((kind, message))
            else:
                _logger.warning("%d requests wait for reconnecting: %r is dropped", len(self._queued), kind)
        elif self._signal is not None:
            self._signal.send(kind, message)

    def resolve_sid(self, sid: str) -> None:
        if not self.sid.done():
            self.sid.set_result(sid)

    def set_sid(self, sid: str) -> None:
        """The room may be another one of the same name, after a restart of the server."""
        if self.sid.done() and not self.sid.cancelled() and sid and self.sid.result() != sid:
            self.sid = asyncio.get_running_loop().create_future()
            self.sid.add_done_callback(_consume)
        if sid:
            self.resolve_sid(sid)

    # ---- ending ----

    def _end(self, reason: int, why: str, error: type[ConnectError] = SignalProtocolError) -> None:
        """Ended by the other side: free everything in the background and tell, once."""
        if self.closed:
            return
        if not self._joined_room:
            if not self._end_before_connected.done():
                self._end_before_connected.set_exception(error(f"joining failed half-way: {why}"))
            return
        self._farewell_task = asyncio.ensure_future(self._free(None))
        self._close_parts()
        self._tell_ended(reason)

    async def disconnect(self, reason: int = DisconnectReason.CLIENT_INITIATED) -> None:
        """Leave and free everything; takes well under a second. Harmless when ended."""
        if self.closed:
            if self._farewell_task is not None:
                await self._farewell_task
            return
        try:
            if self._joined_room and not self.reconnector.active:
                await self.data_kinds.leave()
                await self.sender.flush()
        finally:
            # Also when cancelled; and once only when it was asked for twice, or the server was faster.
            if not self.closed:
                try:
                    await self._free(self.farewell(reason))
                finally:
                    self._tell_ended(reason)

    def _tell_ended(self, reason: int) -> None:
        self.facade.session_ended(self)
        self.emit("connection_state_changed", 0)
        self.emit("disconnected", reason)

    async def _free(self, farewell: tuple[str, Any] | None) -> None:
        signal, self._signal = self._signal, None
        if signal is not None and farewell is not None:
            signal.send(*farewell)
        self._close_parts()
        try:
            if signal is not None:
                await signal.close()
        finally:
            await self.reconnector.stopped()
            late = self.detach_signal()  # of an attempt that was just about to succeed
            if late is not None:
                await late.close()

    def _close_parts(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.reconnector.stop()
        self._queued.clear()
        self._drop_prepared()
        for name in ("data_kinds", "data_tracks", "receiver", "publications", "requests", "connections"):
            part = getattr(self, name, None)
            if part is not None:
                part.close()
        self.encryption.close()
        state: RoomState | None = getattr(self, "state", None)
        for participant in () if state is None else state.by_sid.values():
            participant.tracks_changed()
        self.returning.give_up()
        if not self.sid.done():
            self.sid.set_exception(RuntimeError("the room has no SID: it is not connected any more"))
        if not self._end_before_connected.done():
            self._end_before_connected.cancel()


def _is_loopback(address: str | None) -> bool:
    return address is not None and (address == "::1" or address.startswith("127."))


def _consume(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()

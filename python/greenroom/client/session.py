"""One join of a room: connects signalling and media, keeps the state, and ends once, with one reason."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Iterable
from typing import Any, TypeVar

from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom import _engine

from . import participants
from .addresses import Addresses
from .connections import Connections, DualConnections, Hooks, trickle
from .data import DataReceiver, DataSender
from .data_kinds import DataKinds
from .data_track_encryption import DataTrackCipher
from .data_tracks import DataTracks
from .encryption import Encryption
from .errors import (
    ConnectError,
    MediaPathError,
    SignalLostError,
    SignalProtocolError,
)
from .events import EventQueue, Gate
from .joining import join
from .media_tracks import MediaTracks
from .network import Network, transport_policy, usable_servers
from .opening import SignalOpener
from .options import SessionOptions
from .outbox import Outbox
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
from .waiting import loop_time
from .wishes import Wishes

_logger = logging.getLogger("livekit")
_T = TypeVar("_T")
_PARTS = ("data_kinds", "data_tracks", "receiver", "publications", "requests", "connections", "media")
"""What a session that has joined has to close."""

DisconnectReason = models.DisconnectReason


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
        self.seen: set[str] | None = None
        """While resuming: who was named in an update since."""
        self._events = EventQueue(facade.emit)
        self.addresses = Addresses("")
        self._pings = (0, 0)
        self._transport_policy = "all"
        self.signal: SignalConnection | None = None
        """None while there is none: reconnecting, or over."""
        self._hooks = Hooks(
            send=self.send,
            on_message=self._on_data,
            on_failed=self._on_media_failed,
            on_ice_state=self._on_ice_state,
            on_addresses=self._on_addresses,
            on_started=lambda *what: self.gate.pass_through(self.media.started, *what),
            on_stopped=lambda *what: self.gate.pass_through(self.media.stopped, *what),
        )
        self.opener = SignalOpener(self, self._hooks)
        self.outbox = Outbox(self)
        self._farewell_task: asyncio.Task[None] | None = None
        self.end_before_connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.end_before_connected.add_done_callback(_consume)
        self._joined_room = False
        """`connect` has succeeded: from here an end is told by an event, not by an error."""

    # ---- joining ----

    async def connect(self, url: str, token: str, deadline_s: float | None = None) -> None:
        """Join, before `deadline_s` on the loop's clock (the options' time from now on, if it is not given). On any
        error, and when cancelled, everything is freed before this raises."""
        if deadline_s is None:
            deadline_s = loop_time() + self.options.connect_timeout_s
        try:
            await join(self, url, token, deadline_s)
        except BaseException:
            await self._free(None)
            raise
        self._joined_room = True
        # After the caller of connect had its turn, so that it can register handlers for what comes next.
        asyncio.get_running_loop().call_soon(self._release)

    def begin(self, join: proto.JoinResponse) -> None:
        """The server has let us in: the room's state, and the parts that work with it."""
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

    def make_media(self, join: proto.JoinResponse) -> PeerLink:
        """New peer connections, as the join says; the primary one. MediaPathError when that can't be."""
        assert self.signal is not None
        self._pings = (join.ping_interval, join.ping_timeout)
        network = self._network(join.ice_servers, join.client_configuration)
        self._transport_policy = network.transport_policy
        prepared = self.opener.take_prepared()
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
        assert self.signal is not None
        servers = usable_servers(self.options.ice_servers, named, self.options.route.ssl_context)
        policy = transport_policy(self.options.transport_policy, configuration)
        if policy == "relay" and not any(server.kind == "turn" for server in servers):
            raise MediaPathError(
                "only relays may be used, and there is no TURN server: RtcConfiguration.ice_servers has none, "
                "and the server named none; give one, or use TRANSPORT_ALL"
            )
        return Network(
            include_loopback=_is_loopback(self.signal.server_address),
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
        self._end(DisconnectReason.SIGNAL_CLOSE, f"the signal connection was lost: {why}", SignalLostError)

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

    def _on_addresses(self, addresses: frozenset[str]) -> None:
        if self._joined_room and self.signal is not None:
            self.signal.addresses_changed(addresses)

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
        return self.signal is not None and self.signal.is_open

    @property
    def can_resume(self) -> bool:
        """The media connections can go on: a closed one takes a new session."""
        return self.connections.can_resume

    def detach_signal(self) -> SignalConnection | None:
        """Nothing is heard from the signal connection any more; it is the caller's to close. What the server may
        not have got is said again when the session goes on."""
        signal, self.signal = self.signal, None
        if signal is not None:
            signal.mute()
            if not self.closed:
                self.outbox.repeat_unconfirmed(signal)
        return signal

    def start_signal(self) -> None:
        """Hear what comes over the signal connection, and ping."""
        assert self.signal is not None
        self.signal.start(self._on_signal, self._on_signal_closed)
        self.signal.start_pings(*self._pings)

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
        self.media.close()
        self.receiver.start_anew()
        self.outbox.clear()

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
        self.outbox.send(kind, message, urgent=urgent)

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
            if not self.end_before_connected.done():
                self.end_before_connected.set_exception(error(f"joining failed half-way: {why}"))
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
        signal, self.signal = self.signal, None
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
        self.outbox.clear()
        self.opener.close()
        for name in _PARTS:
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
        if not self.end_before_connected.done():
            self.end_before_connected.cancel()


def _is_loopback(address: str | None) -> bool:
    return address is not None and (address == "::1" or address.startswith("127."))


def _consume(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()

"""One join of a room: connects signalling and media, keeps the state, and ends once, with one reason."""

from __future__ import annotations

import asyncio
import functools
import logging
import platform
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom import _engine
from greenroom.signalling.messages import CAPABILITIES, CLIENT_PROTOCOL, PROTOCOL_VERSION, enum_name
from greenroom.signalling.url import UrlError, signal_url

from . import participants
from .data import DataReceiver, DataSender
from .data_kinds import DataKinds
from .errors import (
    ConnectError,
    ConnectTimeoutError,
    InvalidUrlError,
    MediaPathError,
    SignalProtocolError,
    UnsupportedOptionError,
)
from .events import EventQueue, Gate
from .media_tracks import MediaTracks
from .options import SessionOptions
from .publications import Publications
from .publisher import Publisher
from .requests import Requests
from .signal_connection import SignalConnection
from .signals import AT_ONCE, WHEN_CONNECTED
from .state import Facade, ParticipantState, RoomState
from .streams_incoming import IncomingStreams
from .subscriber import Subscriber
from .waiting import run_within

_logger = logging.getLogger("livekit")
_T = TypeVar("_T")

LEAVE_GRACE_S = 0.5
"""A server that ends a session may close its media before its `leave`, which has the reason, is read."""

DisconnectReason = models.DisconnectReason


class Session:
    """Made for one `connect`; after it has ended, make another.

    `state`, `publisher`, `subscriber`, `publications`, `requests`, `sender` and `media` exist once connected.
    """

    state: RoomState
    publisher: Publisher
    subscriber: Subscriber
    publications: Publications
    requests: Requests
    sender: DataSender
    receiver: DataReceiver
    streams: IncomingStreams
    data_kinds: DataKinds
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
        self._events = EventQueue(facade.emit)
        self._signal: SignalConnection | None = None
        self._farewell_task: asyncio.Task[None] | None = None
        self._end_before_connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._end_before_connected.add_done_callback(_consume)
        self._late_end: asyncio.TimerHandle | None = None
        self._joined_room = False
        """`connect` has succeeded: from here an end is told by an event, not by an error."""

    # ---- joining ----

    async def connect(self, url: str, token: str) -> None:
        """Join. On any error, and when cancelled, everything is freed before this raises."""
        self._check_options()
        deadline = time.monotonic() + self.options.connect_timeout_s
        self.token = token
        try:
            address = signal_url(url, self._query())
        except UrlError as error:
            raise InvalidUrlError(str(error)) from error
        try:
            shown = address.partition("?")[0]
            signal = await self._within(
                deadline, f"opening the signal connection to {shown}", self._open_signal(address, token)
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
        if self.options.encrypted:
            raise UnsupportedOptionError(
                "end-to-end encryption was asked for, and this version can't encrypt frames yet; "
                "nothing was sent in the clear: leave out RoomOptions.encryption and "
                "RoomOptions.e2ee to join without"
            )
        if self.options.relay_only:
            raise UnsupportedOptionError(
                "ice_transport_type TRANSPORT_RELAY was asked for, and this version can't use TURN relays; "
                "use TRANSPORT_ALL"
            )

    def _query(self) -> dict[str, str]:
        return {
            "sdk": "python",
            "protocol": str(PROTOCOL_VERSION),
            "client_protocol": str(CLIENT_PROTOCOL),
            "capabilities": CAPABILITIES,
            "version": self.options.sdk_version,
            "os": platform.system().lower(),
            "os_version": platform.release(),
            "auto_subscribe": "1" if self.options.auto_subscribe else "0",
            "adaptive_stream": "0",
        }

    async def _open_signal(self, address: str, token: str) -> SignalConnection:
        # Kept at once: a cancellation that comes in the same moment must find it to close it.
        self._signal = signal = await SignalConnection.open(address, token)
        return signal

    async def _within(self, deadline: float, stage: str, work: Coroutine[Any, Any, _T]) -> _T:
        try:
            return await run_within(work, deadline - time.monotonic())
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
        self.data_kinds = DataKinds(self)
        self.media = MediaTracks(self)
        participants.fill(self, list(join.other_participants))
        if join.room.sid:
            self.resolve_sid(join.room.sid)
        return join

    async def _connect_media(self, deadline: float, join: proto.JoinResponse) -> None:
        signal = self._signal
        assert signal is not None
        try:
            self._make_peers(include_loopback=_is_loopback(signal.server_address))
        except _engine.EngineError as error:
            raise MediaPathError(f"no media connection could be made: {error}") from error
        signal.start(self._on_signal, self._on_signal_closed)
        signal.start_pings(join.ping_interval, join.ping_timeout)
        if join.fast_publish or not join.subscriber_primary:
            self.publisher.negotiate()
        primary = self.subscriber if join.subscriber_primary else self.publisher
        try:
            await self._within(
                deadline,
                "waiting for the media path",
                self._first_of(primary.link.connected, self._end_before_connected),
            )
        except (ConnectTimeoutError, ConnectionError) as error:
            pairs = primary.link.candidate_pairs_tried()
            tried = "; ".join(pairs) or "none (no candidate of the server was reachable, or none came)"
            raise MediaPathError(
                f"signalling works but no media path to the server was found ({error}); candidate "
                f"pairs tried: {tried}; "
                "check that UDP to the server's RTC ports, or TCP to its rtc.tcp_port, is open",
                candidate_pairs=pairs,
            ) from error

    def _make_peers(self, *, include_loopback: bool) -> None:
        self.publisher = Publisher(
            include_loopback=include_loopback,
            send_offer=lambda offer: self.send("offer", offer),
            on_message=self._on_data,
            on_failed=lambda why: self._on_media_failed("publisher", why),
        )
        self.subscriber = Subscriber(
            include_loopback=include_loopback,
            on_message=self._on_data,
            on_failed=lambda why: self._on_media_failed("subscriber", why),
            on_started=lambda sid, receiver: self.gate.pass_through(self.media.started, sid, receiver),
            on_stopped=lambda sid, receiver: self.gate.pass_through(self.media.stopped, sid, receiver),
        )

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
        _logger.warning("signal connection lost: %s", why)
        self._end(DisconnectReason.SIGNAL_CLOSE, f"the signal connection was lost: {why}")

    def _on_media_failed(self, which: str, why: str) -> None:
        _logger.warning("%s connection failed: %s", which, why)
        message = f"the {which} connection failed: {why}"
        end = functools.partial(self._end, DisconnectReason.MEDIA_FAILURE, message, MediaPathError)
        if not self._joined_room:
            end()
        elif self._late_end is None and not self.closed:
            self._late_end = asyncio.get_running_loop().call_later(LEAVE_GRACE_S, end)

    def ended_by_server(self, leave: proto.LeaveRequest) -> None:
        """A `leave` message: the session is over."""
        self._end(leave.reason, f"the server ended the session: {enum_name(DisconnectReason, leave.reason)}")

    # ---- used by the parts ----

    def emit(self, event: str, *args: Any) -> None:
        self._events.emit(event, *args)

    def send(self, kind: str, message: Any) -> None:
        """Queue a signal message. Dropped once the session has ended."""
        if self._signal is not None and not self.closed:
            self._signal.send(kind, message)

    def resolve_sid(self, sid: str) -> None:
        if not self.sid.done():
            self.sid.set_result(sid)

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
        leave = proto.LeaveRequest(reason=reason, action=proto.LeaveRequest.Action.DISCONNECT)  # type: ignore[arg-type]
        try:
            if self._joined_room:
                await self.data_kinds.leave()
                await self.sender.flush()
        finally:
            # Also when cancelled; and once only when it was asked for twice, or the server was faster.
            if not self.closed:
                try:
                    await self._free(("leave", leave))
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
        if signal is not None:
            await signal.close()

    def _close_parts(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self._late_end is not None:
            self._late_end.cancel()
        for name in ("data_kinds", "publications", "requests", "publisher", "subscriber"):
            part = getattr(self, name, None)
            if part is not None:
                part.close()
        state: RoomState | None = getattr(self, "state", None)
        for participant in () if state is None else state.by_sid.values():
            participant.tracks_changed()
        if not self.sid.done():
            self.sid.set_exception(RuntimeError("the room has no SID: it is not connected any more"))
        if not self._end_before_connected.done():
            self._end_before_connected.cancel()


def _is_loopback(address: str | None) -> bool:
    return address is not None and (address == "::1" or address.startswith("127."))


def _consume(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()

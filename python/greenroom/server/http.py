"""The HTTP surface: health, validation and the way into a signal connection. One table from path to
handler.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiohttp import hdrs, web
from livekit.protocol import models
from livekit.protocol import rtc as messages

from .agent_socket import AgentSocket, check_agent_access
from .agents import Agents
from .handlers import handle
from .join_request import JoinRequest, read_join_request
from .join_response import leave_request
from .participant import Participant
from .refusal import Refusal
from .rooms import Rooms
from .services import methods
from .tallies import Tallies
from .tokens import Claims, bearer_token, verify
from .twirp import TwirpServer
from .websocket import FINISH_LIMIT_S, Session

_logger = logging.getLogger("greenroom.server")

WEBSOCKET_PING_S = 20.0
_LEADING_SLASHES = re.compile(r"^/+")
_METHODS = "OPTIONS, HEAD, GET, POST, PATCH, DELETE"
_CAN_START_ANEW = frozenset(
    {models.DisconnectReason.CONNECTION_TIMEOUT, models.DisconnectReason.STATE_MISMATCH}
)
"""Why a session ends whose client is welcome in a new one."""

Endpoint = Callable[[web.Request, "Claims | None"], Awaitable[web.StreamResponse]]


def text(status: int, body: str) -> web.Response:
    return web.Response(status=status, text=body, content_type="text/plain", charset="utf-8")


class HttpApp:
    """The aiohttp application of one server."""

    def __init__(self, rooms: Rooms, tallies: Tallies) -> None:
        self._rooms = rooms
        self._tallies = tallies
        self._agents = Agents()
        self._agent_sockets: set[AgentSocket] = set()
        rooms.listeners.add(self._agents)
        self._endpoints: Mapping[str, Endpoint] = {
            "/": self._health,
            "/agent": self._agent,
            "/rtc": self._signal,
            "/rtc/validate": self._validate,
            "/rtc/v1": functools.partial(self._signal, needs_wrapped=True),
            "/rtc/v1/validate": functools.partial(self._validate, needs_wrapped=True),
        }
        self.sessions: set[asyncio.Task[None]] = set()
        """One task for each signal connection that is up."""
        self._in_progress = 0
        limits = rooms.config.limits
        self._twirp = TwirpServer(
            methods(rooms, self._agents),
            body_bytes=limits.api_body_bytes,
            body_timeout_s=limits.api_body_timeout_s,
            on_finished=tallies.request_finished,
        )
        self.application = web.Application(client_max_size=limits.api_body_bytes)
        self.application.router.add_route("*", "/{path:.*}", self._admit)

    async def _admit(self, request: web.Request) -> web.StreamResponse:
        """Bound what goes on at once."""
        if self._in_progress >= self._rooms.config.limits.requests_in_progress:
            self._rooms.counters["refused_too_many_requests"] += 1
            response = text(503, "too many requests at once")
            response.force_close()
            return response
        self._in_progress += 1
        try:
            return await self._serve(request)
        finally:
            self._in_progress -= 1

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.method == hdrs.METH_OPTIONS:
            return _preflight(request)
        try:
            token = bearer_token(request.headers.get(hdrs.AUTHORIZATION), request.query.get("access_token"))
            config = self._rooms.config
            if token is not None and len(token) > config.limits.token_bytes:
                raise Refusal(401, "invalid authorization token")
            claims = verify(token, config.keys) if token is not None else None
            response: web.StreamResponse
            path = _LEADING_SLASHES.sub("/", request.path)
            if self._twirp.serves(path):
                response = await self._twirp.answer(request, path, claims)
            else:
                response = await self._endpoints.get(path, self._not_found)(request, claims)
        except Refusal as refusal:
            self._rooms.counters[f"refused_{refusal.status}"] += 1
            _logger.info("%s %s refused: %d", request.method, request.path, refusal.status)
            response = text(refusal.status, refusal.body)
        except ConnectionResetError:  # the client is gone already: nobody reads the answer
            response = text(400, "the connection was lost")
        if not response.prepared:
            _allow_origin(request, response)
        return response

    async def _health(self, request: web.Request, claims: Claims | None) -> web.StreamResponse:
        # What a load balancer is told in livekit-server's way when it should send nobody here.
        return text(406, "Not Ready\ndraining") if self._rooms.draining else text(200, "OK")

    async def _not_found(self, request: web.Request, claims: Claims | None) -> web.StreamResponse:
        return text(404, "404 page not found\n")

    async def _agent(self, request: web.Request, claims: Claims | None) -> web.StreamResponse:
        if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
            return web.Response(status=404)
        bearer = check_agent_access(claims)
        rooms = self._rooms
        socket = AgentSocket(self._agents, rooms.config, rooms.node_id, rooms.counters, bearer)
        self._agent_sockets.add(socket)
        try:
            return await socket.serve(request)
        finally:
            self._agent_sockets.discard(socket)

    async def close_agents(self) -> None:
        """End the connections of all agent workers."""
        self._agents.close()
        await asyncio.gather(*(socket.close() for socket in list(self._agent_sockets)))

    async def _validate(
        self, request: web.Request, claims: Claims | None, *, needs_wrapped: bool = False
    ) -> web.StreamResponse:
        limits = self._rooms.config.limits
        join = read_join_request(
            claims, request.query, limits, strict_attributes=True, needs_wrapped=needs_wrapped
        )
        self._rooms.check(join)
        return text(200, "success")

    async def _signal(
        self, request: web.Request, claims: Claims | None, *, needs_wrapped: bool = False
    ) -> web.StreamResponse:
        if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
            return web.Response(status=404)
        limits = self._rooms.config.limits
        try:
            join = read_join_request(claims, request.query, limits, needs_wrapped=needs_wrapped)
            participant = None if join.reconnect else self._rooms.join(join)
        except Refusal:
            self._tallies.join_refused()
            raise
        if participant is None:
            return await self._resume(request, join)
        try:
            return await self._run_session(request, participant, participant.room.start, join.requests)
        finally:
            if participant.state == models.ParticipantInfo.State.JOINING:
                participant.room.remove(participant, models.DisconnectReason.JOIN_FAILURE)

    async def _resume(self, request: web.Request, join: JoinRequest) -> web.StreamResponse:
        participant = self._rooms.find(join)
        if participant is None:
            return await self._refuse_resume(request, join)
        if participant.takes_lost_resume(before_messages=True):
            raise Refusal(500, "could not resume the session")
        return await self._run_session(request, participant, participant.room.resume, join.requests)

    async def _refuse_resume(self, request: web.Request, join: JoinRequest) -> web.StreamResponse:
        # Only an answer over the signal connection makes clients start anew instead of trying again.
        websocket, session = await self._upgrade(request)
        leave = leave_request(
            join.protocol, models.DisconnectReason.STATE_MISMATCH, messages.LeaveRequest.Action.RECONNECT
        )
        session.send(messages.SignalResponse(leave=leave).SerializeToString())
        session.finish()
        await self._run(session, _ignore)
        return websocket

    async def _run_session(
        self,
        request: web.Request,
        participant: Participant,
        begin: Callable[[Participant, Session], None],
        first_requests: Iterable[messages.SignalRequest],
    ) -> web.StreamResponse:
        websocket, session = await self._upgrade(request)
        if participant.closed:  # meanwhile, by a later join of the same identity for example
            reason = participant.disconnect_reason
            leave = leave_request(participant.protocol, reason, _after(reason))
            session.send(messages.SignalResponse(leave=leave).SerializeToString())
            session.finish()
        else:
            _begin(participant, session, begin)
            for first in first_requests:
                handle(participant, first)
        try:
            await self._run(session, functools.partial(handle, participant))
        finally:
            participant.session_ended(session)
        return websocket

    async def _upgrade(self, request: web.Request) -> tuple[web.WebSocketResponse, Session]:
        config = self._rooms.config
        websocket = web.WebSocketResponse(
            timeout=FINISH_LIMIT_S,
            heartbeat=WEBSOCKET_PING_S,
            max_msg_size=config.limits.signalling_message_bytes,
            compress=False,
        )
        await websocket.prepare(request)
        return websocket, Session(websocket, request.transport, config.limits, self._rooms.counters)

    async def _run(self, session: Session, receive: Callable[[messages.SignalRequest], None]) -> None:
        task = asyncio.create_task(session.run(receive), name="greenroom signal connection")
        self.sessions.add(task)
        task.add_done_callback(self.sessions.discard)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            raise


def _after(reason: models.DisconnectReason) -> messages.LeaveRequest.Action:
    """What a client has to do whose session ended while its signal connection came up."""
    action = messages.LeaveRequest.Action
    return action.RECONNECT if reason in _CAN_START_ANEW else action.DISCONNECT


def _begin(participant: Participant, session: Session, begin: Callable[[Participant, Session], None]) -> None:
    try:
        begin(participant, session)
    except Exception:
        # The connection is up and has to be served to its end, whatever went wrong.
        _logger.exception("the session of %s could not begin", participant.identity)
        participant.restart_client("the session could not begin", models.DisconnectReason.JOIN_FAILURE)


def _ignore(_: messages.SignalRequest) -> None:
    """A session that was refused has nothing to say."""


def _allow_origin(request: web.Request, response: web.StreamResponse) -> None:
    origin = request.headers.get(hdrs.ORIGIN)
    response.headers["Vary"] = "Origin"
    if request.path.endswith("/validate"):
        response.headers["Access-Control-Allow-Origin"] = "*"
    elif origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "*"


def _preflight(request: web.Request) -> web.Response:
    response = web.Response(status=204)
    _allow_origin(request, response)
    response.headers["Access-Control-Allow-Methods"] = _METHODS
    response.headers["Access-Control-Allow-Headers"] = request.headers.get(
        "Access-Control-Request-Headers", "*"
    )
    response.headers["Access-Control-Max-Age"] = "86400"
    return response

"""The WebSocket of agent workers (`/agent`): registration first, then messages in both directions."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from livekit.protocol import agent

from . import ids
from .agent_worker import AgentWorker, Declined, deployment_error, simulated_job
from .join_response import server_info
from .pace import Pace
from .refusal import Refusal
from .websocket import FINISH_LIMIT_S

if TYPE_CHECKING:
    from .agents import Agents
    from .config import ServerConfig
    from .tokens import Claims

_logger = logging.getLogger("greenroom.server")

REGISTER_LIMIT_S = 10.0
HEARTBEAT_S = 10.0


class _Malformed(Exception):
    """The worker sent what ends its connection."""


class AgentSocket:
    """One connection of a worker, from the upgrade to its end."""

    def __init__(
        self, agents: Agents, config: ServerConfig, node_id: str, counters: Counter[str], claims: Claims
    ) -> None:
        self._agents = agents
        self._limits = config.limits
        self._counters = counters
        key = str(claims.raw.get("iss", ""))
        self._key_pair = (key, config.keys[key])
        self._server_info = server_info(node_id, config.region)
        self._json = False
        self._pace = Pace(config.limits.signalling_rate_per_s, config.limits.signalling_burst)
        self._outgoing: asyncio.Queue[agent.ServerMessage] = asyncio.Queue(config.limits.outgoing_messages)
        self._jobs: set[asyncio.Task[None]] = set()
        self._transport: asyncio.BaseTransport | None = None
        self._websocket = web.WebSocketResponse(
            timeout=FINISH_LIMIT_S,
            heartbeat=HEARTBEAT_S,
            max_msg_size=config.limits.signalling_message_bytes,
            compress=False,
        )

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Until the worker goes, misbehaves or is closed."""
        websocket = self._websocket
        self._transport = request.transport
        await websocket.prepare(request)
        writer = asyncio.create_task(self._write(), name="greenroom agent writer")
        worker: AgentWorker | None = None
        try:
            worker = await asyncio.wait_for(self._register(), REGISTER_LIMIT_S)
            self._agents.register(worker)
            while (message := await self._receive()) is not None:
                self._handle(worker, message)
                await asyncio.sleep(self._pace.delay_s(asyncio.get_running_loop().time()))
        except (_Malformed, asyncio.TimeoutError) as error:
            self._counters["agent_connections_refused"] += 1
            _logger.warning("an agent connection is closed: %s", str(error) or "it did not register in time")
        except ConnectionError as error:
            _logger.debug("an agent connection was lost: %s", error)
        finally:
            if worker is not None:
                self._agents.deregister(worker)
            for task in (writer, *self._jobs):
                task.cancel()
            await websocket.close(code=WSCloseCode.OK)
        return websocket

    async def close(self) -> None:
        """End the connection from this side."""
        await self._websocket.close(code=WSCloseCode.GOING_AWAY)

    async def _register(self) -> AgentWorker:
        """Wait for the registration; only pings may come before it."""
        while (message := await self._receive()) is not None:
            kind = message.WhichOneof("message")
            if kind == "register":
                return self._registered(message.register)
            if kind != "ping":
                raise _Malformed(f"{kind} came before the registration")
            self._send(agent.ServerMessage(pong=agent.WorkerPong(last_timestamp=message.ping.timestamp)))
        raise ConnectionResetError("the worker left before it registered")

    def _registered(self, request: agent.RegisterWorkerRequest) -> AgentWorker:
        if request.type not in agent.JobType.values():
            raise _Malformed(f"job type {request.type} is not known")
        wrong = deployment_error(request.deployment)
        if wrong is not None:
            raise _Malformed(wrong)
        worker = AgentWorker(ids.agent_worker(), request, self._key_pair, self._send)
        response = agent.RegisterWorkerResponse(worker_id=worker.id, server_info=self._server_info)
        self._send(agent.ServerMessage(register=response))
        return worker

    def _handle(self, worker: AgentWorker, message: agent.WorkerMessage) -> None:
        kind = message.WhichOneof("message")
        if kind == "register":
            raise _Malformed("the worker registered twice")
        if kind == "simulate_job":
            task = asyncio.create_task(_simulate(worker, message.simulate_job))
            self._jobs.add(task)
            task.add_done_callback(self._jobs.discard)
        else:
            worker.receive(message)

    # ---- frames ----

    async def _receive(self) -> agent.WorkerMessage | None:
        frame = await self._websocket.receive()
        if frame.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
            return None
        return self._decode(frame)

    def _decode(self, frame: WSMessage) -> agent.WorkerMessage:
        """A worker that sends text is answered in text from then on."""
        try:
            if frame.type is WSMsgType.TEXT:
                self._json = True
                return json_format.Parse(frame.data, agent.WorkerMessage(), ignore_unknown_fields=True)
            return agent.WorkerMessage.FromString(frame.data)
        except (DecodeError, json_format.ParseError, TypeError, ValueError, RecursionError) as error:
            raise _Malformed(f"a frame can't be decoded: {error}") from error

    def _send(self, message: agent.ServerMessage) -> None:
        """Queue one message; a worker for which too many wait is cut off."""
        try:
            self._outgoing.put_nowait(message)
        except asyncio.QueueFull:
            self._counters["agent_connections_too_slow"] += 1
            _logger.warning("an agent connection is cut: %d messages wait for it", self._outgoing.maxsize)
            if isinstance(self._transport, asyncio.WriteTransport):
                self._transport.abort()

    async def _write(self) -> None:
        while True:
            message = await self._outgoing.get()
            try:
                if self._json:
                    await self._websocket.send_str(json_format.MessageToJson(message))
                else:
                    await self._websocket.send_bytes(message.SerializeToString())
            except (ConnectionError, RuntimeError) as error:
                _logger.debug("an agent connection was lost while writing: %s", error)
                return


async def _simulate(worker: AgentWorker, request: agent.SimulateJobRequest) -> None:
    job = simulated_job(worker, request)
    try:
        await worker.assign(job)
    except Declined as refusal:
        _logger.info("worker %s declined the job it asked for: %s", worker.id, refusal)


def check_agent_access(claims: Claims | None) -> Claims:
    """Workers need the `agent` grant. Raises Refusal."""
    if claims is None or claims.video is None or not claims.video.agent:
        raise Refusal(401, "no permissions to access the room")
    return claims

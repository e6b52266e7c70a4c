"""Calls to us: acknowledged at once, run by the registered method within the caller's time, answered once."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from livekit.protocol import models

from greenroom.signalling.stream_framing import RPC_REQUEST_TOPIC, RPC_RESPONSE_TOPIC

from .errors import PublishDataError, StreamError
from .rpc_calls import METHOD, REQUEST_ID, STREAM_VERSION, TIMEOUT_MS, VERSION
from .rpc_types import (
    MAX_PAYLOAD_BYTES,
    IncomingRpcNext,
    RpcErrorCode,
    RpcHandler,
    RpcInterceptor,
    RpcInvocationData,
    built_in,
    to_wire,
)
from .rpc_types import RpcError as Error
from .state import ParticipantState
from .streams_incoming import IncomingStream
from .streams_outgoing import StreamOptions, send_whole, text_header

if TYPE_CHECKING:
    from .session import Session

_logger = logging.getLogger("livekit")

MAX_RUNNING = 10_000
"""Calls to us that run at once; further ones are answered with APPLICATION_ERROR."""
MAX_REFUSED = 10_000
"""Calls beyond those that are being answered so; further ones are dropped."""
UNWIND_S = 2.0
_PACKET_VERSION = 1
_DEFAULT_TIMEOUT_MS = 15_000


@dataclass(eq=False)
class RpcRegistry:
    """What users registered. It belongs to a local participant and outlives reconnections."""

    methods: dict[str, RpcHandler] = field(default_factory=dict)
    interceptors: list[RpcInterceptor] = field(default_factory=list)


@dataclass(eq=False)
class _Invocation:
    data: RpcInvocationData
    as_stream: bool
    body: IncomingStream | None = None
    """Of a request that comes as a stream."""
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    answered: bool = False


class RpcMethods:
    """The calls to one session that are running, by caller and request id."""

    def __init__(self, session: Session, registry: RpcRegistry) -> None:
        self._session = session
        self._registry = registry
        self._running: dict[tuple[str, str], _Invocation] = {}
        self._sending: set[asyncio.Task[None]] = set()
        session.receiver.handlers["rpc_request"] = self._request
        session.streams.reserved[RPC_REQUEST_TOPIC] = self._request_stream

    # ---- requests ----

    def _request(self, packet: models.DataPacket, _: bool) -> None:
        request = packet.rpc_request
        data = RpcInvocationData(
            request.id,
            packet.participant_identity,
            request.payload,
            (request.response_timeout_ms or _DEFAULT_TIMEOUT_MS) / 1000,
            request.method,
        )
        self._start(_Invocation(data, as_stream=False), version_known=request.version == _PACKET_VERSION)

    def _request_stream(self, stream: IncomingStream, sender_identity: str) -> None:
        attributes = stream.header.attributes
        timeout = attributes.get(TIMEOUT_MS, "")
        timeout_ms = int(timeout) if timeout.isdecimal() and len(timeout) < 10 else _DEFAULT_TIMEOUT_MS
        data = RpcInvocationData(
            attributes.get(REQUEST_ID, ""), sender_identity, "", timeout_ms / 1000, attributes.get(METHOD, "")
        )
        invocation = _Invocation(data, as_stream=True, body=stream)
        self._start(invocation, version_known=attributes.get(VERSION) == STREAM_VERSION)

    def _start(self, invocation: _Invocation, *, version_known: bool) -> None:
        data = invocation.data
        key = (data.caller_identity, data.request_id)
        if key in self._running:
            return
        if len(self._running) >= MAX_RUNNING + MAX_REFUSED:
            _logger.warning(
                "call %s of %r is dropped: %d are under way",
                *(data.request_id, data.caller_identity, len(self._running)),
            )
            if invocation.body is not None:
                invocation.body.close()
            return
        invocation.task = asyncio.ensure_future(self._serve(invocation, version_known))
        self._running[key] = invocation
        invocation.task.add_done_callback(lambda _: self._done(key, invocation))
        invocation.timer = asyncio.get_running_loop().call_later(
            data.response_timeout, self._cancel, invocation, RpcErrorCode.RESPONSE_TIMEOUT
        )

    def _done(self, key: tuple[str, str], invocation: _Invocation) -> None:
        self._running.pop(key, None)
        if invocation.timer is not None:
            invocation.timer.cancel()
        if invocation.body is not None:
            invocation.body.close()

    async def _serve(self, invocation: _Invocation, version_known: bool) -> None:
        data = invocation.data
        await self._send(data, models.DataPacket(rpc_ack=models.RpcAck(request_id=data.request_id)))
        result: str | Error
        try:
            result = await self._result(invocation, version_known)
        except Error as error:
            result = error
        except asyncio.CancelledError:
            # Ours was answered when it was made; a handler's own is an error of the handler.
            if data.cancel_reason is not None:
                return
            result = built_in(RpcErrorCode.APPLICATION_ERROR)
        except Exception:
            _logger.exception("RPC method %r failed", data.method)
            result = built_in(RpcErrorCode.APPLICATION_ERROR)
        await self._answer(invocation, result)

    async def _result(self, invocation: _Invocation, version_known: bool) -> str:
        data = invocation.data
        if not version_known:
            raise built_in(RpcErrorCode.UNSUPPORTED_VERSION)
        handler = self._registry.methods.get(data.method)
        if handler is None:
            raise built_in(RpcErrorCode.UNSUPPORTED_METHOD)
        if len(self._running) > MAX_RUNNING:
            raise built_in(RpcErrorCode.APPLICATION_ERROR, f"{MAX_RUNNING} calls are running already")
        if invocation.body is not None:
            await invocation.body.ends()
            try:
                data.payload = invocation.body.take_text()
            except StreamError as error:
                raise built_in(RpcErrorCode.APPLICATION_ERROR, error.description) from error
        run = _chain(self._registry.interceptors, handler)
        response = await run(data)
        if response is None:
            return ""
        if not isinstance(response, str):
            raise TypeError(
                f"RPC method {data.method!r} returned {type(response).__name__}; return a str or None"
            )
        return response

    # ---- answers ----

    async def _answer(self, invocation: _Invocation, result: str | Error) -> None:
        if invocation.answered:
            return
        invocation.answered = True
        data = invocation.data
        if isinstance(result, str) and invocation.as_stream:
            await self._send_stream(data, result)
            return
        response = models.RpcResponse(request_id=data.request_id)
        if isinstance(result, str) and len(result.encode()) > MAX_PAYLOAD_BYTES:
            result = built_in(RpcErrorCode.RESPONSE_PAYLOAD_TOO_LARGE)
        if isinstance(result, str):
            response.payload = result
        else:
            response.error.CopyFrom(to_wire(result))
        await self._send(data, models.DataPacket(rpc_response=response))

    async def _send(self, data: RpcInvocationData, packet: models.DataPacket) -> None:
        packet.destination_identities.append(data.caller_identity)
        try:
            await self._session.sender.send(packet, reliable=True, urgent=True)
        except PublishDataError as error:
            _logger.warning("call %s was not answered: %s", data.request_id, error.message)

    async def _send_stream(self, data: RpcInvocationData, payload: str) -> None:
        options = StreamOptions(
            topic=RPC_RESPONSE_TOPIC,
            attributes={REQUEST_ID: data.request_id},
            destinations=[data.caller_identity],
            header=text_header(),
            urgent=True,
        )
        try:
            await send_whole(self._session, options, payload.encode(), compress=True)
        except StreamError as error:
            _logger.warning("call %s was not answered: %s", data.request_id, error.description)

    # ---- ending early ----

    def _cancel(self, invocation: _Invocation, reason: RpcErrorCode) -> None:
        """Answer now and stop the handler; it may clean up."""
        if invocation.task is None or invocation.task.done() or invocation.answered:
            return
        invocation.data.cancel_reason = reason
        sending = asyncio.ensure_future(self._answer(invocation, built_in(reason)))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        invocation.task.cancel()

    def participant_left(self, participant: ParticipantState) -> None:
        """Nobody waits for the answers to its calls any more."""
        for invocation in list(self._running.values()):
            if invocation.data.caller_identity == participant.identity:
                invocation.answered, reason = True, RpcErrorCode.RECIPIENT_DISCONNECTED
                invocation.data.cancel_reason = reason
                if invocation.task is not None:
                    invocation.task.cancel()

    async def leave(self) -> None:
        """Before the session ends: callers learn that no answer will come, and handlers end, at most UNWIND_S."""
        # A handler may leave the room itself: it is not waited for.
        own = asyncio.current_task()
        running = [i for i in self._running.values() if i.task is not None and i.task is not own]
        for invocation in running:
            self._cancel(invocation, RpcErrorCode.RECIPIENT_DISCONNECTED)
        tasks = [*self._sending, *(i.task for i in running if i.task is not None)]
        if tasks:
            await asyncio.wait(tasks, timeout=UNWIND_S)

    def close(self) -> None:
        own = asyncio.current_task() if asyncio._get_running_loop() else None
        for invocation in list(self._running.values()):
            if invocation.task is not None and invocation.task is not own:
                if invocation.data.cancel_reason is None:
                    invocation.data.cancel_reason = RpcErrorCode.RECIPIENT_DISCONNECTED
                    invocation.answered = True
                invocation.task.cancel()
        for sending in list(self._sending):
            sending.cancel()


def _chain(interceptors: list[RpcInterceptor], handler: RpcHandler) -> IncomingRpcNext:
    async def innermost(data: RpcInvocationData) -> str | None:
        result = handler(data)
        if inspect.isawaitable(result):
            result = await result
        return result  # type: ignore[no-any-return]

    run: IncomingRpcNext = innermost
    for interceptor in reversed(interceptors):
        run = _wrapped(interceptor, run)
    return run


def _wrapped(interceptor: RpcInterceptor, inner: IncomingRpcNext) -> IncomingRpcNext:
    def run(data: RpcInvocationData) -> Awaitable[str | None]:
        return interceptor.intercept_incoming(data, inner)

    return run

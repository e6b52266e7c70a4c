"""Calls we make: sent, acknowledged, answered, each within its time.

An answer is taken as a packet or as a stream, whatever form the request had, and only from the participant
that was called.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from livekit.protocol import models

from greenroom.signalling.stream_framing import DATA_STREAM_RPC, RPC_REQUEST_TOPIC, RPC_RESPONSE_TOPIC

from .errors import PublishDataError, StreamError
from .rpc_types import MAX_PAYLOAD_BYTES, RpcCallInfo, RpcError, RpcErrorCode, built_in, from_wire
from .state import ParticipantState
from .streams_incoming import IncomingStream
from .streams_outgoing import StreamOptions, send_whole, text_header

if TYPE_CHECKING:
    from .session import Session

RESPONSE_TIMEOUT_S = 15.0
MAX_ROUND_TRIP_S = 7.0
MIN_HANDLER_TIME_S = 1.0
MIN_SERVER_VERSION = (1, 8, 0)
REQUEST_ID, METHOD = "lk.rpc_request_id", "lk.rpc_request_method"
TIMEOUT_MS, VERSION = "lk.rpc_request_response_timeout_ms", "lk.rpc_request_version"
STREAM_VERSION = "2"


class _Call:
    """A call under way. Its timer first waits for the acknowledgement, then for the response."""

    def __init__(self, destination: str, response_timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.destination = destination
        self.result: asyncio.Future[str] = self._loop.create_future()
        self._response_timeout_s = response_timeout_s
        self._timer: asyncio.TimerHandle | None = None
        self._sent = self._acknowledged = False

    def sent(self, max_round_trip_s: float) -> None:
        self._sent = True
        if self._acknowledged:
            self._wait(self._response_timeout_s, RpcErrorCode.RESPONSE_TIMEOUT)
        else:
            self._wait(max_round_trip_s, RpcErrorCode.CONNECTION_TIMEOUT)

    def acknowledged(self) -> None:
        if not self._acknowledged:
            self._acknowledged = True
            if self._sent:
                self._wait(self._response_timeout_s, RpcErrorCode.RESPONSE_TIMEOUT)

    def _wait(self, seconds: float, code: RpcErrorCode) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.result.done():
            self._timer = self._loop.call_later(seconds, self.fail, built_in(code))

    def succeed(self, payload: str) -> None:
        if not self.result.done():
            self.result.set_result(payload)

    def fail(self, error: RpcError) -> None:
        if not self.result.done():
            self.result.set_exception(error)
            # Retrieved here as well: the caller may have been cancelled.
            self.result.exception()

    def finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.result.cancel()


class RpcCalls:
    """The calls of one session that wait for their answer, by request id."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pending: dict[str, _Call] = {}
        self._readers: set[asyncio.Task[None]] = set()
        session.receiver.handlers.update(rpc_ack=self._ack, rpc_response=self._response)
        session.streams.reserved[RPC_RESPONSE_TOPIC] = self._response_stream

    async def perform(self, info: RpcCallInfo) -> str:
        """The response. RpcError when there is none."""
        session = self._session
        if session.closed:
            raise built_in(RpcErrorCode.SEND_FAILED, "the room is not connected")
        if not _supports_rpc(session.server_version):
            raise built_in(RpcErrorCode.UNSUPPORTED_SERVER, f"server version {session.server_version}")
        peer = session.state.remotes.get(info.destination_identity)
        as_stream = peer is not None and peer.info.client_protocol >= DATA_STREAM_RPC
        encoded = info.payload.encode()
        if not as_stream and len(encoded) > MAX_PAYLOAD_BYTES:
            raise built_in(RpcErrorCode.REQUEST_PAYLOAD_TOO_LARGE)
        response_timeout_s = _default(info.response_timeout, RESPONSE_TIMEOUT_S)
        max_round_trip_s = _default(info.max_round_trip_latency, MAX_ROUND_TRIP_S)
        handler_time_s = max(response_timeout_s - max_round_trip_s, MIN_HANDLER_TIME_S)
        request_id = str(uuid.uuid4())
        call = self._pending[request_id] = _Call(info.destination_identity, response_timeout_s)
        send = self._send_stream if as_stream else self._send_packet
        try:
            await send(request_id, info, encoded, int(handler_time_s * 1000))
            call.sent(max_round_trip_s)
            return await call.result
        except (PublishDataError, StreamError) as error:
            raise built_in(RpcErrorCode.SEND_FAILED, str(error)) from error
        finally:
            call.finish()
            del self._pending[request_id]

    async def _send_packet(self, request_id: str, info: RpcCallInfo, encoded: bytes, timeout_ms: int) -> None:
        request = models.RpcRequest(
            id=request_id,
            method=info.method,
            payload=info.payload,
            response_timeout_ms=timeout_ms,
            version=1,
        )
        packet = models.DataPacket(rpc_request=request, destination_identities=[info.destination_identity])
        await self._session.sender.send(packet, reliable=True, urgent=True)

    async def _send_stream(self, request_id: str, info: RpcCallInfo, encoded: bytes, timeout_ms: int) -> None:
        options = StreamOptions(
            topic=RPC_REQUEST_TOPIC,
            attributes={
                REQUEST_ID: request_id,
                METHOD: info.method,
                TIMEOUT_MS: str(timeout_ms),
                VERSION: STREAM_VERSION,
            },
            destinations=[info.destination_identity],
            header=text_header(),
            urgent=True,
        )
        await send_whole(self._session, options, encoded, compress=True)

    def participant_left(self, participant: ParticipantState) -> None:
        """Nobody is there to answer."""
        self._fail_all(participant.identity, "the participant left the room")

    def close(self) -> None:
        self._fail_all(None, "our own room disconnected")
        for reader in self._readers:
            reader.cancel()

    def _fail_all(self, destination: str | None, why: str) -> None:
        for call in list(self._pending.values()):
            if destination is None or call.destination == destination:
                call.fail(built_in(RpcErrorCode.RECIPIENT_DISCONNECTED, why))

    # ---- what arrives ----

    def _call_of(self, request_id: str, sender_identity: str) -> _Call | None:
        call = self._pending.get(request_id)
        if call is None or call.destination == sender_identity:
            return call
        # A hidden participant answers without its name, and is not among those we know.
        if not sender_identity and call.destination not in self._session.state.remotes:
            return call
        return None

    def _ack(self, packet: models.DataPacket, _: bool) -> None:
        call = self._call_of(packet.rpc_ack.request_id, packet.participant_identity)
        if call is not None:
            call.acknowledged()

    def _response(self, packet: models.DataPacket, _: bool) -> None:
        response = packet.rpc_response
        call = self._call_of(response.request_id, packet.participant_identity)
        if call is None:
            return
        if response.HasField("error"):
            call.fail(from_wire(response.error))
        else:
            call.succeed(response.payload)

    def _response_stream(self, stream: IncomingStream, sender_identity: str) -> None:
        call = self._call_of(stream.header.attributes.get(REQUEST_ID, ""), sender_identity)
        if call is None:
            stream.close()
            return
        call.acknowledged()
        if stream.ended:
            _settle(call, stream)
            return
        task = asyncio.ensure_future(self._read(call, stream))
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def _read(self, call: _Call, stream: IncomingStream) -> None:
        reading: asyncio.Future[None] = asyncio.ensure_future(stream.ends())
        waited: list[asyncio.Future[Any]] = [reading, call.result]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if stream.ended:
                _settle(call, stream)
        finally:
            reading.cancel()
            stream.close()


def _settle(call: _Call, stream: IncomingStream) -> None:
    try:
        call.succeed(stream.take_text())
    except StreamError as error:
        call.fail(
            built_in(RpcErrorCode.APPLICATION_ERROR, f"the response was not received: {error.description}")
        )


def _default(given: float | None, default: float) -> float:
    return default if given is None else given


def _supports_rpc(version: str) -> bool:
    """A version that is not known, or is no version, is taken for a new one."""
    numbers = version.split("-")[0].split("+")[0].split(".")
    if len(numbers) < 3 or not all(number.isdecimal() for number in numbers[:3]):
        return True
    return tuple(int(number) for number in numbers[:3]) >= MIN_SERVER_VERSION

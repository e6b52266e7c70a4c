"""What users see of calls: the error with its codes, what a call is made of, and interceptors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, TypeAlias

from livekit.protocol import models

from greenroom.signalling.stream_framing import cut_to_bytes

MAX_PAYLOAD_BYTES = 15_360
"""UTF-8 bytes of a request or response to a peer that does not take calls as streams; larger ones are streams."""
MAX_MESSAGE_BYTES = 256


class RpcErrorCode(IntEnum):
    """Built-in codes. 1001 to 1999 are reserved for them."""

    APPLICATION_ERROR = 1500
    CONNECTION_TIMEOUT = 1501
    RESPONSE_TIMEOUT = 1502
    RECIPIENT_DISCONNECTED = 1503
    RESPONSE_PAYLOAD_TOO_LARGE = 1504
    SEND_FAILED = 1505
    UNSUPPORTED_METHOD = 1400
    RECIPIENT_NOT_FOUND = 1401
    REQUEST_PAYLOAD_TOO_LARGE = 1402
    UNSUPPORTED_SERVER = 1403
    UNSUPPORTED_VERSION = 1404


_MESSAGES = {
    RpcErrorCode.APPLICATION_ERROR: "Application error in method handler",
    RpcErrorCode.CONNECTION_TIMEOUT: "Connection timeout",
    RpcErrorCode.RESPONSE_TIMEOUT: "Response timeout",
    RpcErrorCode.RECIPIENT_DISCONNECTED: "Recipient disconnected",
    RpcErrorCode.RESPONSE_PAYLOAD_TOO_LARGE: "Response payload too large",
    RpcErrorCode.SEND_FAILED: "Failed to send",
    RpcErrorCode.UNSUPPORTED_METHOD: "Method not supported at destination",
    RpcErrorCode.RECIPIENT_NOT_FOUND: "Recipient not found",
    RpcErrorCode.REQUEST_PAYLOAD_TOO_LARGE: "Request payload too large",
    RpcErrorCode.UNSUPPORTED_SERVER: "RPC not supported by server",
    RpcErrorCode.UNSUPPORTED_VERSION: "Unsupported RPC version",
}


class RpcError(Exception):
    """A call failed, or a handler wants it to fail: raised by a handler it reaches the caller as it is.

    `message` travels up to 256 bytes of UTF-8, `data` up to 15,360. Use codes outside of 1001 to 1999 for your own.
    """

    ErrorCode: TypeAlias = RpcErrorCode
    ErrorMessage: ClassVar[dict[RpcErrorCode, str]] = _MESSAGES

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self._code = code
        self._message = message
        self._data = data

    @property
    def code(self) -> int:
        return self._code

    @property
    def message(self) -> str:
        return self._message

    @property
    def data(self) -> str | None:
        return self._data

    @classmethod
    def _built_in(cls, code: RpcErrorCode, data: str | None = None) -> RpcError:
        return cls(code, _MESSAGES[code], data)


def built_in(code: RpcErrorCode, data: str | None = None) -> RpcError:
    """The error of one of the built-in codes, with its message."""
    return RpcError._built_in(code, data)


def to_wire(error: RpcError) -> models.RpcError:
    """Cut to what is allowed to travel. A code that is no uint32 becomes APPLICATION_ERROR."""
    code = int(error.code)
    return models.RpcError(
        code=code if 0 <= code < 1 << 32 else int(RpcErrorCode.APPLICATION_ERROR),
        message=cut_to_bytes(str(error.message), MAX_MESSAGE_BYTES),
        data=cut_to_bytes(str(error.data or ""), MAX_PAYLOAD_BYTES),
    )


def from_wire(error: models.RpcError) -> RpcError:
    return RpcError(error.code, error.message, error.data)


@dataclass
class RpcInvocationData:
    """One call as its handler gets it.

    `response_timeout`: seconds the handler has. `cancel_reason`: set just before the handler is cancelled:
    RESPONSE_TIMEOUT when its time is over, RECIPIENT_DISCONNECTED when the room disconnected or the caller left.
    """

    request_id: str
    caller_identity: str
    payload: str
    response_timeout: float
    method: str = ""
    cancel_reason: RpcErrorCode | None = None


@dataclass
class RpcCallInfo:
    """One call as `perform_rpc` was asked to make it; timeouts in seconds, None for the default."""

    destination_identity: str
    method: str
    payload: str
    response_timeout: float | None = None
    max_round_trip_latency: float | None = None


OutgoingRpcNext = Callable[[RpcCallInfo], Awaitable[str]]
IncomingRpcNext = Callable[[RpcInvocationData], Awaitable["str | None"]]
RpcHandler = Callable[[RpcInvocationData], Any]
"""Returns a str, None, or an awaitable of one of them."""


class RpcInterceptor:
    """Wraps calls: override one or both. The interceptor that was added first is the outermost."""

    async def intercept_outgoing(self, call: RpcCallInfo, next: OutgoingRpcNext) -> str:
        """Around each call we make. `await next(call)` makes it and gives the response, or raises RpcError."""
        return await next(call)

    async def intercept_incoming(self, invocation: RpcInvocationData, next: IncomingRpcNext) -> str | None:
        """Around each call to us. `await next(invocation)` runs the handler; what is returned is the response."""
        return await next(invocation)

"""Remote procedure calls between participants; `LocalParticipant` makes them and takes them."""

from __future__ import annotations

from greenroom.client.rpc_types import (
    IncomingRpcNext,
    OutgoingRpcNext,
    RpcCallInfo,
    RpcError,
    RpcHandler,
    RpcInterceptor,
    RpcInvocationData,
)

__all__ = [
    "IncomingRpcNext",
    "OutgoingRpcNext",
    "RpcCallInfo",
    "RpcError",
    "RpcHandler",
    "RpcInterceptor",
    "RpcInvocationData",
]

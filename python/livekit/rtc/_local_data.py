"""Calls and data streams of the local participant."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from greenroom.client.errors import StreamError
from greenroom.client.file_blocks import file_blocks, file_size
from greenroom.client.rpc_methods import RpcRegistry
from greenroom.client.rpc_types import OutgoingRpcNext, RpcErrorCode, RpcHandler, built_in
from greenroom.client.session import Session
from greenroom.client.streams_outgoing import StreamOptions, byte_header, send_blocks, send_whole, text_header

from ._arguments import payload
from ._arguments import text as as_text
from .data_stream import (
    ByteStreamInfo,
    ByteStreamWriter,
    TextStreamInfo,
    TextStreamWriter,
    byte_info,
    text_info,
)
from .rpc import RpcCallInfo, RpcInterceptor

if TYPE_CHECKING:
    from .participant import LocalParticipant

_BINARY = "application/octet-stream"


class LocalData:
    """What `LocalParticipant` can do with calls and streams."""

    _rpc: RpcRegistry
    _connected: Callable[[Callable[[str], Exception], str], Session]

    # ---- calls ----

    async def perform_rpc(
        self,
        *,
        destination_identity: str,
        method: str,
        payload: str,
        response_timeout: float | None = None,
        max_round_trip_latency: float | None = None,
    ) -> str:
        """Call a method that a participant has registered; the response of its handler.

        `response_timeout`: seconds for the response (None: 15), `max_round_trip_latency`: seconds within which the
        participant has to show that it took the call (None: 7). Raises RpcError with the code of what went wrong.
        """

        async def perform(info: RpcCallInfo) -> str:
            session = self._connected(lambda why: built_in(RpcErrorCode.SEND_FAILED, why), "call a method")
            return await session.data_kinds.calls.perform(info)

        run: OutgoingRpcNext = perform
        for interceptor in reversed(self._rpc.interceptors):
            run = _wrapped(interceptor, run)
        return await run(
            RpcCallInfo(destination_identity, method, payload, response_timeout, max_round_trip_latency)
        )

    def register_rpc_method(
        self, method_name: str, handler: RpcHandler | None = None
    ) -> RpcHandler | Callable[[RpcHandler], RpcHandler]:
        """Answer calls of `method_name` with `handler`, or decorate one. It replaces one registered before.

        The handler gets RpcInvocationData and returns a str or None, directly or as a coroutine. RpcError reaches the
        caller as it is; any other exception becomes APPLICATION_ERROR.
        """
        if handler is None:

            def decorate(function: RpcHandler) -> RpcHandler:
                self._rpc.methods[method_name] = function
                return function

            return decorate
        self._rpc.methods[method_name] = handler
        return handler

    def unregister_rpc_method(self, method: str) -> None:
        """Calls of it are answered with UNSUPPORTED_METHOD from now on. Harmless when it is not registered."""
        self._rpc.methods.pop(method, None)

    def add_rpc_interceptor(self, interceptor: RpcInterceptor) -> None:
        """Wrap calls made and taken from now on. The first one added is the outermost."""
        self._rpc.interceptors.append(interceptor)

    def remove_rpc_interceptor(self, interceptor: RpcInterceptor) -> None:
        """Calls under way keep it. Harmless when it is not there."""
        if interceptor in self._rpc.interceptors:
            self._rpc.interceptors.remove(interceptor)

    # ---- streams ----

    async def stream_text(
        self,
        *,
        destination_identities: list[str] | None = None,
        topic: str = "",
        attributes: dict[str, str] | None = None,
        stream_id: str | None = None,
        reply_to_id: str | None = None,
        total_size: int | None = None,
        sender_identity: str | None = None,
    ) -> TextStreamWriter:
        """Begin a text that is written piece by piece, to everyone or to those named. StreamError when it can't be."""
        writer = TextStreamWriter(
            cast("LocalParticipant", self),
            topic=topic,
            attributes=attributes,
            stream_id=stream_id,
            total_size=total_size,
            reply_to_id=reply_to_id,
            destination_identities=destination_identities,
            sender_identity=sender_identity,
        )
        return await writer._open()

    async def send_text(
        self,
        text: str,
        *,
        destination_identities: list[str] | None = None,
        topic: str = "",
        attributes: dict[str, str] | None = None,
        reply_to_id: str | None = None,
        compress: bool = True,
    ) -> TextStreamInfo:
        """Send a whole text. `compress`: where all receivers can inflate it. Raises StreamError."""
        options = StreamOptions(
            topic,
            attributes,
            destinations=destination_identities or (),
            header=text_header(reply_to_id=reply_to_id),
        )
        session = self._connected(StreamError, "send a text")
        return text_info(
            (await send_whole(session, options, as_text("text", text).encode(), compress)).header
        )

    async def stream_bytes(
        self,
        name: str,
        *,
        total_size: int | None = None,
        mime_type: str = _BINARY,
        attributes: dict[str, str] | None = None,
        stream_id: str | None = None,
        destination_identities: list[str] | None = None,
        topic: str = "",
    ) -> ByteStreamWriter:
        """Begin bytes that are written piece by piece. With `total_size` receivers find out when some are missing."""
        writer = ByteStreamWriter(
            cast("LocalParticipant", self),
            name=name,
            topic=topic,
            attributes=attributes,
            stream_id=stream_id,
            total_size=total_size,
            mime_type=mime_type,
            destination_identities=destination_identities,
        )
        return await writer._open()

    async def send_bytes(
        self,
        data: bytes,
        *,
        topic: str = "",
        name: str | None = None,
        mime_type: str | None = None,
        destination_identities: list[str] | None = None,
        attributes: dict[str, str] | None = None,
        stream_id: str | None = None,
        compress: bool = True,
    ) -> ByteStreamInfo:
        """Send bytes that are in memory, as one stream. Raises StreamError."""
        content = payload("data", data)
        options = StreamOptions(
            topic,
            attributes,
            stream_id,
            destination_identities or (),
            header=byte_header("unknown" if name is None else name, mime_type or _BINARY, len(content)),
        )
        session = self._connected(StreamError, "send bytes")
        return byte_info((await send_whole(session, options, content, compress)).header)

    async def send_file(
        self,
        file_path: str,
        *,
        topic: str = "",
        destination_identities: list[str] | None = None,
        attributes: dict[str, str] | None = None,
        stream_id: str | None = None,
        compress: bool = True,
    ) -> ByteStreamInfo:
        """Send a file of any size under its base name; it is read as it is sent. StreamError, or OSError of the file."""
        session = self._connected(StreamError, "send a file")
        path = os.fspath(file_path)
        size = await file_size(path)
        mime_type = mimetypes.guess_type(path)[0] or _BINARY
        options = StreamOptions(
            topic,
            attributes,
            stream_id,
            destination_identities or (),
            header=byte_header(os.path.basename(path), mime_type, size),
        )
        blocks = file_blocks(path, size)
        try:
            return byte_info((await send_blocks(session, options, blocks, compress)).header)
        finally:
            await blocks.aclose()


def _wrapped(interceptor: RpcInterceptor, inner: OutgoingRpcNext) -> OutgoingRpcNext:
    def run(call: RpcCallInfo) -> Awaitable[str]:
        return interceptor.intercept_outgoing(call, inner)

    return run

"""Remote calls that the server itself makes to a participant, over its reliable data channel."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from livekit.protocol import models

ACKNOWLEDGE_LIMIT_S = 7.0
"""How long a participant may take to say that it got the request, as the client SDKs allow each other."""
DEFAULT_TIMEOUT_MS = 10_000
PAYLOAD_BYTES = 15_360

MESSAGES = {
    1400: "Method not supported at destination",
    1402: "Request payload too large",
    1501: "Connection timeout",
    1502: "Response timeout",
    1503: "Recipient disconnected",
}


class CallError(Exception):
    """A call that brought no result; code, message and data as the SDKs' RpcError has them."""

    def __init__(self, code: int, message: str = "", data: str = "") -> None:
        self.code = code
        parts = [f"RpcError {code}", message or MESSAGES.get(code, ""), data]
        super().__init__(": ".join(part for part in parts if part))


class _Call:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.acknowledged: asyncio.Future[None] = loop.create_future()
        self.answered: asyncio.Future[str] = loop.create_future()


class ServerCalls:
    """The calls to one participant that are under way."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._calls: dict[str, _Call] = {}

    async def call(self, method: str, payload: str, timeout_ms: int) -> str:
        """The participant's answer. Raises CallError. `timeout_ms` 0 stands for ten seconds."""
        if len(payload.encode()) > PAYLOAD_BYTES:
            raise CallError(1402)
        timeout_ms = timeout_ms or DEFAULT_TIMEOUT_MS
        call_id, call = str(uuid.uuid4()), _Call()
        self._calls[call_id] = call
        request = models.RpcRequest(
            id=call_id, method=method, payload=payload, response_timeout_ms=timeout_ms, version=1
        )
        # The caller's name is the call's id: answers go to nobody else.
        packet = models.DataPacket(participant_identity=call_id, rpc_request=request)
        try:
            self._send(packet.SerializeToString())
            return await self._outcome(call, timeout_ms / 1000)
        finally:
            del self._calls[call_id]

    @staticmethod
    async def _outcome(call: _Call, timeout_s: float) -> str:
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        sooner = min(ACKNOWLEDGE_LIMIT_S, timeout_s)
        first = (call.acknowledged, call.answered)
        done, _ = await asyncio.wait(first, timeout=sooner, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise CallError(1501 if sooner < timeout_s else 1502)
        remaining_s = max(0.0, deadline_s - asyncio.get_running_loop().time())
        await asyncio.wait((call.answered,), timeout=remaining_s)
        if not call.answered.done():
            raise CallError(1502)
        return call.answered.result()

    def acknowledge(self, call_id: str) -> bool:
        """The participant got the request. Whether it was one of these calls."""
        call = self._calls.get(call_id)
        if call is not None and not call.acknowledged.done():
            call.acknowledged.set_result(None)
        return call is not None

    def answer(self, response: models.RpcResponse) -> bool:
        """The participant's answer. Whether it was to one of these calls."""
        call = self._calls.get(response.request_id)
        if call is not None and not call.answered.done():
            if response.HasField("error"):
                error = response.error
                call.answered.set_exception(CallError(error.code, error.message, error.data))
            else:
                call.answered.set_result(response.payload)
        return call is not None

    def close(self) -> None:
        """The participant is gone: every call ends with an error."""
        for call in self._calls.values():
            if not call.answered.done():
                call.answered.set_exception(CallError(1503))

"""Trying the first join again where that can help, as the reference SDK does: a server that restarts, or is busy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from . import reconnect
from .errors import ConnectError, ServerRefusedError, ServerUnreachableError, SignalLostError
from .waiting import loop_time

_logger = logging.getLogger("livekit")

RETRY_PAUSES_S = (0.1, 0.3, 0.9)
"""Up to so long before each further attempt: there are three (`join_retries`)."""
_TOO_MANY_REQUESTS = 429


def may_pass(error: ConnectError) -> bool:
    """Whether the same join may succeed a moment later. Never for what the user has to mend: URL, token, TLS."""
    match error:
        case ServerUnreachableError():
            return error.may_pass
        case ServerRefusedError(status=int(status)):
            return status >= 500 or status == _TOO_MANY_REQUESTS
        case _:
            return isinstance(error, SignalLostError)


async def join_with_retries(attempt: Callable[[float], Awaitable[None]], timeout_s: float) -> None:
    """Call `attempt` with the deadline (on the loop's clock) until it succeeds. The last error when none does; there
    is no further attempt when the deadline would come first."""
    deadline_s = loop_time() + timeout_s
    for pause_limit_s in RETRY_PAUSES_S:
        try:
            return await attempt(deadline_s)
        except ConnectError as error:
            pause_s = pause_limit_s * reconnect.random_unit()
            if not may_pass(error) or loop_time() + pause_s >= deadline_s:
                raise
            _logger.info("joining failed, to be tried again: %s", error)
        await asyncio.sleep(pause_s)
    await attempt(deadline_s)

"""How far streams may fill the reliable channel, so that calls and messages behind them are soon on their way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from greenroom import _engine

from .publisher import RELIABLE

if TYPE_CHECKING:
    from .session import Session

BULK_BUFFER_BYTES = 768 * 1024
"""Unacknowledged bytes from which on streams wait: 20 ms of round trip still carry 38 MB/s."""
_POLL_S = 0.001


async def room_for_bulk(session: Session) -> None:
    """Wait until little enough is under way. Returns at once when the connection is being made anew or is over:
    sending itself knows what to do then."""
    while not session.closed and not session.reconnector.active:
        publisher = session.publisher
        channel = publisher.channels[RELIABLE]
        if not publisher.link.is_open(channel):
            return
        try:
            buffered_bytes = publisher.link.peer.buffered_amount(channel)
        except _engine.EngineError:
            return
        if buffered_bytes < BULK_BUFFER_BYTES:
            return
        await asyncio.sleep(_POLL_S)

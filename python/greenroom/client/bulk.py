"""How far streams may fill the reliable channel, so that calls and messages behind them are soon on their way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from greenroom import _engine

from .publisher import RELIABLE

if TYPE_CHECKING:
    from .session import Session

_POLL_S = 0.001


async def room_for_bulk(session: Session) -> None:
    """Wait until little enough is under way: no more than the path needs to be full.

    Returns at once when the connection is being made anew or is over: sending itself knows what to do then.
    """
    while not session.closed and not session.reconnector.active:
        publisher = session.publisher
        channel = publisher.channels[RELIABLE]
        if not publisher.link.is_open(channel):
            return
        try:
            peer = publisher.link.peer
            if peer.buffered_amount(channel) < peer.bulk_limit():
                return
        except _engine.EngineError:
            return
        await asyncio.sleep(_POLL_S)

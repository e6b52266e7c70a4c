"""Going out of service without cutting anybody off: nobody new comes in, and those inside may finish."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from .room_listener import RoomListener

if TYPE_CHECKING:
    from .participant import Participant
    from .rooms import Rooms

_logger = logging.getLogger("greenroom.server")


class Drain(RoomListener):
    """Watches the last participants leave."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._empty = asyncio.Event()

    async def run(self, limit_s: float) -> bool:
        """Refuse joins from now on, and wait until everybody who counts has left. False when `limit_s` passed."""
        self._rooms.draining = True
        remaining = self._remaining()
        _logger.info("draining: %d participants may finish within %g s", remaining, limit_s)
        if remaining == 0:
            return True
        try:
            await asyncio.wait_for(self._empty.wait(), limit_s)
        except asyncio.TimeoutError:
            _logger.warning("draining ends with %d participants left", self._remaining())
            return False
        return True

    def participant_left(self, participant: Participant) -> None:
        if self._rooms.draining and self._remaining() == 0:
            self._empty.set()

    def _remaining(self) -> int:
        return sum(room.count()[0] for room in self._rooms.all())

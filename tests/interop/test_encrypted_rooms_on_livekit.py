"""The cases of an encrypted room on livekit-server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from encryption_cases import *  # noqa: F403 - the tests
from room_tools import Rooms

from .servers import RoomServer


@pytest.fixture
async def rooms(livekit: RoomServer) -> AsyncIterator[Rooms]:
    rooms = Rooms(livekit)
    yield rooms
    await rooms.leave()

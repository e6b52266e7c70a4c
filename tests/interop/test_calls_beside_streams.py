from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from bulk_cases import *  # noqa: F403 - the tests
from room_tools import Rooms

from .servers import RoomServer


@pytest.fixture
async def rooms(livekit: RoomServer, nothing_left: None) -> AsyncIterator[Rooms]:
    joined = Rooms(livekit)
    yield joined
    await joined.leave()

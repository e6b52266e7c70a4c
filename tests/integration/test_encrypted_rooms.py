"""The cases of an encrypted room on the embedded server, in the same process and on the same loop."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from encryption_cases import *  # noqa: F403 - the tests
from room_tools import Rooms

import greenroom


@pytest.fixture
async def rooms() -> AsyncIterator[Rooms]:
    async with greenroom.Server() as server:
        rooms = Rooms(server)
        yield rooms
        await rooms.leave()

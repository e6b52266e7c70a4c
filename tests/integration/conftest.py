"""A server and its rooms; a module that needs others has its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from room_tools import Rooms

import greenroom


@pytest.fixture
async def server() -> AsyncIterator[greenroom.Server]:
    async with greenroom.Server() as server:
        yield server


@pytest.fixture
async def rooms(server: greenroom.Server) -> AsyncIterator[Rooms]:
    rooms = Rooms(server)
    try:
        yield rooms
    finally:
        await rooms.leave()

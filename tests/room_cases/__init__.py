"""What must hold in a room on any server: imported by a test module that has a `server` fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from room_tools import Rooms

from .data import *  # noqa: F403 - the tests
from .handlers import *  # noqa: F403 - the tests
from .permissions import *  # noqa: F403 - the tests
from .pictures import *  # noqa: F403 - the tests
from .publishing import *  # noqa: F403 - the tests
from .sound import *  # noqa: F403 - the tests
from .subscribing import *  # noqa: F403 - the tests
from .visits import *  # noqa: F403 - the tests


@pytest.fixture
async def rooms(server: Any, nothing_left: None) -> AsyncIterator[Rooms]:
    rooms = Rooms(server)
    yield rooms
    await rooms.leave()

"""The room's cases on livekit-server: what holds on the embedded server must hold there."""

from __future__ import annotations

import pytest
from event_cases import *  # noqa: F403 - the tests
from room_cases import *  # noqa: F403 - the tests

from .servers import RoomServer


@pytest.fixture
def server(livekit: RoomServer) -> RoomServer:
    return livekit

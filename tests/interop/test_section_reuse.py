"""Media sections used again on livekit-server."""

from __future__ import annotations

import pytest
from section_cases import *  # noqa: F403 - the tests

from .servers import RoomServer


@pytest.fixture
def server(livekit: RoomServer) -> RoomServer:
    return livekit

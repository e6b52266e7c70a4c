"""The room's cases on the embedded server, in the same process and on the same loop."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from event_cases import *  # noqa: F403 - the tests
from room_cases import *  # noqa: F403 - the tests

import greenroom


@pytest.fixture
async def server() -> AsyncIterator[greenroom.Server]:
    async with greenroom.Server() as server:
        yield server

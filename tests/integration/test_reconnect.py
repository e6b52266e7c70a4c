"""The cases of reconnecting on the embedded server, and those that need its process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from reconnect_cases import *  # noqa: F403 - the tests

import greenroom


@pytest.fixture
async def server() -> AsyncIterator[greenroom.Server]:
    async with greenroom.Server() as server:
        yield server

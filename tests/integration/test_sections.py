"""Media sections used again on the embedded server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from section_cases import *  # noqa: F403 - the tests

import greenroom


@pytest.fixture
async def server() -> AsyncIterator[greenroom.Server]:
    async with greenroom.Server() as server:
        yield server

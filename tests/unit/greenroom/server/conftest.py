"""A server whose forwarding unit is a fake, and clients that speak the protocol by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from server_fakes import Harness


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with Harness() as harness:
        yield harness

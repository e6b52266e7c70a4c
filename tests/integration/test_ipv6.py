"""The embedded server on a machine that has nothing but IPv6."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from ipv6_cases import *  # noqa: F403 - the tests

import greenroom


@pytest.fixture(params=["udp", "tcp"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[greenroom.Server]:
    async with greenroom.Server(host="::1", force_tcp=request.param == "tcp") as server:
        assert server._sfu is not None
        assert all(" ::1 " in line for line in server._sfu.candidates)
        yield server

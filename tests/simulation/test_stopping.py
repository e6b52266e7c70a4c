"""A server that stops while others come."""

from __future__ import annotations

import asyncio

import pytest

import greenroom.testing
from livekit import rtc


@greenroom.testing.simulated(seed=1)
async def test_who_comes_while_the_server_says_goodbye_is_refused_and_leaves_nothing(
    simulation: greenroom.testing.Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "livekit")
    async with simulation.server() as server:
        silent, late = rtc.Room(), rtc.Room()
        with simulation.host("silent") as host:
            await silent.connect(server.url, server.token("lobby", "silent"))
        host.set_link(blackhole=True)  # its goodbye never comes, so that stopping takes a moment
        stopping = asyncio.ensure_future(server.stop())
        await asyncio.sleep(0.1)
        # It tries again for a moment, and by then nobody may listen any more.
        with pytest.raises(rtc.ConnectError, match=r"out of service|nobody listens"):
            await late.connect(server.url, server.token("lobby", "late"))
        assert "the server is going out of service" in caplog.text
        await stopping
        host.heal()
        await silent.disconnect()

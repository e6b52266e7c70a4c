"""The cases of reconnecting on the embedded server, and those that need its process."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from reconnect_cases import *  # noqa: F403 - the tests
from reconnect_cases import media_dies_and_is_revived, server_dies_and_another_follows
from room_tools import Rooms, within
from udp_relay import RELAY_ADDRESS, UdpRelay

import greenroom
import greenroom.server.tokens
from livekit import rtc


@pytest.mark.parametrize("single", [True, False], ids=["one", "two"])
async def test_a_dead_media_path_is_noticed_and_revived_by_an_ice_restart(
    nothing_left: None, caplog: pytest.LogCaptureFixture, single: bool
) -> None:
    settings: dict[str, Any] = {"tcp_port": None, "advertised_addresses": (RELAY_ADDRESS,)}
    async with greenroom.Server(**settings) as server, UdpRelay(server.udp_port) as relay:
        await media_dies_and_is_revived(server, relay, caplog, single=single)


_SERVER_PROGRAM = """
import asyncio, sys, greenroom

async def main(port, key, secret):
    async with greenroom.Server(port=port, api_key=key, api_secret=secret) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
"""
_KEY, _SECRET = "key", "secret-of-at-least-thirty-two-characters"


@contextlib.asynccontextmanager
async def server_process(port: int) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """The embedded server in a process that can be killed; yields it and its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVER_PROGRAM, str(port), _KEY, _SECRET, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield process, int(await within(process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class _Address:
    def __init__(self, port: int) -> None:
        self.url = f"ws://127.0.0.1:{port}"

    def token(self, identity: str, room: str) -> str:
        return greenroom.server.tokens.mint(_KEY, _SECRET, room, identity)


async def test_a_server_that_is_killed_and_started_again() -> None:
    async with server_process(0) as (process, port):
        await server_dies_and_another_follows(Rooms(_Address(port)), process.kill, server_process(port))


async def test_a_server_that_stops_says_goodbye_for_good(nothing_left: None) -> None:
    async with greenroom.Server() as server:
        room, events = await Rooms(server).join("anna")
        await server.stop()
        assert await events.wait("disconnected") == (rtc.DisconnectReason.SERVER_SHUTDOWN,)
        assert events.of("reconnecting") == []
        await room.disconnect()

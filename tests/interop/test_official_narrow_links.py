"""The official SDK behind a link that becomes narrow, and wide again, on the embedded server: it gets a lower layer rather
than losses."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from room_tools import Rooms, noise
from udp_relay import server_behind_relay

from .peers import official_sdk_python

_PROGRAM = Path(__file__).parent / "watching_program.py"
_LIMIT_S = 30.0
HIGH, LOW = (640, 360), (320, 180)


class Watcher:
    """The official SDK in its own process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.sizes: list[tuple[int, int]] = []

    async def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _LIMIT_S)
        assert line, f"it ended; sizes so far: {self.sizes}"
        told: dict[str, Any] = json.loads(line)
        if "size" in told:
            width, height = told["size"]
            self.sizes.append((width, height))
        return told

    async def sees(self, size: tuple[int, int]) -> None:
        """A picture of that size comes, or is the last that came."""
        while self.sizes[-1:] != [size]:
            await self._next()

    async def longest_gap_s(self, frames: int) -> float:
        """The longest time without a picture while so many come."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"%d\n" % frames)
        while "longest_gap_s" not in (told := await self._next()):
            pass
        return float(told["longest_gap_s"])


@contextlib.asynccontextmanager
async def watcher(url: str, token: str) -> AsyncIterator[Watcher]:
    process = await asyncio.create_subprocess_exec(
        official_sdk_python(), _PROGRAM, url, token,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield Watcher(process)
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def test_the_official_sdk_gets_the_layer_that_fits() -> None:
    async with server_behind_relay() as (server, relay):
        rooms = Rooms(server)
        alice, _ = await rooms.join("alice")
        async with noise(alice, HIGH), watcher(server.url, rooms.token("official")) as official:
            await official.sees(HIGH)
            await official.longest_gap_s(frames=60)
            relay.down_bps = 300_000
            await official.sees(LOW)
            lost, delivered = relay.lost, relay.delivered
            assert await official.longest_gap_s(frames=30) < 1
            assert relay.lost - lost < 0.05 * (relay.delivered - delivered)
            assert official.sizes == [HIGH, LOW]
            relay.down_bps = 0
            await official.sees(HIGH)
        await rooms.leave()

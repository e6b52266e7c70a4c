"""The official SDK behind a link that becomes narrow, and wide again, on the embedded server: it gets a lower layer rather
than losses."""

from __future__ import annotations

from typing import Any

from room_tools import Rooms, noise
from udp_relay import server_behind_relay

from .official import Program, official_program

HIGH, LOW = (640, 360), (320, 180)


class Watcher:
    """What the official SDK sees."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.sizes: list[tuple[int, int]] = []

    async def _next(self) -> dict[str, Any]:
        told = await self._program.next()
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
        await self._program.order(str(frames))
        while "longest_gap_s" not in (told := await self._next()):
            pass
        return float(told["longest_gap_s"])


async def test_the_official_sdk_gets_the_layer_that_fits() -> None:
    async with server_behind_relay() as (server, relay):
        rooms = Rooms(server)
        alice, _ = await rooms.join("alice")
        watching = official_program("watching_program.py", server.url, rooms.token("official"))
        async with noise(alice, HIGH), watching as program:
            official = Watcher(program)
            await official.sees(HIGH)
            await official.longest_gap_s(frames=60)
            del official.sizes[:-1]  # the highest layer may begin after the lowest
            relay.down_bps = 300_000
            await official.sees(LOW)
            lost, delivered = relay.lost, relay.delivered
            assert await official.longest_gap_s(frames=30) < 1
            assert relay.lost - lost < 0.05 * (relay.delivered - delivered)
            assert official.sizes == [HIGH, LOW]
            relay.down_bps = 0
            await official.sees(HIGH)
        await rooms.leave()

"""Data through everything in virtual time: two rooms, the embedded server, and simulated lines between them.

usage: python -m benches.simulated_data [--seeds 1 2 3] [--megabytes 40]

What limits here is windows, losses and round trips, never the processor: the same seed gives the same figures on any
machine. Prints MB per virtual second, from the first call to the arrival of the last byte.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from greenroom.testing import Simulation
from livekit import rtc

MESSAGE_BYTES = 14_000


@dataclass(frozen=True)
class Line:
    """What is between each client and the server."""

    name: str
    round_trip_s: float
    loss: float
    aim: float
    """MB/s."""


LINES = (
    Line("20 ms end to end", 0.010, 0.0, 20.0),
    Line("20 ms on each hop", 0.020, 0.0, 20.0),
    Line("20 ms end to end, 0.1 % loss on each hop", 0.010, 0.001, 5.0),
    Line("20 ms on each hop, 0.1 % loss on each", 0.020, 0.001, 5.0),
)


class Arrived:
    """Counts what comes, and knows when it is all."""

    def __init__(self, total: int) -> None:
        self._left = total
        self.whole = asyncio.Event()

    def add(self, size: int) -> None:
        self._left -= size
        if self._left <= 0:
            assert self._left == 0, "more came than was sent"
            self.whole.set()


async def messages(sender: rtc.Room, receiver: rtc.Room, total: int) -> None:
    """Reliable messages of 14 kB."""
    count = total // MESSAGE_BYTES
    arrived = Arrived(count)
    receiver.on("data_received", lambda packet: arrived.add(1))
    payload = bytes(MESSAGE_BYTES)
    for _ in range(count):
        await sender.local_participant.publish_data(payload)
    await arrived.whole.wait()


async def stream(sender: rtc.Room, receiver: rtc.Room, total: int) -> None:
    """One byte stream."""
    arrived = Arrived(total)
    jobs = []

    async def read(reader: rtc.ByteStreamReader) -> None:
        async for piece in reader:
            arrived.add(len(piece))

    receiver.register_byte_stream_handler(
        "bulk", lambda reader, _: jobs.append(asyncio.ensure_future(read(reader)))
    )
    writer = await sender.local_participant.stream_bytes("bulk", total_size=total, topic="bulk")
    block = hashlib.shake_128(b"bulk").digest(1_000_000)
    for begin in range(0, total, len(block)):
        await writer.write(block[: total - begin])
    await writer.aclose()
    await arrived.whole.wait()
    await asyncio.gather(*jobs)


WAYS: dict[str, Callable[[rtc.Room, rtc.Room, int], Awaitable[None]]] = {
    "messages": messages,
    "stream": stream,
}


def measure(seed: int, line: Line, way: str, total: int) -> float:
    """MB per virtual second."""

    async def main(simulation: Simulation) -> float:
        async with simulation.server() as server:
            simulation.host("server").set_link(delay_s=0.0)
            rooms = [rtc.Room(), rtc.Room()]
            for name, room in zip(("sender", "receiver"), rooms, strict=True):
                with simulation.host(name) as host:
                    host.set_link(delay_s=line.round_trip_s / 2, loss=line.loss)
                    await room.connect(server.url, server.token("bench", name))
            began_s = simulation.now_s
            await WAYS[way](*rooms, total)
            elapsed_s = simulation.now_s - began_s
            await asyncio.gather(*(room.disconnect() for room in rooms))
        return total / elapsed_s / 1e6

    return Simulation(seed=seed).run(main)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.simulated_data", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--megabytes", type=int, default=42, help="sent each time (default 42)")
    arguments = parser.parse_args()
    total = arguments.megabytes * 1_000_000 // MESSAGE_BYTES * MESSAGE_BYTES
    table = Table(title=f"MB per virtual second, {total / 1e6:.0f} MB each, seeds {arguments.seeds}")
    for column in ("line", "what", "median", "of each seed", "aim"):
        table.add_column(column, justify="left" if column in ("line", "what") else "right")
    for line in LINES:
        for way in WAYS:
            rates = [measure(seed, line, way, total) for seed in arguments.seeds]
            each = " ".join(f"{rate:.1f}" for rate in rates)
            table.add_row(line.name, way, f"{statistics.median(rates):.1f}", each, f"≥ {line.aim:g}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()

"""Much reliable data over lines that lose packets: whole, in order, and as fast as is promised (in virtual time)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator

import pytest

from greenroom.testing import Simulation
from greenroom.testing.server import SimulatedServer
from livekit import rtc

TOTAL = 20_000_000
CONTENT = hashlib.shake_128(b"bulk").digest(TOTAL)
MESSAGE_BYTES = 14_000
ROUND_TRIP_S = 0.020
"""From client to client and back."""
CASES = [(0.0, 20e6, 1), (0.001, 5e6, 1), (0.001, 5e6, 2)]
"""Loss on each hop, bytes per second at least, seed."""

cases = pytest.mark.parametrize(("loss", "least_rate", "seed"), CASES)


async def join(simulation: Simulation, server: SimulatedServer, loss: float) -> list[rtc.Room]:
    """A sender and a receiver, each behind half of the round trip."""
    simulation.host("server").set_link(delay_s=0.0)
    rooms = [rtc.Room(), rtc.Room()]
    for name, room in zip(("sender", "receiver"), rooms, strict=True):
        with simulation.host(name) as host:
            host.set_link(delay_s=ROUND_TRIP_S / 4, loss=loss)
            await room.connect(server.url, server.token("lobby", name))
    return rooms


def pieces() -> Iterator[bytes]:
    for start in range(0, TOTAL, MESSAGE_BYTES):
        yield CONTENT[start : start + MESSAGE_BYTES]


@cases
def test_messages_arrive_in_order_and_soon(loss: float, least_rate: float, seed: int) -> None:
    async def main(simulation: Simulation) -> None:
        async with simulation.server() as server:
            sender, receiver = await join(simulation, server, loss)
            expected, everything = pieces(), asyncio.Event()
            left = TOTAL

            def on_data(packet: rtc.DataPacket) -> None:
                nonlocal left
                assert packet.data == next(expected)
                left -= len(packet.data)
                if left == 0:
                    everything.set()

            receiver.on("data_received", on_data)
            begun_s = simulation.now_s
            for piece in pieces():
                await sender.local_participant.publish_data(piece)
            await everything.wait()
            assert TOTAL / (simulation.now_s - begun_s) > least_rate
            assert not any("dropped" in name for name in server.server.counters)
            await asyncio.gather(sender.disconnect(), receiver.disconnect())

    Simulation(seed=seed).run(main)


@cases
def test_a_stream_arrives_whole_and_soon(loss: float, least_rate: float, seed: int) -> None:
    async def main(simulation: Simulation) -> None:
        async with simulation.server() as server:
            sender, receiver = await join(simulation, server, loss)
            arrived: asyncio.Queue[bytes] = asyncio.Queue()
            reading: list[asyncio.Task[None]] = []

            async def read(reader: rtc.ByteStreamReader) -> None:
                arrived.put_nowait(b"".join([piece async for piece in reader]))

            receiver.register_byte_stream_handler(
                "bulk", lambda reader, _: reading.append(asyncio.ensure_future(read(reader)))
            )
            begun_s = simulation.now_s
            writer = await sender.local_participant.stream_bytes("bulk", total_size=TOTAL, topic="bulk")
            await writer.write(CONTENT)
            await writer.aclose()
            assert await arrived.get() == CONTENT
            assert TOTAL / (simulation.now_s - begun_s) > least_rate
            assert not any("dropped" in name for name in server.server.counters)
            await asyncio.gather(sender.disconnect(), receiver.disconnect())

    Simulation(seed=seed).run(main)

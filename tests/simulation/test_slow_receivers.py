"""A slow receiver slows its own stream only: on a line of 200 kB/s, while others have good ones."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

import pytest

from greenroom.testing import Simulation
from greenroom.testing.server import SimulatedServer
from livekit import rtc

SLOW_BYTES_PER_SECOND = 200_000
PAYLOAD = hashlib.shake_128(b"bulk").digest(5_000_000)
PROMPT_S = 1.0


class People:
    """Rooms by name, each on its own host; "slow" has a slow line down."""

    def __init__(self, simulation: Simulation, server: SimulatedServer) -> None:
        self._simulation = simulation
        self._server = server
        self.rooms: dict[str, rtc.Room] = {}
        self.arrived: dict[str, asyncio.Queue[tuple[float, bool]]] = {}
        """When a stream was read to its end, and whether it was whole."""
        self._reading: set[asyncio.Task[None]] = set()

    async def join(self, *names: str) -> None:
        for name in names:
            room = self.rooms[name] = rtc.Room()
            with self._simulation.host(name) as host:
                await room.connect(self._server.url, self._server.token("room", name))
                if name == "slow":
                    host.set_link("down", bitrate_bps=8 * SLOW_BYTES_PER_SECOND, queue_s=0.2)
            room.local_participant.register_rpc_method("echo", lambda data: data.payload)
            self.arrived[name] = asyncio.Queue()
            room.register_byte_stream_handler("bulk", self._handler(name))

    def _handler(self, name: str) -> Callable[[rtc.ByteStreamReader, str], None]:
        async def read(reader: rtc.ByteStreamReader) -> None:
            content = b"".join([piece async for piece in reader])
            self.arrived[name].put_nowait((self._simulation.now_s, content == PAYLOAD))

        def handle(reader: rtc.ByteStreamReader, _: str) -> None:
            task = asyncio.ensure_future(read(reader))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)

        return handle

    def send(self, sender: str, *destinations: str) -> asyncio.Task[None]:
        """A stream to those named, or to all."""

        async def send() -> None:
            local = self.rooms[sender].local_participant
            writer = await local.stream_bytes("bulk", topic="bulk", destination_identities=list(destinations))
            await writer.write(PAYLOAD)
            await writer.aclose()

        return asyncio.ensure_future(send())

    async def call_s(self, caller: str, responder: str) -> float:
        """How long a call takes."""
        begun_s = self._simulation.now_s
        local = self.rooms[caller].local_participant
        assert await local.perform_rpc(destination_identity=responder, method="echo", payload="?") == "?"
        return self._simulation.now_s - begun_s

    async def arrival_s(self, receiver: str) -> float:
        at_s, whole = await self.arrived[receiver].get()
        assert whole, f"what {receiver} received is not what was sent"
        return at_s

    async def leave(self) -> None:
        await asyncio.gather(*(room.disconnect() for room in self.rooms.values()))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_stream_to_a_slow_receiver_is_slow_and_holds_nothing_else_up(seed: int) -> None:
    async def main(simulation: Simulation) -> None:
        async with simulation.server() as server:
            people = People(simulation, server)
            await people.join("sender", "other", "fast", "slow")
            begun_s = simulation.now_s
            sending = people.send("sender", "slow")
            await asyncio.sleep(2)
            # The sender waits: neither it nor the server holds the stream.
            assert not sending.done()
            for _ in range(3):
                assert await people.call_s("sender", "fast") < PROMPT_S
                assert await people.call_s("other", "fast") < PROMPT_S
            # Others' streams, to others and to everybody, are as fast as ever.
            at_s = simulation.now_s
            await people.send("other", "fast")
            assert await people.arrival_s("fast") - at_s < PROMPT_S
            # The slow one gets everything, as fast as its line allows.
            assert await people.arrival_s("slow") - begun_s < 1.5 * len(PAYLOAD) / SLOW_BYTES_PER_SECOND
            assert not any("dropped" in name for name in server.server.counters)
            await people.leave()

    Simulation(seed=seed).run(main)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_slow_receiver_of_a_broadcast_gets_it_later_than_others(seed: int) -> None:
    async def main(simulation: Simulation) -> None:
        async with simulation.server() as server:
            people = People(simulation, server)
            await people.join("sender", "fast", "slow")
            begun_s = simulation.now_s
            await people.send("sender")
            assert await people.arrival_s("fast") - begun_s < PROMPT_S
            assert await people.call_s("sender", "fast") < PROMPT_S
            assert await people.arrival_s("slow") - begun_s > 0.8 * len(PAYLOAD) / SLOW_BYTES_PER_SECOND
            await people.leave()

    Simulation(seed=seed).run(main)


@pytest.mark.parametrize("seed", [1, 2])
def test_streams_to_a_slow_and_to_a_fast_receiver_have_their_own_pace(seed: int) -> None:
    async def main(simulation: Simulation) -> None:
        async with simulation.server() as server:
            people = People(simulation, server)
            await people.join("sender", "fast", "slow")
            begun_s = simulation.now_s
            sending = [people.send("sender", name) for name in ("slow", "fast")]
            assert await people.arrival_s("fast") - begun_s < 2 * PROMPT_S
            assert await people.arrival_s("slow") - begun_s > 0.8 * len(PAYLOAD) / SLOW_BYTES_PER_SECOND
            await asyncio.gather(*sending)
            await people.leave()

    Simulation(seed=seed).run(main)


def test_a_call_to_a_receiver_with_a_full_line_waits_for_little() -> None:
    """Two senders' calls to the slow one, while one of them streams to it."""

    async def main(simulation: Simulation) -> None:
        async with simulation.server() as server:
            people = People(simulation, server)
            await people.join("sender", "other", "slow")
            simulation.host("slow").set_link("down", bitrate_bps=8_000_000)
            sending = people.send("sender", "slow")
            await asyncio.sleep(0.5)
            assert not sending.done()
            for caller in ("sender", "other"):
                assert await people.call_s(caller, "slow") < 2 * PROMPT_S
            await people.arrival_s("slow")
            await people.leave()

    Simulation(seed=1).run(main)

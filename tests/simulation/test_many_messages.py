"""Reliable messages through repeated resumes arrive exactly once and in order: a million by the rules alone, a
hundred thousand, or as many as MESSAGES says, through everything."""

from __future__ import annotations

import asyncio
import os
import random
from types import SimpleNamespace

import pytest
from livekit.protocol import models

from greenroom.client.data import DataReceiver
from greenroom.client.replay import ReplayBuffer
from greenroom.server.data_router import DataRouter
from greenroom.testing import Simulation
from livekit import rtc

_MILLION = 1_000_000
_THROUGH_EVERYTHING = int(os.environ.get("MESSAGES", "100000"))
"""About 9,000 a second of processor time: a million (MESSAGES=1000000) takes some minutes."""


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_million_numbered_packets_survive_resumes_at_any_point(seed: int) -> None:
    """The client's replay buffer, the server's check and the receiver's check, over a way that is cut at random: what
    was in flight is sometimes lost, sometimes only late, and then comes before what is sent again."""
    rng = random.Random(seed)
    replay, in_flight, arrived = ReplayBuffer(), [], 0
    router = DataRouter(SimpleNamespace())  # type: ignore[arg-type]
    sender = SimpleNamespace(last_reliable_sequence=0)
    receiver = DataReceiver(SimpleNamespace())  # type: ignore[arg-type]
    packet = models.DataPacket(participant_sid="PA_sender")
    content = b"x" * 100

    def reach_server(count: int) -> None:
        nonlocal arrived
        for sequence in in_flight[:count]:
            if not router._is_new(sender, sequence):  # type: ignore[arg-type]
                continue
            for _ in range(1 + (sequence % 1000 == 0)):  # now and then the receiver gets one twice
                packet.sequence = sequence
                if not receiver._repeated(packet):
                    arrived += 1
                    assert arrived == sequence
        del in_flight[:count]

    sequence = resumes = 0
    while sequence < _MILLION:
        for _ in range(min(rng.randint(1, 5000), _MILLION - sequence)):
            sequence += 1
            in_flight.append(sequence)
            if replay.add(sequence, content):
                replay.trim(len(in_flight) * len(content))
            if len(in_flight) > 400:
                reach_server(rng.randint(1, 400))
        # A resume: the server says what it has seen, and some of what is in flight may come after that.
        resumes += 1
        last_seen = sender.last_reliable_sequence
        reach_server(rng.choice([0, rng.randint(0, len(in_flight)), len(in_flight)]))
        in_flight.clear()
        in_flight += range(sequence - len(replay.after(last_seen)) + 1, sequence + 1)
    reach_server(len(in_flight))
    assert arrived == _MILLION
    assert resumes > 300


@pytest.mark.timeout(180 + _THROUGH_EVERYTHING // 1_000)
@pytest.mark.parametrize("seed", [1])
def test_messages_through_everything_survive_resumes(seed: int) -> None:
    async def main(simulation: Simulation) -> None:
        async with simulation.server() as server:
            sending, receiving = rtc.Room(), rtc.Room()
            received, resumes, everything, resumed = 0, 0, asyncio.Event(), asyncio.Event()

            def on_data(packet: rtc.DataPacket) -> None:
                nonlocal received
                assert packet.data == b"%d" % received
                received += 1
                if received == _THROUGH_EVERYTHING:
                    everything.set()

            def on_reconnected() -> None:
                nonlocal resumes
                resumes += 1
                resumed.set()

            receiving.on("data_received", on_data)
            for name, room in (("sender", sending), ("receiver", receiving)):
                room.on("reconnected", on_reconnected)
                with simulation.host(name) as host:
                    host.set_link(delay_s=0.02, jitter_s=0.005, loss=0.001)
                    await room.connect(server.url, server.token("lobby", name))
            sids = [room.local_participant.sid for room in (sending, receiving)]

            async def break_things() -> None:
                # A resume that fails is followed by a new session, and those may lose what is on its way.
                hosts = [simulation.host("sender"), simulation.host("receiver")]
                while not everything.is_set():
                    host = simulation.random.choice(hosts)
                    resumed.clear()
                    if simulation.random.random() < 0.1:
                        await host.blackhole(simulation.random.uniform(0.5, 2))
                    host.cut_streams()
                    await resumed.wait()
                    await asyncio.sleep(simulation.random.uniform(0.1, 0.5))

            breaking = asyncio.ensure_future(break_things())
            for number in range(_THROUGH_EVERYTHING):
                await sending.local_participant.publish_data(b"%d" % number)
                if number % 200 == 0:
                    await asyncio.sleep(0.05)  # else all of it is sent before anything can break
            await everything.wait()
            breaking.cancel()
            assert [room.local_participant.sid for room in (sending, receiving)] == sids, "a session was lost"
            assert resumes >= 10
            print(f"{resumes} resumes, {simulation.now_s:.0f} s of virtual time")
            await asyncio.gather(sending.disconnect(), receiving.disconnect())

    Simulation(seed=seed, time_limit_s=max(3000, _THROUGH_EVERYTHING / 100)).run(main)

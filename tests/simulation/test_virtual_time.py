"""The simulation itself: time is virtual, the network is the seed's, and the same seed gives the same run."""

from __future__ import annotations

import asyncio
import time

import pytest

import greenroom.testing
from greenroom.testing import Simulation
from livekit import rtc


async def _chat(simulation: Simulation) -> list[bytes]:
    """Two rooms on bad lines; what one hears of the other."""
    heard: list[bytes] = []
    async with simulation.server() as server:
        rooms = {name: rtc.Room() for name in ("alice", "bob")}
        everything = asyncio.Event()

        def on_data(packet: rtc.DataPacket) -> None:
            heard.append(packet.data)
            if len(heard) == 20:
                everything.set()

        rooms["bob"].on("data_received", on_data)
        for name, room in rooms.items():
            with simulation.host(name) as host:
                host.set_link(delay_s=0.03, jitter_s=0.01, loss=0.05, duplicate=0.02, reorder=0.05)
                await room.connect(server.url, server.token("lobby", name))
        for number in range(20):
            await rooms["alice"].local_participant.publish_data(f"message {number}")
        await everything.wait()
        await asyncio.gather(*(room.disconnect() for room in rooms.values()))
    return heard


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    runs = [Simulation(seed=seed) for _ in range(2)]
    for run in runs:
        assert run.run(_chat) == [f"message {number}".encode() for number in range(20)]
    assert runs[0].trace_hash() == runs[1].trace_hash()
    assert runs[0].now_s == runs[1].now_s


def test_a_world_describes_itself() -> None:
    simulation = Simulation(seed=7)
    assert repr(simulation) == "Simulation(seed=7, now_s=0.000)"
    assert repr(simulation.server()) == f"SimulatedServer(url={simulation.server().url}, host='server')"


def test_another_seed_gives_another_trace() -> None:
    hashes = set()
    for seed in (1, 2):
        run = Simulation(seed=seed)
        run.run(_chat)
        hashes.add(run.trace_hash())
    assert len(hashes) == 2


@greenroom.testing.simulated(time_limit_s=100_000)
async def test_hours_pass_in_no_time(simulation: Simulation) -> None:
    begun_s = time.monotonic()
    await asyncio.sleep(10 * 3600)
    assert simulation.now_s == pytest.approx(10 * 3600)
    assert time.monotonic() - begun_s < 5


def test_a_wait_that_nothing_can_end_is_an_error() -> None:
    with pytest.raises(greenroom.testing.DeadlockError, match="1 tasks wait"):
        Simulation().run(lambda: asyncio.Event().wait())


def test_too_much_virtual_time_is_an_error() -> None:
    with pytest.raises(greenroom.testing.SimulationTimeoutError):
        Simulation(time_limit_s=5).run(lambda: asyncio.sleep(10))


def test_what_is_left_is_an_error() -> None:
    kept = []

    async def leave_a_task() -> None:
        kept.append(asyncio.ensure_future(asyncio.sleep(1000)))

    with pytest.raises(greenroom.testing.LeakError, match="task"):
        Simulation().run(leave_a_task)


def test_threads_are_not_needed_for_blocking_work() -> None:
    async def main() -> int:
        return await asyncio.to_thread(sum, [1, 2, 3])

    assert Simulation().run(main) == 6


def test_sound_crosses_the_room_in_virtual_time() -> None:
    async def main(simulation: Simulation) -> int:
        async with simulation.server() as server:
            alice, bob = rtc.Room(), rtc.Room()
            arrived: asyncio.Future[rtc.Track] = asyncio.get_running_loop().create_future()
            bob.on("track_subscribed", lambda track, publication, participant: arrived.set_result(track))
            await alice.connect(server.url, server.token("lobby", "alice"))
            await bob.connect(server.url, server.token("lobby", "bob"))
            source = rtc.AudioSource(48_000, 1)
            track = rtc.LocalAudioTrack.create_audio_track("tone", source)
            await alice.local_participant.publish_track(track)
            stream = rtc.AudioStream(await arrived)
            loud = 0

            async def capture() -> None:
                tone = rtc.AudioFrame((b"\x00\x20" * 60 + b"\x00\xe0" * 60) * 4, 48_000, 1, 480)
                for _ in range(200):
                    await source.capture_frame(tone)

            capturing = asyncio.ensure_future(capture())
            async for event in stream:
                loud += max(event.frame.data) > 1000
                if loud == 100:
                    break
            await capturing
            await stream.aclose()
            await asyncio.gather(alice.disconnect(), bob.disconnect())
            await source.aclose()
            return loud

    assert Simulation(seed=3).run(main) == 100

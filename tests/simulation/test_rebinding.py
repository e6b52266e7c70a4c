"""A NAT that forgets a client in the middle of a room: nobody has to reconnect, and little is missed."""

from __future__ import annotations

import asyncio

import pytest

from greenroom.testing import Simulation
from livekit import rtc

LIMIT_S = 2.5
"""The client checks its path every 2 s; then a few round trips."""


class Talker:
    """A participant that says the virtual time, in data and in sound, and hears when others were last heard."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.data_at = self.sound_at = 0.0
        self.events: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.source = rtc.AudioSource(48_000, 1)
        self.room.on("data_received", self._on_data)
        self.room.on("track_subscribed", self._on_track)
        for event in ("reconnecting", "reconnected", "disconnected"):
            self.room.on(event, lambda *_, event=event: self.events.append(event))

    def _on_data(self, packet: rtc.DataPacket) -> None:
        self.data_at = float(packet.data)

    def _on_track(self, track: rtc.Track, *_: object) -> None:
        self.tasks.append(asyncio.ensure_future(self._listen(rtc.AudioStream(track))))

    async def _listen(self, stream: rtc.AudioStream) -> None:
        try:
            async for event in stream:
                if max(event.frame.data) > 1000:
                    self.sound_at = asyncio.get_running_loop().time()
        finally:
            await stream.aclose()

    async def speak(self) -> None:
        await self.room.local_participant.publish_track(
            rtc.LocalAudioTrack.create_audio_track("tone", self.source)
        )
        self.tasks += [asyncio.ensure_future(self._hum()), asyncio.ensure_future(self._tick())]

    async def _hum(self) -> None:
        tone = rtc.AudioFrame((b"\x00\x20" * 60 + b"\x00\xe0" * 60) * 4, 48_000, 1, 480)
        while True:
            await self.source.capture_frame(tone)

    async def _tick(self) -> None:
        while True:
            now_s = asyncio.get_running_loop().time()
            await self.room.local_participant.publish_data(f"{now_s}", reliable=True)
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.room.disconnect()
        await self.source.aclose()


@pytest.mark.parametrize("seed", range(2))
def test_sound_and_data_go_on_after_a_rebinding(seed: int) -> None:
    async def main(simulation: Simulation) -> None:
        async with simulation.server() as server:
            talkers = {name: Talker() for name in ("alice", "bob")}
            for name, talker in talkers.items():
                with simulation.host(name) as host:
                    host.set_link(delay_s=0.02, jitter_s=0.01)
                    await talker.room.connect(server.url, server.token("lobby", name))
            for talker in talkers.values():
                await talker.speak()
            await asyncio.sleep(5 + simulation.random.random() * 3)
            for _ in range(2):
                simulation.host("alice").rebind()
                await asyncio.sleep(LIMIT_S)
                await _all_is_new(talkers)
                await asyncio.sleep(20)
                await _all_is_new(talkers)
            assert [talker.events for talker in talkers.values()] == [[], []]
            await asyncio.gather(*(talker.stop() for talker in talkers.values()))

    Simulation(seed=seed).run(main)


async def _all_is_new(talkers: dict[str, Talker]) -> None:
    now_s = asyncio.get_running_loop().time()
    ages = {
        name: (round(now_s - talker.data_at, 2), round(now_s - talker.sound_at, 2))
        for name, talker in talkers.items()
    }
    assert max(max(pair) for pair in ages.values()) < 0.5, f"data and sound are so old: {ages}"

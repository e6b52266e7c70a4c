"""Speech over lines that lose packets: redundancy and the jitter buffer hide most of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

import greenroom
from greenroom.testing import Simulation
from livekit import rtc

SPEECH = Path(greenroom.__file__).parent / "samples" / "speech.ogg"
BLOCK_SAMPLES = 480
LOSS = 0.05
"""On the way to the server and from it: nearly one packet in ten is missing."""


def blocks(count: int) -> Iterator[rtc.AudioFrame]:
    """So many blocks of 10 ms of speech, from the beginning again when it ends."""
    resampler = av.AudioResampler("s16", "mono", 48_000)
    with av.open(str(SPEECH)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    pcm = b"".join(frame.to_ndarray().tobytes() for frame in frames)
    size = 2 * BLOCK_SAMPLES
    for number in range(count):
        start = number * size % (len(pcm) - size)
        yield rtc.AudioFrame(pcm[start - start % 2 :][:size], 48_000, 1, BLOCK_SAMPLES)


@pytest.mark.parametrize("single", [True, False])
def test_most_of_what_is_lost_is_heard_all_the_same(single: bool) -> None:
    async def main(simulation: Simulation) -> None:
        async with simulation.server() as server:
            speaker, listener = rtc.Room(), rtc.Room()
            subscribed: asyncio.Future[rtc.Track] = asyncio.get_running_loop().create_future()
            listener.on("track_subscribed", lambda track, *_: subscribed.set_result(track))
            for name, room in (("speaker", speaker), ("listener", listener)):
                with simulation.host(name) as host:
                    options = rtc.RoomOptions(single_peer_connection=single)
                    await room.connect(server.url, server.token("hall", name), options)
                    host.set_link(delay_s=0.02, jitter_s=0.005, loss=LOSS)
            source = rtc.AudioSource(48_000, 1)
            track = rtc.LocalAudioTrack.create_audio_track("voice", source)
            await speaker.local_participant.publish_track(track)
            stream = rtc.AudioStream(await subscribed)
            listening = asyncio.ensure_future(_drain(stream))
            for block in blocks(3000):
                await source.capture_frame(block)
            concealed = await _concealed(await subscribed)
            await stream.aclose()
            await listening
            await asyncio.gather(speaker.disconnect(), listener.disconnect())
            await source.aclose()
        assert concealed < 0.04, f"{100 * concealed:.1f} % was made up"

    Simulation(seed=1).run(main)


async def _drain(stream: rtc.AudioStream) -> None:
    async for _ in stream:
        pass


async def _concealed(track: rtc.Track) -> float:
    """The part of what was played that was made up."""
    (received,) = [entry.inbound_rtp for entry in await track.get_stats() if entry.HasField("inbound_rtp")]
    return received.inbound.concealed_samples / received.inbound.total_samples_received

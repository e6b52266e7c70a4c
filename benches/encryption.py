"""`python -m benches.encryption`: what end-to-end encryption costs. A 720p VP8 track and a sound track, published and
received in one process through its embedded server, in the clear and encrypted in turn; prints the ratio of CPU time."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
import uuid

import numpy as np

import greenroom
from livekit import rtc

WIDTH, HEIGHT, FRAMES_PER_SECOND = 1280, 720, 30
SAMPLE_RATE_HZ = 48_000
SETTLE_S = 2.0


def options(encrypted: bool) -> rtc.RoomOptions:
    keys = rtc.KeyProviderOptions(shared_key=b"bench")
    return rtc.RoomOptions(encryption=rtc.E2EEOptions(keys) if encrypted else None)


async def talk(source: rtc.AudioSource) -> None:
    noise = np.random.default_rng(1).normal(0, 3_000, SAMPLE_RATE_HZ).astype(np.int16)
    position = 0
    while True:
        block = noise[position : position + 480].tobytes()
        await source.capture_frame(rtc.AudioFrame(block, SAMPLE_RATE_HZ, 1, 480))
        position = (position + 480) % SAMPLE_RATE_HZ


async def film(source: rtc.VideoSource) -> None:
    picture = np.random.default_rng(2).integers(0, 255, (HEIGHT // 16, WIDTH // 16), np.uint8)
    luma = np.kron(picture, np.ones((16, 16), np.uint8))
    chroma = b"\x80" * (WIDTH * HEIGHT // 2)
    started, count = time.monotonic(), 0
    while True:
        data = np.roll(luma, count % WIDTH, axis=1).tobytes() + chroma
        source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, data))
        count += 1
        await asyncio.sleep(max(0.0, started + count / FRAMES_PER_SECOND - time.monotonic()))


async def take(stream: rtc.AudioStream | rtc.VideoStream) -> None:
    async for _ in stream:
        pass


async def cpu_percent(server: greenroom.Server, encrypted: bool, seconds: float) -> float:
    """Of one core, for publishing, forwarding and receiving."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    tasks: list[asyncio.Task[None]] = []

    def on_track(track: rtc.RemoteTrack, *_: object) -> None:
        is_audio = track.kind == rtc.TrackKind.KIND_AUDIO
        stream = rtc.AudioStream(track) if is_audio else rtc.VideoStream(track)
        tasks.append(asyncio.ensure_future(take(stream)))

    async with rtc.Room() as subscriber, rtc.Room() as publisher:
        subscriber.on("track_subscribed", on_track)
        for room, identity in ((subscriber, "subscriber"), (publisher, "publisher")):
            await room.connect(server.url, server.token(name, identity), options(encrypted))
        audio, video = rtc.AudioSource(SAMPLE_RATE_HZ, 1, 200), rtc.VideoSource(WIDTH, HEIGHT)
        local = publisher.local_participant
        await local.publish_track(rtc.LocalAudioTrack.create_audio_track("voice", audio))
        await local.publish_track(
            rtc.LocalVideoTrack.create_video_track("camera", video), rtc.TrackPublishOptions(simulcast=False)
        )
        tasks += [asyncio.ensure_future(talk(audio)), asyncio.ensure_future(film(video))]
        await asyncio.sleep(SETTLE_S)
        before = time.process_time()
        await asyncio.sleep(seconds)
        used = time.process_time() - before
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return used / seconds * 100


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.encryption", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each kind, in turn (default 5)")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured per run (default 10)")
    arguments = parser.parse_args()
    clear: list[float] = []
    encrypted: list[float] = []
    async with greenroom.Server() as server:
        for _ in range(arguments.runs):
            clear.append(await cpu_percent(server, False, arguments.seconds))
            encrypted.append(await cpu_percent(server, True, arguments.seconds))
    ratio = statistics.median(encrypted) / statistics.median(clear)
    figures = {
        "clear_cpu_percent": statistics.median(clear),
        "encrypted_cpu_percent": statistics.median(encrypted),
        "ratio": ratio,
        "aim": "≤ 1.03",
    }
    print(json.dumps(figures, ensure_ascii=False))


if __name__ == "__main__":
    asyncio.run(main())

"""The work that is measured, run by either SDK's interpreter: connect, data, audio and video in one process.

usage: LIVEKIT_URL=… LIVEKIT_API_KEY=… LIVEKIT_API_SECRET=… PYTHON room_work.py

Prints one JSON object of figures. Uses only what both SDKs have; publisher and subscriber are rooms of this process.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
import uuid

import numpy as np

from livekit import api, rtc

URL = os.environ["LIVEKIT_URL"]
CONNECTS = 10
PINGS = 200
BULK_MESSAGES, BULK_BYTES = 2_000, 14_000
CALLS, CONCURRENT_CALLS, CALL_ROUNDS = 100, 100, 10
CALL_BYTES = 100
ROOMS = 30
AUDIO_TRACKS, AUDIO_SECONDS = 10, 6.0
VIDEO_SECONDS, WIDTH, HEIGHT, FRAMES_PER_SECOND = 6.0, 1280, 720, 30
SAMPLE_RATE_HZ = 48_000


def token(room: str, identity: str) -> str:
    key, secret = os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"]
    grants = api.VideoGrants(room_join=True, room=room)
    return api.AccessToken(key, secret).with_identity(identity).with_grants(grants).to_jwt()


async def join(name: str, identity: str) -> rtc.Room:
    room = rtc.Room()
    await room.connect(URL, token(name, identity))
    return room


async def pair(kind: str) -> tuple[rtc.Room, rtc.Room]:
    name = f"{kind}-{uuid.uuid4().hex[:8]}"
    return await join(name, "subscriber"), await join(name, "publisher")


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


async def measure_connect() -> dict[str, float]:
    times = []
    for _ in range(CONNECTS):
        started = time.perf_counter()
        room = await join(f"connect-{uuid.uuid4().hex[:8]}", "a")
        times.append((time.perf_counter() - started) * 1e3)
        await room.disconnect()
    return {"connect_ms": statistics.median(times)}


async def measure_data() -> dict[str, float]:
    receiver, sender = await pair("data")
    latencies: list[float] = []
    received = 0
    ended = asyncio.Event()

    def on_data(packet: rtc.DataPacket) -> None:
        nonlocal received
        received += 1
        if packet.topic == "ping":
            latencies.append((time.perf_counter() - float(packet.data)) * 1e3)
        elif packet.topic == "end":
            ended.set()

    receiver.on("data_received", on_data)
    await asyncio.sleep(0.5)
    for _ in range(PINGS):
        await sender.local_participant.publish_data(str(time.perf_counter()), reliable=True, topic="ping")
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.3)
    received, payload = 0, os.urandom(BULK_BYTES)
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(BULK_MESSAGES):
        await sender.local_participant.publish_data(payload, reliable=True)
    await sender.local_participant.publish_data(b"x", reliable=True, topic="end")
    await asyncio.wait_for(ended.wait(), 60)
    elapsed = time.perf_counter() - started
    figures = {
        "data_latency_ms_p50": statistics.median(latencies),
        "data_mb_per_s": received * BULK_BYTES / elapsed / 1e6,
        "data_cpu_ms_per_mb": (time.process_time() - cpu) * 1e3 / (received * BULK_BYTES / 1e6),
    }
    await asyncio.gather(receiver.disconnect(), sender.disconnect())
    return figures


async def measure_calls() -> dict[str, float]:
    responder, caller = await pair("calls")

    @responder.local_participant.register_rpc_method("echo")
    async def echo(data: rtc.RpcInvocationData) -> str:
        return data.payload

    async def call() -> None:
        payload = "x" * CALL_BYTES
        answer = await caller.local_participant.perform_rpc(
            destination_identity="subscriber", method="echo", payload=payload
        )
        assert answer == payload

    await asyncio.sleep(0.5)
    times = []
    for _ in range(CALLS):
        started = time.perf_counter()
        await call()
        times.append((time.perf_counter() - started) * 1e3)
        await asyncio.sleep(0.002)
    started = time.perf_counter()
    for _ in range(CALL_ROUNDS):
        await asyncio.gather(*(call() for _ in range(CONCURRENT_CALLS)))
    elapsed = time.perf_counter() - started
    await asyncio.gather(responder.disconnect(), caller.disconnect())
    return {
        "rpc_round_trip_ms_p50": statistics.median(times),
        "rpc_calls_per_s": CALL_ROUNDS * CONCURRENT_CALLS / elapsed,
    }


async def measure_rooms() -> dict[str, float]:
    before = resident_mb()
    rooms = [await join(f"idle-{uuid.uuid4().hex[:8]}", "a") for _ in range(ROOMS)]
    figures = {"memory_mb_per_room": (resident_mb() - before) / ROOMS}
    cpu, started = time.process_time(), time.perf_counter()
    await asyncio.sleep(3)
    figures["idle_cpu_percent_per_room"] = (
        (time.process_time() - cpu) / (time.perf_counter() - started) * 100 / ROOMS
    )
    for room in rooms:
        await room.disconnect()
    return figures


async def measure_audio() -> dict[str, float]:
    receiver, sender = await pair("audio")
    jobs: list[asyncio.Task] = []
    onsets: list[float] = []
    frames = 0
    loud_since = 0.0

    async def consume(track: rtc.Track) -> None:
        nonlocal frames
        was_loud = False
        async for event in rtc.AudioStream(track, sample_rate=SAMPLE_RATE_HZ, num_channels=1):
            frames += 1
            loud = int(np.abs(np.frombuffer(event.frame.data, np.int16).astype(np.int32)).max()) > 8_000
            if loud and not was_loud and loud_since:
                onsets.append((time.perf_counter() - loud_since) * 1e3)
            was_loud = loud

    receiver.on("track_subscribed", lambda track, *_: jobs.append(asyncio.ensure_future(consume(track))))
    angles = np.arange(480) * (2 * np.pi * 1000 / SAMPLE_RATE_HZ)
    tone = (np.sin(angles) * 20_000).astype(np.int16).tobytes()
    quiet = np.random.default_rng(0).integers(-200, 200, 480).astype(np.int16).tobytes()
    stop = time.perf_counter() + AUDIO_SECONDS + 3

    async def feed(source: rtc.AudioSource) -> None:
        while time.perf_counter() < stop:
            await source.capture_frame(rtc.AudioFrame(tone if loud_since else quiet, SAMPLE_RATE_HZ, 1, 480))

    feeds = []
    for index in range(AUDIO_TRACKS):
        # A short queue, so that the onset measured is the path's delay and not the source's backlog.
        source = rtc.AudioSource(SAMPLE_RATE_HZ, 1, 50)
        track = rtc.LocalAudioTrack.create_audio_track(f"t{index}", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
        await sender.local_participant.publish_track(track, options)
        feeds.append(asyncio.ensure_future(feed(source)))
    await asyncio.sleep(2)
    before, cpu, started = frames, time.process_time(), time.perf_counter()
    for _ in range(int(AUDIO_SECONDS)):
        await asyncio.sleep(0.7)
        loud_since = time.perf_counter()
        await asyncio.sleep(0.3)
        loud_since = 0.0
    elapsed = time.perf_counter() - started
    figures = {
        "audio_cpu_percent_per_track": (time.process_time() - cpu) / elapsed * 100 / AUDIO_TRACKS,
        "audio_frames_per_s_per_track": (frames - before) / elapsed / AUDIO_TRACKS,
        "audio_onset_ms_p50": statistics.median(onsets) if onsets else float("nan"),
    }
    for task in feeds:
        task.cancel()
    await asyncio.gather(receiver.disconnect(), sender.disconnect())
    for job in jobs:
        job.cancel()
    return figures


def barcode(luma: np.ndarray, number: int) -> None:
    for bit in range(16):
        luma[:64, bit * 64 : (bit + 1) * 64] = 235 if (number >> bit) & 1 else 16


def read_barcode(frame: rtc.VideoFrame) -> int:
    data = np.frombuffer(frame.convert(rtc.VideoBufferType.I420).data, np.uint8)
    luma = data[: frame.width * frame.height].reshape(frame.height, frame.width)
    scale = frame.width / WIDTH
    return sum(int(luma[int(32 * scale), int((bit * 64 + 32) * scale)] > 128) << bit for bit in range(16))


async def measure_video(codec: str) -> dict[str, float]:
    receiver, sender = await pair("video")
    jobs: list[asyncio.Task] = []
    sent: dict[int, float] = {}
    latencies: list[float] = []
    first_ms = float("nan")

    async def consume(track: rtc.Track) -> None:
        nonlocal first_ms
        async for event in rtc.VideoStream(track):
            now = time.perf_counter()
            if np.isnan(first_ms):
                first_ms = (now - started) * 1e3
            number = read_barcode(event.frame)
            if number in sent:
                latencies.append((now - sent[number]) * 1e3)

    receiver.on("track_subscribed", lambda track, *_: jobs.append(asyncio.ensure_future(consume(track))))
    source = rtc.VideoSource(WIDTH, HEIGHT)
    await sender.local_participant.publish_track(
        rtc.LocalVideoTrack.create_video_track("v", source),
        rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            video_codec=rtc.VideoCodec.Value(codec),
            simulcast=False,
            video_encoding=rtc.VideoEncoding(max_framerate=FRAMES_PER_SECOND, max_bitrate=2_500_000),
        ),
    )
    pattern = np.random.default_rng(1).integers(0, 255, (HEIGHT // 8 + 1, WIDTH // 8 + 64))
    texture = np.kron(pattern, np.ones((8, 8))).astype(np.uint8)
    chroma = np.full(WIDTH * HEIGHT // 2, 128, np.uint8)
    started, number, settled = time.perf_counter(), 0, None
    while (now := time.perf_counter()) - started < VIDEO_SECONDS + 3:
        if settled is None and now - started > 3:
            settled = (time.process_time(), now)
            latencies.clear()
        luma = texture[:HEIGHT, number * 4 % 256 : number * 4 % 256 + WIDTH].copy()
        barcode(luma, number)
        picture = np.concatenate([luma.ravel(), chroma]).tobytes()
        sent[number] = time.perf_counter()
        source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, picture))
        number += 1
        await asyncio.sleep(max(0.0, started + number / FRAMES_PER_SECOND - time.perf_counter()))
    elapsed = time.perf_counter() - settled[1]
    name = codec.lower()
    figures = {
        f"{name}_720p_latency_ms_p50": statistics.median(latencies) if latencies else float("nan"),
        f"{name}_720p_frames_per_s": len(latencies) / elapsed,
        f"{name}_720p_cpu_percent": (time.process_time() - settled[0]) / elapsed * 100,
        f"{name}_720p_first_frame_ms": first_ms,
    }
    await asyncio.gather(receiver.disconnect(), sender.disconnect())
    for job in jobs:
        job.cancel()
    return figures


async def main() -> None:
    figures = {}
    for measurement in (measure_connect(), measure_data(), measure_calls(), measure_rooms(), measure_audio()):
        figures |= await measurement
    for codec in ("VP8", "H264"):
        figures |= await measure_video(codec)
    figures["resident_mb"] = resident_mb()
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())

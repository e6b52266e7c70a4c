"""One side of an interop case, run as a process of its own by either SDK's interpreter.

usage: PYTHON room_program.py publish|subscribe URL TOKEN CODEC one|two [simulcast]

The fifth word: how many peer connections are used.

Uses only what both SDKs have. A publisher sends a 1 kHz tone, a picture of coloured quarters and numbered data
until its standard input closes. A subscriber collects them, prints one JSON line of measurements and leaves.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time

import numpy as np

from livekit import rtc

SAMPLE_RATE_HZ = 48_000
TONE_HZ = 1_000
TONE_AMPLITUDE = 10_000
WIDTH, HEIGHT = 640, 360
QUARTERS_RGB = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 200)]
RELIABLE_MESSAGES = 50
AUDIO_SECONDS = 2.0
VIDEO_FRAMES = 30
DEADLINE_S = 25.0


def picture() -> bytes:
    """RGBA: four coloured quarters."""
    rgba = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    for index, colour in enumerate(QUARTERS_RGB):
        top, left = index // 2 * HEIGHT // 2, index % 2 * WIDTH // 2
        rgba[top : top + HEIGHT // 2, left : left + WIDTH // 2, :3] = colour
    return rgba.tobytes()


def message(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest() * (1 + number * 8)


async def publish(room: rtc.Room, codec: str) -> None:
    audio = rtc.AudioSource(SAMPLE_RATE_HZ, 1, 200)
    video = rtc.VideoSource(WIDTH, HEIGHT)
    local = room.local_participant
    await local.publish_track(
        rtc.LocalAudioTrack.create_audio_track("tone", audio),
        rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE),
    )
    await local.publish_track(
        rtc.LocalVideoTrack.create_video_track("card", video),
        rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            simulcast="simulcast" in sys.argv,
            video_codec=rtc.VideoCodec.Value(codec),
        ),
    )
    tasks = [
        asyncio.ensure_future(c)
        for c in (send_tone(audio), send_pictures(video), send_data(room), until_stdin_closes())
    ]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


async def until_stdin_closes() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()


async def send_tone(source: rtc.AudioSource) -> None:
    position = 0
    while True:
        phase = (np.arange(480) + position) * (2 * np.pi * TONE_HZ / SAMPLE_RATE_HZ)
        samples = (np.sin(phase) * TONE_AMPLITUDE).astype(np.int16)
        await source.capture_frame(rtc.AudioFrame(samples.tobytes(), SAMPLE_RATE_HZ, 1, 480))
        position += 480


async def send_pictures(source: rtc.VideoSource) -> None:
    rgba = picture()
    started, count = time.monotonic(), 0
    while True:
        source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, rgba))
        count += 1
        await asyncio.sleep(max(0.0, started + count / 30 - time.monotonic()))


async def send_data(room: rtc.Room) -> None:
    """Numbered reliable messages once somebody asks for them, lossy ones all the time."""
    asked = asyncio.Event()
    room.on("data_received", lambda packet: asked.set() if packet.topic == "please" else None)

    async def lossy() -> None:
        while True:
            await room.local_participant.publish_data(b"lossy", reliable=False, topic="lossy")
            await asyncio.sleep(0.02)

    repeating = asyncio.ensure_future(lossy())
    try:
        await asked.wait()
        for number in range(RELIABLE_MESSAGES):
            await room.local_participant.publish_data(message(number), reliable=True, topic="numbered")
        await asyncio.Event().wait()
    finally:
        repeating.cancel()


async def subscribe(room: rtc.Room, tracks: dict[str, asyncio.Future]) -> dict:
    numbered: list[bytes] = []
    kinds: dict[str, int] = {}
    senders: set[str] = set()
    lossy = asyncio.Event()
    complete = asyncio.Event()

    def on_data(packet: rtc.DataPacket) -> None:
        kinds[packet.topic or ""] = int(packet.kind)
        if packet.topic == "lossy":
            lossy.set()
        if packet.topic == "numbered":
            numbered.append(packet.data)
            senders.add(packet.participant.identity if packet.participant else "")
            if len(numbered) == RELIABLE_MESSAGES:
                complete.set()

    room.on("data_received", on_data)
    audio, video = await asyncio.gather(
        measure_audio(await tracks["audio"]), measure_video(await tracks["video"])
    )
    await room.local_participant.publish_data(b"", reliable=True, topic="please")
    await asyncio.gather(complete.wait(), lossy.wait())
    return {
        "audio": audio,
        "video": video,
        "data": {
            "numbered_in_order": numbered == [message(n) for n in range(RELIABLE_MESSAGES)],
            "received": len(numbered),
            "reliable_kind": kinds.get("numbered"),
            "lossy_kind": kinds.get("lossy"),
            "senders": sorted(senders),
        },
    }


async def measure_audio(track: rtc.Track) -> dict:
    stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE_HZ, num_channels=1)
    blocks: list[np.ndarray] = []
    total = 0
    async for event in stream:
        block = np.frombuffer(event.frame.data, np.int16)
        if total == 0 and np.abs(block.astype(np.int32)).max() < TONE_AMPLITUDE // 2:
            continue  # nothing before the tone is measured
        blocks.append(block.copy())
        total += len(block)
        if total >= AUDIO_SECONDS * SAMPLE_RATE_HZ:
            break
    await stream.aclose()
    samples = np.concatenate(blocks).astype(np.float64)
    settled = samples[len(samples) // 4 :]
    spectrum = np.abs(np.fft.rfft(settled * np.hanning(len(settled))))
    peak = int(spectrum.argmax())
    return {
        "frequency_hz": peak * SAMPLE_RATE_HZ / len(settled),
        "rms": float(np.sqrt((settled**2).mean())),
        "purity": float((spectrum[max(0, peak - 20) : peak + 21] ** 2).sum() / (spectrum**2).sum()),
    }


async def measure_video(track: rtc.Track) -> dict:
    stream = rtc.VideoStream(track)
    frames = 0
    last = None
    async for event in stream:
        frames += 1
        last = event.frame
        if frames >= VIDEO_FRAMES:
            break
    await stream.aclose()
    rgba = np.frombuffer(last.convert(rtc.VideoBufferType.RGBA).data, np.uint8).reshape(
        last.height, last.width, 4
    )
    quarters = []
    for index in range(4):
        top, left = index // 2 * last.height // 2, index % 2 * last.width // 2
        middle = rgba[
            top + last.height // 8 : top + last.height * 3 // 8,
            left + last.width // 8 : left + last.width * 3 // 8,
            :3,
        ]
        quarters.append([float(v) for v in middle.reshape(-1, 3).mean(axis=0)])
    return {"frames": frames, "width": last.width, "height": last.height, "quarters_rgb": quarters}


async def main() -> None:
    role, url, token, codec, connections = sys.argv[1:6]
    room = rtc.Room()
    loop = asyncio.get_running_loop()
    tracks = {"audio": loop.create_future(), "video": loop.create_future()}

    def on_track(track: rtc.Track, _publication: object, _participant: object) -> None:
        key = "audio" if track.kind == rtc.TrackKind.KIND_AUDIO else "video"
        if not tracks[key].done():
            tracks[key].set_result(track)

    room.on("track_subscribed", on_track)
    await room.connect(url, token, rtc.RoomOptions(single_peer_connection=connections == "one"))
    print(json.dumps({"joined": True}), flush=True)
    try:
        if role == "publish":
            await publish(room, codec)
        else:
            measured = await asyncio.wait_for(subscribe(room, tracks), DEADLINE_S)
            print(json.dumps(measured), flush=True)
    finally:
        await room.disconnect()


if __name__ == "__main__":
    asyncio.run(main())

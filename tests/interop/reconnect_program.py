"""One participant in a process of its own, run by either SDK's interpreter, that tells what happens to it.

usage: PYTHON reconnect_program.py URL TOKEN

Publishes a tone, prints one JSON line per event, answers each data packet with what it said, simulates the failures
whose numbers it reads, and leaves when its standard input closes. Uses only what both SDKs have.
"""

from __future__ import annotations

import asyncio
import json
import sys

import numpy as np

from livekit import rtc

RATE_HZ = 48_000
TOLD = (
    "reconnecting",
    "reconnected",
    "disconnected",
    "participant_connected",
    "participant_disconnected",
    "track_subscribed",
    "track_unsubscribed",
    "local_track_published",
    "local_track_unpublished",
    "local_track_republished",
    "active_speakers_changed",
)


def tell(event: str, **details: str) -> None:
    print(json.dumps({"event": event, **details}), flush=True)


async def play(source: rtc.AudioSource) -> None:
    position, block = 0, RATE_HZ // 100
    while True:
        wave = np.sin((np.arange(block) + position) * (2 * np.pi * 600 / RATE_HZ)) * 10_000
        await source.capture_frame(rtc.AudioFrame(wave.astype(np.int16).tobytes(), RATE_HZ, 1, block))
        position += block


async def follow_orders(room: rtc.Room) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while order := await reader.readline():
        await room.simulate_scenario(int(order))


async def main(url: str, token: str) -> None:
    room = rtc.Room()
    answers: set[asyncio.Task[None]] = set()
    for event in TOLD:
        room.on(event, lambda *_, event=event: tell(event))

    def answer(packet: rtc.DataPacket) -> None:
        task = asyncio.ensure_future(room.local_participant.publish_data(packet.data))
        answers.add(task)
        task.add_done_callback(answers.discard)

    room.on("data_received", answer)
    await room.connect(url, token)
    source = rtc.AudioSource(RATE_HZ, 1, 200)
    playing = asyncio.ensure_future(play(source))
    await room.local_participant.publish_track(
        rtc.LocalAudioTrack.create_audio_track("tone", source),
        rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE),
    )
    tell("ready")
    await follow_orders(room)
    playing.cancel()
    await room.disconnect()


asyncio.run(main(*sys.argv[1:]))

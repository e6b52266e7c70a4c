"""Publish a tone and a picture to a room on an in-process server, and look at what another participant receives."""

from __future__ import annotations

import asyncio

import numpy as np

import greenroom
from livekit import rtc

RATE, WIDTH, HEIGHT = 48_000, 320, 240


async def play_tone(source: rtc.AudioSource) -> None:
    async for frame in rtc.utils.sine_wave_generator(440, 60, RATE):
        await source.capture_frame(frame)  # waits when the queue is full: real time


async def show_picture(source: rtc.VideoSource) -> None:
    orange = np.full((HEIGHT, WIDTH, 4), (240, 140, 40, 255), np.uint8).tobytes()
    while True:
        source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, orange))
        await asyncio.sleep(1 / 30)


async def hear(track: rtc.Track) -> None:
    async for event in rtc.AudioStream(track, sample_rate=16_000):
        samples = np.frombuffer(event.frame.data, np.int16)
        if np.abs(samples).max() > 3_000:
            print("heard a sound of", event.frame.sample_rate, "Hz samples")
            return


async def see(track: rtc.Track) -> None:
    async for event in rtc.VideoStream(track, format=rtc.VideoBufferType.RGB24):
        frame = event.frame
        middle = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 3)[
            HEIGHT // 2, WIDTH // 2
        ]
        print("saw a picture of", frame.width, "x", frame.height, "with", middle.tolist(), "in the middle")
        return


async def main() -> None:
    async with greenroom.Server() as server:
        audience, artist = rtc.Room(), rtc.Room()
        senses: list[asyncio.Future[None]] = []
        both = asyncio.Event()

        def on_track(track: rtc.Track, _publication: object, _participant: object) -> None:
            sense = hear if track.kind == rtc.TrackKind.KIND_AUDIO else see
            senses.append(asyncio.ensure_future(sense(track)))
            if len(senses) == 2:
                both.set()

        audience.on("track_subscribed", on_track)
        await audience.connect(server.url, server.token(room="stage", identity="audience"))
        await artist.connect(server.url, server.token(room="stage", identity="artist"))

        sound, picture = rtc.AudioSource(RATE, 1, queue_size_ms=100), rtc.VideoSource(WIDTH, HEIGHT)
        publish = artist.local_participant.publish_track
        await publish(rtc.LocalAudioTrack.create_audio_track("tone", sound))
        await publish(rtc.LocalVideoTrack.create_video_track("picture", picture))
        performance = [asyncio.ensure_future(c) for c in (play_tone(sound), show_picture(picture))]

        await both.wait()
        await asyncio.gather(*senses)
        for task in performance:
            task.cancel()
        await asyncio.gather(artist.disconnect(), audience.disconnect())


asyncio.run(main())

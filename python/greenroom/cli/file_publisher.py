"""Publishing media files into a room at the pace of a live source."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import numpy as np

from livekit import rtc
from livekit.rtc.participant import UnpublishTrackError

from .media_file import SAMPLE_RATE_HZ, MediaFile

_QUEUE_MS = 200
_TAIL_S = 0.3
"""Between the last of a file and the end of its track: what is under way still arrives."""
_TOO_LATE_S = 0.5
"""A picture that decoding brought this late is left out, so that pictures and sound stay together."""
_RATE_MARGIN = 1.25
"""Pictures are not captured at exact times: at just their rate some would seem to come too early."""
_HIGHEST_RATE = 60.0


class FilePublisher:
    """Publishes the sound of one file and the pictures of another, or the same, into a room in real time.

    `pictures_sent`, `audio_seconds_sent` and `audio_rms` (of 32,768) tell what was sent so far.
    """

    def __init__(self, room: rtc.Room, *, on_picture: Callable[[rtc.VideoFrame], None] | None = None) -> None:
        self._room = room
        self._on_picture = on_picture
        self._sum_of_squares = 0.0
        self._samples = 0
        self._started = 0.0
        self.pictures_sent = 0

    @property
    def audio_seconds_sent(self) -> float:
        return self._samples / SAMPLE_RATE_HZ

    @property
    def audio_rms(self) -> float:
        return math.sqrt(self._sum_of_squares / max(1, self._samples))

    async def play(
        self,
        sound: MediaFile | None,
        picture: MediaFile | None,
        *,
        seconds: float | None = None,
        wait_for_subscriber_s: float = 0.0,
    ) -> None:
        """Publish and play to the end, or for `seconds`; begins when somebody subscribed or that wait is over.

        Raises PublishTrackError, and MediaFileError for a file that can't be decoded.
        """
        sources: list[rtc.AudioSource | rtc.VideoSource] = []
        publications: list[rtc.LocalTrackPublication] = []
        players: list[Callable[[], Coroutine[Any, Any, None]]] = []
        try:
            if sound is not None:
                audio = rtc.AudioSource(SAMPLE_RATE_HZ, 1, queue_size_ms=_QUEUE_MS)
                sources.append(audio)
                publications.append(await self._publish_audio(sound, audio))
                players.append(partial(self._play_audio, sound, audio, seconds))
            if picture is not None:
                video = rtc.VideoSource(picture.width, picture.height)
                sources.append(video)
                publications.append(await self._publish_video(picture, video))
                players.append(partial(self._play_video, picture, video, seconds))
            await _wait_for_subscribers(publications, wait_for_subscriber_s)
            self._started = time.monotonic()
            await _all([play() for play in players])
            await asyncio.sleep(_TAIL_S)
        finally:
            await self._withdraw(publications, sources)

    async def _publish_audio(self, file: MediaFile, source: rtc.AudioSource) -> rtc.LocalTrackPublication:
        track = rtc.LocalAudioTrack.create_audio_track(file.path.name, source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        return await self._room.local_participant.publish_track(track, options)

    async def _publish_video(self, file: MediaFile, source: rtc.VideoSource) -> rtc.LocalTrackPublication:
        track = rtc.LocalVideoTrack.create_video_track(file.path.name, source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
        # Else the rate would be cut to what is usual for the size.
        options.video_encoding.max_framerate = min(file.frames_per_second * _RATE_MARGIN, _HIGHEST_RATE)
        return await self._room.local_participant.publish_track(track, options)

    async def _play_audio(self, file: MediaFile, source: rtc.AudioSource, seconds: float | None) -> None:
        async with contextlib.aclosing(file.audio()) as frames:
            async for frame in frames:
                if seconds is not None and self.audio_seconds_sent >= seconds:
                    break
                await source.capture_frame(frame)
                samples = np.frombuffer(frame.data, np.int16).astype(np.float64)
                self._sum_of_squares += float((samples**2).sum())
                self._samples += samples.size
        await source.wait_for_playout()

    async def _play_video(self, file: MediaFile, source: rtc.VideoSource, seconds: float | None) -> None:
        async with contextlib.aclosing(file.video()) as pictures:
            async for picture in pictures:
                if seconds is not None and picture.seconds >= seconds:
                    break
                early = self._started + picture.seconds - time.monotonic()
                if early < -_TOO_LATE_S and self.pictures_sent:
                    continue
                await asyncio.sleep(max(0.0, early))
                if self._on_picture is not None:
                    self._on_picture(picture.frame)
                source.capture_frame(picture.frame)
                self.pictures_sent += 1

    async def _withdraw(
        self, publications: list[rtc.LocalTrackPublication], sources: list[rtc.AudioSource | rtc.VideoSource]
    ) -> None:
        for publication in publications:
            if self._room.isconnected():
                with contextlib.suppress(UnpublishTrackError):
                    await self._room.local_participant.unpublish_track(publication.sid)
        for source in sources:
            await source.aclose()


async def _all(jobs: list[Coroutine[Any, Any, None]]) -> None:
    """Wait for all; when one fails, end the others."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _wait_for_subscribers(publications: list[rtc.LocalTrackPublication], limit_s: float) -> None:
    if limit_s > 0:
        waits = [asyncio.ensure_future(p.wait_for_subscription()) for p in publications]
        _, late = await asyncio.wait(waits, timeout=limit_s)
        for wait in late:
            wait.cancel()

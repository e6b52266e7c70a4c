"""Media files as frames: what PyAV can decode, paced as a live source would be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from livekit import rtc

SAMPLE_RATE_HZ = 48_000
_BLOCK_SAMPLES = SAMPLE_RATE_HZ // 50
_T = TypeVar("_T")


class MediaFileError(Exception):
    """A file that can't be read as media: the message names it and says why."""


@dataclass(frozen=True)
class TimedPicture:
    frame: rtc.VideoFrame
    seconds: float
    """Since the beginning of the file."""


@dataclass(frozen=True)
class MediaFile:
    """What a file holds. `width` and `height` are 0 without video."""

    path: Path
    has_audio: bool
    has_video: bool
    width: int = 0
    height: int = 0

    @classmethod
    def probe(cls, path: Path) -> MediaFile:
        """Open the file and look. Raises MediaFileError when it is missing or no media."""
        with _open(path) as container:
            video = container.streams.video
            if not container.streams.audio and not video:
                raise MediaFileError(f"{path} has neither audio nor video")
            size = (video[0].codec_context.width, video[0].codec_context.height) if video else (0, 0)
            # Chroma is halved, so encoders want even sizes.
            return cls(path, bool(container.streams.audio), bool(video), size[0] & ~1, size[1] & ~1)

    def audio(self) -> AsyncIterator[rtc.AudioFrame]:
        """48 kHz mono in frames of 20 ms, as fast as they are taken."""
        return _in_thread(lambda: _decode_audio(self.path))

    def video(self) -> AsyncIterator[TimedPicture]:
        """I420 pictures with their times, as fast as they are taken."""
        return _in_thread(lambda: _decode_video(self.path, self.width, self.height))


def _open(path: Path) -> Any:
    try:
        import av
    except ImportError as error:
        raise MediaFileError(
            "reading media files needs PyAV; install it with: pip install 'greenroom[files]'"
        ) from error
    try:
        return av.open(str(path))
    except (OSError, av.FFmpegError) as error:
        raise MediaFileError(f"{path} can't be opened as media: {error}") from error


def _decode_audio(path: Path) -> Iterator[rtc.AudioFrame]:
    import av

    with _open(path) as container:
        resampler = av.AudioResampler(
            format="s16", layout="mono", rate=SAMPLE_RATE_HZ, frame_size=_BLOCK_SAMPLES
        )
        for decoded in (*container.decode(audio=0), None):
            for frame in resampler.resample(decoded):
                data = frame.to_ndarray().tobytes()
                yield rtc.AudioFrame(data, SAMPLE_RATE_HZ, 1, len(data) // 2)


def _decode_video(path: Path, width: int, height: int) -> Iterator[TimedPicture]:
    with _open(path) as container:
        for decoded in container.decode(video=0):
            data = decoded.reformat(width=width, height=height, format="yuv420p").to_ndarray().tobytes()
            yield TimedPicture(
                rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, data), float(decoded.time or 0)
            )


async def _in_thread(make: Callable[[], Iterator[_T]]) -> AsyncIterator[_T]:
    """Iterate in a thread, one item ahead of the consumer at most: decoding never holds up the loop."""
    done = object()
    iterator = make()
    try:
        while (item := await asyncio.to_thread(next, iterator, done)) is not done:
            yield item  # type: ignore[misc]
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            await asyncio.to_thread(close)


class FilePublisher:
    """Publishes the audio and video of files into a room, in real time.

    `play` returns when the files end (or `seconds` have passed); `pictures_sent` and `audio_seconds_sent` count.
    """

    def __init__(self, room: rtc.Room, *, on_picture: Callable[[rtc.VideoFrame], None] | None = None) -> None:
        self._room = room
        self._on_picture = on_picture
        self.pictures_sent = 0
        self.audio_seconds_sent = 0.0

    async def play(self, files: list[MediaFile], *, seconds: float | None = None) -> None:
        """Publish one track for each kind of media that the files have, the first file with it wins."""
        audio = next((f for f in files if f.has_audio), None)
        video = next((f for f in files if f.has_video), None)
        jobs = []
        if audio is not None:
            jobs.append(self._play_audio(audio, seconds))
        if video is not None:
            jobs.append(self._play_video(video, seconds))
        await asyncio.gather(*jobs)

    async def _play_audio(self, file: MediaFile, seconds: float | None) -> None:
        source = rtc.AudioSource(SAMPLE_RATE_HZ, 1, queue_size_ms=200)
        track = rtc.LocalAudioTrack.create_audio_track(file.path.name, source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await self._room.local_participant.publish_track(track, options)
        try:
            async for frame in file.audio():
                if seconds is not None and self.audio_seconds_sent >= seconds:
                    break
                await source.capture_frame(frame)
                self.audio_seconds_sent += frame.duration
            await source.wait_for_playout()
        finally:
            await self._withdraw(publication, source)

    async def _play_video(self, file: MediaFile, seconds: float | None) -> None:
        source = rtc.VideoSource(file.width, file.height)
        track = rtc.LocalVideoTrack.create_video_track(file.path.name, source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
        publication = await self._room.local_participant.publish_track(track, options)
        started = time.monotonic()
        try:
            async for picture in file.video():
                if seconds is not None and picture.seconds >= seconds:
                    break
                await asyncio.sleep(max(0.0, started + picture.seconds - time.monotonic()))
                if self._on_picture is not None:
                    self._on_picture(picture.frame)
                source.capture_frame(picture.frame)
                self.pictures_sent += 1
        finally:
            await self._withdraw(publication, source)

    async def _withdraw(
        self, publication: rtc.LocalTrackPublication, source: rtc.AudioSource | rtc.VideoSource
    ) -> None:
        if self._room.isconnected():
            await self._room.local_participant.unpublish_track(publication.sid)
        await source.aclose()

"""Media files as frames: what PyAV can decode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from livekit import rtc

SAMPLE_RATE_HZ = 48_000
_BLOCK_SAMPLES = SAMPLE_RATE_HZ // 50
_TEXT_FORMATS = frozenset({"tty", "subviewer", "srt", "ass", "webvtt"})
"""Formats that FFmpeg would show text as."""
_T = TypeVar("_T")


class MediaFileError(Exception):
    """A file that can't be read as media: the message names it and says why."""


@dataclass(frozen=True)
class TimedPicture:
    frame: rtc.VideoFrame
    seconds: float
    """Since the first picture of the file."""


@dataclass(frozen=True)
class MediaFile:
    """What a file holds. `width` and `height`, of the upright picture, are 0 without video."""

    path: Path
    has_audio: bool
    has_video: bool
    width: int = 0
    height: int = 0
    frames_per_second: float = 0.0
    """Of the pictures, on average; 0 when the file does not say."""

    @classmethod
    def probe(cls, path: Path) -> MediaFile:
        """Open the file and look. Raises MediaFileError when it is missing or no media."""
        with _open(path) as container:
            has_audio = bool(container.streams.audio)
            stream = _picture_stream(container)
            if stream is None:
                if not has_audio:
                    raise MediaFileError(f"{path} has neither sound nor pictures")
                return cls(path, has_audio, has_video=False)
            first = next(_decoded(container, stream, path))
            height, width = _upright(first).shape
            rate = float(stream.average_rate or 0)
            return cls(path, has_audio, True, width, height * 2 // 3, rate)

    def audio(self) -> AsyncGenerator[rtc.AudioFrame, None]:
        """48 kHz mono in frames of 20 ms, as fast as they are taken."""
        return _in_thread(lambda: _decode_audio(self.path))

    def video(self) -> AsyncGenerator[TimedPicture, None]:
        """I420 pictures with their times, as fast as they are taken."""
        return _in_thread(lambda: _decode_video(self.path))


def _open(path: Path) -> Any:
    try:
        import av
    except ImportError as error:
        raise MediaFileError(
            "reading media files needs PyAV; install it with: pip install 'greenroom[files]'"
        ) from error
    if not path.exists():
        raise MediaFileError(f"there is no file {path}")
    if path.is_dir():
        raise MediaFileError(f"{path} is a folder, not a media file")
    try:
        # Without the prefix, a colon in the name would be taken for a protocol.
        container: Any = av.open(f"file:{path}")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaFileError(f"{path} can't be opened as media: {reason}") from error
    if _TEXT_FORMATS & set(container.format.name.split(",")):
        container.close()
        raise MediaFileError(f"{path} is a text file, not media")
    return container


def _picture_stream(container: Any) -> Any:
    """The first stream of moving pictures: not the cover of a record."""
    from av.stream import Disposition

    still = Disposition.attached_pic
    return next((s for s in container.streams.video if not s.disposition & still), None)


def _decoded(container: Any, stream: Any, path: Path) -> Iterator[Any]:
    """The frames of a stream; damaged packets are left out. MediaFileError when there is no frame at all."""
    import av

    count, reason = 0, "it holds no frame"
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            frames = packet.decode()
        except StopIteration:
            break
        except EOFError:
            break
        except av.FFmpegError as error:
            reason = str(error.strerror)
            continue
        count += len(frames)
        yield from frames
    if count == 0:
        raise MediaFileError(f"the {stream.type} of {path} can't be decoded: {reason}")


def _decode_audio(path: Path) -> Iterator[rtc.AudioFrame]:
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ, frame_size=_BLOCK_SAMPLES)

    def resampled(frame: Any) -> Iterator[rtc.AudioFrame]:
        for part in resampler.resample(frame):
            data = part.to_ndarray().tobytes()
            yield rtc.AudioFrame(data, SAMPLE_RATE_HZ, 1, len(data) // 2)

    with _open(path) as container:
        for decoded in _decoded(container, container.streams.audio[0], path):
            yield from resampled(decoded)
        yield from resampled(None)


def _decode_video(path: Path) -> Iterator[TimedPicture]:
    with _open(path) as container:
        stream = _picture_stream(container)
        first: float | None = None
        for number, decoded in enumerate(_decoded(container, stream, path)):
            rate = float(stream.average_rate or 30)
            seconds = number / rate if decoded.time is None else float(decoded.time)
            first = seconds if first is None else first
            planes = _upright(decoded)
            height, width = planes.shape[0] * 2 // 3, planes.shape[1]
            frame = rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, bytearray(planes.tobytes()))
            yield TimedPicture(frame, max(0.0, seconds - first))


def _upright(decoded: Any) -> npt.NDArray[np.uint8]:
    """The planes of an I420 picture below one another, of even size, turned as the file says it is to be shown."""
    width, height = max(2, decoded.width & ~1), max(2, decoded.height & ~1)
    planes: npt.NDArray[np.uint8] = decoded.reformat(
        width=width, height=height, format="yuv420p"
    ).to_ndarray()
    quarters = round(decoded.rotation / 90) % 4
    if quarters == 0:
        return planes
    luma = planes[:height]
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    turned = [np.rot90(plane, quarters) for plane in (luma, chroma[0], chroma[1])]
    flat = np.concatenate([plane.ravel() for plane in turned])
    return flat.reshape(-1, turned[0].shape[1])


async def _in_thread(make: Callable[[], Iterator[_T]]) -> AsyncGenerator[_T, None]:
    """Iterate in a thread, one item at a time: decoding never holds up the loop."""
    done = object()
    iterator = make()
    taking: asyncio.Future[Any] | None = None
    try:
        while True:
            taking = asyncio.ensure_future(asyncio.to_thread(next, iterator, done))
            item = await asyncio.shield(taking)
            if item is done:
                return
            yield item
    finally:
        if taking is not None:
            # The thread may still be inside the iterator, which can't be closed then.
            await asyncio.wait([taking])
        close = getattr(iterator, "close", None)
        if close is not None:
            await asyncio.to_thread(close)

"""Received tracks as files: WAV for sound, MP4 for moving pictures, PNG for one picture."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import wave
import zlib
from pathlib import Path
from typing import Any

from livekit import rtc

_SAMPLE_RATE_HZ = 48_000


def write_png(path: Path, frame: rtc.VideoFrame) -> None:
    """One picture as PNG (RFC 2083), 8 bits a channel."""
    rgb = bytes(frame.convert(rtc.VideoBufferType.RGB24).data)
    stride = frame.width * 3
    rows = b"".join(b"\0" + rgb[start : start + stride] for start in range(0, stride * frame.height, stride))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", frame.width, frame.height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 6))
        + chunk(b"IEND", b"")
    )


class RoomRecorder:
    """Writes every track that a room receives into a folder, one file a track, until `aclose`.

    Files are named `<identity>-<track sid>.wav` and `.mp4`. Make it before the room connects.
    """

    def __init__(self, room: rtc.Room, folder: Path) -> None:
        self._folder = folder
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: list[rtc.AudioStream | rtc.VideoStream] = []
        self.files: list[Path] = []
        folder.mkdir(parents=True, exist_ok=True)
        room.on("track_subscribed", self._on_track)

    def _on_track(
        self, track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        # An identity may hold path separators: only its safe characters name a file.
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in participant.identity)
        name = f"{safe.lstrip('.') or 'participant'}-{publication.sid}"
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            audio = rtc.AudioStream(track, sample_rate=_SAMPLE_RATE_HZ, num_channels=1)
            self._start(audio, self._record_audio(audio, self._folder / f"{name}.wav"))
        else:
            video = rtc.VideoStream(track)
            self._start(video, self._record_video(video, self._folder / f"{name}.mp4"))

    def _start(self, stream: rtc.AudioStream | rtc.VideoStream, coroutine: Any) -> None:
        self._streams.append(stream)
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _record_audio(self, stream: rtc.AudioStream, path: Path) -> None:
        self.files.append(path)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(_SAMPLE_RATE_HZ)
            async for event in stream:
                file.writeframes(event.frame.data.cast("B"))

    async def _record_video(self, stream: rtc.VideoStream, path: Path) -> None:
        self.files.append(path)
        file: _VideoFile | None = None
        try:
            async for event in stream:
                if file is None:
                    file = await asyncio.to_thread(_VideoFile, path, event.frame.width, event.frame.height)
                await asyncio.to_thread(file.write, event)
        finally:
            if file is not None:
                await asyncio.to_thread(file.close)

    async def aclose(self) -> None:
        """End all recordings and complete their files."""
        for stream in self._streams:
            await stream.aclose()
        for task in list(self._tasks):
            with contextlib.suppress(asyncio.CancelledError):
                await task


class _VideoFile:
    """An MP4 of one size; pictures of another size are scaled to it."""

    def __init__(self, path: Path, width: int, height: int) -> None:
        from fractions import Fraction

        import av

        self._time_base = Fraction(1, 90_000)
        self._size = (width & ~1, height & ~1)
        self._container = av.open(str(path), "w")
        stream: Any = self._container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = self._time_base
        self._stream = stream
        self._first_us: int | None = None
        self._last_pts = -1

    def write(self, event: rtc.VideoFrameEvent) -> None:
        import av
        import numpy as np

        frame = event.frame.convert(rtc.VideoBufferType.RGB24)
        pixels = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 3)
        picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        picture = picture.reformat(width=self._size[0], height=self._size[1], format="yuv420p")
        if self._first_us is None:
            self._first_us = event.timestamp_us
        pts = (event.timestamp_us - self._first_us) * 9 // 100
        self._last_pts = picture.pts = max(pts, self._last_pts + 1)
        picture.time_base = self._time_base
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()

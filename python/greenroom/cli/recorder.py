"""Received tracks as files: WAV for sound, MP4 for moving pictures, PNG for one picture."""

from __future__ import annotations

import asyncio
import struct
import wave
import zlib
from collections.abc import Coroutine
from fractions import Fraction
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

    Files are named `<identity>-<track sid>.wav` and `.mp4`, and can be played at any moment, however the process
    ends. Make it before the room connects. OSError when the folder can't be made.
    """

    def __init__(self, room: rtc.Room, folder: Path) -> None:
        self._folder = folder
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: list[rtc.AudioStream | rtc.VideoStream] = []
        self.files: list[Path] = []
        """Those with anything in them."""
        folder.mkdir(parents=True, exist_ok=True)
        room.on("track_subscribed", self._on_track)

    def _on_track(
        self,
        track: rtc.RemoteTrack,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> None:
        # An identity may hold path separators, and be long: only its safe characters name a file.
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in participant.identity[:60])
        name = f"{safe.lstrip('.') or 'participant'}-{publication.sid}"
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            audio = rtc.AudioStream(track, sample_rate=_SAMPLE_RATE_HZ, num_channels=1)
            self._start(audio, self._record_audio(audio, self._folder / f"{name}.wav"))
        else:
            video = rtc.VideoStream(track)
            size = (publication.width, publication.height)
            self._start(video, self._record_video(video, self._folder / f"{name}.mp4", size))

    def _start(self, stream: rtc.AudioStream | rtc.VideoStream, job: Coroutine[Any, Any, None]) -> None:
        self._streams.append(stream)
        self._tasks.append(asyncio.ensure_future(job))

    async def _record_audio(self, stream: rtc.AudioStream, path: Path) -> None:
        file: wave.Wave_write | None = None
        try:
            async for event in stream:
                if file is None:
                    file = self._open_wav(path)
                # Keeps the length in the header right with each call.
                file.writeframes(event.frame.data.cast("B"))
        finally:
            if file is not None:
                file.close()

    def _open_wav(self, path: Path) -> wave.Wave_write:
        file = wave.open(str(path), "wb")  # noqa: SIM115 - the task that asks for it closes it
        self.files.append(path)
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_SAMPLE_RATE_HZ)
        return file

    async def _record_video(self, stream: rtc.VideoStream, path: Path, announced: tuple[int, int]) -> None:
        file: VideoFile | None = None
        try:
            async for event in stream:
                if file is None:
                    size = _recorded_size(announced, (event.frame.width, event.frame.height))
                    file = await asyncio.to_thread(VideoFile, path, *size)
                    self.files.append(path)
                await asyncio.to_thread(file.write, event.frame, event.timestamp_us)
        finally:
            if file is not None:
                await asyncio.to_thread(file.close)

    async def aclose(self) -> list[str]:
        """End all recordings and complete their files; what went wrong with any of them, in words."""
        for stream in self._streams:
            await stream.aclose()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        return [str(outcome) for outcome in outcomes if isinstance(outcome, Exception)]


def _recorded_size(announced: tuple[int, int], first: tuple[int, int]) -> tuple[int, int]:
    """The announced size when the first picture is a smaller version of it, else that of the first picture."""
    same_shape = abs(announced[0] * first[1] - announced[1] * first[0]) <= 0.02 * announced[0] * first[1]
    width, height = announced if announced[0] >= first[0] and same_shape else first
    return max(2, width & ~1), max(2, height & ~1)


class VideoFile:
    """An MP4 (H264) of one even size; pictures of another size are scaled to it.

    Written in fragments, so that it can be played up to the last one even when it is never closed.
    """

    def __init__(self, path: Path, width: int, height: int) -> None:
        import av

        self._time_base = Fraction(1, 90_000)
        self._size = (width, height)
        fragments = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
        self._container = av.open(f"file:{path}", "w", format="mp4", options=fragments)
        options = {"preset": "ultrafast", "tune": "zerolatency", "g": "30"}
        stream: Any = self._container.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = self._time_base
        self._stream = stream
        self._first_us: int | None = None
        self._last_pts = -1

    def write(self, frame: rtc.VideoFrame, timestamp_us: int) -> None:
        """Add one picture."""
        import av
        import numpy as np

        rgb = frame.convert(rtc.VideoBufferType.RGB24)
        pixels = np.frombuffer(rgb.data, np.uint8).reshape(frame.height, frame.width, 3)
        picture: Any = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        picture = picture.reformat(width=self._size[0], height=self._size[1], format="yuv420p")
        if self._first_us is None:
            self._first_us = timestamp_us
        pts = (timestamp_us - self._first_us) * 9 // 100
        self._last_pts = picture.pts = max(pts, self._last_pts + 1)
        picture.time_base = self._time_base
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Complete the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

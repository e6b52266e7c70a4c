"""Sound and pictures that are made faster than they are played, captured at the pace of the sound."""

from __future__ import annotations

import asyncio
from collections import deque

from .audio_frame import AudioFrame
from .audio_source import AudioSource
from .log import logger
from .video_frame import VideoFrame
from .video_source import VideoSource


class AVSynchronizer:
    """Captures sound at once, which paces whoever pushes it, and pictures at `video_fps`.

    Args:
        audio_source, video_source: where frames go; they stay the caller's to close.
        video_fps: pictures per second.
        video_queue_size_ms: how many pictures may wait, as the time they last (at least one); `push` waits while they do.
            0: no limit.

    Make it on a running loop, push both in the order of their time, and `aclose` it.
    """

    def __init__(
        self,
        *,
        audio_source: AudioSource,
        video_source: VideoSource,
        video_fps: float,
        video_queue_size_ms: float = 100,
        _max_delay_tolerance_ms: float = 300,
    ) -> None:
        if video_fps <= 0:
            raise ValueError(f"video_fps is {video_fps}: it must be more than 0")
        self._audio_source = audio_source
        self._video_source = video_source
        limit = max(1, int(video_fps * video_queue_size_ms / 1000)) if video_queue_size_ms > 0 else 0
        self._pictures: asyncio.Queue[tuple[VideoFrame, float | None]] = asyncio.Queue(limit)
        self._pace = _Pace(video_fps, _max_delay_tolerance_ms / 1000)
        self._last_video_time = 0.0
        self._last_audio_time = 0.0
        self._task = asyncio.create_task(self._capture())

    async def push(self, frame: VideoFrame | AudioFrame, timestamp: float | None = None) -> None:
        """Capture a frame in its turn; waits while too much is queued.

        `timestamp` in seconds is only told back by `last_audio_time` and `last_video_time`; of sound, when it ends.
        RuntimeError once closed.
        """
        if self._task.done():
            raise RuntimeError("the synchronizer is closed")
        if isinstance(frame, AudioFrame):
            await self._audio_source.capture_frame(frame)
            self._last_audio_time = self._last_audio_time if timestamp is None else timestamp
        else:
            await self._pictures.put((frame, timestamp))

    async def clear_queue(self) -> None:
        """Drop what was pushed and not played yet."""
        self._audio_source.clear_queue()
        while not self._pictures.empty():
            self._pictures.get_nowait()
            self._pictures.task_done()

    async def wait_for_playout(self) -> None:
        """Return when all that was pushed has been captured."""
        await asyncio.gather(self._audio_source.wait_for_playout(), self._pictures.join())

    def reset(self) -> None:
        """Begin a new timeline, after a pause for instance: the next picture is due at once."""
        self._pace.reset()

    async def aclose(self) -> None:
        """Stop; pictures that wait are dropped. Harmless twice."""
        self._task.cancel()
        await asyncio.wait([self._task])
        while not self._pictures.empty():
            self._pictures.get_nowait()
            self._pictures.task_done()

    @property
    def actual_fps(self) -> float:
        """Pictures captured per second, over about the last second; 0 before there are two."""
        return self._pace.actual_fps

    @property
    def last_video_time(self) -> float:
        """The `timestamp` of the picture captured last."""
        return self._last_video_time

    @property
    def last_audio_time(self) -> float:
        """The `timestamp` of the sound being played now."""
        return self._last_audio_time - self._audio_source.queued_duration

    async def _capture(self) -> None:
        while True:
            frame, timestamp = await self._pictures.get()
            try:
                await self._pace.wait()
                self._video_source.capture_frame(frame)
                self._last_video_time = self._last_video_time if timestamp is None else timestamp
            except Exception:
                logger.exception("a picture could not be captured and is left out: %r", frame)
            finally:
                self._pictures.task_done()

    def __repr__(self) -> str:
        return (
            f"rtc.AVSynchronizer(actual_fps={self.actual_fps:.1f}, queued_pictures={self._pictures.qsize()})"
        )


class _Pace:
    """Due times one interval apart; when it falls too far behind, it starts anew rather than catching up in a burst."""

    def __init__(self, fps: float, tolerance_s: float) -> None:
        self._interval_s = 1 / fps
        self._tolerance_s = tolerance_s
        self._next_s: float | None = None
        self._done_s: deque[float] = deque(maxlen=max(2, int(fps)))

    def reset(self) -> None:
        self._next_s = None
        self._done_s.clear()

    async def wait(self) -> None:
        """Return when the next one is due."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        due_s = now_s if self._next_s is None else self._next_s
        if due_s > now_s:
            await asyncio.sleep(due_s - now_s)
        elif now_s - due_s > self._tolerance_s:
            logger.warning("pictures are %d ms late: their times begin anew", (now_s - due_s) * 1000)
            due_s = now_s
        self._next_s = due_s + self._interval_s
        self._done_s.append(loop.time())

    @property
    def actual_fps(self) -> float:
        if len(self._done_s) < 2 or self._done_s[-1] <= self._done_s[0]:
            return 0.0
        return (len(self._done_s) - 1) / (self._done_s[-1] - self._done_s[0])

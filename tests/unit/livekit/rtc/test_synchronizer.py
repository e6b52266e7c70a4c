"""Pictures at the pace asked for, sound at once."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import numpy as np
import pytest

from livekit import rtc
from livekit.rtc import synchronizer

LIMIT_S = 5


class Sources:
    """Remembers what was captured, and when."""

    queued_duration = 0.25

    def __init__(self) -> None:
        self.pictures: list[Any] = []
        self.sounds: list[Any] = []
        self.cleared = False
        self.fails = False

    def capture(self, frame: Any) -> None:
        if self.fails:
            self.fails = False
            raise ValueError("bad picture")
        self.pictures.append(frame)

    async def capture_sound(self, frame: Any) -> None:
        self.sounds.append(frame)

    async def wait_for_playout(self) -> None: ...

    def clear_queue(self) -> None:
        self.cleared = True


class _Video:
    def __init__(self, sources: Sources) -> None:
        self.capture_frame = sources.capture


class _Audio:
    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.capture_frame = sources.capture_sound
        self.wait_for_playout = sources.wait_for_playout
        self.clear_queue = sources.clear_queue
        self.queued_duration = sources.queued_duration


def picture() -> rtc.VideoFrame:
    return rtc.VideoFrame(2, 2, rtc.VideoBufferType.RGBA, bytes(16))


def sound() -> rtc.AudioFrame:
    return rtc.AudioFrame(np.zeros(480, np.int16).tobytes(), 48_000, 1, 480)


def made(sources: Sources, fps: float = 1000, **options: Any) -> rtc.AVSynchronizer:
    return rtc.AVSynchronizer(
        audio_source=_Audio(sources),  # type: ignore[arg-type]
        video_source=_Video(sources),  # type: ignore[arg-type]
        video_fps=fps,
        **options,
    )


async def test_everything_is_captured_in_order() -> None:
    sources = Sources()
    sync = made(sources)
    pictures = [picture() for _ in range(20)]
    for number, frame in enumerate(pictures):
        await asyncio.wait_for(sync.push(frame, number / 1000), LIMIT_S)
        await sync.push(sound(), number / 100)
    await asyncio.wait_for(sync.wait_for_playout(), LIMIT_S)
    assert all(a is b for a, b in zip(sources.pictures, pictures, strict=True))
    assert len(sources.sounds) == 20
    assert sync.last_video_time == 0.019
    assert sync.last_audio_time == pytest.approx(0.19 - 0.25)
    assert sync.actual_fps > 0
    await sync.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await sync.push(sound())


async def test_a_full_queue_makes_the_caller_wait() -> None:
    sources = Sources()
    sync = made(sources, fps=0.001, video_queue_size_ms=1)
    await sync.push(picture())
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(sources.pictures) == 1
    await sync.push(picture())  # taken out, and waits for its time
    for _ in range(5):
        await asyncio.sleep(0)
    await sync.push(picture())
    waiting = asyncio.ensure_future(sync.push(picture()))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    await sync.clear_queue()
    await asyncio.wait_for(waiting, LIMIT_S)
    assert sources.cleared
    await sync.aclose()


async def test_a_picture_that_fails_is_logged_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    sources = Sources()
    sources.fails = True
    sync = made(sources)
    await sync.push(picture())
    await sync.push(picture())
    await asyncio.wait_for(sync.wait_for_playout(), LIMIT_S)
    assert len(sources.pictures) == 1
    assert "bad picture" in caplog.text
    await sync.aclose()


class _Clock:
    """Time that only sleeping moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: self.now_s)
        monkeypatch.setattr(synchronizer.asyncio, "sleep", self._sleep)

    async def _sleep(self, duration_s: float) -> None:
        self.now_s += duration_s


async def test_pictures_come_one_interval_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock(monkeypatch)
    pace = synchronizer._Pace(25, 0.3)
    times = []
    for late_s in (0.0, 0.01, 0.0, 0.05, 0.0):
        clock.now_s += late_s
        await pace.wait()
        times.append(round(clock.now_s - 100, 6))
    assert times == [0.0, 0.04, 0.08, 0.13, 0.16], "a late one does not move those after it"
    assert pace.actual_fps == pytest.approx(25, rel=0.01)


async def test_far_behind_it_starts_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = _Clock(monkeypatch)
    pace = synchronizer._Pace(25, 0.3)
    await pace.wait()
    clock.now_s += 1
    with caplog.at_level(logging.WARNING, "livekit"):
        await pace.wait()
    await pace.wait()
    assert round(clock.now_s - 100, 6) == 1.04
    assert "late: their times begin anew" in caplog.text

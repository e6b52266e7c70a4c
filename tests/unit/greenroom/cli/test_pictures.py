"""The PNG writer and the latency strip."""

from __future__ import annotations

import time
from pathlib import Path

import av
import numpy as np
import pytest

from greenroom.cli import latency_strip
from greenroom.cli.recorder import VideoFile, write_png
from livekit import rtc


def i420(width: int, height: int, luma: int = 120) -> rtc.VideoFrame:
    data = bytearray([luma]) * (width * height) + bytearray([128]) * (width * height // 2)
    return rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, data)


@pytest.mark.parametrize(("width", "height"), [(2, 2), (64, 48), (33, 17)])
def test_a_png_holds_the_pixels(tmp_path: Path, width: int, height: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    write_png(tmp_path / "a.png", rtc.VideoFrame(width, height, rtc.VideoBufferType.RGB24, pixels.tobytes()))
    with av.open(str(tmp_path / "a.png")) as container:
        [decoded] = container.decode(video=0)
        np.testing.assert_array_equal(decoded.to_ndarray(format="rgb24"), pixels)


@pytest.mark.parametrize(("width", "height"), [(640, 360), (320, 240), (160, 120)])
@pytest.mark.parametrize("age", [0, 7, 250, 5000])
def test_the_strip_tells_how_old_a_picture_is(
    monkeypatch: pytest.MonkeyPatch, width: int, height: int, age: int
) -> None:
    frame = i420(width, height)
    monkeypatch.setattr(time, "monotonic", lambda: 123.456)
    latency_strip.stamp(frame)
    monkeypatch.setattr(time, "monotonic", lambda: 123.456 + age / 1000)
    assert latency_strip.age_ms(frame) == pytest.approx(age, abs=1)


def test_the_strip_survives_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = i420(320, 240)
    monkeypatch.setattr(time, "monotonic", lambda: 32.0)
    latency_strip.stamp(frame)
    noise = np.random.default_rng(2).integers(-20, 21, len(frame.data))
    noisy = np.clip(np.frombuffer(frame.data, np.uint8).astype(int) + noise, 0, 255).astype(np.uint8)
    received = rtc.VideoFrame(320, 240, rtc.VideoBufferType.I420, noisy.tobytes())
    assert latency_strip.age_ms(received) == 0


@pytest.mark.parametrize("luma", [0, 16, 120, 235])
def test_a_picture_without_a_strip_has_no_age(luma: int) -> None:
    assert latency_strip.age_ms(i420(320, 240, luma)) is None


def test_a_picture_too_small_for_the_strip_is_left_alone() -> None:
    frame = i420(8, 8)
    before = bytes(frame.data)
    latency_strip.stamp(frame)
    assert bytes(frame.data) == before
    assert latency_strip.age_ms(frame) is None


def test_an_mp4_keeps_times_and_scales_other_sizes(tmp_path: Path) -> None:
    file = VideoFile(tmp_path / "a.mp4", 64, 48)
    for number, size in enumerate([(64, 48), (32, 24), (64, 48)]):
        file.write(i420(*size), 5_000_000 + number * 100_000)
    file.close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [(f.width, f.height) for f in frames] == [(64, 48)] * 3
    assert [round(float(f.time or 0), 3) for f in frames] == [0.0, 0.1, 0.2]

"""`VideoSource`: every layout and rotation, seen through a stream of its own track; never waits."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from greenroom import _engine
from livekit import rtc

WIDTH, HEIGHT = 64, 48
LIMIT_S = 10
TOP_LEFT, OTHERS = (220, 30, 30), (30, 30, 220)


def picture(width: int = WIDTH, height: int = HEIGHT) -> rtc.VideoFrame:
    """RGBA: the top left quarter red, the rest blue."""
    rgba = np.full((height, width, 4), 255, np.uint8)
    rgba[:, :, :3] = OTHERS
    rgba[: height // 2, : width // 2, :3] = TOP_LEFT
    return rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, rgba.tobytes())


def red_corner(frame: rtc.VideoFrame) -> tuple[bool, bool]:
    """(at the bottom, at the right) of the red quarter."""
    rgba = np.frombuffer(frame.convert(rtc.VideoBufferType.RGBA).data, np.uint8).reshape(
        frame.height, frame.width, 4
    )
    red = rgba[:, :, 0].astype(int) > rgba[:, :, 2].astype(int)
    rows, columns = np.nonzero(red)
    assert len(rows) == pytest.approx(frame.width * frame.height / 4, rel=0.15)
    return bool(rows.mean() > frame.height / 2), bool(columns.mean() > frame.width / 2)


async def through(frame: rtc.VideoFrame, **options: object) -> rtc.VideoFrameEvent:
    source = rtc.VideoSource(WIDTH, HEIGHT)
    stream = rtc.VideoStream(rtc.LocalVideoTrack.create_video_track("tap", source))
    source.capture_frame(frame, **options)  # type: ignore[arg-type]
    event = await asyncio.wait_for(stream.__anext__(), LIMIT_S)
    await stream.aclose()
    await source.aclose()
    return event


@pytest.mark.parametrize("name", rtc.VideoBufferType.keys())
async def test_every_layout_is_taken(name: str) -> None:
    event = await through(picture().convert(rtc.VideoBufferType.Value(name)))
    assert (event.frame.width, event.frame.height) == (WIDTH, HEIGHT)
    assert event.frame.type == rtc.VideoBufferType.I420
    assert red_corner(event.frame) == (False, False)


@pytest.mark.parametrize(
    ("rotation", "corner"), [(0, (False, False)), (1, (False, True)), (2, (True, True)), (3, (True, False))]
)
async def test_rotation_turns_the_pixels_clockwise(rotation: int, corner: tuple[bool, bool]) -> None:
    event = await through(picture(), rotation=rotation)
    size = (WIDTH, HEIGHT) if rotation % 2 == 0 else (HEIGHT, WIDTH)
    assert (event.frame.width, event.frame.height) == size
    assert red_corner(event.frame) == corner
    assert event.rotation == rtc.VideoRotation.VIDEO_ROTATION_0, "it is applied already"


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 2), (17, 33), (1920, 1080)])
async def test_frames_of_any_size_are_taken(width: int, height: int) -> None:
    event = await through(picture(width, height))
    assert (event.frame.width, event.frame.height) == (width, height)


async def test_timestamps_keep_their_distance() -> None:
    source = rtc.VideoSource(WIDTH, HEIGHT)
    stream = rtc.VideoStream(rtc.LocalVideoTrack.create_video_track("tap", source))
    for stamp in (1_000_000, 1_040_000):
        source.capture_frame(picture(), timestamp_us=stamp)
    stamps = [(await asyncio.wait_for(stream.__anext__(), LIMIT_S)).timestamp_us for _ in range(2)]
    assert stamps[1] - stamps[0] == 40_000
    await stream.aclose()
    await source.aclose()


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(64, 48, 64 * 48 * 4 - 1), (64, 48, 0), (0, 48, 100), (64, 0, 100), (1 << 20, 1 << 20, 64)],
)
async def test_a_buffer_too_small_for_its_size_is_refused(width: int, height: int, size: int) -> None:
    source = rtc.VideoSource(WIDTH, HEIGHT)
    with pytest.raises(_engine.EngineError, match=f"{width}|{size}"):
        source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, bytes(size)))
    await source.aclose()


async def test_an_unknown_rotation_is_refused() -> None:
    source = rtc.VideoSource(WIDTH, HEIGHT)
    with pytest.raises(ValueError, match="rotation 9"):
        source.capture_frame(picture(), rotation=9)  # type: ignore[arg-type]
    await source.aclose()


async def test_capturing_without_anyone_reading_keeps_nothing_waiting() -> None:
    source = rtc.VideoSource(WIDTH, HEIGHT)
    stream = rtc.VideoStream(rtc.LocalVideoTrack.create_video_track("tap", source), capacity=2)
    for number in range(100):
        source.capture_frame(picture(), timestamp_us=1 + number)
    await source.aclose()
    kept = [event async for event in stream]
    assert len(kept) == 2
    assert kept[1].timestamp_us - kept[0].timestamp_us == 1
    assert stream.dropped_frames == 98
    await stream.aclose()


async def test_a_closed_source_takes_nothing() -> None:
    source = rtc.VideoSource(WIDTH, HEIGHT)
    await source.aclose()
    await source.aclose()
    source.capture_frame(picture())
    assert "64" in repr(source)

"""`VideoStream` on local tracks: formats, bounds, ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from livekit import rtc

WIDTH, HEIGHT = 64, 48
LIMIT_S = 10


async def within(awaitable):  # type: ignore[no-untyped-def]
    return await asyncio.wait_for(awaitable, LIMIT_S)


def grey(level: int) -> rtc.VideoFrame:
    size = WIDTH * HEIGHT
    return rtc.VideoFrame(
        WIDTH, HEIGHT, rtc.VideoBufferType.I420, bytes([level]) * size + bytes([128]) * (size // 2)
    )


class Tapped:
    def __init__(self) -> None:
        self.source = rtc.VideoSource(WIDTH, HEIGHT)
        self.track = rtc.LocalVideoTrack.create_video_track("tap", self.source)


@pytest.fixture
async def tapped() -> AsyncIterator[Tapped]:
    tapped = Tapped()
    yield tapped
    await tapped.source.aclose()


@pytest.mark.parametrize("name", rtc.VideoBufferType.keys())
async def test_frames_come_in_the_format_asked_for(tapped: Tapped, name: str) -> None:
    wanted = rtc.VideoBufferType.Value(name)
    stream = rtc.VideoStream.from_track(track=tapped.track, format=wanted)
    tapped.source.capture_frame(grey(120))
    frame = (await within(stream.__anext__())).frame
    assert frame.type == wanted
    assert len(frame.data) == len(grey(120).convert(wanted).data)
    luma = frame.convert(rtc.VideoBufferType.I420).data[0]
    assert luma == pytest.approx(120, abs=3)
    await stream.aclose()


async def test_a_full_stream_drops_the_oldest(tapped: Tapped) -> None:
    stream = rtc.VideoStream(tapped.track, capacity=3)
    for level in range(50, 60):
        tapped.source.capture_frame(grey(level))
    kept = [(await within(stream.__anext__())).frame.data[0] for _ in range(3)]
    assert kept == [57, 58, 59]
    assert stream.dropped_frames == 7
    await stream.aclose()


async def test_the_default_is_bounded(tapped: Tapped) -> None:
    stream = rtc.VideoStream(tapped.track)
    for level in range(100):
        tapped.source.capture_frame(grey(level))
    await tapped.source.aclose()
    assert len([event async for event in stream]) == 30
    assert stream.dropped_frames == 70
    await stream.aclose()


async def test_the_end_delivers_what_is_queued_and_then_stops(tapped: Tapped) -> None:
    stream = rtc.VideoStream(tapped.track)
    for level in (10, 20):
        tapped.source.capture_frame(grey(level))
    await tapped.source.aclose()
    assert [event.frame.data[0] async for event in stream] == [10, 20]
    with pytest.raises(StopAsyncIteration):
        await stream.__anext__()
    await stream.aclose()


@pytest.mark.parametrize("how", ["the source ends", "the stream is closed"])
async def test_a_waiting_consumer_is_woken(tapped: Tapped, how: str) -> None:
    stream = rtc.VideoStream(tapped.track)
    waiting = asyncio.ensure_future(stream.__anext__())
    await asyncio.sleep(0)
    await (tapped.source.aclose() if how == "the source ends" else stream.aclose())
    with pytest.raises(StopAsyncIteration):
        await within(waiting)
    await stream.aclose()


async def test_frames_queued_at_closing_are_gone(tapped: Tapped) -> None:
    stream = rtc.VideoStream(tapped.track)
    tapped.source.capture_frame(grey(10))
    await stream.aclose()
    assert [event async for event in stream] == []


async def test_a_negative_capacity_is_refused(tapped: Tapped) -> None:
    with pytest.raises(ValueError, match="-1"):
        rtc.VideoStream(tapped.track, capacity=-1)

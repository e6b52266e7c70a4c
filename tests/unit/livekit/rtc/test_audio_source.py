"""`AudioSource`: back-pressure, its ends, and what it refuses. No test here depends on how fast it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from greenroom import _engine
from livekit import rtc

RATE_HZ = 48_000
LIMIT_S = 10


def frame(milliseconds: float, rate: int = RATE_HZ, channels: int = 1) -> rtc.AudioFrame:
    return rtc.AudioFrame.create(rate, channels, int(rate * milliseconds / 1000))


async def turns(count: int = 5) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def within(awaitable):  # type: ignore[no-untyped-def]
    return await asyncio.wait_for(awaitable, LIMIT_S)


@pytest.fixture
async def source() -> AsyncIterator[rtc.AudioSource]:
    source = rtc.AudioSource(RATE_HZ, 1, 200)
    yield source
    await source.aclose()


async def test_what_fits_the_queue_does_not_wait(source: rtc.AudioSource) -> None:
    capture = source.capture_frame(frame(200))
    with pytest.raises(StopIteration):
        capture.send(None)  # completed without ever suspending
    assert 0 < source.queued_duration <= 0.2


async def test_a_capture_over_the_queue_size_waits_until_it_is_back_under(source: rtc.AudioSource) -> None:
    capture = asyncio.ensure_future(source.capture_frame(frame(400)))
    await turns()
    assert not capture.done()
    assert source.queued_duration > 0.2
    await within(capture)
    assert source.queued_duration <= 0.2


async def test_the_queue_never_holds_more_than_twice_its_size(source: rtc.AudioSource) -> None:
    capture = asyncio.ensure_future(source.capture_frame(frame(5000)))
    await turns()
    assert 0.2 < source.queued_duration <= 0.4
    capture.cancel()
    with pytest.raises(asyncio.CancelledError):
        await capture


@pytest.mark.parametrize(
    ("rate", "channels"), [(8000, 1), (16_000, 1), (44_100, 1), (48_000, 2), (192_000, 2)]
)
async def test_back_pressure_holds_at_any_rate(rate: int, channels: int) -> None:
    source = rtc.AudioSource(rate, channels, 50)
    for _ in range(10):
        await within(source.capture_frame(frame(20, rate, channels)))
        assert source.queued_duration <= 0.05 + 1e-6
    await source.aclose()


async def test_frames_of_any_length_are_taken(source: rtc.AudioSource) -> None:
    for milliseconds in (1, 3, 7, 33, 0):
        await within(source.capture_frame(frame(milliseconds)))
    await within(source.wait_for_playout())
    assert source.queued_duration < 0.01, "only a remainder under 10 ms may be left"


async def test_an_empty_frame_does_nothing(source: rtc.AudioSource) -> None:
    await source.capture_frame(rtc.AudioFrame.create(RATE_HZ, 1, 0))
    await source.capture_frame(rtc.AudioFrame.create(8000, 2, 0))
    assert source.queued_duration == 0


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (RATE_HZ, 2)])
async def test_a_frame_of_another_format_is_refused(
    source: rtc.AudioSource, rate: int, channels: int
) -> None:
    with pytest.raises(Exception, match="sample_rate and num_channels don't match") as raised:
        await source.capture_frame(frame(10, rate, channels))
    assert f"{rate} Hz" in str(raised.value)
    assert source.queued_duration == 0


async def test_concurrent_captures_queue_up_in_order(source: rtc.AudioSource) -> None:
    done: list[int] = []

    async def capture(number: int) -> None:
        await source.capture_frame(frame(210))
        done.append(number)

    await within(asyncio.gather(*(capture(number) for number in range(4))))
    assert done == [0, 1, 2, 3]


async def test_a_cancelled_capture_leaves_the_source_usable(source: rtc.AudioSource) -> None:
    capture = asyncio.ensure_future(source.capture_frame(frame(2000)))
    await turns()
    capture.cancel()
    with pytest.raises(asyncio.CancelledError):
        await capture
    again = asyncio.ensure_future(source.capture_frame(frame(10)))
    await turns()
    assert not again.done(), "what the cancelled capture queued still counts"
    await within(again)
    await within(source.wait_for_playout())


async def test_a_capture_cancelled_while_another_waits_changes_nothing_for_that_one(
    source: rtc.AudioSource,
) -> None:
    first = asyncio.ensure_future(source.capture_frame(frame(390)))
    second = asyncio.ensure_future(source.capture_frame(frame(10)))
    await turns()
    second.cancel()
    await within(first)
    assert second.cancelled()


async def test_clear_queue_drops_everything_and_releases_who_waits(source: rtc.AudioSource) -> None:
    capture = asyncio.ensure_future(source.capture_frame(frame(400)))
    playout = asyncio.ensure_future(source.wait_for_playout())
    await turns()
    source.clear_queue()
    assert source.queued_duration == 0
    await turns(20)
    assert capture.done()
    assert playout.done()


async def test_a_completion_that_was_cleared_does_not_complete_the_next_capture(
    source: rtc.AudioSource,
) -> None:
    first = asyncio.ensure_future(source.capture_frame(frame(400)))
    await turns()
    source.clear_queue()
    second = asyncio.ensure_future(source.capture_frame(frame(400)))
    await within(first)
    await within(second)
    assert source.queued_duration <= 0.2


async def test_a_late_completion_does_not_complete_the_capture_after_it(source: rtc.AudioSource) -> None:
    first = asyncio.ensure_future(source.capture_frame(frame(400)))
    await turns()
    first.cancel()
    await asyncio.wait([first])
    source.clear_queue()  # its completion is on the way now
    await within(source.capture_frame(frame(400)))
    assert source.queued_duration <= 0.2


async def test_clear_queue_again_and_again(source: rtc.AudioSource) -> None:
    for _ in range(50):
        capture = asyncio.ensure_future(source.capture_frame(frame(400)))
        await turns(2)
        source.clear_queue()
        await within(capture)
    await within(source.wait_for_playout())


async def test_wait_for_playout_returns_at_once_when_nothing_is_queued(source: rtc.AudioSource) -> None:
    with pytest.raises(StopIteration):
        source.wait_for_playout().send(None)


async def test_wait_for_playout_waits_for_later_captures_too(source: rtc.AudioSource) -> None:
    await source.capture_frame(frame(50))
    playout = asyncio.ensure_future(source.wait_for_playout())
    await turns()
    await source.capture_frame(frame(100))
    await within(playout)
    assert source.queued_duration == 0


async def test_several_may_wait_for_playout_and_one_may_give_up(source: rtc.AudioSource) -> None:
    await source.capture_frame(frame(100))
    waiting = [asyncio.ensure_future(source.wait_for_playout()) for _ in range(3)]
    await turns()
    waiting[1].cancel()
    await within(asyncio.gather(waiting[0], waiting[2]))
    assert waiting[1].cancelled()


async def test_closing_releases_who_waits_and_later_captures_do_nothing() -> None:
    source = rtc.AudioSource(RATE_HZ, 1, 100)
    capture = asyncio.ensure_future(source.capture_frame(frame(1000)))
    queued = asyncio.ensure_future(source.capture_frame(frame(1000)))
    playout = asyncio.ensure_future(source.wait_for_playout())
    await turns()
    await source.aclose()
    await within(asyncio.gather(capture, queued, playout))
    await source.aclose()
    await source.capture_frame(frame(10))
    await source.wait_for_playout()
    source.clear_queue()
    assert source.queued_duration == 0


async def test_without_a_queue_whole_blocks_are_forwarded_at_once() -> None:
    source = rtc.AudioSource(RATE_HZ, 1, 0)
    for _ in range(5):
        await within(source.capture_frame(frame(10)))
    with pytest.raises(_engine.EngineError, match="exactly 480"):
        await source.capture_frame(frame(7))
    await source.aclose()


@pytest.mark.parametrize(
    ("rate", "channels", "queue_size_ms", "named"),
    [
        (7999, 1, 1000, "7999"),
        (192_001, 1, 1000, "192001"),
        (0, 1, 1000, "0"),
        (-1, 1, 1000, "Hz"),
        (RATE_HZ, 0, 1000, "0"),
        (RATE_HZ, 3, 1000, "3"),
        (RATE_HZ, 1, 15, "15"),
        (RATE_HZ, 1, -10, "multiple of 10"),
    ],
)
async def test_values_out_of_range_are_refused_by_name(
    rate: int, channels: int, queue_size_ms: int, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        rtc.AudioSource(rate, channels, queue_size_ms)


async def test_properties_and_repr(source: rtc.AudioSource) -> None:
    assert (source.sample_rate, source.num_channels) == (RATE_HZ, 1)
    assert repr(source) == "rtc.AudioSource(sample_rate=48000, num_channels=1)"

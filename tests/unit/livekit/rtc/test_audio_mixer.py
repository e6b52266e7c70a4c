"""Mixing: sums, silence, ends and faults of its streams."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from livekit import rtc

RATE = 8000
LIMIT_S = 5


def frame(value: int, samples: int = 800, rate: int = RATE) -> rtc.AudioFrame:
    return rtc.AudioFrame(np.full(samples, value, np.int16).tobytes(), rate, 1, samples)


async def frames(*values: int, samples: int = 800) -> AsyncIterator[rtc.AudioFrame]:
    for value in values:
        yield frame(value, samples)


class Silent:
    """Gives nothing until told to; remembers being cancelled."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue()
        self.cancelled = False

    def __aiter__(self) -> Silent:
        return self

    async def __anext__(self) -> rtc.AudioFrame:
        try:
            return await self.queue.get()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def mixed(mixer: rtc.AudioMixer) -> list[int]:
    """The first sample of every block."""

    async def collect() -> list[int]:
        return [int(np.frombuffer(block.data, np.int16)[0]) async for block in mixer]

    return await asyncio.wait_for(collect(), LIMIT_S)


async def test_streams_are_added_up_and_clipped() -> None:
    mixer = rtc.AudioMixer(RATE, 1)
    mixer.add_stream(frames(100, 30_000, -30_000))
    mixer.add_stream(frames(11, 30_000, -30_000, 7))
    mixer.end_input()
    assert await mixed(mixer) == [111, 32767, -32768, 7]
    assert [block async for block in mixer] == []
    await mixer.aclose()


async def test_blocks_have_the_size_asked_for_whatever_frames_come() -> None:
    mixer = rtc.AudioMixer(RATE, 1, blocksize=300)
    mixer.add_stream(frames(1, 2, 3, samples=250))
    mixer.end_input()
    blocks = [np.frombuffer(block.data, np.int16) async for block in mixer]
    samples = np.concatenate(blocks)
    assert [len(block) for block in blocks] == [300, 300, 300]
    assert samples.tolist() == [1] * 250 + [2] * 250 + [3] * 250 + [0] * 150


async def test_a_stream_that_gives_nothing_is_silent_and_stays(caplog: pytest.LogCaptureFixture) -> None:
    mixer = rtc.AudioMixer(RATE, 1, stream_timeout_ms=1)
    late = Silent()
    mixer.add_stream(late)
    mixer.add_stream(frames(5, 6))
    with caplog.at_level(logging.WARNING, "livekit"):
        first = [await asyncio.wait_for(anext(mixer), LIMIT_S) for _ in range(2)]
    assert [np.frombuffer(b.data, np.int16)[0] for b in first] == [5, 6]
    assert sum("nothing in time" in record.message for record in caplog.records) == 1
    late.queue.put_nowait(frame(9))
    third = await asyncio.wait_for(anext(mixer), LIMIT_S)
    assert np.frombuffer(third.data, np.int16)[0] == 9
    assert not late.cancelled
    await mixer.aclose()
    assert late.cancelled


async def test_the_end_does_not_wait_for_a_dead_stream() -> None:
    mixer = rtc.AudioMixer(RATE, 1, stream_timeout_ms=1)
    mixer.add_stream(Silent())
    mixer.end_input()
    assert await mixed(mixer) == []
    await mixer.aclose()


async def failing() -> AsyncIterator[rtc.AudioFrame]:
    yield frame(1)
    raise RuntimeError("broken")


async def of_another_rate() -> AsyncIterator[rtc.AudioFrame]:
    yield frame(1, rate=16_000)


@pytest.mark.parametrize(("stream", "text"), [(failing, "broken"), (of_another_rate, "16000 Hz")])
async def test_a_bad_stream_is_left_out_and_logged(
    stream: Any, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    mixer = rtc.AudioMixer(RATE, 1)
    mixer.add_stream(stream())
    mixer.add_stream(frames(5, 6, 7))
    mixer.end_input()
    assert (await mixed(mixer))[1:] == [6, 7]
    assert text in caplog.text


async def test_a_removed_stream_is_not_heard() -> None:
    mixer = rtc.AudioMixer(RATE, 1, capacity=1)
    gone = Silent()
    mixer.add_stream(gone)
    mixer.remove_stream(gone)
    mixer.remove_stream(gone)
    mixer.add_stream(frames(5))
    mixer.end_input()
    assert await mixed(mixer) == [5]
    with pytest.raises(RuntimeError, match="ended"):
        mixer.add_stream(frames(1))


async def test_closing_ends_a_waiting_iteration() -> None:
    mixer = rtc.AudioMixer(RATE, 1)
    waiting = asyncio.ensure_future(anext(mixer))
    await asyncio.sleep(0)
    await mixer.aclose()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, LIMIT_S)
    await mixer.aclose()


async def test_a_full_mixer_takes_no_more() -> None:
    taken = 0

    async def endless() -> AsyncIterator[rtc.AudioFrame]:
        nonlocal taken
        while True:
            taken += 1
            yield frame(taken)

    mixer = rtc.AudioMixer(RATE, 1, capacity=3)
    mixer.add_stream(endless())
    assert np.frombuffer((await asyncio.wait_for(anext(mixer), LIMIT_S)).data, np.int16)[0] == 1
    for _ in range(100):
        await asyncio.sleep(0)
    assert taken <= 6
    await mixer.aclose()

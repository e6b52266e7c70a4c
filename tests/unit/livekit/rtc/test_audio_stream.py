"""`AudioStream` on local tracks: formats, bounds, ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import numpy as np
import pytest

from livekit import rtc

RATE_HZ = 48_000
LIMIT_S = 10


async def within(awaitable):  # type: ignore[no-untyped-def]
    return await asyncio.wait_for(awaitable, LIMIT_S)


def tone(milliseconds: int, rate: int = RATE_HZ, channels: int = 1, hz: float = 1000) -> rtc.AudioFrame:
    """Full channels of the same tone, amplitude 10,000."""
    count = rate * milliseconds // 1000
    wave = (np.sin(np.arange(count) * 2 * np.pi * hz / rate) * 10_000).astype(np.int16)
    return rtc.AudioFrame(np.repeat(wave, channels).tobytes(), rate, channels, count)


def pitch_hz(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * rate / len(samples))


async def collect(stream: rtc.AudioStream, seconds: float, channels: int = 1) -> np.ndarray:
    """Samples (n, channels) from the first loud frame on."""
    blocks: list[np.ndarray] = []
    total = 0
    async for event in stream:
        block = np.frombuffer(event.frame.data, np.int16).reshape(-1, channels)
        if not blocks and np.abs(block.astype(int)).max() < 5000:
            continue
        blocks.append(block)
        total += len(block)
        if total >= seconds * event.frame.sample_rate:
            break
    return np.concatenate(blocks)


class Tapped:
    def __init__(self, rate: int = RATE_HZ, channels: int = 1) -> None:
        self.source = rtc.AudioSource(rate, channels, 1000)
        self.track = rtc.LocalAudioTrack.create_audio_track("tap", self.source)


@pytest.fixture
async def tapped() -> AsyncIterator[Tapped]:
    tapped = Tapped()
    yield tapped
    await tapped.source.aclose()


@pytest.mark.parametrize(
    ("source_rate", "stream_rate"),
    [(8000, 48_000), (16_000, 44_100), (44_100, 48_000), (48_000, 8000), (48_000, 48_000), (96_000, 24_000)],
)
async def test_the_tone_comes_out_at_every_rate(source_rate: int, stream_rate: int) -> None:
    tapped = Tapped(source_rate)
    stream = rtc.AudioStream(tapped.track, sample_rate=stream_rate)
    await tapped.source.capture_frame(tone(400, source_rate))
    samples = (await within(collect(stream, 0.3)))[:, 0]
    assert pitch_hz(samples[len(samples) // 5 :], stream_rate) == pytest.approx(1000, abs=10)
    rms = float(np.sqrt((samples[len(samples) // 5 :].astype(float) ** 2).mean()))
    assert rms == pytest.approx(10_000 / 2**0.5, rel=0.05)
    await stream.aclose()
    await tapped.source.aclose()


@pytest.mark.parametrize(("given", "asked"), [(1, 2), (2, 1), (2, 2)])
async def test_channels_are_mixed(given: int, asked: int) -> None:
    tapped = Tapped(channels=given)
    stream = rtc.AudioStream(tapped.track, num_channels=asked)
    await tapped.source.capture_frame(tone(200, channels=given))
    samples = await within(collect(stream, 0.1, asked))
    for channel in range(asked):
        assert np.abs(samples[:, channel].astype(int)).max() == pytest.approx(10_000, rel=0.05)
    await stream.aclose()
    await tapped.source.aclose()


@pytest.mark.parametrize(
    ("frame_size_ms", "rate"), [(None, 48_000), (10, 44_100), (20, 48_000), (60, 16_000), (37, 8000)]
)
async def test_frames_have_exactly_the_size_asked_for(
    tapped: Tapped, frame_size_ms: int | None, rate: int
) -> None:
    stream = rtc.AudioStream(tapped.track, sample_rate=rate, frame_size_ms=frame_size_ms)
    for _ in range(3):
        event = await within(stream.__anext__())
        assert event.frame.samples_per_channel == rate * (frame_size_ms or 10) // 1000
        assert (event.frame.sample_rate, event.frame.num_channels) == (rate, 1)
    await stream.aclose()


async def test_silence_comes_when_nothing_is_captured(tapped: Tapped) -> None:
    stream = rtc.AudioStream(tapped.track)
    event = await within(stream.__anext__())
    assert not any(event.frame.data)
    await stream.aclose()


async def test_an_unread_stream_drops_its_oldest_frames_and_counts_them(tapped: Tapped) -> None:
    stream = rtc.AudioStream(tapped.track, capacity=3)
    reader = rtc.AudioStream(tapped.track)
    for _ in range(12):
        await within(reader.__anext__())
    await tapped.source.aclose()
    kept = [event async for event in stream]
    assert len(kept) == 3
    assert stream.dropped_frames >= 12 - 3
    await stream.aclose()
    await reader.aclose()
    assert stream.dropped_frames >= 12 - 3, "still told after closing"


async def test_the_default_is_bounded(tapped: Tapped) -> None:
    stream = rtc.AudioStream(tapped.track)
    assert stream._capacity == 1000
    await stream.aclose()


async def test_the_end_delivers_what_is_queued_and_then_stops(tapped: Tapped) -> None:
    stream = rtc.AudioStream(tapped.track)
    reader = rtc.AudioStream(tapped.track)
    for _ in range(5):
        await within(reader.__anext__())
    await tapped.source.aclose()
    assert len([event async for event in stream]) >= 5
    with pytest.raises(StopAsyncIteration):
        await stream.__anext__()
    await stream.aclose()
    await reader.aclose()


async def test_a_consumer_that_waits_at_the_end_is_woken(tapped: Tapped) -> None:
    stream = rtc.AudioStream(tapped.track, frame_size_ms=1000)
    waiting = asyncio.ensure_future(stream.__anext__())
    await asyncio.sleep(0)
    await tapped.source.aclose()
    with pytest.raises(StopAsyncIteration):
        await within(waiting)
    await stream.aclose()


async def test_closing_wakes_a_waiting_consumer(tapped: Tapped) -> None:
    stream = rtc.AudioStream(tapped.track, frame_size_ms=1000)
    waiting = asyncio.ensure_future(stream.__anext__())
    await asyncio.sleep(0)
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await within(waiting)
    await stream.aclose()


async def test_a_cancelled_read_loses_nothing(tapped: Tapped) -> None:
    stream = rtc.AudioStream(tapped.track)
    waiting = asyncio.ensure_future(stream.__anext__())
    await asyncio.sleep(0)
    waiting.cancel()
    await within(stream.__anext__())
    await stream.aclose()


async def test_two_streams_of_one_track_both_get_everything(tapped: Tapped) -> None:
    streams = [rtc.AudioStream(tapped.track, sample_rate=rate) for rate in (48_000, 16_000)]
    await tapped.source.capture_frame(tone(200))
    for samples in await within(asyncio.gather(*(collect(stream, 0.1) for stream in streams))):
        assert np.abs(samples.astype(int)).max() > 9000
    for stream in streams:
        await stream.aclose()


async def test_a_stream_of_a_closed_source_ends_at_once() -> None:
    tapped = Tapped()
    await tapped.source.aclose()
    stream = rtc.AudioStream(tapped.track)
    assert [event async for event in stream] == []
    await stream.aclose()


class Doubler(rtc.FrameProcessor[rtc.AudioFrame]):
    def __init__(self) -> None:
        self.on = True
        self.closed = 0
        self.fails = False

    @property
    def enabled(self) -> bool:
        return self.on

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self.on = value

    def _process(self, frame: rtc.AudioFrame) -> rtc.AudioFrame:
        if self.fails:
            raise RuntimeError("broken processor")
        frame.userdata["seen"] = True
        return frame

    def _close(self) -> None:
        self.closed += 1


async def test_a_processor_sees_each_frame_unless_disabled(
    tapped: Tapped, caplog: pytest.LogCaptureFixture
) -> None:
    processor = Doubler()
    stream = rtc.AudioStream(tapped.track, noise_cancellation=processor)
    assert (await within(stream.__anext__())).frame.userdata == {"seen": True}
    processor.enabled = False
    assert (await within(stream.__anext__())).frame.userdata == {}
    processor.enabled = True
    processor.fails = True
    with caplog.at_level(logging.WARNING):
        assert (await within(stream.__anext__())).frame.userdata == {}
    assert "broken processor" in caplog.text
    await stream.aclose()
    await stream.aclose()
    assert processor.closed == 1


async def test_from_track_leaves_the_processor_open_unless_told(tapped: Tapped) -> None:
    for told, closed in ((False, 0), (True, 1)):
        processor = Doubler()
        stream = rtc.AudioStream.from_track(
            track=tapped.track, noise_cancellation=processor, auto_close_noise_cancellation=told
        )
        await stream.aclose()
        assert processor.closed == closed


@pytest.mark.parametrize(
    "options",
    [
        {"sample_rate": 1000},
        {"num_channels": 3},
        {"num_channels": 0},
        {"frame_size_ms": -5},
        {"capacity": -1},
    ],
)
async def test_formats_out_of_range_are_refused(tapped: Tapped, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(options.values())))):
        rtc.AudioStream(tapped.track, **options)  # type: ignore[arg-type]

"""`AudioResampler` and the frame helpers of `utils`."""

from __future__ import annotations

import numpy as np
import pytest

from livekit import rtc
from livekit.rtc.utils import sine_wave_generator


def samples_of(frames: list[rtc.AudioFrame]) -> np.ndarray:
    return np.concatenate([np.frombuffer(f.data, np.int16).reshape(-1, f.num_channels) for f in frames])


def tone(rate: int, seconds: float, channels: int = 1, hz: float = 440) -> np.ndarray:
    wave = (np.sin(np.arange(int(rate * seconds)) * 2 * np.pi * hz / rate) * 12_000).astype(np.int16)
    return np.repeat(wave[:, None], channels, axis=1)


@pytest.mark.parametrize("quality", list(rtc.AudioResamplerQuality))
@pytest.mark.parametrize(
    ("given", "wanted"), [(48_000, 16_000), (8000, 48_000), (44_100, 48_000), (48_000, 48_000)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_pitch_level_and_length_are_kept(
    quality: rtc.AudioResamplerQuality, given: int, wanted: int, channels: int
) -> None:
    resampler = rtc.AudioResampler(given, wanted, num_channels=channels, quality=quality)
    source = tone(given, 1.0, channels)
    frames: list[rtc.AudioFrame] = []
    for start in range(0, len(source), given // 100):
        frames += resampler.push(bytearray(source[start : start + given // 100].tobytes()))
    frames += resampler.flush()
    assert {(f.sample_rate, f.num_channels) for f in frames} == {(wanted, channels)}
    result = samples_of(frames)
    assert len(result) == pytest.approx(wanted, rel=0.02)
    middle = result[wanted // 10 : -wanted // 10]
    for channel in range(channels):
        spectrum = np.abs(np.fft.rfft(middle[:, channel] * np.hanning(len(middle))))
        assert spectrum.argmax() * wanted / len(middle) == pytest.approx(440, abs=3)
        rms = np.sqrt((middle[:, channel].astype(float) ** 2).mean())
        assert rms == pytest.approx(12_000 / 2**0.5, rel=0.05)


def test_frames_are_taken_as_well_as_bytes() -> None:
    resampler = rtc.AudioResampler(48_000, 24_000)
    source = tone(48_000, 0.1)
    frames = resampler.push(rtc.AudioFrame(source.tobytes(), 48_000, 1, len(source)))
    frames += resampler.flush()
    assert sum(f.samples_per_channel for f in frames) == pytest.approx(2400, rel=0.05)


def test_flushing_what_got_nothing_gives_no_sound() -> None:
    resampler = rtc.AudioResampler(48_000, 16_000)
    assert all(not any(frame.data) for frame in resampler.flush())
    assert resampler.push(bytearray()) == []


@pytest.mark.parametrize(
    ("given", "wanted", "channels"), [(0, 48_000, 1), (48_000, 1, 1), (48_000, 16_000, 0)]
)
def test_formats_out_of_range_are_refused(given: int, wanted: int, channels: int) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        rtc.AudioResampler(given, wanted, num_channels=channels)


def test_half_a_sample_is_refused() -> None:
    resampler = rtc.AudioResampler(48_000, 16_000)
    with pytest.raises(Exception, match="3"):
        resampler.push(bytearray(3))


def test_combining_keeps_order_and_refuses_a_mixture() -> None:
    frames = [rtc.AudioFrame(np.full(n, n, np.int16).tobytes(), 16_000, 1, n) for n in (3, 5)]
    combined = rtc.combine_audio_frames(frames)
    assert list(combined.data) == [3] * 3 + [5] * 5
    assert combined.samples_per_channel == 8
    assert rtc.combine_audio_frames(frames[0]) is frames[0]
    for other in (rtc.AudioFrame.create(8000, 1, 4), rtc.AudioFrame.create(16_000, 2, 4)):
        with pytest.raises(ValueError, match="mismatch"):
            rtc.combine_audio_frames([frames[0], other])
    with pytest.raises(ValueError, match="empty"):
        rtc.combine_audio_frames([])


async def test_the_sine_generator_makes_the_tone_it_names() -> None:
    frames = [frame async for frame in sine_wave_generator(500, 0.25, 16_000, 0.5)]
    samples = samples_of(frames)[:, 0]
    assert len(samples) == 4000
    assert np.abs(samples.astype(int)).max() == pytest.approx(0.5 * 32_767, rel=0.01)
    assert np.abs(np.fft.rfft(samples)).argmax() * 4 == pytest.approx(500, abs=4)

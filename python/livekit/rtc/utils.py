"""Small helpers around frames."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

from .audio_frame import AudioFrame


def combine_audio_frames(buffer: AudioFrame | list[AudioFrame]) -> AudioFrame:
    """One frame with the samples of all, in order.

    Raises ValueError for an empty list and for frames that differ in rate or channels.
    """
    if not isinstance(buffer, list):
        return buffer
    if not buffer:
        raise ValueError("buffer is empty: give at least one frame")
    rate, channels = buffer[0].sample_rate, buffer[0].num_channels
    for frame in buffer:
        if frame.sample_rate != rate:
            raise ValueError(f"sample rate mismatch: expected {rate}, got {frame.sample_rate}")
        if frame.num_channels != channels:
            raise ValueError(f"channel count mismatch: expected {channels}, got {frame.num_channels}")
    data = bytearray().join(bytes(frame.data.cast("B")) for frame in buffer)
    return AudioFrame._adopt(data, rate, channels, sum(frame.samples_per_channel for frame in buffer))


async def sine_wave_generator(
    freq: float, duration: float, sample_rate: int = 48000, amplitude: float = 0.3
) -> AsyncIterator[AudioFrame]:
    """A mono tone of `freq` Hz for `duration` seconds, in frames of 10 ms; `amplitude` is 0 to 1 of full scale."""
    block = sample_rate // 100
    total = int(duration * sample_rate)
    for start in range(0, total, block):
        frame = AudioFrame.create(sample_rate, 1, min(block, total - start))
        samples = frame.data
        for index in range(frame.samples_per_channel):
            angle = 2 * math.pi * freq * (start + index) / sample_rate
            samples[index] = int(amplitude * 32767 * math.sin(angle))
        yield frame

"""Streaming conversion between sample rates."""

from __future__ import annotations

from enum import Enum

from greenroom import _engine

from .audio_frame import AudioFrame


class AudioResamplerQuality(str, Enum):
    """How much work goes into the filter."""

    QUICK = "quick"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    VERY_HIGH = "very_high"


class AudioResampler:
    """Resamples a stream of interleaved int16 audio; keep one per stream, it remembers the last samples.

    Raises ValueError for rates out of 8,000 to 192,000 Hz.
    """

    def __init__(
        self,
        input_rate: int,
        output_rate: int,
        *,
        num_channels: int = 1,
        quality: AudioResamplerQuality = AudioResamplerQuality.MEDIUM,
    ) -> None:
        self._input_rate = input_rate
        self._output_rate = output_rate
        self._num_channels = num_channels
        self._resampler = _engine.AudioResampler(
            input_rate, output_rate, num_channels, AudioResamplerQuality(quality).value
        )

    def __repr__(self) -> str:
        rates = f"input_rate={self._input_rate}, output_rate={self._output_rate}"
        return f"rtc.AudioResampler({rates}, num_channels={self._num_channels})"

    def push(self, data: bytearray | AudioFrame) -> list[AudioFrame]:
        """Feed samples; the frames that are ready, none or one."""
        samples = data.data if isinstance(data, AudioFrame) else memoryview(data)
        return self._frames(self._resampler.push(samples.cast("B")))

    def flush(self) -> list[AudioFrame]:
        """What is still inside, at the end of the stream."""
        return self._frames(self._resampler.flush())

    def _frames(self, data: bytearray) -> list[AudioFrame]:
        samples = len(data) // (2 * self._num_channels)
        if samples == 0:
            return []
        return [AudioFrame._adopt(data, self._output_rate, self._num_channels, samples)]

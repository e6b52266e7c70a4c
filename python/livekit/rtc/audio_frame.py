"""Uncompressed audio: interleaved signed 16-bit samples in the machine's byte order."""

from __future__ import annotations

import io
import wave
from typing import Any

from typing_extensions import Buffer

from ._pydantic import frame_schema, from_base64, to_base64

_BYTES_PER_SAMPLE = 2


def _size(sample_rate: int, num_channels: int, samples_per_channel: int) -> int:
    """In bytes. ValueError for a shape that no sound has."""
    if sample_rate < 1 or num_channels < 1 or samples_per_channel < 0:
        raise ValueError(
            f"no frame has {samples_per_channel} samples of {num_channels} channels at {sample_rate} Hz"
        )
    return num_channels * samples_per_channel * _BYTES_PER_SAMPLE


class AudioFrame:
    """A block of PCM audio, `samples_per_channel` samples for each of `num_channels` interleaved channels.

    The samples are copied in, so `data` may be reused by the caller. Raises ValueError when `data` holds fewer
    than `num_channels * samples_per_channel` 16-bit samples; what is longer is cut off.
    """

    def __init__(
        self,
        data: Buffer,
        sample_rate: int,
        num_channels: int,
        samples_per_channel: int,
        *,
        userdata: dict[str, Any] | None = None,
    ) -> None:
        view = memoryview(data).cast("B")
        size = _size(sample_rate, num_channels, samples_per_channel)
        if view.nbytes < size:
            raise ValueError(
                "data length must be >= num_channels * samples_per_channel * sizeof(int16): "
                f"{view.nbytes} bytes given, {size} needed for {samples_per_channel} samples of {num_channels} channels"
            )
        self._data = bytearray(view[:size])
        self._sample_rate = sample_rate
        self._num_channels = num_channels
        self._samples_per_channel = samples_per_channel
        self._userdata = userdata if userdata is not None else {}

    @classmethod
    def _adopt(
        cls, data: bytearray, sample_rate: int, num_channels: int, samples_per_channel: int
    ) -> AudioFrame:
        """A frame over `data` without the copy; the caller gives the buffer away."""
        frame = cls.__new__(cls)
        frame._data = data
        frame._sample_rate = sample_rate
        frame._num_channels = num_channels
        frame._samples_per_channel = samples_per_channel
        frame._userdata = {}
        return frame

    @staticmethod
    def create(sample_rate: int, num_channels: int, samples_per_channel: int) -> AudioFrame:
        """A frame of silence to be written into through `data`."""
        size = _size(sample_rate, num_channels, samples_per_channel)
        return AudioFrame._adopt(bytearray(size), sample_rate, num_channels, samples_per_channel)

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
        return frame_schema(
            cls,
            {"data": str, "sample_rate": int, "num_channels": int, "samples_per_channel": int},
            lambda frame: {
                "data": to_base64(frame.data),
                "sample_rate": frame.sample_rate,
                "num_channels": frame.num_channels,
                "samples_per_channel": frame.samples_per_channel,
            },
            lambda fields: cls(
                from_base64(fields["data"]),
                fields["sample_rate"],
                fields["num_channels"],
                fields["samples_per_channel"],
            ),
        )

    @property
    def userdata(self) -> dict[str, Any]:
        """Anything the application wants to keep with the frame; never sent."""
        return self._userdata

    @property
    def data(self) -> memoryview:
        """The samples as a writable view of int16, interleaved by channel."""
        return memoryview(self._data).cast("h")

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self._sample_rate

    @property
    def num_channels(self) -> int:
        return self._num_channels

    @property
    def samples_per_channel(self) -> int:
        return self._samples_per_channel

    @property
    def duration(self) -> float:
        """In seconds."""
        return self._samples_per_channel / self._sample_rate

    def to_wav_bytes(self) -> bytes:
        """The frame as a complete WAV file (RIFF, 16-bit PCM)."""
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(self._num_channels)
            file.setsampwidth(_BYTES_PER_SAMPLE)
            file.setframerate(self._sample_rate)
            file.writeframes(self._data)
        return out.getvalue()

    def __repr__(self) -> str:
        return (
            f"rtc.AudioFrame(sample_rate={self._sample_rate}, num_channels={self._num_channels}, "
            f"samples_per_channel={self._samples_per_channel}, duration={self.duration:.3f})"
        )

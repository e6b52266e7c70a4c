"""Decoded audio of a track, frame by frame."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greenroom import _engine

from ._media_stream import EngineStream, MediaStream, checked_capacity
from .audio_frame import AudioFrame
from .frame_processor import FrameProcessor

if TYPE_CHECKING:
    from ._proto.track_pb2 import TrackSource
    from .participant import Participant
    from .track import Track

_logger = logging.getLogger("livekit.rtc")

_BLOCK_MS = 10
DEFAULT_BUFFER_MS = 10_000
"""How much audio a stream that nobody reads keeps when `capacity` is 0; older frames are dropped and counted."""


@dataclass
class AudioFrameEvent:
    """What iterating an `AudioStream` yields."""

    frame: AudioFrame


@dataclass
class NoiseCancellationOptions:
    """Names a native noise-cancellation module and its options."""

    module_id: str
    options: dict[str, Any]


class AudioStream(MediaStream[AudioFrameEvent]):
    """An async iterator of `AudioFrameEvent`s from a remote track, or from a local one as it is captured.

    Args:
        track: the track to read.
        loop: the loop it is iterated on; default: the running one.
        capacity: how many frames may wait to be read; a full stream drops its oldest frame and counts it in
            `dropped_frames`. 0: ten seconds' worth.
        sample_rate, num_channels: of the frames wanted; anything from 8,000 to 192,000 Hz, 1 or 2 channels.
        frame_size_ms: length of each frame; default 10.
        noise_cancellation: a `FrameProcessor` run on each frame.
        auto_close_noise_cancellation: close that processor with the stream.

    A muted publisher does not end the stream: silence keeps coming. It ends when the track does.
    """

    def __init__(
        self,
        track: Track,
        loop: asyncio.AbstractEventLoop | None = None,
        capacity: int = 0,
        sample_rate: int = 48000,
        num_channels: int = 1,
        frame_size_ms: int | None = None,
        noise_cancellation: NoiseCancellationOptions | FrameProcessor[AudioFrame] | None = None,
        auto_close_noise_cancellation: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(loop)
        if isinstance(noise_cancellation, NoiseCancellationOptions):
            raise NotImplementedError(
                f"native noise-cancellation module {noise_cancellation.module_id!r} can't be loaded: "
                "pass a FrameProcessor instead"
            )
        self._sample_rate = sample_rate
        self._num_channels = num_channels
        self._frame_size_ms = _BLOCK_MS if frame_size_ms is None else frame_size_ms
        if not 1 <= self._frame_size_ms <= DEFAULT_BUFFER_MS:
            raise ValueError(
                f"frame_size_ms is {frame_size_ms}: it must be 1 to {DEFAULT_BUFFER_MS}, or None for 10"
            )
        self._capacity = checked_capacity(capacity, DEFAULT_BUFFER_MS // self._frame_size_ms)
        self._processor = noise_cancellation
        self._auto_close_processor = auto_close_noise_cancellation
        participant: Participant | None = kwargs.get("_participant")
        if participant is not None:
            self._follow(participant, kwargs["_track_source"])
        else:
            self._attach_track(track)

    @classmethod
    def from_track(
        cls,
        *,
        track: Track,
        loop: asyncio.AbstractEventLoop | None = None,
        capacity: int = 0,
        sample_rate: int = 48000,
        num_channels: int = 1,
        frame_size_ms: int | None = None,
        noise_cancellation: NoiseCancellationOptions | FrameProcessor[AudioFrame] | None = None,
        auto_close_noise_cancellation: bool = False,
    ) -> AudioStream:
        """The same as the constructor, by keywords; the processor stays open by default."""
        return cls(
            track,
            loop,
            capacity,
            sample_rate,
            num_channels,
            frame_size_ms,
            noise_cancellation,
            auto_close_noise_cancellation,
        )

    @classmethod
    def from_participant(
        cls,
        *,
        participant: Participant,
        track_source: TrackSource.ValueType,
        loop: asyncio.AbstractEventLoop | None = None,
        capacity: int = 0,
        sample_rate: int = 48000,
        num_channels: int = 1,
        frame_size_ms: int | None = None,
        noise_cancellation: NoiseCancellationOptions | FrameProcessor[AudioFrame] | None = None,
        auto_close_noise_cancellation: bool = True,
    ) -> AudioStream:
        """Read whichever track of that source the participant has, one after another, until it leaves the room."""
        return cls(
            None,  # type: ignore[arg-type]
            loop,
            capacity,
            sample_rate,
            num_channels,
            frame_size_ms,
            noise_cancellation,
            auto_close_noise_cancellation,
            _participant=participant,
            _track_source=track_source,
        )

    def _open(self, origin: Any, port: _engine.EventPort) -> EngineStream[Any]:
        return _engine.AudioStream(
            port,
            origin,
            sample_rate_hz=self._sample_rate,
            num_channels=self._num_channels,
            frame_size_ms=self._frame_size_ms,
            capacity_frames=self._capacity,
        )

    def _item(self, popped: tuple[bytearray, int]) -> AudioFrameEvent:
        data, samples_per_channel = popped
        frame = AudioFrame._adopt(data, self._sample_rate, self._num_channels, samples_per_channel)
        return AudioFrameEvent(self._processed(frame))

    def _processed(self, frame: AudioFrame) -> AudioFrame:
        processor = self._processor
        if not isinstance(processor, FrameProcessor) or not processor.enabled:
            return frame
        try:
            return processor._process(frame)
        except Exception:
            _logger.warning(
                "frame processor %r failed; the frame passes unprocessed", processor, exc_info=True
            )
            return frame

    async def aclose(self) -> None:
        """Stop and free the stream, and its processor when it is to be closed along. Harmless twice."""
        already_closed = self._closed
        await super().aclose()
        if not already_closed and self._auto_close_processor and isinstance(self._processor, FrameProcessor):
            self._processor._close()

    def __repr__(self) -> str:
        return (
            f"rtc.AudioStream(sample_rate={self._sample_rate}, num_channels={self._num_channels}, "
            f"frame_size_ms={self._frame_size_ms}, dropped_frames={self.dropped_frames})"
        )

"""Decoded video of a track, frame by frame."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greenroom import _engine

from ._media_stream import EngineStream, MediaStream, checked_capacity
from ._proto.video_frame_pb2 import FrameMetadata, VideoBufferType, VideoRotation
from .video_frame import VideoFrame

if TYPE_CHECKING:
    from ._proto.track_pb2 import TrackSource
    from .participant import Participant
    from .track import Track

DEFAULT_CAPACITY = 30
"""Frames that a stream nobody reads keeps when `capacity` is 0: about a second; older ones are dropped and counted."""

_ROTATIONS = {
    0: VideoRotation.VIDEO_ROTATION_0,
    90: VideoRotation.VIDEO_ROTATION_90,
    180: VideoRotation.VIDEO_ROTATION_180,
    270: VideoRotation.VIDEO_ROTATION_270,
}


@dataclass
class VideoFrameEvent:
    """What iterating a `VideoStream` yields."""

    frame: VideoFrame
    timestamp_us: int
    """Capture time in microseconds on the sender's media clock; only differences mean something."""
    rotation: VideoRotation.ValueType
    metadata: FrameMetadata | None = None


class VideoStream(MediaStream[VideoFrameEvent]):
    """An async iterator of `VideoFrameEvent`s from a remote track, or from a local one as it is captured.

    Args:
        track: the track to read.
        loop: the loop it is iterated on; default: the running one.
        capacity: how many frames may wait to be read; a full stream drops its oldest frame and counts it in
            `dropped_frames`. 0: about a second's worth.
        format: the `VideoBufferType` wanted; default: as decoded (I420).
    """

    def __init__(
        self,
        track: Track,
        loop: asyncio.AbstractEventLoop | None = None,
        capacity: int = 0,
        format: VideoBufferType.ValueType | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(loop)
        self._capacity = checked_capacity(capacity, DEFAULT_CAPACITY)
        self._format = format
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
        format: VideoBufferType.ValueType | None = None,
        capacity: int = 0,
    ) -> VideoStream:
        """The same as the constructor, by keywords."""
        return cls(track, loop, capacity, format)

    @classmethod
    def from_participant(
        cls,
        *,
        participant: Participant,
        track_source: TrackSource.ValueType,
        loop: asyncio.AbstractEventLoop | None = None,
        format: VideoBufferType.ValueType | None = None,
        capacity: int = 0,
    ) -> VideoStream:
        """Read whichever track of that source the participant has, one after another, until it leaves the room."""
        return cls(
            None,  # type: ignore[arg-type]
            loop,
            capacity,
            format,
            _participant=participant,
            _track_source=track_source,
        )

    def _open(self, origin: Any, port: _engine.EventPort) -> EngineStream[Any]:
        return _engine.VideoStream(port, origin, buffer_type=self._format, capacity_frames=self._capacity)

    def _item(self, popped: tuple[bytearray, int, int, int, int, int]) -> VideoFrameEvent:
        data, width, height, buffer_type, timestamp_us, rotation_degrees = popped
        frame = VideoFrame(width, height, VideoBufferType.ValueType(buffer_type), data)
        return VideoFrameEvent(frame, timestamp_us, _ROTATIONS[rotation_degrees])

    def __repr__(self) -> str:
        return f"rtc.VideoStream(format={self._format}, dropped_frames={self.dropped_frames})"

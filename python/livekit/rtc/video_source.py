"""Where an application's video enters: the engine encodes the latest frame and never makes the caller wait."""

from __future__ import annotations

import time

from greenroom import _engine

from ._proto.video_frame_pb2 import FrameMetadata, VideoRotation
from .video_frame import VideoFrame

_DEGREES = {
    VideoRotation.VIDEO_ROTATION_0: 0,
    VideoRotation.VIDEO_ROTATION_90: 90,
    VideoRotation.VIDEO_ROTATION_180: 180,
    VideoRotation.VIDEO_ROTATION_270: 270,
}


class VideoSource:
    """A source of pictures for `LocalVideoTrack.create_video_track`.

    Args:
        width, height: what will be captured, in pixels: they choose the encodings when the track is published.
            Frames of other sizes are accepted.
        is_screencast: tune the encoder for text and still pictures.
    """

    def __init__(self, width: int, height: int, *, is_screencast: bool = False) -> None:
        if width < 0 or height < 0:
            raise ValueError(f"a picture of {width}x{height}: neither can be negative")
        self._width = width
        self._height = height
        self._is_screencast = is_screencast
        self._engine_source = _engine.VideoSource(width, height, is_screencast=is_screencast)

    def capture_frame(
        self,
        frame: VideoFrame,
        *,
        timestamp_us: int = 0,
        rotation: VideoRotation.ValueType = VideoRotation.VIDEO_ROTATION_0,
        metadata: FrameMetadata | None = None,
    ) -> None:
        """Give one frame to the encoders. Copies and converts at once, never blocks; does nothing once closed.

        An encoder that is behind skips to the latest frame. `timestamp_us` is the capture time in microseconds on
        any steady clock, 0 for now. `rotation` is applied to the pixels before encoding.

        Raises greenroom's EngineError when the frame's data is too small for its size and type, ValueError for an
        unknown rotation.
        """
        degrees = _DEGREES.get(rotation)
        if degrees is None:
            raise ValueError(
                f"rotation {rotation!r} is none of VideoRotation: {', '.join(VideoRotation.keys())}"
            )
        stamp = timestamp_us or time.monotonic_ns() // 1000
        self._engine_source.push(frame.data, frame.width, frame.height, frame.type, stamp, degrees)

    async def aclose(self) -> None:
        """Free the source; later captures do nothing. Harmless twice."""
        self._engine_source.close()

    def __repr__(self) -> str:
        return f"rtc.VideoSource(width={self._width}, height={self._height}, is_screencast={self._is_screencast})"

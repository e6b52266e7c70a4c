"""Uncompressed video: one picture in one of the layouts of `VideoBufferType`."""

from __future__ import annotations

from typing import Any

from typing_extensions import Buffer

from greenroom import _engine

from ._proto import video_frame_pb2 as proto_video
from ._proto.video_frame_pb2 import VideoBufferType
from ._pydantic import frame_schema, from_base64, to_base64


def _half(size: int) -> int:
    return (size + 1) // 2


_PLANE_SIZES = {
    VideoBufferType.I420: lambda w, h: [w * h, _half(w) * _half(h), _half(w) * _half(h)],
    VideoBufferType.I420A: lambda w, h: [w * h, _half(w) * _half(h), _half(w) * _half(h), w * h],
    VideoBufferType.I422: lambda w, h: [w * h, _half(w) * h, _half(w) * h],
    VideoBufferType.I444: lambda w, h: [w * h, w * h, w * h],
    VideoBufferType.I010: lambda w, h: [2 * w * h, 2 * _half(w) * _half(h), 2 * _half(w) * _half(h)],
    VideoBufferType.NV12: lambda w, h: [w * h, 2 * _half(w) * _half(h)],
}
"""Bytes of each plane by buffer type; packed types have none."""


class VideoFrame:
    """One picture. `data` is kept, not copied: don't change it while the frame is in use."""

    def __init__(self, width: int, height: int, type: VideoBufferType.ValueType, data: Buffer) -> None:
        self._width = width
        self._height = height
        self._type = type
        self._data = data

    @property
    def width(self) -> int:
        return self._width

    @property
    def height(self) -> int:
        return self._height

    @property
    def type(self) -> VideoBufferType.ValueType:
        return self._type

    @property
    def data(self) -> memoryview:
        """The whole picture as bytes, planes one after another without padding."""
        return memoryview(self._data).cast("B")

    def get_plane(self, plane_nth: int) -> memoryview | None:
        """Plane number `plane_nth` as a view of bytes; None for packed types and planes that don't exist."""
        sizes = _PLANE_SIZES[self._type](self._width, self._height) if self._type in _PLANE_SIZES else []
        if not 0 <= plane_nth < len(sizes):
            return None
        start = sum(sizes[:plane_nth])
        return self.data[start : start + sizes[plane_nth]]

    def convert(self, type: VideoBufferType.ValueType, *, flip_y: bool = False) -> VideoFrame:
        """A new frame in another layout, turned upside down when `flip_y`. Works between any two types.

        Raises greenroom's EngineError when `data` is too small for the frame's size and type.
        """
        data = _engine.convert_video(self.data, self._width, self._height, self._type, type, flip_y=flip_y)
        return VideoFrame(self._width, self._height, type, data)

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
        return frame_schema(
            cls,
            {"width": int, "height": int, "type": str, "data": str},
            lambda frame: {
                "width": frame.width,
                "height": frame.height,
                "type": proto_video.VideoBufferType.Name(frame.type),
                "data": to_base64(frame.data),
            },
            lambda fields: cls(
                fields["width"],
                fields["height"],
                proto_video.VideoBufferType.Value(fields["type"]),
                from_base64(fields["data"]),
            ),
        )

    def __repr__(self) -> str:
        name = proto_video.VideoBufferType.Name(self._type)
        return f"rtc.VideoFrame(width={self._width}, height={self._height}, type={name})"

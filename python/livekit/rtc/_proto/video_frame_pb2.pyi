from collections.abc import Iterable, Mapping, MutableMapping
from typing import Final, TypeAlias

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer
from google.protobuf.message import Message

from ._enum import EnumType as _EnumType

DESCRIPTOR: FileDescriptor

class VideoCodec(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    VP8: Final = 0
    H264: Final = 1
    AV1: Final = 2
    VP9: Final = 3
    H265: Final = 4
VP8: Final = 0
H264: Final = 1
AV1: Final = 2
VP9: Final = 3
H265: Final = 4

class EncodedFrameType(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    ENCODED_FRAME_KEY: Final = 0
    ENCODED_FRAME_DELTA: Final = 1
ENCODED_FRAME_KEY: Final = 0
ENCODED_FRAME_DELTA: Final = 1

class VideoRotation(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    VIDEO_ROTATION_0: Final = 0
    VIDEO_ROTATION_90: Final = 1
    VIDEO_ROTATION_180: Final = 2
    VIDEO_ROTATION_270: Final = 3
VIDEO_ROTATION_0: Final = 0
VIDEO_ROTATION_90: Final = 1
VIDEO_ROTATION_180: Final = 2
VIDEO_ROTATION_270: Final = 3

class VideoBufferType(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    RGBA: Final = 0
    ABGR: Final = 1
    ARGB: Final = 2
    BGRA: Final = 3
    RGB24: Final = 4
    I420: Final = 5
    I420A: Final = 6
    I422: Final = 7
    I444: Final = 8
    I010: Final = 9
    NV12: Final = 10
RGBA: Final = 0
ABGR: Final = 1
ARGB: Final = 2
BGRA: Final = 3
RGB24: Final = 4
I420: Final = 5
I420A: Final = 6
I422: Final = 7
I444: Final = 8
I010: Final = 9
NV12: Final = 10

class VideoStreamType(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    VIDEO_STREAM_NATIVE: Final = 0
    VIDEO_STREAM_WEBGL: Final = 1
    VIDEO_STREAM_HTML: Final = 2
VIDEO_STREAM_NATIVE: Final = 0
VIDEO_STREAM_WEBGL: Final = 1
VIDEO_STREAM_HTML: Final = 2

class VideoSourceType(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    VIDEO_SOURCE_NATIVE: Final = 0
    VIDEO_SOURCE_ENCODED: Final = 1
VIDEO_SOURCE_NATIVE: Final = 0
VIDEO_SOURCE_ENCODED: Final = 1

class VideoResolution(Message):
    width: int
    height: int
    frame_rate: float
    def __init__(self, *, width: int | None = None, height: int | None = None, frame_rate: float | None = None) -> None: ...

class FrameMetadata(Message):
    user_timestamp: int
    frame_id: int
    user_data: bytes
    def __init__(self, *, user_timestamp: int | None = None, frame_id: int | None = None, user_data: bytes | None = None) -> None: ...

class EncodedRateControl(Message):
    target_bitrate_bps: int
    framerate_fps: float
    def __init__(self, *, target_bitrate_bps: int | None = None, framerate_fps: float | None = None) -> None: ...

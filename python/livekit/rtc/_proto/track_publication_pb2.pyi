from collections.abc import Iterable, Mapping, MutableMapping
from typing import Final, TypeAlias

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer
from google.protobuf.message import Message

from ._enum import EnumType as _EnumType

DESCRIPTOR: FileDescriptor

class VideoQuality(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    VIDEO_QUALITY_LOW: Final = 0
    VIDEO_QUALITY_MEDIUM: Final = 1
    VIDEO_QUALITY_HIGH: Final = 2
VIDEO_QUALITY_LOW: Final = 0
VIDEO_QUALITY_MEDIUM: Final = 1
VIDEO_QUALITY_HIGH: Final = 2

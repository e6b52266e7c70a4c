from collections.abc import Iterable, Mapping, MutableMapping
from typing import Final, TypeAlias

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer
from google.protobuf.message import Message

from ._enum import EnumType as _EnumType

DESCRIPTOR: FileDescriptor

class SoxResamplerDataType(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    SOXR_DATATYPE_INT16I: Final = 0
    SOXR_DATATYPE_INT16S: Final = 1
SOXR_DATATYPE_INT16I: Final = 0
SOXR_DATATYPE_INT16S: Final = 1

class SoxQualityRecipe(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    SOXR_QUALITY_QUICK: Final = 0
    SOXR_QUALITY_LOW: Final = 1
    SOXR_QUALITY_MEDIUM: Final = 2
    SOXR_QUALITY_HIGH: Final = 3
    SOXR_QUALITY_VERYHIGH: Final = 4
SOXR_QUALITY_QUICK: Final = 0
SOXR_QUALITY_LOW: Final = 1
SOXR_QUALITY_MEDIUM: Final = 2
SOXR_QUALITY_HIGH: Final = 3
SOXR_QUALITY_VERYHIGH: Final = 4

class SoxFlagBits(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    SOXR_ROLLOFF_SMALL: Final = 0
    SOXR_ROLLOFF_MEDIUM: Final = 1
    SOXR_ROLLOFF_NONE: Final = 2
    SOXR_HIGH_PREC_CLOCK: Final = 3
    SOXR_DOUBLE_PRECISION: Final = 4
    SOXR_VR: Final = 5
SOXR_ROLLOFF_SMALL: Final = 0
SOXR_ROLLOFF_MEDIUM: Final = 1
SOXR_ROLLOFF_NONE: Final = 2
SOXR_HIGH_PREC_CLOCK: Final = 3
SOXR_DOUBLE_PRECISION: Final = 4
SOXR_VR: Final = 5

class AudioStreamType(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    AUDIO_STREAM_NATIVE: Final = 0
    AUDIO_STREAM_HTML: Final = 1
AUDIO_STREAM_NATIVE: Final = 0
AUDIO_STREAM_HTML: Final = 1

class AudioSourceType(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    AUDIO_SOURCE_NATIVE: Final = 0
    AUDIO_SOURCE_PLATFORM: Final = 1
AUDIO_SOURCE_NATIVE: Final = 0
AUDIO_SOURCE_PLATFORM: Final = 1

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Final, TypeAlias

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer
from google.protobuf.message import Message

from . import e2ee_pb2
from ._enum import EnumType as _EnumType

DESCRIPTOR: FileDescriptor

class TrackKind(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    KIND_UNKNOWN: Final = 0
    KIND_AUDIO: Final = 1
    KIND_VIDEO: Final = 2
KIND_UNKNOWN: Final = 0
KIND_AUDIO: Final = 1
KIND_VIDEO: Final = 2

class TrackSource(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    SOURCE_UNKNOWN: Final = 0
    SOURCE_CAMERA: Final = 1
    SOURCE_MICROPHONE: Final = 2
    SOURCE_SCREENSHARE: Final = 3
    SOURCE_SCREENSHARE_AUDIO: Final = 4
SOURCE_UNKNOWN: Final = 0
SOURCE_CAMERA: Final = 1
SOURCE_MICROPHONE: Final = 2
SOURCE_SCREENSHARE: Final = 3
SOURCE_SCREENSHARE_AUDIO: Final = 4

class StreamState(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    STATE_UNKNOWN: Final = 0
    STATE_ACTIVE: Final = 1
    STATE_PAUSED: Final = 2
STATE_UNKNOWN: Final = 0
STATE_ACTIVE: Final = 1
STATE_PAUSED: Final = 2

class AudioTrackFeature(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    TF_STEREO: Final = 0
    TF_NO_DTX: Final = 1
    TF_AUTO_GAIN_CONTROL: Final = 2
    TF_ECHO_CANCELLATION: Final = 3
    TF_NOISE_SUPPRESSION: Final = 4
    TF_ENHANCED_NOISE_CANCELLATION: Final = 5
    TF_PRECONNECT_BUFFER: Final = 6
TF_STEREO: Final = 0
TF_NO_DTX: Final = 1
TF_AUTO_GAIN_CONTROL: Final = 2
TF_ECHO_CANCELLATION: Final = 3
TF_NOISE_SUPPRESSION: Final = 4
TF_ENHANCED_NOISE_CANCELLATION: Final = 5
TF_PRECONNECT_BUFFER: Final = 6

class FrameMetadataFeature(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    FMF_USER_TIMESTAMP: Final = 0
    FMF_FRAME_ID: Final = 1
    FMF_USER_DATA: Final = 2
FMF_USER_TIMESTAMP: Final = 0
FMF_FRAME_ID: Final = 1
FMF_USER_DATA: Final = 2

class TrackPublicationInfo(Message):
    sid: str
    name: str
    kind: TrackKind.ValueType
    source: TrackSource.ValueType
    simulcasted: bool
    width: int
    height: int
    mime_type: str
    muted: bool
    remote: bool
    encryption_type: e2ee_pb2.EncryptionType.ValueType
    @property
    def audio_features(self) -> RepeatedScalarFieldContainer[AudioTrackFeature.ValueType]: ...
    @property
    def frame_metadata_features(self) -> RepeatedScalarFieldContainer[FrameMetadataFeature.ValueType]: ...
    def __init__(self, *, sid: str | None = None, name: str | None = None, kind: TrackKind.ValueType | None = None, source: TrackSource.ValueType | None = None, simulcasted: bool | None = None, width: int | None = None, height: int | None = None, mime_type: str | None = None, muted: bool | None = None, remote: bool | None = None, encryption_type: e2ee_pb2.EncryptionType.ValueType | None = None, audio_features: Iterable[AudioTrackFeature.ValueType] | None = None, frame_metadata_features: Iterable[FrameMetadataFeature.ValueType] | None = None) -> None: ...

class TrackInfo(Message):
    sid: str
    name: str
    kind: TrackKind.ValueType
    stream_state: StreamState.ValueType
    muted: bool
    remote: bool
    def __init__(self, *, sid: str | None = None, name: str | None = None, kind: TrackKind.ValueType | None = None, stream_state: StreamState.ValueType | None = None, muted: bool | None = None, remote: bool | None = None) -> None: ...

class ParticipantTrackPermission(Message):
    participant_identity: str
    allow_all: bool
    @property
    def allowed_track_sids(self) -> RepeatedScalarFieldContainer[str]: ...
    def __init__(self, *, participant_identity: str | None = None, allow_all: bool | None = None, allowed_track_sids: Iterable[str] | None = None) -> None: ...

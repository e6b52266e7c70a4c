from collections.abc import Iterable, Mapping, MutableMapping
from typing import Final, TypeAlias

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer
from google.protobuf.message import Message

from . import track_pb2, video_frame_pb2
from ._enum import EnumType as _EnumType

DESCRIPTOR: FileDescriptor

class SimulateScenarioKind(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    SIMULATE_SIGNAL_RECONNECT: Final = 0
    SIMULATE_SPEAKER: Final = 1
    SIMULATE_NODE_FAILURE: Final = 2
    SIMULATE_SERVER_LEAVE: Final = 3
    SIMULATE_MIGRATION: Final = 4
    SIMULATE_FORCE_TCP: Final = 5
    SIMULATE_FORCE_TLS: Final = 6
    SIMULATE_FULL_RECONNECT: Final = 7
    SIMULATE_DISCONNECT_SIGNAL_ON_RESUME: Final = 8
SIMULATE_SIGNAL_RECONNECT: Final = 0
SIMULATE_SPEAKER: Final = 1
SIMULATE_NODE_FAILURE: Final = 2
SIMULATE_SERVER_LEAVE: Final = 3
SIMULATE_MIGRATION: Final = 4
SIMULATE_FORCE_TCP: Final = 5
SIMULATE_FORCE_TLS: Final = 6
SIMULATE_FULL_RECONNECT: Final = 7
SIMULATE_DISCONNECT_SIGNAL_ON_RESUME: Final = 8

class VideoEncoderBackend(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    ENCODER_BACKEND_AUTO: Final = 0
    ENCODER_BACKEND_SOFTWARE: Final = 1
    ENCODER_BACKEND_HARDWARE: Final = 2
    ENCODER_BACKEND_NVENC: Final = 3
    ENCODER_BACKEND_VAAPI: Final = 4
    ENCODER_BACKEND_VIDEOTOOLBOX: Final = 5
    ENCODER_BACKEND_PRE_ENCODED: Final = 6
ENCODER_BACKEND_AUTO: Final = 0
ENCODER_BACKEND_SOFTWARE: Final = 1
ENCODER_BACKEND_HARDWARE: Final = 2
ENCODER_BACKEND_NVENC: Final = 3
ENCODER_BACKEND_VAAPI: Final = 4
ENCODER_BACKEND_VIDEOTOOLBOX: Final = 5
ENCODER_BACKEND_PRE_ENCODED: Final = 6

class DegradationPreference(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    DEGRADATION_PREFERENCE_BALANCED: Final = 0
    DEGRADATION_PREFERENCE_MAINTAIN_FRAMERATE: Final = 1
    DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION: Final = 2
    DEGRADATION_PREFERENCE_MAINTAIN_FRAMERATE_AND_RESOLUTION: Final = 4
DEGRADATION_PREFERENCE_BALANCED: Final = 0
DEGRADATION_PREFERENCE_MAINTAIN_FRAMERATE: Final = 1
DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION: Final = 2
DEGRADATION_PREFERENCE_MAINTAIN_FRAMERATE_AND_RESOLUTION: Final = 4

class IceTransportType(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    TRANSPORT_RELAY: Final = 0
    TRANSPORT_NOHOST: Final = 1
    TRANSPORT_ALL: Final = 2
TRANSPORT_RELAY: Final = 0
TRANSPORT_NOHOST: Final = 1
TRANSPORT_ALL: Final = 2

class ContinualGatheringPolicy(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    GATHER_ONCE: Final = 0
    GATHER_CONTINUALLY: Final = 1
GATHER_ONCE: Final = 0
GATHER_CONTINUALLY: Final = 1

class ConnectionQuality(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    QUALITY_POOR: Final = 0
    QUALITY_GOOD: Final = 1
    QUALITY_EXCELLENT: Final = 2
    QUALITY_LOST: Final = 3
QUALITY_POOR: Final = 0
QUALITY_GOOD: Final = 1
QUALITY_EXCELLENT: Final = 2
QUALITY_LOST: Final = 3

class ConnectionState(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    CONN_DISCONNECTED: Final = 0
    CONN_CONNECTED: Final = 1
    CONN_RECONNECTING: Final = 2
CONN_DISCONNECTED: Final = 0
CONN_CONNECTED: Final = 1
CONN_RECONNECTING: Final = 2

class DataPacketKind(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    KIND_LOSSY: Final = 0
    KIND_RELIABLE: Final = 1
KIND_LOSSY: Final = 0
KIND_RELIABLE: Final = 1

class VideoEncoding(Message):
    max_bitrate: int
    max_framerate: float
    def __init__(self, *, max_bitrate: int | None = None, max_framerate: float | None = None) -> None: ...

class AudioEncoding(Message):
    max_bitrate: int
    def __init__(self, *, max_bitrate: int | None = None) -> None: ...

class TrackPublishOptions(Message):
    @property
    def video_encoding(self) -> VideoEncoding: ...
    @property
    def audio_encoding(self) -> AudioEncoding: ...
    video_codec: video_frame_pb2.VideoCodec.ValueType
    dtx: bool
    red: bool
    simulcast: bool
    source: track_pb2.TrackSource.ValueType
    stream: str
    preconnect_buffer: bool
    @property
    def frame_metadata_features(self) -> RepeatedScalarFieldContainer[track_pb2.FrameMetadataFeature.ValueType]: ...
    scalability_mode: str
    video_encoder: VideoEncoderBackend.ValueType
    degradation_preference: DegradationPreference.ValueType
    def __init__(self, *, video_encoding: VideoEncoding | None = None, audio_encoding: AudioEncoding | None = None, video_codec: video_frame_pb2.VideoCodec.ValueType | None = None, dtx: bool | None = None, red: bool | None = None, simulcast: bool | None = None, source: track_pb2.TrackSource.ValueType | None = None, stream: str | None = None, preconnect_buffer: bool | None = None, frame_metadata_features: Iterable[track_pb2.FrameMetadataFeature.ValueType] | None = None, scalability_mode: str | None = None, video_encoder: VideoEncoderBackend.ValueType | None = None, degradation_preference: DegradationPreference.ValueType | None = None) -> None: ...

class IceServer(Message):
    @property
    def urls(self) -> RepeatedScalarFieldContainer[str]: ...
    username: str
    password: str
    def __init__(self, *, urls: Iterable[str] | None = None, username: str | None = None, password: str | None = None) -> None: ...

class RtcConfig(Message):
    ice_transport_type: IceTransportType.ValueType
    continual_gathering_policy: ContinualGatheringPolicy.ValueType
    @property
    def ice_servers(self) -> RepeatedCompositeFieldContainer[IceServer]: ...
    def __init__(self, *, ice_transport_type: IceTransportType.ValueType | None = None, continual_gathering_policy: ContinualGatheringPolicy.ValueType | None = None, ice_servers: Iterable[IceServer] | None = None) -> None: ...

class RoomInfo(Message):
    sid: str
    name: str
    metadata: str
    lossy_dc_buffered_amount_low_threshold: int
    reliable_dc_buffered_amount_low_threshold: int
    empty_timeout: int
    departure_timeout: int
    max_participants: int
    creation_time: int
    num_participants: int
    num_publishers: int
    active_recording: bool
    def __init__(self, *, sid: str | None = None, name: str | None = None, metadata: str | None = None, lossy_dc_buffered_amount_low_threshold: int | None = None, reliable_dc_buffered_amount_low_threshold: int | None = None, empty_timeout: int | None = None, departure_timeout: int | None = None, max_participants: int | None = None, creation_time: int | None = None, num_participants: int | None = None, num_publishers: int | None = None, active_recording: bool | None = None) -> None: ...

class TranscriptionSegment(Message):
    id: str
    text: str
    start_time: int
    end_time: int
    final: bool
    language: str
    def __init__(self, *, id: str | None = None, text: str | None = None, start_time: int | None = None, end_time: int | None = None, final: bool | None = None, language: str | None = None) -> None: ...

class DataStream(Message):
    class OperationType(int, metaclass=_EnumType):
        ValueType: TypeAlias = int
        CREATE: Final = 0
        UPDATE: Final = 1
        DELETE: Final = 2
        REACTION: Final = 3
    CREATE: Final = 0
    UPDATE: Final = 1
    DELETE: Final = 2
    REACTION: Final = 3

    class TextHeader(Message):
        operation_type: DataStream.OperationType.ValueType
        version: int
        reply_to_stream_id: str
        @property
        def attached_stream_ids(self) -> RepeatedScalarFieldContainer[str]: ...
        generated: bool
        def __init__(self, *, operation_type: DataStream.OperationType.ValueType | None = None, version: int | None = None, reply_to_stream_id: str | None = None, attached_stream_ids: Iterable[str] | None = None, generated: bool | None = None) -> None: ...

    class ByteHeader(Message):
        name: str
        def __init__(self, *, name: str | None = None) -> None: ...

    class Header(Message):
        stream_id: str
        timestamp: int
        mime_type: str
        topic: str
        total_length: int
        @property
        def attributes(self) -> MutableMapping[str, str]: ...
        @property
        def text_header(self) -> DataStream.TextHeader: ...
        @property
        def byte_header(self) -> DataStream.ByteHeader: ...
        def __init__(self, *, stream_id: str | None = None, timestamp: int | None = None, mime_type: str | None = None, topic: str | None = None, total_length: int | None = None, attributes: Mapping[str, str] | None = None, text_header: DataStream.TextHeader | None = None, byte_header: DataStream.ByteHeader | None = None) -> None: ...

    class Chunk(Message):
        stream_id: str
        chunk_index: int
        content: bytes
        version: int
        iv: bytes
        def __init__(self, *, stream_id: str | None = None, chunk_index: int | None = None, content: bytes | None = None, version: int | None = None, iv: bytes | None = None) -> None: ...

    class Trailer(Message):
        stream_id: str
        reason: str
        @property
        def attributes(self) -> MutableMapping[str, str]: ...
        def __init__(self, *, stream_id: str | None = None, reason: str | None = None, attributes: Mapping[str, str] | None = None) -> None: ...

    def __init__(self) -> None: ...

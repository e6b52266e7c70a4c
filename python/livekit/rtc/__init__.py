"""Rooms: join, publish, subscribe, exchange data. `Room` is where to begin."""

from . import _ownership as _ownership
from ._proto import stats_pb2 as stats
from ._proto.e2ee_pb2 import EncryptionState, EncryptionType, KeyDerivationFunction
from ._proto.participant_pb2 import (
    DisconnectReason,
    ParticipantKind,
    ParticipantKindDetail,
    ParticipantState,
)
from ._proto.room_pb2 import (
    ConnectionState,
    ContinualGatheringPolicy,
    DataPacketKind,
    IceServer,
    IceTransportType,
    SimulateScenarioKind,
    TrackPublishOptions,
    VideoEncoderBackend,
    VideoEncoding,
)
from ._proto.track_pb2 import (
    FrameMetadataFeature,
    ParticipantTrackPermission,
    StreamState,
    TrackKind,
    TrackSource,
)
from ._proto.track_publication_pb2 import VideoQuality
from ._proto.video_frame_pb2 import (
    EncodedFrameType,
    EncodedRateControl,
    FrameMetadata,
    VideoBufferType,
    VideoCodec,
    VideoRotation,
)
from .audio_filter import AudioFilter
from .audio_frame import AudioFrame
from .audio_mixer import AudioMixer
from .audio_resampler import AudioResampler, AudioResamplerQuality
from .audio_source import AudioSource
from .audio_stream import AudioFrameEvent, AudioStream, NoiseCancellationOptions
from .data_stream import (
    ByteStreamInfo,
    ByteStreamReader,
    ByteStreamWriter,
    StreamError,
    TextStreamInfo,
    TextStreamReader,
    TextStreamWriter,
)
from .data_track import (
    DataTrackFrame,
    DataTrackInfo,
    DataTrackStream,
    LocalDataTrack,
    PushFrameError,
    RemoteDataTrack,
    SubscribeDataTrackError,
)
from .e2ee import E2EEManager, E2EEOptions, FrameCryptor, KeyProvider, KeyProviderOptions
from .event_emitter import EventEmitter
from .frame_processor import FrameProcessor
from .media_devices import MediaDevices
from .participant import (
    ConnectionQuality,
    DegradationPreference,
    LocalParticipant,
    Participant,
    RemoteParticipant,
)
from .platform_audio import (
    AudioDeviceInfo,
    PlatformAudio,
    PlatformAudioError,
    PlatformAudioOptions,
    PlatformAudioSource,
)
from .room import (
    ConnectError,
    DataPacket,
    DataStreamOptions,
    Room,
    RoomOptions,
    RtcConfiguration,
    RtcStats,
    SipDTMF,
)
from .rpc import RpcCallInfo, RpcError, RpcInterceptor, RpcInvocationData
from .synchronizer import AVSynchronizer
from .track import (
    AudioTrack,
    LocalAudioTrack,
    LocalTrack,
    LocalVideoTrack,
    RemoteAudioTrack,
    RemoteTrack,
    RemoteVideoTrack,
    Track,
    VideoTrack,
)
from .track_publication import LocalTrackPublication, RemoteTrackPublication, TrackPublication
from .transcription import Transcription, TranscriptionSegment
from .utils import combine_audio_frames, sine_wave_generator
from .version import __version__
from .video_frame import VideoFrame
from .video_source import VideoSource
from .video_stream import VideoFrameEvent, VideoStream

__all__ = [
    "AVSynchronizer",
    "AudioDeviceInfo",
    "AudioFilter",
    "AudioFrame",
    "AudioFrameEvent",
    "AudioMixer",
    "AudioResampler",
    "AudioResamplerQuality",
    "AudioSource",
    "AudioStream",
    "AudioTrack",
    "ByteStreamInfo",
    "ByteStreamReader",
    "ByteStreamWriter",
    "ConnectError",
    "ConnectionQuality",
    "ConnectionState",
    "ContinualGatheringPolicy",
    "DataPacket",
    "DataPacketKind",
    "DataStreamOptions",
    "DataTrackFrame",
    "DataTrackInfo",
    "DataTrackStream",
    "DegradationPreference",
    "DisconnectReason",
    "E2EEManager",
    "E2EEOptions",
    "EncodedFrameType",
    "EncodedRateControl",
    "EncryptionState",
    "EncryptionType",
    "EventEmitter",
    "FrameCryptor",
    "FrameMetadata",
    "FrameMetadataFeature",
    "FrameProcessor",
    "IceServer",
    "IceTransportType",
    "KeyDerivationFunction",
    "KeyProvider",
    "KeyProviderOptions",
    "LocalAudioTrack",
    "LocalDataTrack",
    "LocalParticipant",
    "LocalTrack",
    "LocalTrackPublication",
    "LocalVideoTrack",
    "MediaDevices",
    "NoiseCancellationOptions",
    "Participant",
    "ParticipantKind",
    "ParticipantKindDetail",
    "ParticipantState",
    "ParticipantTrackPermission",
    "PlatformAudio",
    "PlatformAudioError",
    "PlatformAudioOptions",
    "PlatformAudioSource",
    "PushFrameError",
    "RemoteAudioTrack",
    "RemoteDataTrack",
    "RemoteParticipant",
    "RemoteTrack",
    "RemoteTrackPublication",
    "RemoteVideoTrack",
    "Room",
    "RoomOptions",
    "RpcCallInfo",
    "RpcError",
    "RpcInterceptor",
    "RpcInvocationData",
    "RtcConfiguration",
    "RtcStats",
    "SimulateScenarioKind",
    "SipDTMF",
    "StreamError",
    "StreamState",
    "SubscribeDataTrackError",
    "TextStreamInfo",
    "TextStreamReader",
    "TextStreamWriter",
    "Track",
    "TrackKind",
    "TrackPublication",
    "TrackPublishOptions",
    "TrackSource",
    "Transcription",
    "TranscriptionSegment",
    "VideoBufferType",
    "VideoCodec",
    "VideoEncoderBackend",
    "VideoEncoding",
    "VideoFrame",
    "VideoFrameEvent",
    "VideoQuality",
    "VideoRotation",
    "VideoSource",
    "VideoStream",
    "VideoTrack",
    "__version__",
    "combine_audio_frames",
    "sine_wave_generator",
    "stats",
]

"""Tracks and their publications."""

from . import e2ee_pb2
from ._build import build

build(
    globals(),
    "track",
    """
enum TrackKind: KIND_UNKNOWN=0 KIND_AUDIO=1 KIND_VIDEO=2
enum TrackSource: SOURCE_UNKNOWN=0 SOURCE_CAMERA=1 SOURCE_MICROPHONE=2 SOURCE_SCREENSHARE=3 SOURCE_SCREENSHARE_AUDIO=4
enum StreamState: STATE_UNKNOWN=0 STATE_ACTIVE=1 STATE_PAUSED=2
enum AudioTrackFeature: TF_STEREO=0 TF_NO_DTX=1 TF_AUTO_GAIN_CONTROL=2 TF_ECHO_CANCELLATION=3 TF_NOISE_SUPPRESSION=4 TF_ENHANCED_NOISE_CANCELLATION=5 TF_PRECONNECT_BUFFER=6
enum FrameMetadataFeature: FMF_USER_TIMESTAMP=0 FMF_FRAME_ID=1 FMF_USER_DATA=2
message TrackPublicationInfo: sid=1 string; name=2 string; kind=3 TrackKind; source=4 TrackSource; simulcasted=5 bool; width=6 uint32; height=7 uint32; mime_type=8 string; muted=9 bool; remote=10 bool; encryption_type=11 EncryptionType; audio_features=12 repeated AudioTrackFeature; frame_metadata_features=13 repeated FrameMetadataFeature
message TrackInfo: sid=1 string; name=2 string; kind=3 TrackKind; stream_state=4 StreamState; muted=5 bool; remote=6 bool
message ParticipantTrackPermission: participant_identity=1 string; allow_all=2 bool; allowed_track_sids=3 repeated string
""",
    imports=(e2ee_pb2,),
)

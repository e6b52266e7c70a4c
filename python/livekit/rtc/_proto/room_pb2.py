"""Rooms and their options."""

from . import e2ee_pb2, track_pb2, video_frame_pb2
from ._build import build

build(
    globals(),
    "room",
    """
enum SimulateScenarioKind: SIMULATE_SIGNAL_RECONNECT=0 SIMULATE_SPEAKER=1 SIMULATE_NODE_FAILURE=2 SIMULATE_SERVER_LEAVE=3 SIMULATE_MIGRATION=4 SIMULATE_FORCE_TCP=5 SIMULATE_FORCE_TLS=6 SIMULATE_FULL_RECONNECT=7 SIMULATE_DISCONNECT_SIGNAL_ON_RESUME=8
enum VideoEncoderBackend: ENCODER_BACKEND_AUTO=0 ENCODER_BACKEND_SOFTWARE=1 ENCODER_BACKEND_HARDWARE=2 ENCODER_BACKEND_NVENC=3 ENCODER_BACKEND_VAAPI=4 ENCODER_BACKEND_VIDEOTOOLBOX=5 ENCODER_BACKEND_PRE_ENCODED=6
enum DegradationPreference: DEGRADATION_PREFERENCE_BALANCED=0 DEGRADATION_PREFERENCE_MAINTAIN_FRAMERATE=1 DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION=2 DEGRADATION_PREFERENCE_MAINTAIN_FRAMERATE_AND_RESOLUTION=4
enum IceTransportType: TRANSPORT_RELAY=0 TRANSPORT_NOHOST=1 TRANSPORT_ALL=2
enum ContinualGatheringPolicy: GATHER_ONCE=0 GATHER_CONTINUALLY=1
enum ConnectionQuality: QUALITY_POOR=0 QUALITY_GOOD=1 QUALITY_EXCELLENT=2 QUALITY_LOST=3
enum ConnectionState: CONN_DISCONNECTED=0 CONN_CONNECTED=1 CONN_RECONNECTING=2
enum DataPacketKind: KIND_LOSSY=0 KIND_RELIABLE=1
message VideoEncoding: max_bitrate=1 uint64; max_framerate=2 double
message AudioEncoding: max_bitrate=1 uint64
message TrackPublishOptions: video_encoding=1 VideoEncoding; audio_encoding=2 AudioEncoding; video_codec=3 VideoCodec; dtx=4 bool; red=5 bool; simulcast=6 bool; source=7 TrackSource; stream=8 string; preconnect_buffer=9 bool; frame_metadata_features=10 repeated FrameMetadataFeature; scalability_mode=11 string; video_encoder=12 VideoEncoderBackend; degradation_preference=13 DegradationPreference
message IceServer: urls=1 repeated string; username=2 string; password=3 string
message RtcConfig: ice_transport_type=1 IceTransportType; continual_gathering_policy=2 ContinualGatheringPolicy; ice_servers=3 repeated IceServer
message RoomInfo: sid=1 string; name=2 string; metadata=3 string; lossy_dc_buffered_amount_low_threshold=4 uint64; reliable_dc_buffered_amount_low_threshold=5 uint64; empty_timeout=6 uint32; departure_timeout=7 uint32; max_participants=8 uint32; creation_time=9 int64; num_participants=10 uint32; num_publishers=11 uint32; active_recording=12 bool
message TranscriptionSegment: id=1 string; text=2 string; start_time=3 uint64; end_time=4 uint64; final=5 bool; language=6 string
message DataStream: 
enum DataStream.OperationType: CREATE=0 UPDATE=1 DELETE=2 REACTION=3
message DataStream.TextHeader: operation_type=1 DataStream.OperationType; version=2 int32; reply_to_stream_id=3 string; attached_stream_ids=4 repeated string; generated=5 bool
message DataStream.ByteHeader: name=1 string
message DataStream.Header: stream_id=1 string; timestamp=2 int64; mime_type=3 string; topic=4 string; total_length=5 uint64; attributes=6 map; text_header=7 DataStream.TextHeader @content_header; byte_header=8 DataStream.ByteHeader @content_header
message DataStream.Chunk: stream_id=1 string; chunk_index=2 uint64; content=3 bytes; version=4 int32; iv=5 bytes
message DataStream.Trailer: stream_id=1 string; reason=2 string; attributes=3 map
""",
    imports=(e2ee_pb2, track_pb2, video_frame_pb2,),
)

"""Video frames."""

from ._build import build

build(
    globals(),
    "video_frame",
    """
enum VideoCodec: VP8=0 H264=1 AV1=2 VP9=3 H265=4
enum EncodedFrameType: ENCODED_FRAME_KEY=0 ENCODED_FRAME_DELTA=1
enum VideoRotation: VIDEO_ROTATION_0=0 VIDEO_ROTATION_90=1 VIDEO_ROTATION_180=2 VIDEO_ROTATION_270=3
enum VideoBufferType: RGBA=0 ABGR=1 ARGB=2 BGRA=3 RGB24=4 I420=5 I420A=6 I422=7 I444=8 I010=9 NV12=10
enum VideoStreamType: VIDEO_STREAM_NATIVE=0 VIDEO_STREAM_WEBGL=1 VIDEO_STREAM_HTML=2
enum VideoSourceType: VIDEO_SOURCE_NATIVE=0 VIDEO_SOURCE_ENCODED=1
message VideoResolution: width=1 uint32; height=2 uint32; frame_rate=3 double
message FrameMetadata: user_timestamp=1 uint64; frame_id=2 uint32; user_data=3 bytes
message EncodedRateControl: target_bitrate_bps=1 uint64; framerate_fps=2 double
""",
)

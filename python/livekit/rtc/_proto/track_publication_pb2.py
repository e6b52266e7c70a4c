"""Video quality."""

from ._build import build

build(
    globals(),
    "track_publication",
    """
enum VideoQuality: VIDEO_QUALITY_LOW=0 VIDEO_QUALITY_MEDIUM=1 VIDEO_QUALITY_HIGH=2
""",
)

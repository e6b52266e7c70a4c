"""Session descriptions (RFC 8866, RFC 8829): a model, a parser that survives hostile text, and a writer."""

from .description import (
    Direction,
    MediaKind,
    MediaSection,
    Msid,
    Rid,
    SessionDescription,
    Source,
    SourceGroup,
)
from .parser import MAX_SDP_BYTES, SdpError, parse
from .writer import write

__all__ = [
    "MAX_SDP_BYTES",
    "Direction",
    "MediaKind",
    "MediaSection",
    "Msid",
    "Rid",
    "SdpError",
    "SessionDescription",
    "Source",
    "SourceGroup",
    "parse",
    "write",
]

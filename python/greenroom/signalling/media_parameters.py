"""The typed parameters that negotiation hands to the engine: payload types, header extensions, layers."""

from __future__ import annotations

from dataclasses import dataclass

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID_URI = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID_URI = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
ABS_SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
ABS_CAPTURE_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
PLAYOUT_DELAY_URI = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
DEPENDENCY_DESCRIPTOR_URI = (
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)


@dataclass(frozen=True)
class PayloadType:
    """One codec of an m-line (RFC 8866 rtpmap and fmtp, RFC 4585 rtcp-fb), with its RTX payload type folded in."""

    payload_type: int
    codec: str
    """Lower case encoding name: opus, red, vp8, h264..."""
    clock_rate_hz: int
    channels: int | None = None
    format_parameters: str = ""
    """The fmtp text after the payload type; empty when there is none."""
    rtx_payload_type: int | None = None
    feedback: tuple[str, ...] = ()
    """rtcp-fb values, for example "nack" or "nack pli"."""

    def format_parameter(self, name: str) -> str | None:
        """The value of one `name=value` fmtp parameter (RFC 8866), case-insensitively; None when absent."""
        for part in self.format_parameters.split(";"):
            key, _, value = part.strip().partition("=")
            if key.lower() == name.lower():
                return value
        return None


@dataclass(frozen=True)
class HeaderExtension:
    """One extmap line (RFC 8285)."""

    id: int
    uri: str


@dataclass(frozen=True)
class SendLayer:
    """One encoding that a client sends (W3C RTCRtpEncodingParameters)."""

    rid: str | None
    ssrc: int
    rtx_ssrc: int | None
    scale_down_by: float
    max_bitrate_bps: int
    max_framerate: float


@dataclass(frozen=True)
class ReceiveLayer:
    """One encoding whose SSRC the sender's description names."""

    ssrc: int
    rtx_ssrc: int | None
    rid: str | None

"""How a session joins: the options of `livekit.rtc.RoomOptions` that reach the wire."""

from __future__ import annotations

from dataclasses import dataclass, field

from .http_route import HttpRoute
from .ice_servers import IceServerEntry

DEFAULT_CONNECT_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class EncryptionOptions:
    """End-to-end encryption, as `livekit.rtc.E2EEOptions` asks for it. Never shows the key."""

    encryption_type: int = 1
    """`models.Encryption.Type`, GCM; what tracks are announced with."""
    data: bool = True
    """Packets as well as media and data tracks."""
    shared_key: bytes | None = field(default=None, repr=False)
    """None: a key per participant."""
    ratchet_salt: bytes = b"LKFrameEncryptionKey"
    ratchet_window_size: int = 16
    failure_tolerance: int = -1
    key_ring_size: int = 16
    derivation: str = "pbkdf2"
    """Or hkdf."""


@dataclass(frozen=True)
class SessionOptions:
    auto_subscribe: bool = True
    dynacast: bool = False
    connect_timeout_s: float = DEFAULT_CONNECT_TIMEOUT_S
    """For the whole of connect: websocket, join and media path."""
    encryption: EncryptionOptions | None = None
    transport_policy: str = "all"
    """Which candidates are used: all, nohost, relay."""
    gather_continually: bool = True
    """Addresses that this machine gets or loses during the session count."""
    ice_servers: tuple[IceServerEntry, ...] = ()
    """Used in place of those that the server names, if any."""
    route: HttpRoute = field(default_factory=HttpRoute)
    """TLS and proxies of signalling; TURN servers over TLS trust the same certificates."""
    single_connection: bool = True
    """Ask for one peer connection for both directions first; a server that has no such thing gets two."""
    sdk_version: str = ""
    max_stream_payload_bytes: int | None = None
    """Of one incoming data stream; None for the default."""


@dataclass(frozen=True)
class PublishOptions:
    """How one track is published; None leaves the choice to its kind and size."""

    source: int = 0
    """`models.TrackSource`."""
    video_codec: str = "vp8"
    max_bitrate_bps: int | None = None
    max_framerate: float | None = None
    simulcast: bool = True
    dtx: bool = True
    stereo: bool = False
    stream: str = ""

"""What a server can be told: addresses, keys, timeouts and limits."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from livekit.protocol.room import RoomConfiguration

from .ice_servers import IceServer

LIVEKIT_VERSION = "1.13.4"
"""Reported in ServerInfo: the livekit-server whose behaviour is reproduced. Rust-based clients refuse
to work with a value that is no plain semantic version of at least 1.8.0, so this is not Greenroom's own
version.
"""

PROTOCOL_VERSION = 17
PING_INTERVAL_S = 5
PING_TIMEOUT_S = 15


@dataclass(frozen=True)
class Limits:
    """Bounds on what one peer can make the server hold. Each queue says what happens when it is full."""

    signalling_message_bytes: int = 2 * 1024 * 1024
    """A larger frame closes that signal connection."""
    signalling_rate_per_s: float = 200.0
    """Messages that one signal connection may send; after a burst, faster ones wait unread, and are counted."""
    signalling_burst: int = 1000
    dispatches_per_room: int = 500
    """Agents that the API may send into one room; one more is refused."""
    requests_in_progress: int = 10_000
    """HTTP requests and signal connections at once; one more is answered 503."""
    token_bytes: int = 256 * 1024
    """A longer access token is refused."""
    outgoing_messages: int = 200
    """Waiting for a signal connection whose client does not read; one more closes it, and the client
    resumes.
    """
    outgoing_burst: int = 10_000
    """Made for one signal connection faster than they can be written, whoever is to blame; one more
    closes it.
    """
    malformed_messages: int = 20
    """Frames of one signal connection that are no SignalRequest; one more closes it."""
    add_track_bytes: int = 16 * 1024
    """A larger AddTrackRequest is refused with LIMIT_EXCEEDED: everybody would get its content."""
    published_tracks: int = 128
    """Published and pending of one participant; one more is refused with LIMIT_EXCEEDED."""
    pending_candidates: int = 100
    """Kept of one peer connection until its description comes; later ones are dropped."""
    remembered_tracks: int = 1000
    """Tracks that one participant asked about before they exist; further ones are ignored."""
    room_name_bytes: int = 256
    identity_bytes: int = 256
    name_bytes: int = 256
    """Of display names. These five count bytes of UTF-8; 0 means no limit."""
    metadata_bytes: int = 512 * 1024
    attributes_bytes: int = 64 * 1024
    """Keys and values of one participant together."""
    http_idle_s: float = 65.0
    """A connection that has not sent a whole request head, or no next one, within this long is closed."""
    api_body_bytes: int = 4 * 1024 * 1024
    """Of a request to the server's API; a larger one is refused."""
    api_body_timeout_s: float = 10.0
    """A body of a request to the server's API that takes longer to arrive is refused."""
    data_message_bytes: int = 65_535
    """A larger data packet is dropped and counted."""
    data_backlog_bytes: int = 64 * 1024 * 1024
    """Reliable data waiting for one slow receiver; beyond it, packets of those who sent most of it are dropped
    for that receiver and counted.
    """
    replay_bytes: int = 1024 * 1024
    """Reliable data kept in a room for participants whose channels are not open yet; the oldest goes first and is
    counted.
    """
    update_bytes: int = 128 * 1024
    """Participant updates larger than this are split."""


WEBHOOK_EVENTS = frozenset(
    {
        *("room_started", "room_finished"),
        *("participant_joined", "participant_left", "participant_connection_aborted"),
        *("track_published", "track_unpublished"),
        *("egress_started", "egress_updated", "egress_ended", "ingress_started", "ingress_ended"),
    }
)


@dataclass(frozen=True)
class WebhookConfig:
    """Where events are posted. ValueError when an event's name is not known."""

    urls: tuple[str, ...] = ()
    api_key: str = ""
    """Signs the bodies; one of the server's keys."""
    include_events: frozenset[str] = frozenset()
    """When not empty, only these."""
    exclude_events: frozenset[str] = frozenset()
    """All but these, when `include_events` is empty."""

    def __post_init__(self) -> None:
        for name in sorted((self.include_events | self.exclude_events) - WEBHOOK_EVENTS):
            known = ", ".join(sorted(WEBHOOK_EVENTS))
            raise ValueError(f"webhook event {name!r} is not known; known are {known}")
        for url in self.urls:
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"webhook URL {url!r} must begin with http:// or https://")
            if not urlsplit(url).hostname:
                raise ValueError(f"webhook URL {url!r} names no host")

    def wants(self, event: str) -> bool:
        """Whether an event of that name is posted."""
        if not self.urls:
            return False
        return event in self.include_events if self.include_events else event not in self.exclude_events


@dataclass(frozen=True)
class PrometheusConfig:
    """Where metrics are read. A password is asked for when both it and the user name are set."""

    port: int | None = None
    """None: nowhere; 0: any free one."""
    username: str = ""
    password: str = ""


@dataclass(frozen=True)
class PlayoutDelayConfig:
    """How long subscribers are asked to hold video back before they play it; rooms may say themselves."""

    enabled: bool = False
    min_ms: int = 0
    max_ms: int = 0
    """0 with a least delay: ten seconds."""


@dataclass(frozen=True)
class TlsConfig:
    """Certificate chain and private key of HTTP and signalling, PEM files."""

    cert_file: str
    key_file: str


@dataclass(frozen=True)
class ServerConfig:
    """All settings of one server. Ports of 0 mean any free one."""

    keys: Mapping[str, str]
    """API key to secret; the first pair signs refreshed tokens."""
    host: str = "127.0.0.1"
    """Address of HTTP and signalling; `0.0.0.0` for all of the machine's."""
    port: int = 0
    udp_port: int = 0
    tcp_port: int | None = 0
    """ICE over TCP; None switches it off."""
    force_tcp: bool = False
    """Offer clients only the TCP candidates, as behind a firewall that stops UDP; needs `tcp_port`."""
    media_shards: int = 0
    """How many worker threads forward, each a part of the rooms, behind one port; 0: one per worker thread of the engine."""
    media_addresses: tuple[str, ...] = ()
    """Addresses that media is received on; a network (`10.0.0.0/8`) stands for the machine's addresses in it.

    Empty: `host`, or every address of the machine when it is a wildcard.
    """
    advertised_addresses: tuple[str, ...] = ()
    """Put into ICE candidates in place of the bound ones, for a host behind address translation."""
    auto_create_rooms: bool = True
    empty_timeout_s: int = 300
    """A room nobody ever joined closes after this long."""
    departure_timeout_s: int = 20
    """A room that was left by all closes after this long."""
    max_participants: int = 0
    """Per room, when the token's roomConfig does not say; 0 means no limit."""
    room_presets: Mapping[str, RoomConfiguration] = field(default_factory=dict)
    """Settings of rooms by name, for CreateRoom's `room_preset` and a token's `roomPreset`."""
    sync_streams: bool = False
    """Tell clients which tracks of a publisher belong together, so that they play them in time; rooms may ask for it."""
    playout_delay: PlayoutDelayConfig = field(default_factory=PlayoutDelayConfig)
    remote_unmute: bool = False
    """Let the server's API unmute tracks."""
    update_interval_s: float = 0.25
    """Changes that concern no published track are sent to the others in batches of this interval."""
    speaker_interval_s: float = 0.4
    dynacast_pause_delay_s: float = 5.0
    """Publishers are told to pause layers of video that nobody has watched for this long."""
    join_timeout_s: float = 60.0
    """A participant whose media connection is not up by then is removed."""
    answer_timeout_s: float = 15.0
    """A connected client that leaves an offer unanswered for this long is told to start anew."""
    congestion_control: bool = True
    """Send each subscriber the video that its connection can take; otherwise all that it asks for."""
    allow_pause: bool = False
    """Pause video tracks when not even their lowest layers fit, where the client does not say itself."""
    webhooks: WebhookConfig = field(default_factory=WebhookConfig)
    prometheus: PrometheusConfig = field(default_factory=PrometheusConfig)
    tls: TlsConfig | None = None
    """HTTPS and wss instead of HTTP and ws."""
    ice_servers: tuple[IceServer, ...] = ()
    """STUN and TURN servers that clients are told of."""
    region: str = ""
    """Told to clients in ServerInfo."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("a server needs at least one API key: pass keys={'<key>': '<secret>'}")
        for key, secret in self.keys.items():
            if not key or not secret:
                raise ValueError(f"API key {key!r} or its secret is empty: both must be given")
        ports = {
            "port": self.port,
            "udp_port": self.udp_port,
            "tcp_port": self.tcp_port,
            "prometheus.port": self.prometheus.port,
        }
        for name, port in ports.items():
            if port is not None and not 0 <= port <= 65_535:
                raise ValueError(f"{name} is {port}: it must be 0 (any) or 1 to 65535")
        if self.force_tcp and self.tcp_port is None:
            raise ValueError("force_tcp is set but tcp_port is off: no media path would be left")
        for address in self.advertised_addresses:
            ipaddress.ip_address(address)
        for network in self.media_addresses:
            ipaddress.ip_network(network, strict=False)
        contradictions = [*self._shared_ports(ports), *self._what_does_not_fit()]
        if contradictions:
            raise ValueError("; ".join(contradictions))

    def without_effect(self) -> Iterator[str]:
        """What is set, and does nothing because something else is not."""
        delay = self.playout_delay
        named = [f"playout_delay.{name}" for name, ms in (("min", delay.min_ms), ("max", delay.max_ms)) if ms]
        if named and not delay.enabled:
            keys = " and ".join(named)
            yield (
                f"{keys}: set without playout_delay.enabled, so no delay is asked of subscribers; "
                "set that to true, or leave the delay out"
            )

    def _shared_ports(self, ports: Mapping[str, int | None]) -> Iterator[str]:
        listening = [(name, port) for name, port in ports.items() if name != "udp_port" and port]
        for index, (name, port) in enumerate(listening):
            for other, other_port in listening[:index]:
                if port == other_port:
                    yield f"{other} and {name} are both {port}: they must differ"

    def _what_does_not_fit(self) -> Iterator[str]:
        if self.webhooks.urls and self.webhooks.api_key not in self.keys:
            known = ", ".join(self.keys)
            key = self.webhooks.api_key
            yield f"the webhook api_key is {key!r}, which is none of the server's keys ({known})"
        if bool(self.prometheus.username) != bool(self.prometheus.password):
            yield "prometheus.username and prometheus.password must be given together"
        delay = self.playout_delay
        if delay.min_ms > delay.max_ms > 0:
            yield f"playout_delay.min is {delay.min_ms} ms, which is more than playout_delay.max ({delay.max_ms} ms)"

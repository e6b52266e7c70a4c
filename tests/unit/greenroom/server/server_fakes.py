"""Fakes for tests of the server: the forwarding unit, the event port, and a client made of messages."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from types import TracebackType
from typing import Any

import aiohttp
from livekit.protocol import models
from livekit.protocol import rtc as messages

from greenroom import _engine
from greenroom.server import Server
from greenroom.signalling.wrapped_join import wrap

PATIENCE_S = 5.0
FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)


class FakePort:
    """Delivers events when a test says so."""

    def __init__(self) -> None:
        self.callbacks: dict[int, Any] = {}

    def register(self, handle: int, callback: Any) -> None:
        self.callbacks[handle] = callback

    def unregister(self, handle: int) -> None:
        self.callbacks.pop(handle, None)

    def emit(self, handle: int, kind: int, payload: Any = None) -> None:
        if handle in self.callbacks:
            self.callbacks[handle](kind, payload)


class FakeTrack:
    """An up track or a down track that remembers what was asked of it."""

    def __init__(self, mid: str, **parameters: Any) -> None:
        self.mid = mid
        self.parameters = parameters
        self.closed = False
        self.muted = False
        self.enabled = True
        self.handle = next(FakeTransport.handles)
        self.max_layer: tuple[int, int] | None = None
        self.priority = 1
        self.audio_level: tuple[float, bool] = (0.0, False)
        self.expected_layers: list[int] = []
        self.packets, self.packets_lost, self.fraction_lost = 0, 0, 0.0
        self.layers: list[int] | None = None
        """Packets of each, where there are several."""
        self.packets_sent = 0
        self.spatial_layer: int | None = None

    def stats(self) -> dict[str, Any]:
        packets = [self.packets] if self.layers is None else self.layers
        layers = [
            {"packets": p, "packets_lost": self.packets_lost if n == 0 else 0} for n, p in enumerate(packets)
        ]
        return {
            "layers": layers,
            "fraction_lost": self.fraction_lost,
            "packets_sent": self.packets_sent,
            "spatial_layer": self.spatial_layer,
        }

    def set_muted(self, muted: bool) -> None:
        self.muted = muted

    def expect_layers(self, max_spatial: int) -> None:
        self.expected_layers.append(max_spatial)

    def set_enabled(self, enabled: bool) -> None:
        self.enabled = enabled

    def set_priority(self, priority: int) -> None:
        self.priority = priority

    def set_max_layer(self, spatial: int, temporal: int) -> None:
        self.max_layer = (spatial, temporal)

    def close(self) -> None:
        self.closed = True


class FakeTransport:
    handles = itertools.count(1)

    def __init__(self, port: FakePort, controlling: bool) -> None:
        self.packets_received = 0
        self.port = port
        self.controlling = controlling
        self.handle = next(self.handles)
        self.ice_ufrag, self.ice_pwd = f"ufrag{self.handle}", f"pwd{self.handle:021}"
        self.fingerprint = FINGERPRINT
        self.remote: dict[str, Any] | None = None
        self.candidates: list[str] = []
        self.channels: list[tuple[str, bool, int | None]] = []
        self.up_tracks: dict[str, FakeTrack] = {}
        self.down_tracks: list[FakeTrack] = []
        self.sent: dict[int, list[bytes]] = defaultdict(list)
        self.was_sent = asyncio.Event()
        self.data_track_channels: list[int] = []
        self.data_tracks: dict[tuple[int, int], int] = {}
        """From (published handle, subscriber's transport) to the subscriber's handle."""
        self.bandwidth_policy = (True, False)
        self.bandwidth_limit_bps: int | None = None
        self.full = False
        self.released = (0, 0)
        """Messages, bytes."""
        self.windows: list[int] = []
        self.restarts = 0
        self.closed = False

    def set_remote(self, **parameters: Any) -> None:
        self.remote = parameters

    def add_remote_candidate(self, candidate: str) -> None:
        if not candidate.startswith("candidate:"):
            raise _engine.EngineError(f"candidate {candidate!r} is malformed")
        self.candidates.append(candidate)

    def restart_ice(self) -> tuple[str, str]:
        self.restarts += 1
        return f"ufrag{self.handle}r{self.restarts}", f"pwd{self.handle:019}r{self.restarts}"

    def open_channel(self, label: str, *, ordered: bool = True, max_retransmits: int | None = None) -> int:
        self.channels.append((label, ordered, max_retransmits))
        return 2 * len(self.channels) - 1

    def send(self, channel: int, data: bytes) -> bool:
        if self.full:
            return False
        self.sent[channel].append(data)
        self.was_sent.set()
        return True

    def stats(self) -> dict[str, Any]:
        return {"packets_received": self.packets_received}

    def set_bandwidth_policy(self, *, congestion_control: bool, allow_pause: bool) -> None:
        self.bandwidth_policy = (congestion_control, allow_pause)

    def set_bandwidth_limit(self, limit_bps: int | None) -> None:
        self.bandwidth_limit_bps = limit_bps

    def release(self, messages: int, bytes: int) -> None:
        self.released = (self.released[0] + messages, self.released[1] + bytes)

    def limit_receive_window(self, bytes: int) -> None:
        self.windows.append(bytes)

    def set_data_track_channel(self, channel: int) -> None:
        self.data_track_channels.append(channel)

    def subscribe_data_track(self, published_handle: int, subscriber: FakeTransport, *, handle: int) -> None:
        self.data_tracks[published_handle, subscriber.handle] = handle

    def unsubscribe_data_track(self, published_handle: int, subscriber: FakeTransport) -> None:
        self.data_tracks.pop((published_handle, subscriber.handle), None)

    def add_up_track(self, mid: str, **parameters: Any) -> FakeTrack:
        track = self.up_tracks.get(mid)
        if track is None or track.closed:
            track = self.up_tracks[mid] = FakeTrack(mid, **parameters)
        return track

    def add_down_track(self, mid: str, up_track: FakeTrack, **parameters: Any) -> FakeTrack:
        track = FakeTrack(mid, up_track=up_track, **parameters)
        self.down_tracks.append(track)
        return track

    def close(self) -> None:
        self.closed = True

    # ---- what a test makes happen ----

    def emit(self, kind: int, payload: Any = None) -> None:
        self.port.emit(self.handle, kind, payload)

    def connect(self) -> None:
        self.emit(_engine.CONNECTED)

    def open(self, *labels: str) -> None:
        """Open channels, the first with number 1, the next with 3…"""
        for index, label in enumerate(labels or ("_reliable", "_lossy", "_data_track")):
            self.emit(_engine.CHANNEL_OPEN, (2 * index + 1, label))

    def receive(self, channel: int, data: bytes) -> None:
        self.emit(_engine.CHANNEL_MESSAGE, (channel, data))


class FakeSfu:
    udp_port = 7882
    tcp_port = 7881
    candidates = ("candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host",)

    def __init__(self, port: FakePort) -> None:
        self.port = port
        self.transports: list[FakeTransport] = []
        self.closed = False

    def stats(self) -> dict[str, int]:
        return {"packets_received": 3, "bytes_sent": 5, "packets_dropped_unknown": 1}

    def place_room(self) -> int:
        return 0

    def create_transport(
        self, *, controlling: bool = False, payload_types: Any = (), shard: int = 0
    ) -> FakeTransport:
        transport = FakeTransport(self.port, controlling)
        self.transports.append(transport)
        return transport

    def close(self) -> None:
        self.closed = True


class SignalClient:
    """One signal connection, driven message by message."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, harness: Harness) -> None:
        self.websocket = websocket
        self.harness = harness
        self.seen: list[messages.SignalResponse] = []
        """Every message so far, in order."""
        self.join = messages.JoinResponse()
        self.participant: Any = None
        """The server's object."""

    @property
    def sid(self) -> str:
        return self.join.participant.sid

    @property
    def publisher(self) -> FakeTransport:
        transport: FakeTransport = self.participant.publisher.connection.transport
        return transport

    @property
    def subscriber(self) -> FakeTransport:
        transport: FakeTransport = self.participant.subscriber.connection.transport
        return transport

    def kinds(self) -> list[str]:
        return [message.WhichOneof("message") or "" for message in self.seen]

    async def send(self, **message: Any) -> None:
        await self.websocket.send_bytes(messages.SignalRequest(**message).SerializeToString())

    async def receive(self) -> messages.SignalResponse:
        frame = await asyncio.wait_for(self.websocket.receive(), PATIENCE_S)
        assert frame.type is aiohttp.WSMsgType.BINARY, f"signal connection ended: {frame}"
        message = messages.SignalResponse.FromString(frame.data)
        self.seen.append(message)
        return message

    async def expect(self, kind: str) -> Any:
        """The next message of that kind; others on the way are kept in `seen`."""
        while True:
            message = await self.receive()
            if message.WhichOneof("message") == kind:
                return getattr(message, kind)

    async def update_of(self, identity: str) -> models.ParticipantInfo:
        """The next update about a participant."""
        while True:
            for info in (await self.expect("update")).participants:
                if info.identity == identity:
                    return info

    async def settle(self) -> None:
        """Until the server has handled all that was sent, and what it sent is in `seen`."""
        marker = len(self.seen) + 1000
        await self.send(ping_req=messages.Ping(timestamp=marker))
        while (await self.expect("pong_resp")).last_ping_timestamp != marker:
            pass

    async def closed(self) -> int | None:
        """The code that the connection closes with; messages on the way are kept in `seen`."""
        while True:
            frame = await asyncio.wait_for(self.websocket.receive(), PATIENCE_S)
            if frame.type is not aiohttp.WSMsgType.BINARY:
                return self.websocket.close_code
            self.seen.append(messages.SignalResponse.FromString(frame.data))

    # ---- publishing and subscribing ----

    def activate(self) -> None:
        """Bring both media connections up, with their channels."""
        self.subscriber.connect()
        self.subscriber.open()
        self.publisher.connect()
        self.publisher.open()

    async def publish(self, cid: str, kind: str = "audio", **fields: Any) -> str:
        """Add a track and offer it; the track's SID."""
        is_audio = kind == "audio"
        source = models.TrackSource.MICROPHONE if is_audio else models.TrackSource.CAMERA
        track_type = models.TrackType.AUDIO if is_audio else models.TrackType.VIDEO
        request = messages.AddTrackRequest(**{"cid": cid, "type": track_type, "source": source, **fields})
        await self.send(add_track=request)
        published = await self.expect("track_published")
        self.harness.tracks.setdefault(self.sid, []).append((kind, cid))
        await self.offer(*self.harness.tracks[self.sid])
        await self.expect("answer")
        return str(published.track.sid)

    async def offer(self, *tracks: tuple[str, str], offer_id: int = 1) -> None:
        sdp = publisher_offer(*tracks)
        await self.send(offer=messages.SessionDescription(type="offer", sdp=sdp, id=offer_id))

    async def answer(self, offer: messages.SessionDescription, *, codecs: bool = True) -> None:
        sdp = subscriber_answer(offer.sdp, codecs=codecs)
        await self.send(answer=messages.SessionDescription(type="answer", sdp=sdp, id=offer.id))


class Harness:
    """A running server with fakes below it. Settings of ServerConfig can be given."""

    def __init__(self, **settings: Any) -> None:
        self.port = FakePort()
        self.sfu = FakeSfu(self.port)
        self.server = Server(**{"update_interval_s": 0.01, "speaker_interval_s": 0.01, **settings})
        self.server._sfu_factory = lambda config: (self.sfu, self.port)  # type: ignore[assignment, return-value]
        self.tracks: dict[str, list[tuple[str, str]]] = {}
        self.clients: list[SignalClient] = []

    async def __aenter__(self) -> Harness:
        self.http = aiohttp.ClientSession()
        await self.server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.http.close()
        await self.server.stop()

    async def connect(self, token: str, *, path: str = "/rtc", **query: str) -> SignalClient:
        url = self.server.url + path
        parameters = {"protocol": "17", "sdk": "python", "access_token": token, **query}
        client = SignalClient(await self.http.ws_connect(url, params=parameters), self)
        self.clients.append(client)  # an unreferenced connection would be closed
        return client

    async def join(
        self, identity: str, room: str = "room", *, query: dict[str, str] | None = None, **grants: Any
    ) -> SignalClient:
        """Join; the first message has come."""
        token = self.server.token(room, identity, **grants)
        return await self._joined(await self.connect(token, **(query or {})), room, identity)

    async def join_single(
        self, identity: str, room: str = "room", *, request: messages.JoinRequest | None = None, **grants: Any
    ) -> SignalClient:
        """Join with one connection for both directions; the default request is `single_join()`."""
        token = self.server.token(room, identity, **grants)
        value = wrap(request or single_join())
        client = await self.connect(token, path="/rtc/v1", join_request=value)
        return await self._joined(client, room, identity)

    async def _joined(self, client: SignalClient, room: str, identity: str) -> SignalClient:
        first = await client.receive()
        assert first.WhichOneof("message") == "join"
        client.join = first.join
        server_room = self.server.rooms.get(room)
        assert server_room is not None
        client.participant = server_room.participant(identity)
        return client


def single_join(**fields: Any) -> messages.JoinRequest:
    """As current clients join, without an offer."""
    settings = messages.ConnectionSettings(auto_subscribe=True)
    info = models.ClientInfo(sdk=models.ClientInfo.SDK.PYTHON, protocol=17)
    return messages.JoinRequest(**{"client_info": info, "connection_settings": settings, **fields})


def _transport_lines(ufrag: str = "cccc") -> list[str]:
    return [
        f"a=ice-ufrag:{ufrag}",
        "a=ice-pwd:cccccccccccccccccccccc",
        f"a=fingerprint:{FINGERPRINT}",
        "a=setup:actpass",
    ]


_AUDIO_LINES = [
    "a=rtpmap:111 opus/48000/2",
    "a=rtcp-fb:111 transport-cc",
    "a=rtcp-fb:111 nack",
    "a=fmtp:111 minptime=10;useinbandfec=1",
    "a=rtpmap:63 red/48000/2",
    "a=fmtp:63 111/111",
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
]
_VIDEO_LINES = [
    "a=rtpmap:96 VP8/90000",
    "a=rtcp-fb:96 goog-remb",
    "a=rtcp-fb:96 transport-cc",
    "a=rtcp-fb:96 ccm fir",
    "a=rtcp-fb:96 nack",
    "a=rtcp-fb:96 nack pli",
    "a=rtpmap:97 H264/90000",
    "a=rtcp-fb:97 nack",
    "a=fmtp:97 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
    "a=extmap:13 urn:3gpp:video-orientation",
]
_SIMULCAST_LINES = ["a=rid:f send", "a=rid:h send", "a=rid:q send", "a=simulcast:send f;h;q"]


def publisher_offer(*tracks: tuple[str, str], ufrag: str = "cccc") -> str:
    """An offer like libwebrtc's: data first, then a section for each (kind, cid); kind may be "simulcast".

    The cid "<" makes a section that is received on.
    """
    lines = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    lines.append("a=group:BUNDLE " + " ".join(str(n) for n in range(len(tracks) + 1)))
    lines += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:0"]
    lines += [*_transport_lines(ufrag), "a=sctp-port:5000", "a=max-message-size:262144"]
    for number, (kind, cid) in enumerate(tracks, 1):
        is_audio = kind == "audio"
        lines.append(
            f"m={'audio' if is_audio else 'video'} 9 UDP/TLS/RTP/SAVPF {'111 63' if is_audio else '96 97'}"
        )
        lines += ["c=IN IP4 0.0.0.0", *_transport_lines(ufrag), f"a=mid:{number}", "a=rtcp-mux"]
        lines += _AUDIO_LINES if is_audio else _VIDEO_LINES
        if cid == "<":
            lines += ["a=recvonly"]
            continue
        lines += [f"a=msid:stream {cid}", "a=sendonly"] if cid else ["a=inactive"]
        if kind == "simulcast":
            lines += _SIMULCAST_LINES
        elif cid:
            lines += [f"a=ssrc:{1000 + number} cname:x", f"a=ssrc:{1000 + number} msid:stream {cid}"]
    return "".join(f"{line}\r\n" for line in lines)


def subscriber_answer(offer: str, *, codecs: bool = True) -> str:
    """What a client makes of the server's offer: all taken, or (`codecs=False`) media refused."""
    lines = []
    for line in offer.splitlines():
        if line.startswith(("a=ssrc", "a=msid:", "a=candidate", "a=end-of")):
            continue
        if line.startswith(("m=audio", "m=video")) and not codecs:
            line = line.replace(" 9 ", " 0 ")
        line = {"a=setup:actpass": "a=setup:active", "a=sendrecv": "a=recvonly"}.get(line, line)
        lines.append("a=ice-ufrag:dddd" if line.startswith("a=ice-ufrag") else line)
    return "".join(f"{line}\r\n" for line in lines)

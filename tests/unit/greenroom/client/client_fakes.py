"""A signalling server that a test scripts, and an engine peer that only records what it is told."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from aiohttp import WSMsgType, web
from google.protobuf.message import Message
from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom import _engine
from greenroom.signalling.client_description import SUBSCRIBE_PAYLOADS
from greenroom.signalling.event_port import LoopEventPort
from greenroom.signalling.messages import decode_request
from greenroom.signalling.sdp import (
    Direction,
    MediaKind,
    MediaSection,
    Msid,
    SessionDescription,
    Source,
    parse,
)
from greenroom.signalling.wrapped_join import unwrap
from livekit import rtc

_FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)
TIMEOUT_S = 5


class FakeReceiver:
    def __init__(self, handle: int, mid: str, kind: str) -> None:
        self.handle, self.mid, self.kind = handle, mid, kind


class FakePeer:
    """Connects as soon as it has a remote description, unless `FakePeers.connects` is off."""

    def __init__(self, peers: FakePeers, loop: asyncio.AbstractEventLoop, controlling: bool) -> None:
        self.handle = next(peers.handles)
        self.peers, self._loop, self.controlling = peers, loop, controlling
        self.ice_ufrag, self.ice_pwd, self.fingerprint = "ufrag", "password-password-password", _FINGERPRINT
        self.channels: dict[int, str] = {}
        self.sent: list[tuple[str, bytes]] = []
        self.full = False
        self.restarts = 0
        self._restarted = asyncio.Event()
        self.held = 0
        """Messages queued that the worker was not told of."""
        self.unacknowledged = 0
        self.calls: list[tuple[str, Any]] = []
        self.remote: dict[str, Any] | None = None
        self.candidates: list[str] = []
        self.ice_servers: list[Any] = []
        self.gathered = False
        """False for one whose offer no server accepted."""
        self.closed = False

    def fire(self, kind: int, payload: Any = None) -> None:
        """Deliver one engine event, now."""
        LoopEventPort.of(self._loop)._callbacks[self.handle](kind, payload)

    def gather(
        self, *, include_loopback: bool, transport_policy: str, gather_continually: bool, share_sockets: bool
    ) -> list[str]:
        self.calls.append(("gather", (include_loopback, transport_policy)))
        self.gathered = True
        return ["candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host"]

    def add_ice_server(self, server: Any) -> None:
        self.ice_servers.append(server)

    async def restarted(self) -> None:
        """Return when the server's half of an ICE restart has come."""
        await self._restarted.wait()

    def set_remote(self, **remote: Any) -> None:
        if self.remote is not None:
            self._restarted.set()
        self.remote = remote
        if self.peers.connects:
            self._loop.call_soon(self.connect)

    def connect(self) -> None:
        if self.closed:
            return
        self.fire(_engine.CONNECTED)
        if not self.peers.opens_channels:
            return
        for channel, label in self.channels.items():
            self.fire(_engine.CHANNEL_OPEN, (channel, label))

    def add_remote_candidate(self, candidate: str) -> None:
        self.candidates.append(candidate)

    def open_channel(self, label: str, *, ordered: bool = True, max_retransmits: int | None = None) -> int:
        channel = len(self.channels) + 1
        self.channels[channel] = label
        self.calls.append(("open_channel", (label, ordered, max_retransmits)))
        return channel

    def send(self, channel: int, data: bytes, *, hold: bool = False) -> bool:
        if self.full:
            return False
        self.sent.append((self.channels[channel], data))
        self.held = self.held + 1 if hold else 0
        return True

    def flush(self) -> None:
        self.held = 0

    def add_receiver(self, mid: str, *, kind: str, ssrc: int, rtx_ssrc: int | None = None) -> FakeReceiver:
        self.calls.append(("add_receiver", (mid, kind, ssrc, rtx_ssrc)))
        return FakeReceiver(next(self.peers.handles), mid, kind)

    def restart_ice(self) -> tuple[str, str]:
        self.restarts += 1
        self.ice_ufrag = f"ufrag{self.restarts}"
        return self.ice_ufrag, self.ice_pwd

    def bulk_limit(self) -> int:
        return 768 * 1024

    def buffered_amount(self, channel: int) -> int:
        return self.unacknowledged

    def stats(self) -> dict[str, Any]:
        pairs = ["127.0.0.1:40000 -> 127.0.0.1:7882 failed"]
        return {
            "transport": {"candidate_pairs_tried": pairs, "ice_state": "checking"},
            "senders": [],
            "receivers": [],
        }

    def close(self) -> None:
        self.closed = True

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **options: self.calls.append((name, (*args, options) if options else args))


class FakePeers:
    """Stands for `_engine.Peer`: makes fakes and keeps them."""

    def __init__(self) -> None:
        self.handles = itertools.count(1_000_000)
        self._made: list[FakePeer] = []
        self.connects = True
        self.opens_channels = True

    @property
    def made(self) -> list[FakePeer]:
        """Those in use, or used before."""
        return [peer for peer in self._made if peer.gathered]

    def __call__(self, port: Any, *, controlling: bool, **_: Any) -> FakePeer:
        peer = FakePeer(self, asyncio.get_running_loop(), controlling)
        self._made.append(peer)
        return peer

    @property
    def publisher(self) -> FakePeer:
        return next(p for p in reversed(self.made) if p.controlling)

    @property
    def subscriber(self) -> FakePeer:
        return next(p for p in reversed(self.made) if not p.controlling)


def participant(
    identity: str, *, sid: str = "", tracks: list[models.TrackInfo] | None = None, **fields: Any
) -> models.ParticipantInfo:
    fields.setdefault("state", models.ParticipantInfo.ACTIVE)
    return models.ParticipantInfo(
        sid=sid or f"PA_{identity}", identity=identity, tracks=tracks or [], **fields
    )


def track(sid: str, kind: int = models.TrackType.AUDIO, **fields: Any) -> models.TrackInfo:
    return models.TrackInfo(sid=sid, type=kind, name=sid.lower(), **fields)


def server_offer(
    *tracks: tuple[str, str, str, int], offer_id: int = 1, ice_ufrag: str = "server"
) -> proto.SessionDescription:
    """A subscriber offer; each track is (kind, participant SID, track SID, ssrc); an empty SID is a
    freed section. Another `ice_ufrag` than before restarts ICE."""
    media = [_section(MediaKind.APPLICATION, "0")]
    mids = {}
    for index, (kind, participant_sid, track_sid, ssrc) in enumerate(tracks, start=1):
        section = _section(MediaKind(kind), str(index))
        section.payload_types = [p for p in SUBSCRIBE_PAYLOADS if (p.codec == "opus") == (kind == "audio")]
        if track_sid:
            section.msid = Msid(f"{participant_sid}|{track_sid}", track_sid)
            section.sources = [Source(ssrc, cname="c", msid=section.msid)]
            mids[section.mid] = track_sid
        else:
            section.direction = Direction.RECVONLY
        media.append(section)
    for section in media:
        section.ice_ufrag = ice_ufrag
    text = SessionDescription(media=media).to_text()
    return proto.SessionDescription(type="offer", sdp=text, id=offer_id, mid_to_track_id=mids)


def server_answer(
    offer: proto.SessionDescription, tracks: Mapping[str, Msid] = MappingProxyType({})
) -> proto.SessionDescription:
    """What a server that takes everything answers; it sends `tracks` in these sections."""
    description = parse(offer.sdp)
    for number, section in enumerate(description.media):
        section.setup, section.candidates, section.msid, section.sources = "active", [], None, []
        section.ice_ufrag, section.ice_pwd = f"server-{section.ice_ufrag}", "server-password-server-pw"
        section.source_groups, section.rids, section.simulcast_send = [], [], []
        if section.direction is Direction.SENDONLY:
            section.direction = Direction.RECVONLY
        elif section.direction is Direction.RECVONLY:
            section.direction, section.msid = Direction.SENDONLY, tracks.get(section.mid)
            if section.msid is not None:
                section.sources = [Source(500 + number, cname="c", msid=section.msid)]
    mids = {mid: msid.track_id for mid, msid in tracks.items()}
    return proto.SessionDescription(
        type="answer", sdp=description.to_text(), id=offer.id, mid_to_track_id=mids
    )


def _section(kind: MediaKind, mid: str) -> MediaSection:
    section = MediaSection(kind, mid, ice_ufrag="server", ice_pwd="server-password-server-pw")
    section.fingerprint, section.setup = _FINGERPRINT, "actpass"
    if kind is MediaKind.APPLICATION:
        section.sctp_port, section.max_message_size = 5000, 65535
    return section


class Connection:
    """The server's end of one signal connection."""

    def __init__(self, request: web.Request, websocket: web.WebSocketResponse) -> None:
        self.request, self.websocket = request, websocket
        self.received: list[tuple[str, Any]] = []
        self.join_request: proto.JoinRequest | None = None
        self._arrived = asyncio.Condition()
        self.closed = asyncio.Event()

    async def send(self, **message: Message | str | None) -> None:
        await self.websocket.send_bytes(proto.SignalResponse(**message).SerializeToString())  # type: ignore[arg-type]

    async def update(self, *participants: models.ParticipantInfo) -> None:
        await self.send(update=proto.ParticipantUpdate(participants=participants))

    async def expect(self, kind: str, *, count: int = 1) -> Any:
        """The `count`-th request of this kind, when it has come."""

        def found() -> list[Any]:
            return [m for k, m in self.received if k == kind]

        async with self._arrived:
            await asyncio.wait_for(self._arrived.wait_for(lambda: len(found()) >= count), TIMEOUT_S)
        return found()[count - 1]

    async def arrived(self, kind: str, message: Any) -> None:
        async with self._arrived:
            self.received.append((kind, message))
            self._arrived.notify_all()


class SignalServer:
    """Sends `join` and one data-only offer to each client and answers its offers; a test sends the rest."""

    def __init__(self, *, single: bool = False) -> None:
        self.single = single
        """Serve one peer connection for both directions, too."""
        self.tracks: dict[str, Msid] = {}
        """What the answers to such clients carry, by mid."""
        self.join = proto.JoinResponse(
            room=models.Room(sid="RM_room", name="room"),
            participant=participant("me", state=models.ParticipantInfo.JOINING),
            subscriber_primary=True,
            fast_publish=True,
            ping_interval=5,
            ping_timeout=15,
        )
        self.first: list[proto.SignalResponse] | None = None
        """Sent in place of join and offer."""
        self.refusal: tuple[int, str] | None = None
        self.resume: list[proto.SignalResponse] | None = None
        """Sent to a client that resumes, in place of the reconnect, a snapshot and an offer that restarts ICE."""
        self.acknowledges_tracks = True
        self.stuck_in_upgrade = False
        self.on_request: Callable[[web.Request], Awaitable[None]] | None = None
        """Called with each request for a signal connection."""
        self.connections: asyncio.Queue[Connection] = asyncio.Queue()
        self._sids = itertools.count(1)
        self._restarts = 0
        self.last_message_seq = 0

    async def __aenter__(self) -> SignalServer:
        app = web.Application()
        app.router.add_get("/rtc", self._serve)
        app.router.add_get("/rtc/validate", self._validate)
        if self.single:
            app.router.add_get("/rtc/v1", self._serve)
            app.router.add_get("/rtc/v1/validate", self._validate)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def connection(self) -> Connection:
        return await asyncio.wait_for(self.connections.get(), TIMEOUT_S)

    async def _validate(self, request: web.Request) -> web.Response:
        status, body = self.refusal or (200, "success")
        return web.Response(status=status, text=body)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.on_request is not None:
            await self.on_request(request)
        if self.stuck_in_upgrade:
            await asyncio.sleep(TIMEOUT_S)
        if self.refusal is not None:
            return web.Response(status=self.refusal[0], text=self.refusal[1])
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        connection = Connection(request, websocket)
        wrapped = request.query.get("join_request")
        connection.join_request = unwrap(wrapped) if wrapped else None
        if connection.join_request is not None:
            await self._greet_single(connection, connection.join_request)
            return websocket
        resuming = request.query.get("reconnect") == "1"
        for message in self._resumption() if resuming else self._greeting():
            await websocket.send_bytes(message.SerializeToString())
        self.connections.put_nowait(connection)
        try:
            await self._read(connection)
        finally:
            connection.closed.set()
        return websocket

    async def _greet_single(self, connection: Connection, join: proto.JoinRequest) -> None:
        if join.reconnect:
            await connection.send(reconnect=proto.ReconnectResponse(last_message_seq=self.last_message_seq))
            everybody = [self.join.participant, *self.join.other_participants]
            await connection.update(*everybody)
        else:
            await connection.send(join=self.join)
            await connection.send(answer=server_answer(join.publisher_offer, self.tracks))
        self.connections.put_nowait(connection)
        try:
            await self._read(connection)
        finally:
            connection.closed.set()

    def _greeting(self) -> list[proto.SignalResponse]:
        offer = proto.SignalResponse(offer=server_offer())
        return [proto.SignalResponse(join=self.join), offer] if self.first is None else self.first

    def _resumption(self) -> list[proto.SignalResponse]:
        if self.resume is not None:
            return self.resume
        self._restarts += 1
        offer = server_offer(offer_id=100 + self._restarts, ice_ufrag=f"server{self._restarts}")
        everybody = [self.join.participant, *self.join.other_participants]
        return [
            proto.SignalResponse(reconnect=proto.ReconnectResponse(last_message_seq=self.last_message_seq)),
            proto.SignalResponse(update=proto.ParticipantUpdate(participants=everybody)),
            proto.SignalResponse(offer=offer),
        ]

    async def _read(self, connection: Connection) -> None:
        async for frame in connection.websocket:
            if frame.type is not WSMsgType.BINARY:
                continue
            kind, message = decode_request(frame.data)
            if kind == "offer":
                await connection.send(answer=server_answer(message, self.tracks))
            elif kind == "add_track" and self.acknowledges_tracks:
                info = track(
                    f"TR_{next(self._sids)}", message.type, source=message.source, layers=message.layers
                )
                await connection.send(
                    track_published=proto.TrackPublishedResponse(cid=message.cid, track=info)
                )
            elif kind == "leave":
                await connection.arrived(kind, message)
                await connection.websocket.close()
                return
            await connection.arrived(kind, message)


class FakeAudioSource(rtc.AudioSource):
    """Without an engine."""

    def __init__(self, channels: int = 1) -> None:
        self._sample_rate, self._num_channels, self._engine_source = 48_000, channels, object()


class FakeVideoSource(rtc.VideoSource):
    """Without an engine."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height, self._is_screencast, self._engine_source = width, height, False, object()

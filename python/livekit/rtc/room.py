"""The room: joins, shows who is there, and tells what happens."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from livekit.protocol import models

from greenroom import _engine
from greenroom.client.errors import ConnectError
from greenroom.client.first_join import join_with_retries
from greenroom.client.http_route import HttpRoute
from greenroom.client.ice_servers import IceServerEntry
from greenroom.client.options import DEFAULT_CONNECT_TIMEOUT_S, SessionOptions
from greenroom.client.remote_data_tracks import RemoteDataTrack as RemoteDataTrackState
from greenroom.client.rpc_methods import RpcRegistry
from greenroom.client.session import Session
from greenroom.client.simulation import simulate
from greenroom.client.state import ParticipantState, PublicationState, TrackState
from greenroom.client.streams_incoming import IncomingStream, StreamHandlers

from ._arguments import plain_function
from ._proto import participant_pb2 as proto_participant
from ._proto import room_pb2 as proto_room
from ._proto import stats_pb2 as proto_stats
from ._proto.participant_pb2 import DisconnectReason
from ._proto.room_pb2 import ConnectionState, DataPacketKind
from ._proto.track_pb2 import TrackKind
from ._stats import peer_stats
from .data_stream import ByteStreamHandler, ByteStreamReader, TextStreamHandler, TextStreamReader
from .data_track import RemoteDataTrack
from .e2ee import E2EEManager, E2EEOptions, encryption_options
from .event_stream import RoomEmitter
from .participant import (
    ConnectionQuality,
    FacadeMapping,
    LocalParticipant,
    Participant,
    RemoteParticipant,
    public_permission,
)
from .room_events import EventTypes
from .track import RemoteAudioTrack, RemoteTrack, RemoteVideoTrack
from .track_publication import LocalTrackPublication, RemoteTrackPublication, TrackPublication
from .transcription import TranscriptionSegment
from .version import __version__

__all__ = [
    "ConnectError",
    "ConnectionState",
    "DataPacket",
    "DataStreamOptions",
    "DisconnectReason",
    "EventTypes",
    "Room",
    "RoomOptions",
    "RtcConfiguration",
    "RtcStats",
    "SipDTMF",
    "TrackKind",
    "proto_participant",
    "proto_room",
]

# Looking a value up in an enum of protobuf is slow, and every packet needs one.
_KIND_RELIABLE, _KIND_LOSSY = DataPacketKind.KIND_RELIABLE, DataPacketKind.KIND_LOSSY


@dataclass
class DataStreamOptions:
    """`max_payload_byte_length`: the most bytes an incoming stream may have; None for no limit."""

    max_payload_byte_length: int | None = None


@dataclass
class RtcConfiguration:
    """`ice_transport_type`: `TRANSPORT_RELAY` sends everything through TURN servers, `TRANSPORT_NOHOST` tells no
    address of this machine. `GATHER_CONTINUALLY`: networks that this machine joins or leaves during the session
    count, too. `ice_servers` empty: those the server names."""

    ice_transport_type: proto_room.IceTransportType.ValueType = proto_room.IceTransportType.TRANSPORT_ALL
    continual_gathering_policy: proto_room.ContinualGatheringPolicy.ValueType = (
        proto_room.ContinualGatheringPolicy.GATHER_CONTINUALLY
    )
    ice_servers: list[proto_room.IceServer] = field(default_factory=list)


@dataclass
class RoomOptions:
    """How to join.

    `auto_subscribe`: receive every track. `dynacast`: stop encoding layers nobody watches. `encryption`
    encrypts media and data, `e2ee` media and data tracks alone. `connect_timeout`: seconds for the whole of `connect`
    (None: 15).
    `single_peer_connection`: one peer connection for both directions, where the server has that (False: never;
    None: as if True).
    `ssl_context`: how TLS is done, to the server and to `turns:` servers; for an authority of one's own
    `ssl.create_default_context(cafile="ca.pem")` (None: as this machine is set up). `proxy`:
    `http://[USER:PASSWORD@]HOST:PORT` for signalling (None: as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say; "": none).
    """

    auto_subscribe: bool = True
    dynacast: bool = False
    e2ee: E2EEOptions | None = None
    encryption: E2EEOptions | None = None
    rtc_config: RtcConfiguration | None = None
    connect_timeout: float | None = None
    single_peer_connection: bool | None = None
    data_stream: DataStreamOptions | None = None
    ssl_context: ssl.SSLContext | None = None
    proxy: str | None = None


@dataclass
class DataPacket:
    """`participant` is None for data that a server or a hidden participant sent."""

    data: bytes
    kind: DataPacketKind.ValueType
    participant: RemoteParticipant | None
    topic: str | None = None


@dataclass
class SipDTMF:
    code: int
    digit: str
    participant: RemoteParticipant | None = None


@dataclass
class RtcStats:
    publisher_stats: list[proto_stats.RtcStats]
    subscriber_stats: list[proto_stats.RtcStats]


class Room(RoomEmitter):
    """One room. It can be connected again after it was disconnected.

    `loop`: the loop it is used on; default the running one. Everything but `isconnected` must be called
    there.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__()
        self._loop = loop
        self._session: Session | None = None
        self._local_participant: LocalParticipant | None = None
        self._connection_state: ConnectionState.ValueType = ConnectionState.CONN_DISCONNECTED
        self._connecting = False
        self._e2ee_manager = E2EEManager(None, None)
        self.stream_handlers = StreamHandlers()
        self.rpc_registry = RpcRegistry()

    # ---- joining and leaving ----

    async def connect(self, url: str, token: str, options: RoomOptions | None = None) -> None:
        """Join the room that `token` grants, at the server `url` (ws, wss, http or https).

        When it returns, everyone who was there is in `remote_participants`; whatever happens after is an
        event.
        A server that is not there, or has no room for us just now, is asked three times more within
        `RoomOptions.connect_timeout`.
        Raises a ConnectError (greenroom.client.errors has one type per cause); nothing is left behind
        then, nor when cancelled.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise RuntimeError(
                "Room.connect runs on another event loop than the one given to Room; use that one"
            )
        if self._connecting or self.isconnected():
            raise ConnectError("this room is connected already; disconnect first, or use another Room")
        options = options or RoomOptions()
        previous = (self._session, self._local_participant, self.rpc_registry, self._e2ee_manager)
        self.rpc_registry = RpcRegistry()
        session_options = _session_options(options)

        async def attempt(deadline_s: float) -> None:
            self._session = session = Session(self, session_options)
            self._e2ee_manager = E2EEManager(session.encryption, options.encryption or options.e2ee)
            await session.connect(url, token, deadline_s)

        self._connecting = True
        try:
            await join_with_retries(attempt, session_options.connect_timeout_s)
        except BaseException:
            self._session, self._local_participant, self.rpc_registry, self._e2ee_manager = previous
            raise
        finally:
            self._connecting = False
        self._connection_state = ConnectionState.CONN_CONNECTED

    async def __aenter__(self) -> Room:
        """`async with rtc.Room() as room`: leaves at the end of the block, however it ends."""
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    async def disconnect(
        self, *, reason: DisconnectReason.ValueType = DisconnectReason.CLIENT_INITIATED
    ) -> None:
        """Leave. Harmless when not connected."""
        if self._session is not None and not self._connecting:
            await self._session.disconnect(reason)

    def isconnected(self) -> bool:
        """True from connect until disconnected, reconnecting included."""
        return self._connection_state != ConnectionState.CONN_DISCONNECTED

    # ---- what is there ----

    @property
    async def sid(self) -> str:
        """The room's SID; waits for the server to give it. RuntimeError when not connected."""
        if self._session is None:
            raise RuntimeError("the room has no SID before it is connected")
        return await asyncio.shield(self._session.sid)

    @property
    def local_participant(self) -> LocalParticipant:
        if self._local_participant is None:
            raise RuntimeError(
                "there is no local participant before the first connect; await Room.connect first"
            )
        return self._local_participant

    @property
    def connection_state(self) -> ConnectionState.ValueType:
        return self._connection_state

    @property
    def remote_participants(self) -> Mapping[str, RemoteParticipant]:
        """By identity; a live view."""
        if self._session is None or self._local_participant is None:
            return {}
        return FacadeMapping(self._session.state.remotes)

    @property
    def name(self) -> str:
        return self._info.name

    @property
    def metadata(self) -> str:
        return self._info.metadata

    @property
    def e2ee_manager(self) -> E2EEManager:
        """Keys and cryptors of this room; of the last connect."""
        return self._e2ee_manager

    @property
    def num_participants(self) -> int:
        """As the server counts, a few seconds old."""
        return self._info.num_participants

    @property
    def num_publishers(self) -> int:
        return self._info.num_publishers

    @property
    def creation_time(self) -> datetime.datetime:
        info = self._info
        created_ms = info.creation_time_ms or info.creation_time * 1000
        return datetime.datetime.fromtimestamp(created_ms / 1000, datetime.timezone.utc)

    @property
    def is_recording(self) -> bool:
        return self._info.active_recording

    @property
    def departure_timeout(self) -> float:
        """Seconds the room stays after the last participant left."""
        return float(self._info.departure_timeout)

    @property
    def empty_timeout(self) -> float:
        """Seconds the room stays when nobody joins."""
        return float(self._info.empty_timeout)

    async def get_rtc_stats(self) -> RtcStats:
        """Statistics of both peer connections; of the only one, as the publisher's, where there is one for both
        directions. RuntimeError when not connected."""
        session = self._session
        if session is None or session.closed or not self.isconnected():
            raise RuntimeError("there are no statistics: the room is not connected")
        try:
            sending, receiving = session.publisher.link, session.connections.receiving
            return RtcStats(
                publisher_stats=peer_stats(sending.peer.stats()),
                subscriber_stats=[] if receiving is sending else peer_stats(receiving.peer.stats()),
            )
        except _engine.EngineError as error:
            raise RuntimeError("there are no statistics: the room is reconnecting") from error

    # ---- data streams ----

    def register_text_stream_handler(self, topic: str, handler: TextStreamHandler) -> None:
        """Call `handler(reader, identity)` at each text stream of `topic`; before `connect` is best. It starts its
        own task to read. ValueError when the topic has one already, or for a coroutine function. Streams of other
        topics are ignored."""
        plain_function(f"the text stream handler of topic {topic!r}", handler)
        if topic in self.stream_handlers.text:
            raise ValueError(f"text stream handler for topic '{topic}' already set")

        def start(stream: IncomingStream, identity: str) -> None:
            handler(TextStreamReader(stream), identity)

        self.stream_handlers.text[topic] = start

    def unregister_text_stream_handler(self, topic: str) -> None:
        """Harmless when there is none. Readers that were handed out go on."""
        self.stream_handlers.text.pop(topic, None)

    def register_byte_stream_handler(self, topic: str, handler: ByteStreamHandler) -> None:
        """Like `register_text_stream_handler`, for streams of bytes and files."""
        plain_function(f"the byte stream handler of topic {topic!r}", handler)
        if topic in self.stream_handlers.bytes:
            raise ValueError(f"byte stream handler for topic '{topic}' already set")

        def start(stream: IncomingStream, identity: str) -> None:
            handler(ByteStreamReader(stream), identity)

        self.stream_handlers.bytes[topic] = start

    def unregister_byte_stream_handler(self, topic: str) -> None:
        """Harmless when there is none. Readers that were handed out go on."""
        self.stream_handlers.bytes.pop(topic, None)

    async def simulate_scenario(self, scenario: proto_room.SimulateScenarioKind.ValueType) -> None:
        """Order a failure, to see how an application takes it. RuntimeError when not connected; ValueError for
        an unknown scenario."""
        session = self._session
        if session is None or session.closed or not self.isconnected():
            raise RuntimeError("simulate_scenario requires a connected room")
        simulate(session, scenario)

    def __repr__(self) -> str:
        sid = self._info.sid or "unknown"
        state = ConnectionState.Name(self._connection_state)
        return f"rtc.Room(sid={sid}, name={self.name}, metadata={self.metadata}, connection_state={state})"

    @property
    def _info(self) -> models.Room:
        if self._session is None or self._local_participant is None:
            return models.Room()
        return self._session.state.room

    @property
    def _joined_session(self) -> Session:
        if self._session is None:
            raise RuntimeError("the room is not connected; await Room.connect first")
        return self._session

    # ---- what the session calls (greenroom.client.state.Facade) ----

    def make_participant(self, state: ParticipantState) -> Participant:
        state.room = self
        if not state.is_local:
            return RemoteParticipant(state)
        self._local_participant = LocalParticipant(self, state)
        return self._local_participant

    def make_publication(self, state: PublicationState) -> TrackPublication:
        return (LocalTrackPublication if state.participant.is_local else RemoteTrackPublication)(state)

    def make_track(self, state: TrackState) -> RemoteTrack:
        return (RemoteVideoTrack if state.kind == models.TrackType.VIDEO else RemoteAudioTrack)(state)

    def make_remote_data_track(self, state: RemoteDataTrackState) -> RemoteDataTrack:
        return RemoteDataTrack(state)

    def make_data_packet(
        self, data: bytes, reliable: bool, participant: Any, topic: str | None
    ) -> DataPacket:
        return DataPacket(data, _KIND_RELIABLE if reliable else _KIND_LOSSY, participant, topic)

    def make_dtmf(self, code: int, digit: str, participant: Any) -> SipDTMF:
        return SipDTMF(code, digit, participant)

    def make_segment(self, segment: models.TranscriptionSegment) -> TranscriptionSegment:
        return TranscriptionSegment(
            id=segment.id,
            text=segment.text,
            start_time=segment.start_time,
            end_time=segment.end_time,
            language=segment.language,
            final=segment.final,
        )

    def state_changed(self, session: Session, state: int) -> None:
        if session is self._session:
            self._connection_state = ConnectionState.ValueType(state)

    def session_ended(self, session: Session) -> None:
        if session is self._session:
            self._connection_state = ConnectionState.CONN_DISCONNECTED

    def emit(self, event: EventTypes, *args: Any) -> None:
        """Run the handlers of `event` now, with the public form of its arguments."""
        public = _PUBLIC_ARGUMENTS.get(event)
        super().emit(event, *(args if public is None else public(*args)))

    @property
    def _has_ended(self) -> bool:
        return self._session is not None and self._session.closed and not self._connecting


_PUBLIC_ARGUMENTS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "connection_quality_changed": lambda participant, quality: (participant, ConnectionQuality(quality)),
    "participant_permissions_changed": lambda participant, permission: (
        participant,
        public_permission(permission),
    ),
}


_TRANSPORT_POLICIES: dict[int, str] = {
    proto_room.IceTransportType.TRANSPORT_RELAY: "relay",
    proto_room.IceTransportType.TRANSPORT_NOHOST: "nohost",
    proto_room.IceTransportType.TRANSPORT_ALL: "all",
}


def _session_options(options: RoomOptions) -> SessionOptions:
    rtc = options.rtc_config or RtcConfiguration()
    policy = _TRANSPORT_POLICIES.get(rtc.ice_transport_type)
    if policy is None:
        known = ", ".join(proto_room.IceTransportType.keys())
        raise ValueError(f"ice_transport_type {rtc.ice_transport_type!r} is none of {known}")
    timeout = options.connect_timeout
    return SessionOptions(
        auto_subscribe=options.auto_subscribe,
        dynacast=options.dynacast,
        max_stream_payload_bytes=None
        if options.data_stream is None
        else options.data_stream.max_payload_byte_length,
        connect_timeout_s=DEFAULT_CONNECT_TIMEOUT_S if timeout is None else timeout,
        encryption=encryption_options(options.encryption, options.e2ee),
        transport_policy=policy,
        gather_continually=rtc.continual_gathering_policy
        == proto_room.ContinualGatheringPolicy.GATHER_CONTINUALLY,
        ice_servers=tuple(
            IceServerEntry(tuple(server.urls), server.username, server.password) for server in rtc.ice_servers
        ),
        route=HttpRoute(options.ssl_context, options.proxy),
        single_connection=options.single_peer_connection is not False,
        sdk_version=__version__,
    )

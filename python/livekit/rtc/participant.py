"""Participants of a room: the local one publishes, the remote ones are watched."""

from __future__ import annotations

import datetime
from abc import ABC
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from livekit.protocol import models
from livekit.protocol import rtc as proto_signal

from greenroom.client.errors import (
    PublishDataError,
    PublishDataTrackError,
    PublishDTMFError,
    PublishTrackError,
    PublishTranscriptionError,
    UnpublishTrackError,
)
from greenroom.client.options import PublishOptions
from greenroom.client.peer_link import DATA_TRACK
from greenroom.client.publisher import LOSSY
from greenroom.client.session import Session
from greenroom.client.state import ParticipantState

from ._arguments import instance, text
from ._arguments import payload as as_bytes
from ._enums import HelpfulEnum
from ._local_data import LocalData
from ._proto.participant_pb2 import (
    DisconnectReason,
    ParticipantKind,
    ParticipantKindDetail,
    ParticipantPermission,
)
from ._proto.participant_pb2 import (
    ParticipantState as ProtoParticipantState,
)
from ._proto.room_pb2 import TrackPublishOptions
from ._proto.track_pb2 import ParticipantTrackPermission
from ._proto.video_frame_pb2 import VideoCodec
from .data_track import LocalDataTrack, RemoteDataTrack
from .track import LocalAudioTrack, LocalTrack, LocalVideoTrack
from .track_publication import LocalTrackPublication, RemoteTrackPublication, TrackPublication
from .transcription import Transcription

if TYPE_CHECKING:
    from .room import Room

__all__ = [
    "ConnectionQuality",
    "DegradationPreference",
    "LocalParticipant",
    "Participant",
    "PublishDTMFError",
    "PublishDataError",
    "PublishDataTrackError",
    "PublishTrackError",
    "PublishTranscriptionError",
    "RemoteParticipant",
    "UnpublishTrackError",
]


class ConnectionQuality(HelpfulEnum):
    QUALITY_UNKNOWN = -1
    QUALITY_POOR = 0
    QUALITY_GOOD = 1
    QUALITY_EXCELLENT = 2
    QUALITY_LOST = 3


class DegradationPreference(HelpfulEnum):
    """What an encoder gives up first when it has too little bandwidth."""

    BALANCED = 0
    MAINTAIN_FRAMERATE = 1
    MAINTAIN_RESOLUTION = 2
    MAINTAIN_FRAMERATE_AND_RESOLUTION = 4


_KINDS = {
    models.ParticipantInfo.Kind.STANDARD: ParticipantKind.PARTICIPANT_KIND_STANDARD,
    models.ParticipantInfo.Kind.INGRESS: ParticipantKind.PARTICIPANT_KIND_INGRESS,
    models.ParticipantInfo.Kind.EGRESS: ParticipantKind.PARTICIPANT_KIND_EGRESS,
    models.ParticipantInfo.Kind.SIP: ParticipantKind.PARTICIPANT_KIND_SIP,
    models.ParticipantInfo.Kind.AGENT: ParticipantKind.PARTICIPANT_KIND_AGENT,
    models.ParticipantInfo.Kind.CONNECTOR: ParticipantKind.PARTICIPANT_KIND_CONNECTOR,
    models.ParticipantInfo.Kind.BRIDGE: ParticipantKind.PARTICIPANT_KIND_BRIDGE,
}
_PUBLICATION = TypeVar("_PUBLICATION", bound=TrackPublication)


class FacadeMapping(Mapping[str, _PUBLICATION], Generic[_PUBLICATION]):
    """A live, read-only view of a table of states, showing the public objects."""

    def __init__(self, states: Mapping[str, Any]) -> None:
        self._states = states

    def __getitem__(self, key: str) -> _PUBLICATION:
        return cast(_PUBLICATION, self._states[key].facade)

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    def __repr__(self) -> str:
        return repr(dict(self))


class Participant(ABC):  # noqa: B024 - made by the room only
    """Common to local and remote participants. Values follow the server's updates."""

    def __init__(self, owned_info: ParticipantState) -> None:
        """Made by the room."""
        self._room: Room = owned_info.room
        self._state = owned_info
        owned_info.facade = self

    @property
    def _info(self) -> models.ParticipantInfo:
        """livekit-agents reads the client protocol there, as the reference has it."""
        return self._state.info

    @property
    def sid(self) -> str:
        return self._state.sid

    @property
    def identity(self) -> str:
        return self._state.identity

    @property
    def name(self) -> str:
        return self._state.info.name

    @property
    def metadata(self) -> str:
        return self._state.info.metadata

    @property
    def attributes(self) -> dict[str, str]:
        return dict(self._state.info.attributes)

    @property
    def state(self) -> ProtoParticipantState.ValueType:
        return int(self._state.info.state)

    @property
    def kind(self) -> ParticipantKind.ValueType:
        return _KINDS.get(self._state.info.kind, ParticipantKind.PARTICIPANT_KIND_STANDARD)

    @property
    def kind_details(self) -> list[ParticipantKindDetail.ValueType]:
        return [int(detail) for detail in self._state.info.kind_details]

    @property
    def joined_at(self) -> datetime.datetime | None:
        """None as long as the server has not said."""
        info = self._state.info
        joined_ms = info.joined_at_ms or info.joined_at * 1000
        return datetime.datetime.fromtimestamp(joined_ms / 1000, datetime.timezone.utc) if joined_ms else None

    @property
    def disconnect_reason(self) -> DisconnectReason.ValueType | None:
        """Why the participant left; None while it is there."""
        info = self._state.info
        return int(info.disconnect_reason) if info.state == models.ParticipantInfo.DISCONNECTED else None

    @property
    def connection_quality(self) -> ConnectionQuality:
        return ConnectionQuality(self._state.quality)

    @property
    def is_encrypted(self) -> bool:
        """Whether all tracks of the participant are encrypted end to end; False when it has none."""
        return self._state.is_encrypted

    @property
    def permissions(self) -> ParticipantPermission:
        return public_permission(self._state.info.permission)

    @property
    def track_publications(self) -> Mapping[str, TrackPublication]:
        """By track SID; a live view."""
        return FacadeMapping[TrackPublication](self._state.publications)

    @property
    def audio_level(self) -> float:
        """0 to 1, of an active speaker; otherwise 0."""
        return self._state.audio_level

    @property
    def is_speaking(self) -> bool:
        return self._state.is_speaking

    def _describe(self, kind: str) -> str:
        state = ProtoParticipantState.Name(self.state).removeprefix("PARTICIPANT_STATE_").lower()
        return (
            f"rtc.{kind}(sid={self.sid}, identity={self.identity}, name={self.name}, state={state}, "
            f"tracks={len(self._state.publications)})"
        )

    @property
    def _session(self) -> Session:
        return self._room._joined_session

    @property
    def _current(self) -> Participant | None:
        """This participant as it is in the room now: after a restart another object. None when it is not there."""
        known = self._state
        while known.successor is not None:
            known = known.successor
        session = self._session
        # A session that is just joining has no state yet, and this participant belongs to an earlier one.
        state = None if session.closed else getattr(session, "state", None)
        present = state is not None and state.by_sid.get(known.sid) is known
        return cast(Participant, known.facade) if present else None

    @property
    def _is_returning(self) -> bool:
        """It left because the room restarts its session, and may be back in a moment."""
        known = self._state
        while known.successor is not None:
            known = known.successor
        return known.returning and not self._session.closed

    def _watch_tracks(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when tracks of this participant come or go, or it leaves. Returns the function that
        stops it."""
        watchers = self._state.watchers
        watchers.append(callback)

        def unwatch() -> None:
            if callback in watchers:
                watchers.remove(callback)

        return unwatch


def public_permission(permission: models.ParticipantPermission) -> ParticipantPermission:
    return ParticipantPermission(
        can_subscribe=permission.can_subscribe,
        can_publish=permission.can_publish,
        can_publish_data=permission.can_publish_data,
        can_publish_sources=[int(source) for source in permission.can_publish_sources],
        hidden=permission.hidden,
        can_update_metadata=permission.can_update_metadata,
        can_subscribe_metrics=permission.can_subscribe_metrics,
        can_manage_agent_session=permission.can_manage_agent_session,
    )


class RemoteParticipant(Participant):
    @property
    def track_publications(self) -> Mapping[str, RemoteTrackPublication]:
        return FacadeMapping[RemoteTrackPublication](self._state.publications)

    @property
    def data_tracks(self) -> list[RemoteDataTrack]:
        """What it publishes now."""
        session = self._session
        return [] if session.closed else [t.facade for t in session.data_tracks.remote.of(self.identity)]

    def __repr__(self) -> str:
        return self._describe("RemoteParticipant")


_DEFAULT_PUBLISH_OPTIONS = TrackPublishOptions()


class LocalParticipant(LocalData, Participant):
    """The participant that this room object joined as."""

    def __init__(self, room_queue: Room, owned_info: ParticipantState) -> None:
        """Made by the room."""
        super().__init__(owned_info)
        self._rpc = room_queue.rpc_registry

    @property
    def track_publications(self) -> Mapping[str, LocalTrackPublication]:
        return FacadeMapping[LocalTrackPublication](self._state.publications)

    async def publish_track(
        self, track: LocalTrack, options: TrackPublishOptions | None = _DEFAULT_PUBLISH_OPTIONS
    ) -> LocalTrackPublication:
        """Publish a track; it is being sent when this returns.

        Raises PublishTrackError: not connected, not allowed by the token, no answer, or a codec that
        can't be sent.
        """
        if not isinstance(track, (LocalAudioTrack, LocalVideoTrack)):
            raise TypeError(f"track is {track!r}: it must be a LocalAudioTrack or a LocalVideoTrack")
        session = self._connected(PublishTrackError, "publish a track")
        source = track.source
        size = (int(getattr(source, "_width", 0)), int(getattr(source, "_height", 0)))
        state = await session.publications.publish(
            track._state, _publish_options(track, options or TrackPublishOptions()), size
        )
        return cast(LocalTrackPublication, state.facade)

    async def unpublish_track(self, track_sid: str) -> None:
        """Stop sending a track and take it out of the room. UnpublishTrackError when it is not published."""
        self._connected(UnpublishTrackError, "unpublish a track").publications.unpublish(track_sid)

    async def publish_data_track(self, *, name: str) -> LocalDataTrack:
        """Announce a track of data frames; push them with `LocalDataTrack.try_push`.

        `name`: 1 to 256 bytes, not that of another data track of ours. Raises PublishDataTrackError.
        """
        session = self._connected(PublishDataTrackError, "publish a data track")
        return LocalDataTrack(await session.data_tracks.local.publish(text("name", name)))

    @property
    def dropped_lossy_packets(self) -> int:
        """How many packets of `publish_data(..., reliable=False)` were given up for newer ones, because more was
        published than the connection takes. Counted anew in each session."""
        return self._connected(RuntimeError, "tell what was dropped").sender.dropped(LOSSY)

    @property
    def dropped_data_track_frames(self) -> int:
        """The same for the frames of all our data tracks together."""
        return self._connected(RuntimeError, "tell what was dropped").sender.dropped(DATA_TRACK)

    async def publish_data(
        self,
        payload: bytes | str,
        *,
        reliable: bool = True,
        destination_identities: list[str] | None = None,
        topic: str = "",
    ) -> None:
        """Send a packet to everyone, or to those named. Waits while the channel is full.

        Raises PublishDataError when it is larger than the server takes (about 64,000 bytes) or no
        channel opens.
        """
        session = self._connected(PublishDataError, "publish data")
        if isinstance(destination_identities, str):
            raise TypeError(
                f"destination_identities is {destination_identities!r}: it must be a list of identities"
            )
        user = models.UserPacket(payload=as_bytes("payload", payload), topic=text("topic", topic or ""))
        packet = models.DataPacket(
            user=user,
            destination_identities=destination_identities or (),
        )
        await session.sender.send(packet, reliable=reliable)

    async def publish_dtmf(self, *, code: int, digit: str) -> None:
        """Send one DTMF tone to SIP participants. Raises PublishDTMFError."""
        packet = models.DataPacket(sip_dtmf=models.SipDTMF(code=code, digit=digit))
        await self._send(packet, PublishDTMFError, "publish a DTMF tone")

    async def publish_transcription(self, transcription: Transcription) -> None:
        """Send a transcription; servers pass it on for agents only. Raises PublishTranscriptionError."""
        message = models.Transcription(
            transcribed_participant_identity=transcription.participant_identity,
            track_id=transcription.track_sid,
        )
        for s in transcription.segments:
            message.segments.add(
                id=s.id,
                text=s.text,
                start_time=s.start_time,
                end_time=s.end_time,
                language=s.language,
                final=s.final,
            )
        packet = models.DataPacket(transcription=message)
        await self._send(packet, PublishTranscriptionError, "publish a transcription")

    async def set_metadata(self, metadata: str) -> None:
        """Needs the grant can_update_own_metadata; an empty string changes nothing.

        Returns when the server has said yes. Raises a RequestError (greenroom.client.errors): NotAllowedError,
        LimitExceededError (512 KiB) or RequestTimeoutError (5 s); RuntimeError when not connected.
        """
        requests = self._connected(RuntimeError, "set metadata").requests
        await requests.update_own(metadata=text("metadata", metadata))

    async def set_name(self, name: str) -> None:
        """Like `set_metadata`, for the display name: at most 256 characters."""
        await self._connected(RuntimeError, "set the name").requests.update_own(name=text("name", name))

    async def set_attributes(self, attributes: dict[str, str]) -> None:
        """Merge into the present ones; an empty value deletes its key. Raises like `set_metadata`; the limit is 64 KiB."""
        if not isinstance(attributes, Mapping):
            raise TypeError(f"attributes is {attributes!r}: it must be a dict")
        for key, value in attributes.items():
            text(f"the attribute {text('a key of attributes', key)!r}", value)
        await self._connected(RuntimeError, "set attributes").requests.update_own(attributes=dict(attributes))

    def set_track_subscription_permissions(
        self,
        *,
        allow_all_participants: bool,
        participant_permissions: list[ParticipantTrackPermission] | None = None,
    ) -> None:
        """Who may subscribe to our tracks. Replaces what was set before; default: everyone to all."""
        message = proto_signal.SubscriptionPermission(all_participants=allow_all_participants)
        for permission in participant_permissions or ():
            instance("a permission", permission, ParticipantTrackPermission)
            if not permission.participant_identity:
                raise ValueError("a permission names no participant: set participant_identity")
            message.track_permissions.add(
                participant_identity=permission.participant_identity,
                all_tracks=permission.allow_all,
                track_sids=list(permission.allowed_track_sids),
            )
        self._session.send("subscription_permission", message)

    async def _send(self, packet: models.DataPacket, error: Callable[[str], Exception], what: str) -> None:
        try:
            await self._connected(error, what).sender.send(packet, reliable=True)
        except PublishDataError as failure:
            raise error(failure.message) from failure

    def _connected(self, error: Callable[[str], Exception], what: str) -> Session:
        session = self._session
        if session.closed:
            raise error(f"can't {what}: the room is not connected any more; connect first")
        return session

    def __repr__(self) -> str:
        return self._describe("LocalParticipant")


def _publish_options(track: LocalTrack, options: TrackPublishOptions) -> PublishOptions:
    is_audio = isinstance(track, LocalAudioTrack)
    encoding = options.audio_encoding if is_audio else options.video_encoding
    return PublishOptions(
        source=options.source,
        video_codec=VideoCodec.Name(options.video_codec).lower(),
        max_bitrate_bps=encoding.max_bitrate or None,
        max_framerate=None if is_audio else options.video_encoding.max_framerate or None,
        simulcast=options.simulcast if options.HasField("simulcast") else True,
        dtx=options.dtx if options.HasField("dtx") else True,
        stereo=is_audio and getattr(track.source, "num_channels", 1) == 2,
        stream=options.stream,
    )

"""Which arguments the handlers of each event get, for type checkers: the types of `Room.on` and `Room.once`.

A handler may take fewer arguments than its event has; it gets the first ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from ._proto.e2ee_pb2 import EncryptionState
    from ._proto.participant_pb2 import DisconnectReason, ParticipantPermission
    from ._proto.room_pb2 import ConnectionState
    from .data_track import RemoteDataTrack
    from .participant import ConnectionQuality, Participant, RemoteParticipant
    from .room import DataPacket, SipDTMF
    from .track import LocalTrack, RemoteTrack
    from .track_publication import LocalTrackPublication, RemoteTrackPublication, TrackPublication
    from .transcription import TranscriptionSegment

_A = TypeVar("_A")
_B = TypeVar("_B")
_C = TypeVar("_C")

Shorter1 = Callable[[], object]
Shorter2 = Callable[[_A], object] | Callable[[], object]
Shorter3 = Callable[[_A, _B], object] | Callable[[_A], object] | Callable[[], object]
"""Handlers of one, two and three arguments that leave out the last ones."""


class Decorator0(Protocol):
    def __call__(self, callback: Callable[[], object], /) -> Callable[[], object]: ...


class Decorator1(Protocol[_A]):
    @overload
    def __call__(self, callback: Callable[[_A], object], /) -> Callable[[_A], object]: ...
    @overload
    def __call__(self, callback: Callable[[], object], /) -> Callable[[], object]: ...


class Decorator2(Protocol[_A, _B]):
    @overload
    def __call__(self, callback: Callable[[_A, _B], object], /) -> Callable[[_A, _B], object]: ...
    @overload
    def __call__(self, callback: Callable[[_A], object], /) -> Callable[[_A], object]: ...
    @overload
    def __call__(self, callback: Callable[[], object], /) -> Callable[[], object]: ...


class Decorator3(Protocol[_A, _B, _C]):
    @overload
    def __call__(self, callback: Callable[[_A, _B, _C], object], /) -> Callable[[_A, _B, _C], object]: ...
    @overload
    def __call__(self, callback: Callable[[_A, _B], object], /) -> Callable[[_A, _B], object]: ...
    @overload
    def __call__(self, callback: Callable[[_A], object], /) -> Callable[[_A], object]: ...
    @overload
    def __call__(self, callback: Callable[[], object], /) -> Callable[[], object]: ...


class Register(Protocol):
    """`room.on(event, handler)` registers; `@room.on(event)` decorates."""

    @overload
    def __call__(
        self,
        event: Literal["participant_connected", "participant_disconnected", "participant_active"],
        callback: Callable[[RemoteParticipant], object],
    ) -> Callable[[RemoteParticipant], object]: ...
    @overload
    def __call__(
        self,
        event: Literal["participant_connected", "participant_disconnected", "participant_active"],
        callback: Shorter1,
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self,
        event: Literal["participant_connected", "participant_disconnected", "participant_active"],
        callback: None = None,
    ) -> Decorator1[RemoteParticipant]: ...
    @overload
    def __call__(
        self,
        event: Literal["local_track_published"],
        callback: Callable[[LocalTrackPublication, LocalTrack], object],
    ) -> Callable[[LocalTrackPublication, LocalTrack], object]: ...
    @overload
    def __call__(
        self, event: Literal["local_track_published"], callback: Shorter2[LocalTrackPublication]
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["local_track_published"], callback: None = None
    ) -> Decorator2[LocalTrackPublication, LocalTrack]: ...
    @overload
    def __call__(
        self, event: Literal["local_track_unpublished"], callback: Callable[[LocalTrackPublication], object]
    ) -> Callable[[LocalTrackPublication], object]: ...
    @overload
    def __call__(
        self, event: Literal["local_track_unpublished"], callback: Shorter1
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["local_track_unpublished"], callback: None = None
    ) -> Decorator1[LocalTrackPublication]: ...
    @overload
    def __call__(
        self,
        event: Literal["local_track_republished"],
        callback: Callable[[LocalTrackPublication, str], object],
    ) -> Callable[[LocalTrackPublication, str], object]: ...
    @overload
    def __call__(
        self, event: Literal["local_track_republished"], callback: Shorter2[LocalTrackPublication]
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["local_track_republished"], callback: None = None
    ) -> Decorator2[LocalTrackPublication, str]: ...
    @overload
    def __call__(
        self, event: Literal["local_track_subscribed"], callback: Callable[[LocalTrack], object]
    ) -> Callable[[LocalTrack], object]: ...
    @overload
    def __call__(
        self, event: Literal["local_track_subscribed"], callback: Shorter1
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["local_track_subscribed"], callback: None = None
    ) -> Decorator1[LocalTrack]: ...
    @overload
    def __call__(
        self,
        event: Literal["track_published", "track_unpublished"],
        callback: Callable[[RemoteTrackPublication, RemoteParticipant], object],
    ) -> Callable[[RemoteTrackPublication, RemoteParticipant], object]: ...
    @overload
    def __call__(
        self,
        event: Literal["track_published", "track_unpublished"],
        callback: Shorter2[RemoteTrackPublication],
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["track_published", "track_unpublished"], callback: None = None
    ) -> Decorator2[RemoteTrackPublication, RemoteParticipant]: ...
    @overload
    def __call__(
        self,
        event: Literal["track_subscribed", "track_unsubscribed"],
        callback: Callable[[RemoteTrack, RemoteTrackPublication, RemoteParticipant], object],
    ) -> Callable[[RemoteTrack, RemoteTrackPublication, RemoteParticipant], object]: ...
    @overload
    def __call__(
        self,
        event: Literal["track_subscribed", "track_unsubscribed"],
        callback: Shorter3[RemoteTrack, RemoteTrackPublication],
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["track_subscribed", "track_unsubscribed"], callback: None = None
    ) -> Decorator3[RemoteTrack, RemoteTrackPublication, RemoteParticipant]: ...
    @overload
    def __call__(
        self,
        event: Literal["track_subscription_failed"],
        callback: Callable[[RemoteParticipant, str, str], object],
    ) -> Callable[[RemoteParticipant, str, str], object]: ...
    @overload
    def __call__(
        self, event: Literal["track_subscription_failed"], callback: Shorter3[RemoteParticipant, str]
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["track_subscription_failed"], callback: None = None
    ) -> Decorator3[RemoteParticipant, str, str]: ...
    @overload
    def __call__(
        self,
        event: Literal["track_muted", "track_unmuted"],
        callback: Callable[[Participant, TrackPublication], object],
    ) -> Callable[[Participant, TrackPublication], object]: ...
    @overload
    def __call__(
        self, event: Literal["track_muted", "track_unmuted"], callback: Shorter2[Participant]
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["track_muted", "track_unmuted"], callback: None = None
    ) -> Decorator2[Participant, TrackPublication]: ...
    @overload
    def __call__(
        self, event: Literal["active_speakers_changed"], callback: Callable[[list[Participant]], object]
    ) -> Callable[[list[Participant]], object]: ...
    @overload
    def __call__(
        self, event: Literal["active_speakers_changed"], callback: Shorter1
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["active_speakers_changed"], callback: None = None
    ) -> Decorator1[list[Participant]]: ...
    @overload
    def __call__(
        self, event: Literal["room_metadata_changed"], callback: Callable[[str, str], object]
    ) -> Callable[[str, str], object]: ...
    @overload
    def __call__(
        self, event: Literal["room_metadata_changed"], callback: Shorter2[str]
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["room_metadata_changed"], callback: None = None
    ) -> Decorator2[str, str]: ...
    @overload
    def __call__(
        self,
        event: Literal["participant_metadata_changed", "participant_name_changed"],
        callback: Callable[[Participant, str, str], object],
    ) -> Callable[[Participant, str, str], object]: ...
    @overload
    def __call__(
        self,
        event: Literal["participant_metadata_changed", "participant_name_changed"],
        callback: Shorter3[Participant, str],
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self,
        event: Literal["participant_metadata_changed", "participant_name_changed"],
        callback: None = None,
    ) -> Decorator3[Participant, str, str]: ...
    @overload
    def __call__(
        self,
        event: Literal["participant_attributes_changed"],
        callback: Callable[[dict[str, str], Participant], object],
    ) -> Callable[[dict[str, str], Participant], object]: ...
    @overload
    def __call__(
        self, event: Literal["participant_attributes_changed"], callback: Shorter2[dict[str, str]]
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["participant_attributes_changed"], callback: None = None
    ) -> Decorator2[dict[str, str], Participant]: ...
    @overload
    def __call__(
        self,
        event: Literal["participant_encryption_status_changed"],
        callback: Callable[[Participant, bool], object],
    ) -> Callable[[Participant, bool], object]: ...
    @overload
    def __call__(
        self, event: Literal["participant_encryption_status_changed"], callback: Shorter2[Participant]
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["participant_encryption_status_changed"], callback: None = None
    ) -> Decorator2[Participant, bool]: ...
    @overload
    def __call__(
        self,
        event: Literal["participant_permissions_changed"],
        callback: Callable[[Participant, ParticipantPermission], object],
    ) -> Callable[[Participant, ParticipantPermission], object]: ...
    @overload
    def __call__(
        self, event: Literal["participant_permissions_changed"], callback: Shorter2[Participant]
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["participant_permissions_changed"], callback: None = None
    ) -> Decorator2[Participant, ParticipantPermission]: ...
    @overload
    def __call__(
        self,
        event: Literal["connection_quality_changed"],
        callback: Callable[[Participant, ConnectionQuality], object],
    ) -> Callable[[Participant, ConnectionQuality], object]: ...
    @overload
    def __call__(
        self, event: Literal["connection_quality_changed"], callback: Shorter2[Participant]
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["connection_quality_changed"], callback: None = None
    ) -> Decorator2[Participant, ConnectionQuality]: ...
    @overload
    def __call__(
        self,
        event: Literal["transcription_received"],
        callback: Callable[[list[TranscriptionSegment], Participant | None, TrackPublication | None], object],
    ) -> Callable[[list[TranscriptionSegment], Participant | None, TrackPublication | None], object]: ...
    @overload
    def __call__(
        self,
        event: Literal["transcription_received"],
        callback: Shorter3[list[TranscriptionSegment], Participant | None],
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["transcription_received"], callback: None = None
    ) -> Decorator3[list[TranscriptionSegment], Participant | None, TrackPublication | None]: ...
    @overload
    def __call__(
        self, event: Literal["data_received"], callback: Callable[[DataPacket], object]
    ) -> Callable[[DataPacket], object]: ...
    @overload
    def __call__(self, event: Literal["data_received"], callback: Shorter1) -> Callable[..., object]: ...
    @overload
    def __call__(self, event: Literal["data_received"], callback: None = None) -> Decorator1[DataPacket]: ...
    @overload
    def __call__(
        self, event: Literal["sip_dtmf_received"], callback: Callable[[SipDTMF], object]
    ) -> Callable[[SipDTMF], object]: ...
    @overload
    def __call__(self, event: Literal["sip_dtmf_received"], callback: Shorter1) -> Callable[..., object]: ...
    @overload
    def __call__(self, event: Literal["sip_dtmf_received"], callback: None = None) -> Decorator1[SipDTMF]: ...
    @overload
    def __call__(
        self,
        event: Literal["e2ee_state_changed"],
        callback: Callable[[Participant, EncryptionState.ValueType], object],
    ) -> Callable[[Participant, EncryptionState.ValueType], object]: ...
    @overload
    def __call__(
        self, event: Literal["e2ee_state_changed"], callback: Shorter2[Participant]
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["e2ee_state_changed"], callback: None = None
    ) -> Decorator2[Participant, EncryptionState.ValueType]: ...
    @overload
    def __call__(
        self,
        event: Literal["connection_state_changed"],
        callback: Callable[[ConnectionState.ValueType], object],
    ) -> Callable[[ConnectionState.ValueType], object]: ...
    @overload
    def __call__(
        self, event: Literal["connection_state_changed"], callback: Shorter1
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["connection_state_changed"], callback: None = None
    ) -> Decorator1[ConnectionState.ValueType]: ...
    @overload
    def __call__(
        self, event: Literal["disconnected"], callback: Callable[[DisconnectReason.ValueType], object]
    ) -> Callable[[DisconnectReason.ValueType], object]: ...
    @overload
    def __call__(self, event: Literal["disconnected"], callback: Shorter1) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["disconnected"], callback: None = None
    ) -> Decorator1[DisconnectReason.ValueType]: ...
    @overload
    def __call__(
        self, event: Literal["data_track_published"], callback: Callable[[RemoteDataTrack], object]
    ) -> Callable[[RemoteDataTrack], object]: ...
    @overload
    def __call__(
        self, event: Literal["data_track_published"], callback: Shorter1
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["data_track_published"], callback: None = None
    ) -> Decorator1[RemoteDataTrack]: ...
    @overload
    def __call__(
        self, event: Literal["data_track_unpublished"], callback: Callable[[str], object]
    ) -> Callable[[str], object]: ...
    @overload
    def __call__(
        self, event: Literal["data_track_unpublished"], callback: Shorter1
    ) -> Callable[..., object]: ...
    @overload
    def __call__(
        self, event: Literal["data_track_unpublished"], callback: None = None
    ) -> Decorator1[str]: ...
    @overload
    def __call__(
        self,
        event: Literal[
            "connected", "reconnecting", "reconnected", "room_updated", "moved", "token_refreshed"
        ],
        callback: Callable[[], object],
    ) -> Callable[[], object]: ...
    @overload
    def __call__(
        self,
        event: Literal[
            "connected", "reconnecting", "reconnected", "room_updated", "moved", "token_refreshed"
        ],
        callback: None = None,
    ) -> Decorator0: ...

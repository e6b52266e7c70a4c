"""What `Room.events()` yields: one class an event, with its arguments as fields, in the order handlers get them.

```python
async for event in room.events():
    match event:
        case room_events.TrackSubscribed(track=track): ...
        case room_events.Disconnected(reason=reason): ...
```
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

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

EventTypes = Literal[
    "participant_connected", "participant_disconnected", "participant_active",
    "local_track_published", "local_track_unpublished", "local_track_republished", "local_track_subscribed",
    "track_published", "track_unpublished", "track_subscribed", "track_unsubscribed",
    "track_subscription_failed",
    "track_muted", "track_unmuted", "active_speakers_changed", "room_metadata_changed",
    "participant_metadata_changed", "participant_name_changed", "participant_attributes_changed",
    "participant_encryption_status_changed", "participant_permissions_changed",
    "connection_quality_changed", "transcription_received", "data_received", "sip_dtmf_received",
    "e2ee_state_changed", "connection_state_changed", "connected", "disconnected", "reconnecting",
    "reconnected",
    "room_updated", "moved", "token_refreshed", "data_track_published", "data_track_unpublished",
]  # fmt: skip


@dataclass(frozen=True)
class RoomEvent:
    """`name` is what `Room.on` takes."""

    name: ClassVar[EventTypes]

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What a handler of `Room.on` is called with."""
        return tuple(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class ParticipantConnected(RoomEvent):
    name = "participant_connected"
    participant: RemoteParticipant


@dataclass(frozen=True)
class ParticipantDisconnected(RoomEvent):
    name = "participant_disconnected"
    participant: RemoteParticipant


@dataclass(frozen=True)
class ParticipantActive(RoomEvent):
    name = "participant_active"
    participant: RemoteParticipant


@dataclass(frozen=True)
class LocalTrackPublished(RoomEvent):
    name = "local_track_published"
    publication: LocalTrackPublication
    track: LocalTrack


@dataclass(frozen=True)
class LocalTrackUnpublished(RoomEvent):
    name = "local_track_unpublished"
    publication: LocalTrackPublication


@dataclass(frozen=True)
class LocalTrackRepublished(RoomEvent):
    name = "local_track_republished"
    publication: LocalTrackPublication
    previous_sid: str


@dataclass(frozen=True)
class LocalTrackSubscribed(RoomEvent):
    name = "local_track_subscribed"
    track: LocalTrack


@dataclass(frozen=True)
class TrackPublished(RoomEvent):
    name = "track_published"
    publication: RemoteTrackPublication
    participant: RemoteParticipant


@dataclass(frozen=True)
class TrackUnpublished(RoomEvent):
    name = "track_unpublished"
    publication: RemoteTrackPublication
    participant: RemoteParticipant


@dataclass(frozen=True)
class TrackSubscribed(RoomEvent):
    name = "track_subscribed"
    track: RemoteTrack
    publication: RemoteTrackPublication
    participant: RemoteParticipant


@dataclass(frozen=True)
class TrackUnsubscribed(RoomEvent):
    name = "track_unsubscribed"
    track: RemoteTrack
    publication: RemoteTrackPublication
    participant: RemoteParticipant


@dataclass(frozen=True)
class TrackSubscriptionFailed(RoomEvent):
    name = "track_subscription_failed"
    participant: RemoteParticipant
    track_sid: str
    error: str


@dataclass(frozen=True)
class TrackMuted(RoomEvent):
    name = "track_muted"
    participant: Participant
    publication: TrackPublication


@dataclass(frozen=True)
class TrackUnmuted(RoomEvent):
    name = "track_unmuted"
    participant: Participant
    publication: TrackPublication


@dataclass(frozen=True)
class ActiveSpeakersChanged(RoomEvent):
    name = "active_speakers_changed"
    speakers: list[Participant]


@dataclass(frozen=True)
class RoomMetadataChanged(RoomEvent):
    name = "room_metadata_changed"
    old: str
    new: str


@dataclass(frozen=True)
class ParticipantMetadataChanged(RoomEvent):
    name = "participant_metadata_changed"
    participant: Participant
    old: str
    new: str


@dataclass(frozen=True)
class ParticipantNameChanged(RoomEvent):
    name = "participant_name_changed"
    participant: Participant
    old: str
    new: str


@dataclass(frozen=True)
class ParticipantAttributesChanged(RoomEvent):
    name = "participant_attributes_changed"
    changed: dict[str, str]
    participant: Participant


@dataclass(frozen=True)
class ParticipantEncryptionStatusChanged(RoomEvent):
    name = "participant_encryption_status_changed"
    participant: Participant
    is_encrypted: bool


@dataclass(frozen=True)
class ParticipantPermissionsChanged(RoomEvent):
    name = "participant_permissions_changed"
    participant: Participant
    permissions: ParticipantPermission


@dataclass(frozen=True)
class ConnectionQualityChanged(RoomEvent):
    name = "connection_quality_changed"
    participant: Participant
    quality: ConnectionQuality


@dataclass(frozen=True)
class TranscriptionReceived(RoomEvent):
    name = "transcription_received"
    segments: list[TranscriptionSegment]
    participant: Participant | None
    publication: TrackPublication | None


@dataclass(frozen=True)
class DataReceived(RoomEvent):
    name = "data_received"
    packet: DataPacket


@dataclass(frozen=True)
class SipDtmfReceived(RoomEvent):
    name = "sip_dtmf_received"
    tone: SipDTMF


@dataclass(frozen=True)
class E2EEStateChanged(RoomEvent):
    name = "e2ee_state_changed"
    participant: Participant
    state: EncryptionState.ValueType


@dataclass(frozen=True)
class ConnectionStateChanged(RoomEvent):
    name = "connection_state_changed"
    state: ConnectionState.ValueType


@dataclass(frozen=True)
class Disconnected(RoomEvent):
    name = "disconnected"
    reason: DisconnectReason.ValueType


@dataclass(frozen=True)
class DataTrackPublished(RoomEvent):
    name = "data_track_published"
    track: RemoteDataTrack


@dataclass(frozen=True)
class DataTrackUnpublished(RoomEvent):
    name = "data_track_unpublished"
    track_sid: str


@dataclass(frozen=True)
class Connected(RoomEvent):
    name = "connected"


@dataclass(frozen=True)
class Reconnecting(RoomEvent):
    name = "reconnecting"


@dataclass(frozen=True)
class Reconnected(RoomEvent):
    name = "reconnected"


@dataclass(frozen=True)
class RoomUpdated(RoomEvent):
    name = "room_updated"


@dataclass(frozen=True)
class Moved(RoomEvent):
    name = "moved"


@dataclass(frozen=True)
class TokenRefreshed(RoomEvent):
    name = "token_refreshed"


EVENT_CLASSES: dict[EventTypes, type[RoomEvent]] = {kind.name: kind for kind in RoomEvent.__subclasses__()}
"""By the names of `Room.on`."""

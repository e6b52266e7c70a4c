"""What `Room.wait_for` returns for each event, for type checkers: None, the argument, or a tuple of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol, overload

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


class WaitFor(Protocol):
    """`await room.wait_for(event, predicate, timeout)`."""

    @overload
    async def __call__(
        self,
        event: Literal["participant_connected", "participant_disconnected", "participant_active"],
        predicate: Callable[[RemoteParticipant], object] | None = None,
        timeout: float | None = None,
    ) -> RemoteParticipant: ...
    @overload
    async def __call__(
        self,
        event: Literal["local_track_published"],
        predicate: Callable[[LocalTrackPublication, LocalTrack], object] | None = None,
        timeout: float | None = None,
    ) -> tuple[LocalTrackPublication, LocalTrack]: ...
    @overload
    async def __call__(
        self,
        event: Literal["local_track_unpublished"],
        predicate: Callable[[LocalTrackPublication], object] | None = None,
        timeout: float | None = None,
    ) -> LocalTrackPublication: ...
    @overload
    async def __call__(
        self,
        event: Literal["local_track_republished"],
        predicate: Callable[[LocalTrackPublication, str], object] | None = None,
        timeout: float | None = None,
    ) -> tuple[LocalTrackPublication, str]: ...
    @overload
    async def __call__(
        self,
        event: Literal["local_track_subscribed"],
        predicate: Callable[[LocalTrack], object] | None = None,
        timeout: float | None = None,
    ) -> LocalTrack: ...
    @overload
    async def __call__(
        self,
        event: Literal["track_published", "track_unpublished"],
        predicate: Callable[[RemoteTrackPublication, RemoteParticipant], object] | None = None,
        timeout: float | None = None,
    ) -> tuple[RemoteTrackPublication, RemoteParticipant]: ...
    @overload
    async def __call__(
        self,
        event: Literal["track_subscribed", "track_unsubscribed"],
        predicate: Callable[[RemoteTrack, RemoteTrackPublication, RemoteParticipant], object] | None = None,
        timeout: float | None = None,
    ) -> tuple[RemoteTrack, RemoteTrackPublication, RemoteParticipant]: ...
    @overload
    async def __call__(
        self,
        event: Literal["track_subscription_failed"],
        predicate: Callable[[RemoteParticipant, str, str], object] | None = None,
        timeout: float | None = None,
    ) -> tuple[RemoteParticipant, str, str]: ...
    @overload
    async def __call__(
        self,
        event: Literal["track_muted", "track_unmuted"],
        predicate: Callable[[Participant, TrackPublication], object] | None = None,
        timeout: float | None = None,
    ) -> tuple[Participant, TrackPublication]: ...
    @overload
    async def __call__(
        self,
        event: Literal["active_speakers_changed"],
        predicate: Callable[[list[Participant]], object] | None = None,
        timeout: float | None = None,
    ) -> list[Participant]: ...
    @overload
    async def __call__(
        self,
        event: Literal["room_metadata_changed"],
        predicate: Callable[[str, str], object] | None = None,
        timeout: float | None = None,
    ) -> tuple[str, str]: ...
    @overload
    async def __call__(
        self,
        event: Literal["participant_metadata_changed", "participant_name_changed"],
        predicate: Callable[[Participant, str, str], object] | None = None,
        timeout: float | None = None,
    ) -> tuple[Participant, str, str]: ...
    @overload
    async def __call__(
        self,
        event: Literal["participant_attributes_changed"],
        predicate: Callable[[dict[str, str], Participant], object] | None = None,
        timeout: float | None = None,
    ) -> tuple[dict[str, str], Participant]: ...
    @overload
    async def __call__(
        self,
        event: Literal["participant_encryption_status_changed"],
        predicate: Callable[[Participant, bool], object] | None = None,
        timeout: float | None = None,
    ) -> tuple[Participant, bool]: ...
    @overload
    async def __call__(
        self,
        event: Literal["participant_permissions_changed"],
        predicate: Callable[[Participant, ParticipantPermission], object] | None = None,
        timeout: float | None = None,
    ) -> tuple[Participant, ParticipantPermission]: ...
    @overload
    async def __call__(
        self,
        event: Literal["connection_quality_changed"],
        predicate: Callable[[Participant, ConnectionQuality], object] | None = None,
        timeout: float | None = None,
    ) -> tuple[Participant, ConnectionQuality]: ...
    @overload
    async def __call__(
        self,
        event: Literal["transcription_received"],
        predicate: Callable[[list[TranscriptionSegment], Participant | None, TrackPublication | None], object]
        | None = None,
        timeout: float | None = None,
    ) -> tuple[list[TranscriptionSegment], Participant | None, TrackPublication | None]: ...
    @overload
    async def __call__(
        self,
        event: Literal["data_received"],
        predicate: Callable[[DataPacket], object] | None = None,
        timeout: float | None = None,
    ) -> DataPacket: ...
    @overload
    async def __call__(
        self,
        event: Literal["sip_dtmf_received"],
        predicate: Callable[[SipDTMF], object] | None = None,
        timeout: float | None = None,
    ) -> SipDTMF: ...
    @overload
    async def __call__(
        self,
        event: Literal["e2ee_state_changed"],
        predicate: Callable[[Participant, EncryptionState.ValueType], object] | None = None,
        timeout: float | None = None,
    ) -> tuple[Participant, EncryptionState.ValueType]: ...
    @overload
    async def __call__(
        self,
        event: Literal["connection_state_changed"],
        predicate: Callable[[ConnectionState.ValueType], object] | None = None,
        timeout: float | None = None,
    ) -> ConnectionState.ValueType: ...
    @overload
    async def __call__(
        self,
        event: Literal["disconnected"],
        predicate: Callable[[DisconnectReason.ValueType], object] | None = None,
        timeout: float | None = None,
    ) -> DisconnectReason.ValueType: ...
    @overload
    async def __call__(
        self,
        event: Literal["data_track_published"],
        predicate: Callable[[RemoteDataTrack], object] | None = None,
        timeout: float | None = None,
    ) -> RemoteDataTrack: ...
    @overload
    async def __call__(
        self,
        event: Literal["data_track_unpublished"],
        predicate: Callable[[str], object] | None = None,
        timeout: float | None = None,
    ) -> str: ...
    @overload
    async def __call__(
        self,
        event: Literal[
            "connected", "reconnecting", "reconnected", "room_updated", "moved", "token_refreshed"
        ],
        predicate: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> None: ...

"""Data tracks that a participant publishes. Their packets never come here: the engine forwards them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import rtc as messages

from . import ids

if TYPE_CHECKING:
    from .participant import Participant

_Reason = messages.RequestResponse.Reason

MAX_HANDLE = 65_535
NAME_BYTES = 256
ENCODING_BYTES = 32


@dataclass(eq=False)
class DataTrack:
    """One published data track."""

    publisher: Participant
    info: models.DataTrackInfo

    @property
    def sid(self) -> str:
        return str(self.info.sid)


class DataTrackRefused(Exception):
    """The client gets reason and message."""

    def __init__(self, reason: _Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class DataTracks:
    """The data tracks of one participant, by the handle that it gave them."""

    def __init__(self, participant: Participant) -> None:
        self._participant = participant
        self._by_handle: dict[int, DataTrack] = {}

    def __bool__(self) -> bool:
        return bool(self._by_handle)

    def tracks(self) -> list[DataTrack]:
        return list(self._by_handle.values())

    def infos(self) -> list[models.DataTrackInfo]:
        return [track.info for track in self._by_handle.values()]

    def publish(self, request: messages.PublishDataTrackRequest) -> models.DataTrackInfo:
        """Everybody learns of the track. Raises DataTrackRefused."""
        self._check(request)
        info = models.DataTrackInfo(
            pub_handle=request.pub_handle,
            sid=ids.data_track_sid(),
            name=request.name,
            encryption=request.encryption,
        )
        for field in ("frame_encoding", "schema"):
            if request.HasField(field):
                getattr(info, field).CopyFrom(getattr(request, field))
        track = DataTrack(self._participant, info)
        self._by_handle[request.pub_handle] = track
        self._participant.has_published = True
        room = self._participant.room
        room.data_tracks[track.sid] = track
        room.changed(self._participant, at_once=True)
        self.reconcile(track)
        return info

    def _check(self, request: messages.PublishDataTrackRequest) -> None:
        if not self._participant.permission.can_publish_data:
            raise DataTrackRefused(_Reason.NOT_ALLOWED, "does not have permission to publish data")
        if not 0 < request.pub_handle <= MAX_HANDLE:
            raise DataTrackRefused(_Reason.INVALID_HANDLE, "handle should be > 0 AND < 65536")
        if not 0 < len(request.name.encode()) <= NAME_BYTES:
            message = "name should not be empty and should not exceed 256 characters"
            raise DataTrackRefused(_Reason.INVALID_NAME, message)
        encoding = request.frame_encoding
        if (
            encoding.WhichOneof("value") == "custom"
            and not 0 < len(encoding.custom.encode()) <= ENCODING_BYTES
        ):
            message = "encoding identifier is empty or exceeds the maximum length"
            raise DataTrackRefused(_Reason.INVALID_REQUEST, message)
        if request.pub_handle in self._by_handle:
            message = "a data track with same handle already exists"
            raise DataTrackRefused(_Reason.DUPLICATE_HANDLE, message)
        if any(track.info.name == request.name for track in self._by_handle.values()):
            message = "a data track with same name already exists"
            raise DataTrackRefused(_Reason.DUPLICATE_NAME, message)
        if len(self._by_handle) >= self._participant.room.config.limits.published_tracks:
            raise DataTrackRefused(_Reason.LIMIT_EXCEEDED, "too many data tracks are published")

    def unpublish(self, handle: int) -> models.DataTrackInfo | None:
        """None when there is no such track."""
        track = self._by_handle.pop(handle, None)
        if track is None:
            return None
        self._end(track)
        self._participant.room.changed(self._participant, at_once=True)
        return track.info

    def revoke(self) -> None:
        """The participant may not publish data any more; its client is told of each track."""
        for track in self.tracks():
            self.unpublish(track.info.pub_handle)
            response = messages.UnpublishDataTrackResponse(info=track.info)
            self._participant.send(messages.SignalResponse(unpublish_data_track_response=response))

    def reconcile(self, track: DataTrack) -> None:
        """Subscriptions of this track follow wishes and permissions again."""
        for other in self._participant.room.started_participants():
            if other is not self._participant:
                other.data_subscriptions.reconcile(track)

    def _end(self, track: DataTrack) -> None:
        room = self._participant.room
        room.data_tracks.pop(track.sid, None)
        for other in room.started_participants():
            other.data_subscriptions.ended(track)

    def close(self) -> None:
        """The participant leaves."""
        for track in self.tracks():
            self._end(track)
        self._by_handle.clear()

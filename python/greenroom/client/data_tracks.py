"""Data tracks of one session: those that we publish, and those of others with the streams that read them.

Frames become packets, and packets frames, in the engine; here is who publishes what and who wants it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import rtc as proto

from .data_track_encryption import FrameCipher
from .local_data_tracks import LocalDataTracks
from .remote_data_tracks import RemoteDataTracks

if TYPE_CHECKING:
    from .session import Session


class DataTracks:
    """Made at each join; `close` ends all."""

    def __init__(self, session: Session, cipher: FrameCipher) -> None:
        self.cipher = cipher
        self.local = LocalDataTracks(session, self)
        self.remote = RemoteDataTracks(session, self)

    def participant_updated(self, info: models.ParticipantInfo, *, is_local: bool) -> None:
        """The server's list of a participant's data tracks."""
        if is_local:
            self.local.listed(info)
        else:
            self.remote.listed(info.identity, info.data_tracks)

    def sync(self, message: proto.SyncState) -> None:
        """What a resuming client tells of its data tracks."""
        message.publish_data_tracks.extend(
            proto.PublishDataTrackResponse(info=info) for info in self.local.infos()
        )
        message.data_subscription.CopyFrom(self.remote.wishes())

    def ask_again(self) -> None:
        """After a resume: what has no answer yet may have been lost with the connection."""
        self.local.ask_again()
        self.remote.ask_again()

    def close(self) -> None:
        self.local.close()
        self.remote.close()

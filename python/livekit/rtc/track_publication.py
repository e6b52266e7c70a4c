"""Publications: a participant's track as the room knows it, whether or not it is received."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from livekit.protocol import models
from livekit.protocol import rtc as proto_signal

from greenroom.client.state import PublicationState
from greenroom.client.wishes import set_subscribed

from ._proto.e2ee_pb2 import EncryptionType
from ._proto.track_pb2 import AudioTrackFeature, FrameMetadataFeature, TrackKind, TrackSource
from ._proto.track_publication_pb2 import VideoQuality

if TYPE_CHECKING:
    from .track import LocalTrack, RemoteTrack

_KINDS = {models.TrackType.AUDIO: TrackKind.KIND_AUDIO, models.TrackType.VIDEO: TrackKind.KIND_VIDEO}


class TrackPublication:
    """Common to local and remote publications. Values follow the server's updates."""

    def __init__(self, state: PublicationState) -> None:
        self._state = state
        state.facade = self

    @property
    def sid(self) -> str:
        return self._state.sid

    @property
    def name(self) -> str:
        return self._state.info.name

    @property
    def kind(self) -> TrackKind.ValueType:
        return _KINDS.get(self._state.info.type, TrackKind.KIND_UNKNOWN)

    @property
    def source(self) -> TrackSource.ValueType:
        return int(self._state.info.source)

    @property
    def simulcasted(self) -> bool:
        return self._state.info.simulcast

    @property
    def width(self) -> int:
        return self._state.info.width

    @property
    def height(self) -> int:
        return self._state.info.height

    @property
    def mime_type(self) -> str:
        return self._state.info.mime_type

    @property
    def muted(self) -> bool:
        return self._state.info.muted

    @property
    def encryption_type(self) -> EncryptionType.ValueType:
        return int(self._state.info.encryption)

    @property
    def audio_features(self) -> list[AudioTrackFeature.ValueType]:
        return [int(feature) for feature in self._state.info.audio_features]

    @property
    def frame_metadata_features(self) -> list[FrameMetadataFeature.ValueType]:
        return [int(feature) for feature in getattr(self._state.info, "packet_trailer_features", ())]

    @property
    def track(self) -> Any:
        return None if self._state.track is None else self._state.track.facade


class LocalTrackPublication(TrackPublication):
    @property
    def track(self) -> LocalTrack | None:
        """None once unpublished."""
        return None if self._state.track is None else self._state.track.facade

    async def wait_for_subscription(self) -> None:
        """Return when the first subscriber has come. ConnectionError when the session ends before."""
        future = self._state.first_subscriber
        if future is not None:
            await asyncio.shield(future)

    def __repr__(self) -> str:
        return (
            f"rtc.LocalTrackPublication(sid={self.sid}, name={self.name}, "
            f"kind={self.kind}, source={self.source})"
        )


class RemoteTrackPublication(TrackPublication):
    @property
    def track(self) -> RemoteTrack | None:
        """None while not subscribed."""
        return None if self._state.track is None else self._state.track.facade

    @property
    def subscribed(self) -> bool:
        return self._state.subscribed

    def set_subscribed(self, subscribed: bool) -> None:
        """Ask the server to send the track, or to stop. `track_subscribed` or `track_unsubscribed`
        follows."""
        set_subscribed(self._state.participant.facade._session, self._state, subscribed)

    def set_video_quality(self, quality: VideoQuality.ValueType) -> None:
        """Ask for one of a simulcast track's layers; the server sends the best it has up to that."""
        settings = self._state.settings
        settings["quality"] = quality
        self._state.participant.facade._session.send(
            "track_setting", proto_signal.UpdateTrackSettings(track_sids=[self.sid], **settings)
        )

    def __repr__(self) -> str:
        return (
            f"rtc.RemoteTrackPublication(sid={self.sid}, name={self.name}, "
            f"kind={self.kind}, source={self.source})"
        )

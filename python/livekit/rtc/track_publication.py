"""Publications: a participant's track as the room knows it, whether or not it is received."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, cast

from livekit.protocol import models
from livekit.protocol import rtc as proto_signal

from greenroom.client.requests import Requests
from greenroom.client.state import PublicationState
from greenroom.client.wishes import change_settings, set_subscribed

from ._proto.e2ee_pb2 import EncryptionType
from ._proto.track_pb2 import AudioTrackFeature, FrameMetadataFeature, TrackKind, TrackSource
from ._proto.track_publication_pb2 import VideoQuality

if TYPE_CHECKING:
    from .track import LocalTrack, RemoteTrack

_KINDS = {models.TrackType.AUDIO: TrackKind.KIND_AUDIO, models.TrackType.VIDEO: TrackKind.KIND_VIDEO}


class TrackPublication:
    """Common to local and remote publications. Values follow the server's updates."""

    def __init__(self, owned_info: PublicationState) -> None:
        """Made by the room."""
        self._state = owned_info
        owned_info.facade = self

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

    def _describe(self, kind: str, extra: str = "") -> str:
        kind_name = TrackKind.Name(self.kind).removeprefix("KIND_").lower()
        source = TrackSource.Name(self.source).removeprefix("SOURCE_").lower()
        return (
            f"rtc.{kind}(sid={self.sid}, name={self.name}, kind={kind_name}, source={source}, "
            f"muted={self.muted}{extra})"
        )


class LocalTrackPublication(TrackPublication):
    """A track of ours that the room knows."""

    @property
    def track(self) -> LocalTrack | None:
        """None once unpublished."""
        return None if self._state.track is None else self._state.track.facade

    async def wait_for_subscription(self) -> None:
        """Return when the first subscriber has come. ConnectionError when the session ends before."""
        future = self._state.first_subscriber
        if future is not None:
            await asyncio.shield(future)

    async def update_audio_features(self, features: Collection[AudioTrackFeature.ValueType]) -> None:
        """Tell everybody which processing the sound has had; replaces the present list.

        Raises RequestError when the server refuses or does not answer; ValueError for a track that is no audio.
        """
        if self.kind != TrackKind.KIND_AUDIO:
            raise ValueError(f"track {self.sid} is no audio track: it has no audio features")
        wanted = list(dict.fromkeys(int(feature) for feature in features))
        message = proto_signal.UpdateLocalAudioTrack(track_sid=self.sid, features=wanted)  # type: ignore[arg-type]
        await self._requests.update_track(
            "update_audio_track", message, lambda: sorted(self._state.info.audio_features) == sorted(wanted)
        )

    async def update_video_dimensions(self, width: int, height: int) -> None:
        """Tell everybody that the picture has this size now. Raises like `update_audio_features`."""
        if self.kind != TrackKind.KIND_VIDEO:
            raise ValueError(f"track {self.sid} is no video track: it has no dimensions")
        message = proto_signal.UpdateLocalVideoTrack(track_sid=self.sid, width=width, height=height)
        await self._requests.update_track(
            "update_video_track", message, lambda: (self.width, self.height) == (width, height)
        )

    @property
    def _requests(self) -> Requests:
        session = self._state.participant.facade._session
        if session.closed or self._state.track is None:
            raise RuntimeError(f"track {self.sid} is not published any more")
        return cast(Requests, session.requests)

    def __repr__(self) -> str:
        return self._describe("LocalTrackPublication")


class RemoteTrackPublication(TrackPublication):
    """A track of another participant, whether or not it is received.

    The setters ask the server; it follows within about 100 ms. They hold for this track over resumes and restarts, and
    may be called before the track is subscribed. Once the room is left they do nothing.
    """

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
        set_subscribed(self._state.participant.facade._session, self._state, bool(subscribed))

    @property
    def subscription_allowed(self) -> bool:
        """Whether its publisher lets us subscribe (`set_track_subscription_permissions`)."""
        return self._state.allowed

    @property
    def enabled(self) -> bool:
        """False after `set_enabled(False)`."""
        return self._state.settings.enabled

    @property
    def video_quality(self) -> VideoQuality.ValueType:
        """As asked for; default: VIDEO_QUALITY_HIGH."""
        return int(self._state.settings.quality)

    @property
    def video_dimensions(self) -> tuple[int, int] | None:
        """Width and height as asked for."""
        settings = self._state.settings
        return (settings.width, settings.height) if settings.width else None

    @property
    def video_fps(self) -> int | None:
        """Frames per second as asked for."""
        return self._state.settings.fps or None

    @property
    def priority(self) -> int:
        """As asked for; default: 0."""
        return self._state.settings.priority

    def set_enabled(self, enabled: bool) -> None:
        """Pause what the server sends, or go on: quicker than unsubscribing, and the track stays."""
        self._change(enabled=bool(enabled))

    def set_video_quality(self, quality: VideoQuality.ValueType) -> None:
        """Ask for one of a simulcast track's layers; the server sends the best it has up to that."""
        if quality not in VideoQuality.values():
            raise ValueError(f"quality {quality!r} is none of VideoQuality: {', '.join(VideoQuality.keys())}")
        self._change(quality=int(quality), width=0, height=0)

    def set_video_dimensions(self, width: int, height: int) -> None:
        """Ask for the smallest layer of a simulcast track that fills `width` x `height` pixels, in place of a quality."""
        if not (0 < width < 2**31 and 0 < height < 2**31):
            raise ValueError(f"dimensions are {width}x{height}: both must be at least 1")
        self._change(width=int(width), height=int(height))

    def set_video_fps(self, fps: int) -> None:
        """Ask for at least so many frames a second, 0 for all; the server drops temporal layers above."""
        if not 0 <= fps < 2**31:
            raise ValueError(f"fps is {fps}: it must be 0 (all frames) or more")
        self._change(fps=int(fps))

    def set_priority(self, priority: int) -> None:
        """Which track a server that runs out of bandwidth serves first: the highest. livekit-server 1.13 ignores it."""
        if not 0 <= priority < 2**32:
            raise ValueError(f"priority is {priority}: it must be 0 to {2**32 - 1}")
        self._change(priority=int(priority))

    def _change(self, **changes: Any) -> None:
        session = self._state.participant.facade._session
        change_settings(session, self._state, dataclasses.replace(self._state.settings, **changes))

    def __repr__(self) -> str:
        return self._describe("RemoteTrackPublication", f", subscribed={self.subscribed}")

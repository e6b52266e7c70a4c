"""Tracks: what is published or received."""

from __future__ import annotations

from typing import Any

from livekit.protocol import models

from greenroom import _engine
from greenroom.client.state import TrackState

from ._arguments import instance, text
from ._proto import stats_pb2 as proto_stats
from ._proto.track_pb2 import StreamState, TrackKind
from ._stats import receiver_stats, sender_stats
from .audio_source import AudioSource
from .video_source import VideoSource

_KINDS = {models.TrackType.AUDIO: TrackKind.KIND_AUDIO, models.TrackType.VIDEO: TrackKind.KIND_VIDEO}


class Track:
    """Common to local and remote tracks."""

    def __init__(self, owned_info: TrackState) -> None:
        """Local tracks are made by `create_audio_track` and `create_video_track`, remote ones by the room."""
        self._state = owned_info
        owned_info.facade = self

    @property
    def sid(self) -> str:
        """The server's id; `TR_unknown` while a local track is not published."""
        return self._state.sid

    @property
    def name(self) -> str:
        return self._state.name

    @property
    def kind(self) -> TrackKind.ValueType:
        return _KINDS.get(self._state.kind, TrackKind.KIND_UNKNOWN)  # type: ignore[call-overload, no-any-return]

    @property
    def stream_state(self) -> StreamState.ValueType:
        """Paused: the server holds the track back for lack of bandwidth."""
        return StreamState.STATE_PAUSED if self._state.paused else StreamState.STATE_ACTIVE

    @property
    def muted(self) -> bool:
        return self._state.muted

    async def get_stats(self) -> list[proto_stats.RtcStats]:
        """Statistics of the track's sender or receiver; empty while it has none."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"rtc.{type(self).__name__}(sid={self.sid}, name={self.name}, muted={self.muted})"

    @property
    def _receiver(self) -> _engine.Receiver | None:
        return self._state.receiver


class _LocalTrack(Track):
    def __init__(self, info: TrackState) -> None:
        super().__init__(info)

    @property
    def source(self) -> Any:
        """The source the track was made with."""
        return self._state.source

    def mute(self) -> None:
        """Send nothing until `unmute`; everyone is told."""
        self._set_muted(True)

    def unmute(self) -> None:
        self._set_muted(False)

    def _set_muted(self, muted: bool) -> None:
        publication = self._state.publication
        room = None if publication is None else publication.participant.facade
        if room is None:
            self._state.muted = muted
        else:
            room._session.publications.set_muted(self._state, muted)

    async def get_stats(self) -> list[proto_stats.RtcStats]:
        publication = self._state.publication
        facade = None if publication is None else publication.participant.facade
        if publication is None or facade is None or facade._session.closed:
            return []
        return sender_stats(facade._session.publisher.link.peer.stats(), publication.mid)


class _RemoteTrack(Track):
    def __init__(self, info: TrackState) -> None:
        super().__init__(info)

    async def get_stats(self) -> list[proto_stats.RtcStats]:
        publication, receiver = self._state.publication, self._state.receiver
        if publication is None or receiver is None:
            return []
        session = publication.participant.facade._session
        return (
            [] if session.closed else receiver_stats(session.connections.receiving.peer.stats(), receiver.mid)
        )


class LocalAudioTrack(_LocalTrack):
    @staticmethod
    def create_audio_track(name: str, source: AudioSource) -> LocalAudioTrack:
        """A track that sends what `source` captures, once published."""
        instance("source", source, AudioSource)
        return LocalAudioTrack(
            TrackState(kind=models.TrackType.AUDIO, name=text("name", name), source=source)
        )


class LocalVideoTrack(_LocalTrack):
    @staticmethod
    def create_video_track(name: str, source: VideoSource) -> LocalVideoTrack:
        """A track that sends what `source` captures, once published."""
        instance("source", source, VideoSource)
        return LocalVideoTrack(
            TrackState(kind=models.TrackType.VIDEO, name=text("name", name), source=source)
        )


class RemoteAudioTrack(_RemoteTrack):
    """Sound that another participant publishes, as far as it is subscribed. `AudioStream` reads it."""


class RemoteVideoTrack(_RemoteTrack):
    """A picture that another participant publishes, as far as it is subscribed. `VideoStream` reads it."""


LocalTrack = LocalVideoTrack | LocalAudioTrack
RemoteTrack = RemoteVideoTrack | RemoteAudioTrack
AudioTrack = LocalAudioTrack | RemoteAudioTrack
VideoTrack = LocalVideoTrack | RemoteVideoTrack

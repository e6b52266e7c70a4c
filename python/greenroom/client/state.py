"""What a session knows of its room: plain state, changed by signal messages, shown to users through facades.

Each state has a `facade`, the public object made for it by the session's `Facade`; events carry facades.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from livekit.protocol import models

from greenroom import _engine

if TYPE_CHECKING:
    from .remote_data_tracks import RemoteDataTrack
    from .rpc_methods import RpcRegistry
    from .streams_incoming import StreamHandlers

UNKNOWN_TRACK_SID = "TR_unknown"
QUALITY_UNKNOWN = -1


class Facade(Protocol):
    """Makes the public objects, and tells users what happened."""

    def make_participant(self, state: ParticipantState) -> Any: ...
    def make_publication(self, state: PublicationState) -> Any: ...
    def make_track(self, state: TrackState) -> Any: ...
    def make_remote_data_track(self, state: RemoteDataTrack) -> Any: ...
    def make_data_packet(self, data: bytes, reliable: bool, participant: Any, topic: str | None) -> Any: ...
    def make_dtmf(self, code: int, digit: str, participant: Any) -> Any: ...
    def make_segment(self, segment: models.TranscriptionSegment) -> Any: ...
    def state_changed(self, session: Any, state: int) -> None:
        """Before the event: `session` is connected (1) or reconnecting (2)."""

    @property
    def stream_handlers(self) -> StreamHandlers: ...
    @property
    def rpc_registry(self) -> RpcRegistry: ...
    def session_ended(self, session: Any) -> None:
        """Before the last events: what was joined with `session` is over."""

    def emit(self, event: Any, *args: Any) -> None:
        """Run all handlers of one event; must not raise."""


@dataclass(eq=False)
class TrackState:
    """A track of ours, or one that arrives. It outlives its publication: a local one can be published
    again."""

    kind: int
    """`models.TrackType`."""
    name: str
    sid: str = UNKNOWN_TRACK_SID
    muted: bool = False
    paused: bool = False
    """The server holds the track back for lack of bandwidth."""
    source: Any = None
    """Local: the public source, whose `_engine_source` the engine reads."""
    publication: PublicationState | None = None
    receiver: _engine.Receiver | None = None
    returning: bool = False
    """The session restarts: another track is expected to take this one's place, and its followers."""
    followers: list[Callable[[TrackState], None]] = field(default_factory=list)
    """Called after `receiver` or `returning` changed, with the track that they follow now."""
    facade: Any = None

    def set_receiver(self, receiver: _engine.Receiver | None) -> None:
        self.receiver = receiver
        self.changed()

    def changed(self) -> None:
        for follower in list(self.followers):
            follower(self)


@dataclass(frozen=True)
class TrackSettings:
    """How a remote track is wanted. The server is always told the whole: what it is not told, it resets."""

    enabled: bool = True
    quality: int = models.VideoQuality.HIGH
    width: int = 0
    """0: `quality` decides, else the size does."""
    height: int = 0
    fps: int = 0
    """0: as many as there are."""
    priority: int = 0


DEFAULT_SETTINGS = TrackSettings()


@dataclass(eq=False)
class PublicationState:
    """A published track as the server describes it, and what this client does with it."""

    info: models.TrackInfo
    participant: ParticipantState
    track: TrackState | None = None
    facade: Any = None
    # remote
    wanted: bool = True
    """The user's wish to be subscribed."""
    allowed: bool = True
    settings: TrackSettings = DEFAULT_SETTINGS
    """What was asked of the server for this track."""
    # local
    cid: str = ""
    mid: str = ""
    """Empty while it is not being sent: before its first offer is answered, and during a restart."""
    options: Any = None
    """`PublishOptions`, to publish it again with."""
    size: tuple[int, int] = (0, 0)
    first_subscriber: asyncio.Future[None] | None = None

    @property
    def sid(self) -> str:
        return str(self.info.sid)

    @property
    def subscribed(self) -> bool:
        return self.track is not None


@dataclass(eq=False)
class ParticipantState:
    info: models.ParticipantInfo
    is_local: bool = False
    publications: dict[str, PublicationState] = field(default_factory=dict)
    room: Any = None
    """The public room that `facade` belongs to."""
    quality: int = QUALITY_UNKNOWN
    """`models.ConnectionQuality`, or QUALITY_UNKNOWN."""
    audio_level: float = 0.0
    is_speaking: bool = False
    data_encrypted: bool | None = None
    """Whether its last data message was; None before the first."""
    was_encrypted: bool = False
    """`is_encrypted` as users were last told."""
    watchers: list[Callable[[], None]] = field(default_factory=list)
    """Called when its tracks changed, or when it left."""
    returning: bool = False
    """It left because the session restarts, and is expected back."""
    successor: ParticipantState | None = None
    """The same participant after a restart."""
    facade: Any = None

    @property
    def is_encrypted(self) -> bool:
        """It publishes, and nothing in the clear."""
        kinds = [p.info.encryption for p in self.publications.values()]
        if self.data_encrypted is False:
            return False
        return bool(kinds) and models.Encryption.Type.NONE not in kinds

    def tracks_changed(self) -> None:
        for watcher in list(self.watchers):
            watcher()

    @property
    def sid(self) -> str:
        return str(self.info.sid)

    @property
    def identity(self) -> str:
        return str(self.info.identity)


@dataclass(eq=False)
class RoomState:
    local: ParticipantState
    room: models.Room
    remotes: dict[str, ParticipantState] = field(default_factory=dict)
    """By identity."""
    by_sid: dict[str, ParticipantState] = field(default_factory=dict)
    """Remote and local."""
    speaking: dict[str, float] = field(default_factory=dict)
    """Levels of active speakers, by participant SID."""

    def participant(self, *, identity: str = "", sid: str = "") -> ParticipantState | None:
        """By identity first, then by SID; the local one included."""
        if identity:
            found = self.local if identity == self.local.identity else self.remotes.get(identity)
            if found is not None:
                return found
        return self.by_sid.get(sid) if sid else None

    def publication(self, track_sid: str) -> PublicationState | None:
        """A remote participant's publication, or a local one."""
        for participant in (self.local, *self.remotes.values()):
            found = participant.publications.get(track_sid)
            if found is not None:
                return found
        return None

"""What audio and video streams share: an async iterator over an engine ring that costs no wake-up while it holds something."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from greenroom import _engine
from greenroom.signalling.event_port import LoopEventPort

if TYPE_CHECKING:
    from greenroom.client.state import TrackState

    from ._proto.track_pb2 import TrackSource
    from .participant import Participant
    from .track import Track

_logger = logging.getLogger("livekit")
_Item = TypeVar("_Item")
_Popped_co = TypeVar("_Popped_co", covariant=True)


class EngineStream(Protocol[_Popped_co]):
    """`_engine.AudioStream` or `_engine.VideoStream`."""

    @property
    def handle(self) -> int: ...
    @property
    def dropped_frames(self) -> int: ...
    def pop(self) -> _Popped_co | None: ...
    def close(self) -> None: ...


class MediaStream(Generic[_Item]):
    """Yields what one track (or one track of a participant after another) delivers, until it ends or is closed.

    What was queued when the track ended is still delivered. Iterating after the end stops at once. A room that restarts
    its session does not end it: it goes on with the same track of the new session.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop or asyncio.get_event_loop()
        self._engine_stream: EngineStream[Any] | None = None
        self._event_port: LoopEventPort | None = None
        self._wake = asyncio.Event()
        self._track: TrackState | None = None
        """What is read, unless a participant is followed."""
        self._ended = False
        self._source_ended = False
        """The engine delivers no more; a track that is expected back may go on on another receiver."""
        self._closed = False
        self._dropped_before = 0
        self._follower: asyncio.Task[None] | None = None

    def _open(self, origin: Any, port: _engine.EventPort) -> EngineStream[Any]:
        """Make the engine's stream on a receiver or a local source."""
        raise NotImplementedError

    def _item(self, popped: Any) -> _Item:
        """The event for what `pop` returned."""
        raise NotImplementedError

    @property
    def dropped_frames(self) -> int:
        """How many frames were dropped because the stream was not read in time."""
        current = self._engine_stream.dropped_frames if self._engine_stream else 0
        return self._dropped_before + current

    def _attach(self, origin: Any) -> None:
        self._detach()
        self._event_port = LoopEventPort.of(self._loop)
        try:
            self._engine_stream = self._open(origin, self._event_port.port)
        except BaseException:
            self._event_port.release()
            raise
        self._event_port.register(self._engine_stream.handle, self._on_event)
        self._ended = self._source_ended = False
        self._wake.set()

    def _attach_track(self, track: Track) -> None:
        self._track = track._state
        origin = media_origin(track)
        if origin is None and not self._track.returning:
            self._end()
            return
        self._track.followers.append(self._on_track_changed)
        if origin is not None:
            self._attach(origin)

    def _on_track_changed(self, track: TrackState) -> None:
        """Media comes on another receiver, of this track or of the one that replaces it; or none comes any more."""
        self._track = track
        if track.receiver is None:
            if self._source_ended and not track.returning:
                self._end()
            return
        try:
            self._attach(track.receiver)
        except _engine.EngineError as error:
            _logger.warning("a stream of track %s can't go on: %s", track.sid, error)
            self._end()

    def _detach(self) -> None:
        if self._engine_stream is None or self._event_port is None:
            return
        self._event_port.unregister(self._engine_stream.handle)
        self._dropped_before += self._engine_stream.dropped_frames
        self._engine_stream.close()
        self._engine_stream = None

    def _on_event(self, kind: int, _payload: Any) -> None:
        if kind == _engine.STREAM_ENDED:
            self._source_ended = True
            self._ended = self._track is None or not self._track.returning
        self._wake.set()

    def _end(self) -> None:
        self._ended = True
        self._wake.set()

    def __aiter__(self) -> AsyncIterator[_Item]:
        return self

    async def __anext__(self) -> _Item:
        while not self._closed:
            self._wake.clear()
            popped = self._engine_stream.pop() if self._engine_stream is not None else None
            if popped is not None:
                return self._item(popped)
            if self._ended and self._follower is None:
                break
            await self._wake.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop and free the stream; a waiting iteration ends. Harmless twice."""
        if self._closed:
            return
        self._closed = True
        if self._track is not None and self._on_track_changed in self._track.followers:
            self._track.followers.remove(self._on_track_changed)
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
            self._follower = None
        self._detach()
        self._end()

    def _follow(self, participant: Participant, source: TrackSource.ValueType) -> None:
        self._follower = self._loop.create_task(self._follow_tracks(participant, source))

    async def _follow_tracks(self, participant: Participant, source: TrackSource.ValueType) -> None:
        """Attach to each track of that source in turn; end when the participant has left."""
        changed = asyncio.Event()
        unwatch: Callable[[], None] = participant._watch_tracks(changed.set)
        current: Any = None
        try:
            while (present := participant._current) is not None or participant._is_returning:
                changed.clear()
                origin = None if present is None else _origin_of_source(present, source)
                if origin is not None and origin is not current:
                    self._attach(origin)
                    current = origin
                await changed.wait()
        finally:
            unwatch()
            self._follower = None
            self._wake.set()
            if self._engine_stream is None:
                self._end()


def checked_capacity(capacity: int, default: int) -> int:
    """What `capacity` stands for: 0 for the default. ValueError when it is negative."""
    if capacity < 0:
        raise ValueError(
            f"capacity is {capacity}: give a number of frames, or 0 for the default of {default}"
        )
    return capacity or default


def media_origin(track: Track) -> Any:
    """The engine object a stream of `track` reads from: its receiver, or the source of a local track; None when gone."""
    receiver = getattr(track, "_receiver", None)
    if receiver is not None:
        return receiver
    source = getattr(track, "source", None)
    return getattr(source, "_engine_source", None)


def _origin_of_source(participant: Participant, source: TrackSource.ValueType) -> Any:
    for publication in participant.track_publications.values():
        if publication.source == source and publication.track is not None:
            return media_origin(publication.track)
    return None

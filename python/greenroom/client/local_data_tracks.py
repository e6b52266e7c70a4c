"""Data tracks that we publish."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom import _engine

from .errors import PublishDataError, PublishDataTrackError, PushFrameError
from .peer_link import DATA_TRACK
from .waiting import wait_future

if TYPE_CHECKING:
    from .data_tracks import DataTracks
    from .session import Session

_logger = logging.getLogger("livekit")

MAX_HANDLE = 65_535
RESPONSE_TIMEOUT_S = 10.0
_CLOCK_RATE_HZ = 90_000
_UINT32 = 0xFFFF_FFFF

_REFUSALS = {
    "NOT_ALLOWED": "Data track publishing unauthorized: grant canPublishData in the token",
    "DUPLICATE_NAME": "Track name already taken: {name!r}; unpublish the other track, or use another name",
    "INVALID_NAME": "Track name invalid: {name!r}; use 1 to 256 bytes",
    "UNSUPPORTED_TYPE": "Data tracks are not supported by the server",
}


@dataclass(eq=False)
class LocalDataTrack:
    """`info` changes when the track is published again in a new session."""

    info: models.DataTrackInfo
    sender: _engine.DataTrackSender
    tracks: LocalDataTracks
    published: bool = True

    def push(self, payload: bytes, user_timestamp: int | None) -> None:
        self.tracks.push(self, payload, user_timestamp)

    def unpublish(self) -> None:
        self.tracks.unpublish(self)


class LocalDataTracks:
    """By the handle that we give them, which no other track of the session ever gets."""

    def __init__(self, session: Session, tracks: DataTracks) -> None:
        self._session = session
        self._tracks = tracks
        self._last_handle = 0
        self._published: dict[int, LocalDataTrack] = {}
        self._waiting: dict[
            int, tuple[proto.PublishDataTrackRequest, asyncio.Future[models.DataTrackInfo]]
        ] = {}
        self._clock_start = secrets.randbits(32)

    def infos(self) -> list[models.DataTrackInfo]:
        return [track.info for track in self._published.values()]

    # ---- publishing ----

    async def publish(self, name: str) -> LocalDataTrack:
        """Announce a track; frames can be pushed when this returns. PublishDataTrackError when it can't be."""
        session = self._session
        if self._last_handle >= MAX_HANDLE:
            raise PublishDataTrackError(
                f"Data track publication limit reached: {MAX_HANDLE} were published in this session; join anew"
            )
        self._last_handle += 1
        handle = self._last_handle
        try:
            await session.reconnector.settled()
            info = await self._ask(handle, name)
            await session.sender.opened(DATA_TRACK)
        except (ConnectionError, PublishDataError) as error:
            raise PublishDataTrackError(f"Data track {name!r} was not published: {error}") from error
        track = LocalDataTrack(info, _engine.DataTrackSender(handle), self)
        self._published[handle] = track
        return track

    async def _ask(self, handle: int, name: str) -> models.DataTrackInfo:
        encryption: Any = self._tracks.cipher.announced_type
        request = proto.PublishDataTrackRequest(pub_handle=handle, name=name, encryption=encryption)
        future: asyncio.Future[models.DataTrackInfo] = asyncio.get_running_loop().create_future()
        self._waiting[handle] = (request, future)
        try:
            # Asked for while the session is settled, or as a part of joining anew: it must not wait for the end of that.
            self._session.send("publish_data_track_request", request, urgent=True)
            return await wait_future(future, RESPONSE_TIMEOUT_S)
        except asyncio.TimeoutError as error:
            raise PublishDataTrackError(
                f"Publish data track timed-out: the server did not answer within {RESPONSE_TIMEOUT_S:g} s"
            ) from error
        finally:
            del self._waiting[handle]

    def answered(self, info: models.DataTrackInfo) -> None:
        """The server published a track. One that nobody waits for any more is taken back."""
        waiting = self._waiting.get(info.pub_handle)
        if waiting is not None:
            if not waiting[1].done():
                waiting[1].set_result(info)
        elif info.pub_handle not in self._published:
            self._send_unpublish(info.pub_handle)

    def refused(self, handle: int, reason: str, message: str) -> None:
        waiting = self._waiting.get(handle)
        if waiting is None or waiting[1].done():
            return
        request, future = waiting
        known = _REFUSALS.get(reason)
        text = known.format(name=request.name) if known else f"Data track was refused ({reason}): {message}"
        future.set_exception(PublishDataTrackError(text))

    def listed(self, info: models.ParticipantInfo) -> None:
        """Our own state as the server sees it: an answer that was lost may be read from it, and a permission that
        was withdrawn."""
        for track in info.data_tracks:
            if track.pub_handle in self._waiting:
                self.answered(track)
        if info.HasField("permission") and not info.permission.can_publish_data:
            for published in list(self._published.values()):
                self.ended_by_server(published.info)

    def ask_again(self) -> None:
        for request, future in self._waiting.values():
            if not future.done():
                self._session.send("publish_data_track_request", request)

    async def publish_again(self) -> None:
        """In a new session: the same handles and names, other SIDs. What the server refuses now is unpublished."""
        for handle, track in list(self._published.items()):
            try:
                track.info = await self._ask(handle, track.info.name)
            except PublishDataTrackError as error:
                _logger.warning(
                    "data track %r could not be published again: %s", track.info.name, error.message
                )
                self._published.pop(handle, None)
                track.published = False

    # ---- the end of a track ----

    def unpublish(self, track: LocalDataTrack) -> None:
        """Harmless when it is unpublished already."""
        if track.published:
            track.published = False
            self._published.pop(track.info.pub_handle, None)
            self._send_unpublish(track.info.pub_handle)

    def _send_unpublish(self, handle: int) -> None:
        request = proto.UnpublishDataTrackRequest(pub_handle=handle)
        self._session.send("unpublish_data_track_request", request)

    def ended_by_server(self, info: models.DataTrackInfo) -> None:
        track = self._published.pop(info.pub_handle, None)
        if track is not None:
            track.published = False

    def close(self) -> None:
        for track in self._published.values():
            track.published = False
        self._published.clear()
        self.fail("the session ended before it was")

    def fail(self, why: str) -> None:
        """The session that was asked is gone."""
        for request, future in self._waiting.values():
            if not future.done():
                future.set_exception(
                    PublishDataTrackError(f"Data track {request.name!r} was not published: {why}")
                )
                future.exception()

    # ---- frames ----

    def push(self, track: LocalDataTrack, payload: bytes, user_timestamp: int | None) -> None:
        """Hand one frame to the channel. PushFrameError when it does not take it now; never waits."""
        if not track.published:
            raise PushFrameError("Failed to publish frame: track unpublished")
        session = self._session
        encryption: tuple[int, bytes] | None = None
        if track.info.encryption != models.Encryption.Type.NONE:
            payload, key_index, iv = self._tracks.cipher.seal(payload)
            encryption = (key_index, iv)
        ticks = int(asyncio.get_running_loop().time() * _CLOCK_RATE_HZ)
        link, channel = session.publisher.link, session.publisher.channels[DATA_TRACK]
        try:
            sent = link.is_open(channel) and link.peer.push_data_frame(
                channel,
                track.sender,
                payload,
                timestamp=(self._clock_start + ticks) & _UINT32,
                user_timestamp=user_timestamp,
                encryption=encryption,
            )
        except _engine.EngineError as error:
            raise PushFrameError(f"Failed to publish frame: {error}") from error
        if not sent:
            raise PushFrameError(
                "Failed to publish frame: queue full; frames are pushed faster than they can be sent"
            )

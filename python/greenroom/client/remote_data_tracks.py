"""Data tracks of others: what is published, what is subscribed, and who reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom import _engine

from .data_track_reader import DataTrackReader
from .errors import SubscribeDataTrackError
from .peer_link import DATA_TRACK

if TYPE_CHECKING:
    from .data_tracks import DataTracks
    from .session import Session

SUBSCRIBE_TIMEOUT_S = 10.0
DEFAULT_BUFFER_FRAMES = 16


@dataclass(eq=False)
class RemoteDataTrack:
    """`info` changes when the publisher, or we, had to join anew."""

    info: models.DataTrackInfo
    publisher_identity: str
    tracks: RemoteDataTracks
    receiver: _engine.DataTrackReceiver = field(default_factory=_engine.DataTrackReceiver)
    readers: list[DataTrackReader] = field(default_factory=list)
    published: bool = True
    subscribed: bool = False
    """The server has given it a handle."""
    timer: asyncio.TimerHandle | None = None
    facade: Any = None

    @property
    def key(self) -> tuple[str, int, str]:
        """What stays the same when its SID changes."""
        return (self.publisher_identity, self.info.pub_handle, self.info.name)

    def subscribe(self, buffer_frames: int | None) -> DataTrackReader:
        return self.tracks.subscribe(self, buffer_frames)

    async def open(self, payload: bytes, encryption: tuple[int, bytes] | None) -> bytes | None:
        """The frame; None when it is not as the track promises, or can't be decrypted."""
        if self.info.encryption == models.Encryption.Type.NONE:
            return payload if encryption is None else None
        return await self.tracks.cipher.open(self.publisher_identity, payload, encryption)


class RemoteDataTracks:
    def __init__(self, session: Session, tracks: DataTracks) -> None:
        self._session = session
        self.cipher = tracks.cipher
        self._by_sid: dict[str, RemoteDataTrack] = {}
        self._handles: dict[int, str] = {}
        """From the handles that packets carry to track SIDs, as the server said last."""
        self._lost: dict[tuple[str, int, str], RemoteDataTrack] | None = None
        """While joining anew: tracks that may be there again."""

    def of(self, identity: str) -> list[RemoteDataTrack]:
        return [track for track in self._by_sid.values() if track.publisher_identity == identity]

    # ---- what is published ----

    def listed(self, identity: str, infos: Iterable[models.DataTrackInfo]) -> None:
        """The full list of one participant."""
        named = {info.sid: info for info in infos}
        for track in self.of(identity):
            if track.info.sid not in named:
                self._remove(track)
        for sid, info in named.items():
            known = self._by_sid.get(sid)
            if known is not None:
                known.info = info
            else:
                self._add(identity, info)

    def _add(self, identity: str, info: models.DataTrackInfo) -> None:
        lost = self._lost or {}
        track = lost.pop((identity, info.pub_handle, info.name), None)
        if track is not None:
            track.info = info
            self._by_sid[info.sid] = track
            if track.readers:
                self._wish(track, True)
            return
        track = RemoteDataTrack(info, identity, self)
        track.facade = self._session.facade.make_remote_data_track(track)
        self._by_sid[info.sid] = track
        self._tell("data_track_published", track.facade)

    def _remove(self, track: RemoteDataTrack) -> None:
        del self._by_sid[track.info.sid]
        if self._lost is not None:
            track.subscribed = False
            self._lost[track.key] = track
        else:
            self._end(track)

    def _end(self, track: RemoteDataTrack) -> None:
        track.published = track.subscribed = False
        self._stop_timer(track)
        track.receiver.end()
        self._tell("data_track_unpublished", track.info.sid)

    def _tell(self, event: str, argument: Any) -> None:
        # Those that are there at join are told as well: there is no other place where users would find them.
        self._session.gate.pass_through(self._session.emit, event, argument)

    def lose(self) -> None:
        """We join anew: what is gone may come back, and its readers wait for it."""
        if self._lost is None:
            self._lost = {}
        self._handles.clear()

    def settle(self) -> None:
        """We have joined anew: what is not there now has gone."""
        lost, self._lost = self._lost or {}, None
        for track in lost.values():
            self._end(track)

    # ---- subscribing ----

    def subscribe(self, track: RemoteDataTrack, buffer_frames: int | None) -> DataTrackReader:
        capacity = DEFAULT_BUFFER_FRAMES if buffer_frames is None else max(1, buffer_frames)
        reader = DataTrackReader(track, capacity)
        if self._session.closed or not track.published:
            reader.end()
            return reader
        track.readers.append(reader)
        if len(track.readers) == 1:
            self._wish(track, True)
        return reader

    def left(self, track: RemoteDataTrack, reader: DataTrackReader) -> None:
        """A reader was closed. The last one ends the subscription."""
        if reader in track.readers:
            track.readers.remove(reader)
            if not track.readers and track.published:
                track.subscribed = False
                self._stop_timer(track)
                self._wish(track, False)

    def _wish(self, track: RemoteDataTrack, subscribe: bool) -> None:
        update = proto.UpdateDataSubscription.Update(track_sid=track.info.sid, subscribe=subscribe)
        self._session.send("update_data_subscription", proto.UpdateDataSubscription(updates=[update]))
        if subscribe:
            self._stop_timer(track)
            loop = asyncio.get_running_loop()
            track.timer = loop.call_later(SUBSCRIBE_TIMEOUT_S, self._timed_out, track)

    def _timed_out(self, track: RemoteDataTrack) -> None:
        track.timer = None
        if self._session.reconnector.active:
            return  # it is asked for again at the end of that
        error = SubscribeDataTrackError(
            f"Data track subscription timed-out: the server did not hand over {track.info.name!r} of "
            f"{track.publisher_identity!r} within {SUBSCRIBE_TIMEOUT_S:g} s; the publisher may not allow it"
        )
        for reader in list(track.readers):
            reader.end(error)
            self.left(track, reader)

    @staticmethod
    def _stop_timer(track: RemoteDataTrack) -> None:
        if track.timer is not None:
            track.timer.cancel()
            track.timer = None

    def wishes(self) -> proto.UpdateDataSubscription:
        """All that is subscribed to."""
        return proto.UpdateDataSubscription(
            updates=[
                proto.UpdateDataSubscription.Update(track_sid=track.info.sid, subscribe=True)
                for track in self._by_sid.values()
                if track.readers
            ]
        )

    def ask_again(self) -> None:
        """After a resume. Where the server's answer may have been lost, a new one is provoked."""
        for track in self._by_sid.values():
            if track.readers and not track.subscribed:
                self._wish(track, False)
                self._wish(track, True)

    # ---- what arrives ----

    def handles(self, message: proto.DataTrackSubscriberHandles) -> None:
        """The server's whole table."""
        before, self._handles = (
            self._handles,
            {handle: entry.track_sid for handle, entry in message.sub_handles.items()},
        )
        receivers: dict[int, _engine.DataTrackReceiver] = {}
        for handle, sid in self._handles.items():
            track = self._by_sid.get(sid)
            if track is None or not 0 < handle <= 65_535:
                continue
            if before.get(handle) != sid:
                track.receiver.reset()
            track.subscribed = True
            self._stop_timer(track)
            receivers[handle] = track.receiver
        for link in self._session.connections.links:
            if link.alive:
                link.peer.receive_data_tracks(DATA_TRACK, receivers)

    def close(self) -> None:
        """The session ended: readers get what has come, then the end."""
        self._lost = None
        for track in list(self._by_sid.values()):
            self._stop_timer(track)
            track.published = track.subscribed = False
            track.receiver.end()
        self._by_sid.clear()

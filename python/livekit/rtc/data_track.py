"""Data tracks: frames of bytes to whoever subscribes, late ones dropped, none repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType

from livekit.protocol import models

from greenroom.client.data_track_reader import DataTrackReader
from greenroom.client.errors import PushFrameError, SubscribeDataTrackError
from greenroom.client.local_data_tracks import LocalDataTrack as _LocalState
from greenroom.client.remote_data_tracks import RemoteDataTrack as _RemoteState

__all__ = [
    "DataTrackFrame",
    "DataTrackInfo",
    "DataTrackStream",
    "LocalDataTrack",
    "PushFrameError",
    "RemoteDataTrack",
    "SubscribeDataTrackError",
]


@dataclass
class DataTrackInfo:
    """`sid` changes when the publisher had to join anew; `name` does not. `uses_e2ee`: frames are encrypted."""

    sid: str
    name: str
    uses_e2ee: bool


@dataclass
class DataTrackFrame:
    """`user_timestamp`: any number of 64 bits that the publisher likes to send along."""

    payload: bytes
    user_timestamp: int | None = None


def _info(info: models.DataTrackInfo) -> DataTrackInfo:
    return DataTrackInfo(info.sid, info.name, info.encryption != models.Encryption.Type.NONE)


class LocalDataTrack:
    """Made by `LocalParticipant.publish_data_track`."""

    def __init__(self, owned_info: _LocalState) -> None:
        self._state = owned_info

    @property
    def info(self) -> DataTrackInfo:
        return _info(self._state.info)

    def try_push(self, frame: DataTrackFrame) -> None:
        """Send one frame, of up to 2 MB, to those who are subscribed now. It may be lost on the way.

        Never waits: frames that the connection does not take in time give way to newer ones, and are counted in
        `LocalParticipant.dropped_data_track_frames`. Raises PushFrameError when the track is unpublished, the frame
        too large, or 16 frames wait: the frame is not sent then.
        """
        self._state.push(bytes(frame.payload), frame.user_timestamp)

    def is_published(self) -> bool:
        """False once it was unpublished, by us or the server, and when the room is disconnected."""
        return self._state.published

    async def unpublish(self) -> None:
        """Take the track out of the room. Harmless twice."""
        self._state.unpublish()

    def __repr__(self) -> str:
        info = self.info
        return f"rtc.LocalDataTrack(sid={info.sid}, name={info.name})"


class RemoteDataTrack:
    """Comes with the event `data_track_published`."""

    def __init__(self, owned_info: _RemoteState) -> None:
        self._state = owned_info

    @property
    def info(self) -> DataTrackInfo:
        return _info(self._state.info)

    @property
    def publisher_identity(self) -> str:
        return self._state.publisher_identity

    def subscribe(self, *, buffer_size: int | None = None) -> DataTrackStream:
        """Receive the frames that are pushed from now on. `buffer_size`: frames kept for a slow reader (None: 16, at
        least 1); the oldest are dropped. Several streams of one track share one subscription."""
        return DataTrackStream(self._state.subscribe(buffer_size))

    def is_published(self) -> bool:
        return self._state.published

    def set_pipeline_options(self, *, max_partial_frames: int | None = None) -> None:
        """`max_partial_frames`: how many frames may be incomplete at once before the oldest is given up (at first 1).
        More suits publishers of many frames over paths that change the order of packets."""
        if max_partial_frames is not None:
            self._state.receiver.set_max_partial_frames(max(1, max_partial_frames))

    def __repr__(self) -> str:
        info = self.info
        return (
            f"rtc.RemoteDataTrack(sid={info.sid}, name={info.name}, "
            f"publisher_identity={self.publisher_identity})"
        )


class DataTrackStream:
    """The frames of one track: iterate over them, or `read` one by one. It ends when the track is unpublished.

    When subscribing fails, SubscribeDataTrackError is raised in place of the end.
    """

    def __init__(self, owned_info: DataTrackReader) -> None:
        self._reader = owned_info

    @property
    def dropped_frames(self) -> int:
        """Frames that came and were lost here: not read in time, or not decrypted."""
        return self._reader.dropped_frames

    async def read(self) -> DataTrackFrame | None:
        """The next frame; None at the end."""
        frame = await self._reader.next()
        return None if frame is None else DataTrackFrame(*frame)

    def __aiter__(self) -> AsyncIterator[DataTrackFrame]:
        return self

    async def __anext__(self) -> DataTrackFrame:
        frame = await self.read()
        if frame is None:
            raise StopAsyncIteration
        return frame

    def close(self) -> None:
        """Stop reading; the last stream of a track unsubscribes from it. Harmless twice."""
        self._reader.close()

    async def aclose(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"rtc.DataTrackStream(dropped_frames={self.dropped_frames})"

    async def __aenter__(self) -> DataTrackStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

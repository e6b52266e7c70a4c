"""One reader of a remote data track: a bounded ring in the engine, read without a wake-up while it holds something."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from greenroom import _engine
from greenroom.signalling.event_port import LoopEventPort

from .errors import SubscribeDataTrackError

if TYPE_CHECKING:
    from .remote_data_tracks import RemoteDataTrack


class DataTrackReader:
    """A reader that is too slow loses the oldest frames, which are counted."""

    def __init__(self, track: RemoteDataTrack, capacity_frames: int) -> None:
        self._track = track
        self._port = LoopEventPort.of(asyncio.get_running_loop())
        self._stream = _engine.DataTrackStream(
            self._port.port, track.receiver, capacity_frames=capacity_frames
        )
        self._port.register(self._stream.handle, self._on_event)
        self._wake = asyncio.Event()
        self._ended = False
        self._closed = False
        self._error: SubscribeDataTrackError | None = None
        self._undecrypted = 0

    @property
    def dropped_frames(self) -> int:
        """Frames that were not read in time, or could not be decrypted."""
        return self._stream.dropped_frames + self._undecrypted

    async def next(self) -> tuple[bytes, int | None] | None:
        """(payload, user timestamp); None at the end. SubscribeDataTrackError once, when subscribing failed."""
        while not self._closed:
            self._wake.clear()
            popped = self._stream.pop()
            if popped is not None:
                payload, user_timestamp, encryption = popped
                # Counted at first: the caller may be cancelled while a key is derived.
                self._undecrypted += 1
                frame = await self._track.open(payload, encryption)
                if frame is not None:
                    self._undecrypted -= 1
                    return frame, user_timestamp
                continue
            if self._ended:
                self.close()
                break
            await self._wake.wait()
        error, self._error = self._error, None
        if error is not None:
            raise error
        return None

    def _on_event(self, kind: int, _: Any) -> None:
        if kind == _engine.STREAM_ENDED:
            self._ended = True
        self._wake.set()

    def end(self, error: SubscribeDataTrackError | None = None) -> None:
        """Nothing more comes; what is queued can still be read."""
        if not self._ended:
            self._ended, self._error = True, error
            self._wake.set()

    def close(self) -> None:
        """Stop reading. Harmless twice."""
        if self._closed:
            return
        self._closed = self._ended = True
        self._port.unregister(self._stream.handle)
        self._stream.close()
        self._track.tracks.left(self._track, self)
        self._wake.set()

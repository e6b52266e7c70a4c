"""Where an application's audio enters: a bounded queue that the engine plays out in real time."""

from __future__ import annotations

import asyncio
from typing import Any

from greenroom import _engine
from greenroom.signalling.event_port import LoopEventPort

from .audio_frame import AudioFrame

_BLOCK_MS = 10


class AudioSource:
    """A source of PCM for `LocalAudioTrack.create_audio_track`.

    Args:
        sample_rate: of the frames that will be captured, 8,000 to 192,000 Hz; resampled to 48 kHz inside.
        num_channels: 1 or 2.
        queue_size_ms: how much may be queued before `capture_frame` waits; a multiple of 10. 0 switches the queue
            off: only whole 10 ms frames are taken and they are forwarded at once.
        loop: the event loop `capture_frame` will be awaited on; default: the running one.

    Raises ValueError for a rate, channel count or queue size out of range. Call `aclose` when done with it.
    """

    def __init__(
        self,
        sample_rate: int,
        num_channels: int,
        queue_size_ms: int = 1000,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if queue_size_ms < 0:
            raise ValueError(f"queue size of {queue_size_ms} ms is not supported: use a multiple of 10 ms")
        self._loop = loop or asyncio.get_event_loop()
        self._sample_rate = sample_rate
        self._num_channels = num_channels
        self._chunk_samples = max(queue_size_ms, _BLOCK_MS) * sample_rate // 1000
        event_port = LoopEventPort.of(self._loop)
        try:
            self._engine_source = _engine.AudioSource(
                event_port.port, sample_rate, num_channels, queue_size_ms
            )
        except BaseException:
            event_port.release()
            raise
        event_port.register(self._engine_source.handle, self._on_event)
        self._event_port = event_port
        self._pending: asyncio.Future[None] | None = None
        self._ticket = 0
        """Of the capture that `_pending` stands for: a completion of an earlier one may come late."""
        self._drained = asyncio.Event()
        self._capturing = asyncio.Lock()
        self._closed = False

    def _on_event(self, kind: int, payload: Any) -> None:
        if kind == _engine.CAPTURED:
            if payload == self._ticket:
                self._complete_pending()
        elif kind == _engine.DRAINED:
            self._drained.set()

    def _complete_pending(self) -> None:
        if self._pending is not None and not self._pending.done():
            self._pending.set_result(None)
        self._pending = None

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self._sample_rate

    @property
    def num_channels(self) -> int:
        return self._num_channels

    @property
    def queued_duration(self) -> float:
        """How many seconds of audio wait to be played out."""
        if self._closed:
            return 0.0
        return self._engine_source.queued_samples() / self._sample_rate

    def clear_queue(self) -> None:
        """Drop what is queued. A waiting `capture_frame` and `wait_for_playout` return."""
        if self._closed:
            return
        self._engine_source.clear()
        self._complete_pending()
        self._drained.set()

    async def capture_frame(self, frame: AudioFrame) -> None:
        """Queue one frame of any length; returns when the queue is back at or under `queue_size_ms`.

        Producing faster than real time therefore makes this wait about as long as the audio lasts. Frames are
        taken in the order of the calls. Returns at once for an empty frame or when the source is closed. When
        cancelled while waiting, the frame stays queued.

        Raises ValueError when the frame's rate or channels are not the source's.
        """
        if frame.samples_per_channel == 0 or self._closed:
            return
        if frame.sample_rate != self._sample_rate or frame.num_channels != self._num_channels:
            raise ValueError(
                "sample_rate and num_channels don't match: the source takes "
                f"{self._sample_rate} Hz x {self._num_channels}, the frame has {frame.sample_rate} Hz x {frame.num_channels}"
            )
        samples = frame.data
        step = self._chunk_samples * self._num_channels
        async with self._capturing:
            for start in range(0, len(samples), step):
                await self._push(samples[start : start + step])

    async def _push(self, samples: memoryview) -> None:
        # A capture cancelled while it waited left its ticket open: the queue is still full.
        if self._pending is not None:
            await asyncio.shield(self._pending)
        if self._closed:
            return
        self._drained.clear()
        self._ticket = self._engine_source.push(samples.cast("B"))
        if self._ticket == 0:
            return
        self._pending = self._loop.create_future()
        await asyncio.shield(self._pending)

    async def wait_for_playout(self) -> None:
        """Wait until everything captured so far has been handed to the encoder; at once when nothing is queued.

        A remainder shorter than 10 ms stays queued until more is captured and is not waited for.
        """
        while (remaining := self.queued_duration) >= _BLOCK_MS / 1000:
            self._drained.clear()
            try:
                await asyncio.wait_for(self._drained.wait(), remaining + 0.02)
            except asyncio.TimeoutError:
                continue

    async def aclose(self) -> None:
        """Free the source; later captures do nothing. Harmless twice."""
        if self._closed:
            return
        self._closed = True
        self._event_port.unregister(self._engine_source.handle)
        self._engine_source.close()
        self._complete_pending()
        self._drained.set()

    def __repr__(self) -> str:
        return f"rtc.AudioSource(sample_rate={self._sample_rate}, num_channels={self._num_channels})"

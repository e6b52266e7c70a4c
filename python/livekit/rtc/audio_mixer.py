"""Several streams of audio made into one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import numpy as np

from .audio_frame import AudioFrame
from .log import logger

_STALLED_ROUNDS = 10
"""After `end_input`, a stream that gave nothing in so many blocks in a row is dropped, so that mixing ends."""


class AudioMixer:
    """An async iterator of the sum of its streams, block by block, clipped to 16 bits.

    Args:
        sample_rate, num_channels: of every stream and of the result. A frame of another format ends its stream, with an
            error in the log: put an `AudioResampler` before, or ask the `AudioStream` for this format.
        blocksize: samples per channel of each frame; 0 for 100 ms.
        stream_timeout_ms: how long a block waits for a stream. One that gives nothing counts as silent in that block and
            stays; the first time is logged. When all are silent there is no block.
        capacity: how many blocks may wait to be read; a full mixer stops taking from its streams.

    Make it on a running loop. A stream that ends, or fails (which is logged), is removed.
    """

    def __init__(
        self,
        sample_rate: int,
        num_channels: int,
        *,
        blocksize: int = 0,
        stream_timeout_ms: int = 100,
        capacity: int = 100,
    ) -> None:
        for name, value in (
            ("sample_rate", sample_rate),
            ("num_channels", num_channels),
            ("capacity", capacity),
        ):
            if value < 1:
                raise ValueError(f"{name} is {value}: it must be at least 1")
        self._sample_rate = sample_rate
        self._num_channels = num_channels
        self._block_samples = blocksize if blocksize > 0 else sample_rate // 10
        self._timeout_s = stream_timeout_ms / 1000
        self._inputs: dict[AsyncIterator[AudioFrame], _Input] = {}
        self._mixed: asyncio.Queue[AudioFrame | None] = asyncio.Queue(capacity)
        self._changed = asyncio.Event()
        self._ending = False
        self._closed = False
        self._task = asyncio.create_task(self._mix())

    def add_stream(self, stream: AsyncIterator[AudioFrame]) -> None:
        """Mix this one in from the next block on. Harmless twice. RuntimeError after `end_input` or `aclose`."""
        if self._ending:
            raise RuntimeError("no stream can be added: the mixer's input has ended")
        if stream not in self._inputs:
            self._inputs[stream] = _Input(stream, self._sample_rate, self._num_channels)
            self._changed.set()

    def remove_stream(self, stream: AsyncIterator[AudioFrame]) -> None:
        """Leave this one out from now on; what it gave and was not mixed yet is dropped. Harmless when it is not in."""
        source = self._inputs.pop(stream, None)
        if source is not None:
            source.stop_reading()
            self._changed.set()

    def end_input(self) -> None:
        """No stream is added any more: the mixer ends when all have."""
        self._ending = True
        self._changed.set()

    async def aclose(self) -> None:
        """Stop at once; blocks that were not read are dropped, and a waiting iteration ends. Harmless twice."""
        self._ending = self._closed = True
        self._task.cancel()
        await asyncio.wait([self._task])
        readings = [reading for source in self._inputs.values() if (reading := source.stop_reading())]
        self._inputs.clear()
        if readings:
            await asyncio.wait(readings)
        while not self._mixed.empty():
            self._mixed.get_nowait()
        self._mixed.put_nowait(None)

    def __aiter__(self) -> AudioMixer:
        return self

    async def __anext__(self) -> AudioFrame:
        frame = await self._mixed.get()
        if frame is None:
            with contextlib.suppress(asyncio.QueueFull):
                self._mixed.put_nowait(None)  # for whoever asks again
            raise StopAsyncIteration
        return frame

    async def _mix(self) -> None:
        while self._inputs or not self._ending:
            if not self._inputs:
                self._changed.clear()
                await self._changed.wait()
                continue
            blocks = await asyncio.gather(
                *(one.block(self._block_samples, self._timeout_s) for one in list(self._inputs.values()))
            )
            for stream, one in list(self._inputs.items()):
                if one.is_exhausted or (self._ending and one.stalled_rounds >= _STALLED_ROUNDS):
                    self.remove_stream(stream)
            heard = [block for block in blocks if block is not None]
            if heard:
                await self._mixed.put(self._sum(heard))
            else:
                await asyncio.sleep(0)
        await self._mixed.put(None)

    def _sum(self, blocks: list[np.ndarray]) -> AudioFrame:
        total = np.zeros((self._block_samples, self._num_channels), np.int32)
        for block in blocks:
            total[: len(block)] += block
        samples = np.clip(total, -32768, 32767).astype(np.int16)
        return AudioFrame(samples.tobytes(), self._sample_rate, self._num_channels, self._block_samples)

    def __repr__(self) -> str:
        return (
            f"rtc.AudioMixer(sample_rate={self._sample_rate}, num_channels={self._num_channels}, "
            f"streams={len(self._inputs)}, closed={self._closed})"
        )


class _Input:
    """One stream of a mixer, and what it gave beyond the blocks taken."""

    def __init__(self, stream: AsyncIterator[AudioFrame], sample_rate: int, num_channels: int) -> None:
        self._stream = stream
        self._format = (sample_rate, num_channels)
        self._samples = np.empty((0, num_channels), np.int16)
        self._reading: asyncio.Future[AudioFrame] | None = None
        """Kept over blocks: cancelling it would end a stream that is a generator."""
        self._ended = False
        self.stalled_rounds = 0
        """Blocks in a row that it gave nothing to."""

    @property
    def is_exhausted(self) -> bool:
        return self._ended and len(self._samples) == 0

    async def block(self, samples: int, timeout_s: float) -> np.ndarray | None:
        """The next samples, fewer when there are no more in time; None for none."""
        while len(self._samples) < samples and not self._ended:
            if self._reading is None:
                self._reading = asyncio.ensure_future(self._stream.__anext__())
            await asyncio.wait([self._reading], timeout=timeout_s)
            if self._reading is None or not self._reading.done():
                self._note_stall()
                break
            reading, self._reading = self._reading, None
            self._take(reading)
        block, self._samples = self._samples[:samples], self._samples[samples:]
        return block if len(block) else None

    def _note_stall(self) -> None:
        if self.stalled_rounds == 0:
            logger.warning(
                "a stream of an audio mixer gives nothing in time and counts as silent: %r", self._stream
            )
        self.stalled_rounds += 1

    def _take(self, reading: asyncio.Future[AudioFrame]) -> None:
        try:
            frame = reading.result()
        except (StopAsyncIteration, asyncio.CancelledError):
            self._ended = True
            return
        except Exception:
            logger.exception("a stream of an audio mixer failed and is left out: %r", self._stream)
            self._ended = True
            return
        if (frame.sample_rate, frame.num_channels) != self._format:
            logger.error(
                "a stream of an audio mixer gave %d Hz with %d channels where %d Hz with %d are mixed; it is left out: %r",
                frame.sample_rate, frame.num_channels, *self._format, self._stream,
            )  # fmt: skip
            self._ended = True
            return
        self.stalled_rounds = 0
        fresh = np.frombuffer(frame.data, np.int16).reshape(-1, frame.num_channels)
        self._samples = np.concatenate([self._samples, fresh]) if len(self._samples) else fresh

    def stop_reading(self) -> asyncio.Future[AudioFrame] | None:
        """Cancel a read under way; the caller may wait for its end."""
        reading, self._reading = self._reading, None
        self._ended = True
        if reading is not None:
            reading.cancel()
            reading.add_done_callback(_consume)
        return reading


def _consume(reading: asyncio.Future[AudioFrame]) -> None:
    if not reading.cancelled():
        reading.exception()

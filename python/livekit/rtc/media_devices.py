"""Microphones and loudspeakers of this machine, through the optional `sounddevice` package (PortAudio)."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .audio_frame import AudioFrame
from .audio_mixer import AudioMixer
from .audio_source import AudioSource
from .audio_stream import AudioStream
from .log import logger
from .track import Track

DEFAULT_SAMPLE_RATE = 48_000
DEFAULT_CHANNELS = 1
BLOCKSIZE = 4_800
MAX_BUFFERED_S = 0.5
"""Of sound that waits for a loudspeaker; older sound is dropped, so that clocks that differ add no delay."""


def _sounddevice() -> Any:
    try:
        return importlib.import_module("sounddevice")
    except (ImportError, OSError) as error:  # OSError: PortAudio itself is missing
        raise ImportError(
            f"audio devices need the sounddevice package and PortAudio ({error}): pip install sounddevice, "
            "and on Debian apt-get install libportaudio2"
        ) from error


@dataclass
class InputCapture:
    """A microphone being captured. Publish `source` with `LocalAudioTrack.create_audio_track`, and `aclose` this."""

    source: AudioSource
    input_stream: Any
    task: asyncio.Task[None]
    dropped_frames: int = 0
    """Blocks dropped because the source did not take them in time."""

    async def aclose(self) -> None:
        """Stop capturing and free the device. The source stays the caller's to close. Harmless twice."""
        self.task.cancel()
        await asyncio.wait([self.task])
        self.input_stream.stop()
        self.input_stream.close()


class OutputPlayer:
    """Plays the sum of the tracks it is given. Made by `MediaDevices.open_output`."""

    def __init__(
        self,
        *,
        sample_rate: int = DEFAULT_SAMPLE_RATE,
        num_channels: int = DEFAULT_CHANNELS,
        blocksize: int = BLOCKSIZE,
        output_device: int | None = None,
    ) -> None:
        self._sample_rate = sample_rate
        self._num_channels = num_channels
        self._mixer = AudioMixer(sample_rate, num_channels)
        self._tracks: dict[str, tuple[AudioStream, AsyncIterator[AudioFrame]]] = {}
        self._lock = threading.Lock()
        self._buffer = bytearray()
        self._max_bytes = int(MAX_BUFFERED_S * sample_rate) * num_channels * 2
        self._task: asyncio.Task[None] | None = None
        self._stream = _sounddevice().OutputStream(
            callback=self._fill,
            dtype="int16",
            channels=num_channels,
            device=output_device,
            samplerate=sample_rate,
            blocksize=blocksize,
        )

    async def add_track(self, track: Track) -> None:
        """Play this one too. ValueError when it is played already."""
        if track.sid in self._tracks:
            raise ValueError(f"track {track.sid} is played already")
        stream = AudioStream(track, sample_rate=self._sample_rate, num_channels=self._num_channels)
        frames = _frames(stream)
        self._tracks[track.sid] = (stream, frames)
        self._mixer.add_stream(frames)

    async def remove_track(self, track: Track) -> None:
        """Play this one no longer. Harmless when it is not played."""
        stream, frames = self._tracks.pop(track.sid, (None, None))
        if stream is not None and frames is not None:
            self._mixer.remove_stream(frames)
            await stream.aclose()

    async def start(self) -> None:
        """Begin to play. RuntimeError when it plays already."""
        if self._task is not None:
            raise RuntimeError("the player plays already")
        self._task = asyncio.create_task(self._play())
        self._stream.start()

    async def aclose(self) -> None:
        """Stop, and free the device and everything that was added. Harmless twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._stream.stop()
        self._stream.close()
        await self._mixer.aclose()
        streams = [stream for stream, _ in self._tracks.values()]
        self._tracks.clear()
        for stream in streams:
            await stream.aclose()

    async def _play(self) -> None:
        async for frame in self._mixer:
            with self._lock:
                self._buffer += frame.data.tobytes()
                surplus = len(self._buffer) - self._max_bytes
                if surplus > 0:
                    del self._buffer[:surplus]

    def _fill(self, outdata: np.ndarray, frame_count: int, time_info: Any, status: Any) -> None:
        """On PortAudio's thread: as much as there is, then silence."""
        wanted = outdata.size * 2
        with self._lock:
            ready = bytes(self._buffer[:wanted])
            del self._buffer[:wanted]
        samples = np.frombuffer(ready.ljust(wanted, b"\0"), np.int16)
        outdata[:] = samples.reshape(outdata.shape)


class MediaDevices:
    """Lists audio devices, captures from them and plays to them.

    Args:
        loop: the loop that captures; default: the running one.
        input_sample_rate, output_sample_rate, num_channels: of what is captured and played.
        blocksize: samples per channel that a device gives or takes at once.

    ImportError, with what to install, when `sounddevice` or PortAudio is missing.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        input_sample_rate: int = DEFAULT_SAMPLE_RATE,
        output_sample_rate: int = DEFAULT_SAMPLE_RATE,
        num_channels: int = DEFAULT_CHANNELS,
        blocksize: int = BLOCKSIZE,
    ) -> None:
        self._loop = loop or asyncio.get_event_loop()
        self._input_sample_rate = input_sample_rate
        self._output_sample_rate = output_sample_rate
        self._num_channels = num_channels
        self._blocksize = blocksize

    def list_input_devices(self) -> list[dict[str, Any]]:
        """What `sounddevice` tells of each microphone, and its `index`."""
        return _devices("max_input_channels")

    def list_output_devices(self) -> list[dict[str, Any]]:
        """What `sounddevice` tells of each loudspeaker, and its `index`."""
        return _devices("max_output_channels")

    def default_input_device(self) -> int | None:
        """The index of the microphone used when none is named; None when there is none."""
        return _default_device(0)

    def default_output_device(self) -> int | None:
        """The index of the loudspeaker used when none is named; None when there is none."""
        return _default_device(1)

    def open_input(
        self,
        *,
        enable_aec: bool = True,
        noise_suppression: bool = True,
        high_pass_filter: bool = True,
        auto_gain_control: bool = True,
        input_device: int | None = None,
        queue_capacity: int = 50,
        input_channel_index: int | None = None,
    ) -> InputCapture:
        """Capture a microphone.

        `queue_capacity`: blocks that may wait for the source; a newer one is dropped and counted while it is full.
        `input_channel_index`: take this channel of the device alone. The processing that the first four ask for is not
        available yet: the sound is captured as it is, which is logged.
        """
        if enable_aec or noise_suppression or high_pass_filter or auto_gain_control:
            logger.warning("the microphone's sound is not processed: echo, noise and level stay as they are")
        source = AudioSource(self._input_sample_rate, self._num_channels, loop=self._loop)
        blocks: asyncio.Queue[bytes] = asyncio.Queue(queue_capacity)

        def offer(block: bytes) -> None:
            if blocks.full():
                capture.dropped_frames += 1
            else:
                blocks.put_nowait(block)

        def take(indata: np.ndarray, frame_count: int, time_info: Any, status: Any) -> None:
            """On PortAudio's thread."""
            chosen = (
                indata
                if input_channel_index is None
                else indata[:, [input_channel_index] * self._num_channels]
            )
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(offer, np.ascontiguousarray(chosen).tobytes())

        channels = self._num_channels if input_channel_index is None else input_channel_index + 1
        input_stream = _sounddevice().InputStream(
            callback=take,
            dtype="int16",
            channels=channels,
            device=input_device,
            samplerate=self._input_sample_rate,
            blocksize=self._blocksize,
        )
        task = self._loop.create_task(self._pump(blocks, source))
        capture = InputCapture(source, input_stream, task)
        input_stream.start()
        return capture

    async def _pump(self, blocks: asyncio.Queue[bytes], source: AudioSource) -> None:
        while True:
            block = await blocks.get()
            samples = len(block) // (2 * self._num_channels)
            try:
                await source.capture_frame(
                    AudioFrame(block, self._input_sample_rate, self._num_channels, samples)
                )
            except Exception:
                logger.exception("a block of the microphone could not be captured")
                return

    def open_output(self, *, output_device: int | None = None) -> OutputPlayer:
        """A player for tracks, on the default loudspeaker or on `output_device`."""
        return OutputPlayer(
            sample_rate=self._output_sample_rate,
            num_channels=self._num_channels,
            blocksize=self._blocksize,
            output_device=output_device,
        )

    def __repr__(self) -> str:
        rates = f"input_sample_rate={self._input_sample_rate}, output_sample_rate={self._output_sample_rate}"
        return f"rtc.MediaDevices({rates}, num_channels={self._num_channels})"


async def _frames(stream: AudioStream) -> AsyncIterator[AudioFrame]:
    async for event in stream:
        yield event.frame


def _devices(channels: str) -> list[dict[str, Any]]:
    devices = enumerate(_sounddevice().query_devices())
    return [{"index": index, **device} for index, device in devices if device.get(channels, 0) > 0]


def _default_device(which: int) -> int | None:
    device = _sounddevice().default.device
    chosen = device[which] if hasattr(device, "__getitem__") else device
    return None if chosen is None or chosen < 0 else int(chosen)

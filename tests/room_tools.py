"""For tests that join rooms: a room's events to wait on, sources that play, and ways to judge what arrives."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar, get_args

import numpy as np
from livekit.protocol import models

from livekit import rtc
from livekit.rtc.room import EventTypes

LIMIT_S = 15.0
RATE_HZ = 48_000
RED, GREEN, BLUE = (210, 40, 40), (40, 210, 40), (40, 40, 210)
_T = TypeVar("_T")


async def within(awaitable: Awaitable[_T], limit_s: float = LIMIT_S) -> _T:
    """The result, or a failure when it takes implausibly long."""
    return await asyncio.wait_for(awaitable, limit_s)


class Events:
    """Every event of a room in the order it came, with its arguments."""

    def __init__(self, room: rtc.Room) -> None:
        self.all: list[tuple[str, tuple[Any, ...]]] = []
        self._waiters: list[asyncio.Event] = []
        for name in get_args(EventTypes):
            room.on(name, functools.partial(self._happened, name))

    def _happened(self, name: str, *args: Any) -> None:
        self.all.append((name, args))
        for waiter in self._waiters:
            waiter.set()

    def names(self, *wanted: str) -> list[str]:
        """In order; only `wanted` when given."""
        return [name for name, _ in self.all if not wanted or name in wanted]

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [args for happened, args in self.all if happened == name]

    async def wait(
        self, name: str, matches: Callable[..., bool] = lambda *_: True, *, count: int = 1
    ) -> tuple[Any, ...]:
        """The arguments of the `count`th matching event, past ones included."""
        await self.until(lambda: self._matching(name, matches) >= count, f"{count} x {name}")
        return [args for args in self.of(name) if matches(*args)][count - 1]

    def _matching(self, name: str, matches: Callable[..., bool]) -> int:
        return sum(matches(*args) for args in self.of(name))

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Until `condition` holds; it is looked at after each event."""
        changed = asyncio.Event()
        self._waiters.append(changed)
        try:
            while not condition():
                changed.clear()
                try:
                    await asyncio.wait_for(changed.wait(), LIMIT_S)
                except asyncio.TimeoutError:
                    raise AssertionError(f"{what} never came; there was: {self.names()}") from None
        finally:
            self._waiters.remove(changed)


class Packets:
    """What comes to a room of one kind of packet that has no event of its own."""

    def __init__(self, room: rtc.Room, kind: str) -> None:
        self._all: asyncio.Queue[models.DataPacket] = asyncio.Queue()
        assert room._session is not None
        room._session.receiver.handlers[kind] = lambda packet, _: self._all.put_nowait(packet)

    async def next(self) -> models.DataPacket:
        return await within(self._all.get())

    def empty(self) -> bool:
        return self._all.empty()


async def send_packet(room: rtc.Room, packet: models.DataPacket) -> None:
    """Any packet, reliably."""
    assert room._session is not None
    await room._session.sender.send(packet, reliable=True)


@contextlib.asynccontextmanager
async def running(coroutine: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Run something beside the block, and end it with the block."""
    task = asyncio.ensure_future(coroutine)
    try:
        yield task
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def play(source: rtc.AudioSource, hz: float, amplitude: int = 10_000) -> None:
    """A tone on every channel, until cancelled."""
    rate, channels = source.sample_rate, source.num_channels
    position, block = 0, rate // 50
    while True:
        wave = np.sin((np.arange(block) + position) * (2 * np.pi * hz / rate)) * amplitude
        samples = np.repeat(wave.astype(np.int16), channels)
        await source.capture_frame(rtc.AudioFrame(samples.tobytes(), rate, channels, block))
        position += block


def flat(width: int, height: int, colour: tuple[int, int, int]) -> rtc.VideoFrame:
    rgba = np.full((height, width, 4), 255, np.uint8)
    rgba[:, :, :3] = colour
    return rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, rgba.tobytes())


async def show(
    source: rtc.VideoSource,
    width: int,
    height: int,
    colour: tuple[int, int, int],
    frames_per_second: int = 20,
) -> None:
    """A picture of one colour, until cancelled."""
    frame = flat(width, height, colour).convert(rtc.VideoBufferType.I420)
    while True:
        source.capture_frame(frame)
        await asyncio.sleep(1 / frames_per_second)


async def _show_noise(source: rtc.VideoSource, width: int, height: int) -> None:
    """A picture that takes all the bits it may have, until cancelled."""
    random = np.random.default_rng(1)
    while True:
        pixels = random.integers(0, 256, (height // 8, width // 8, 4), np.uint8)
        large = pixels.repeat(8, axis=0).repeat(8, axis=1)
        source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, large.tobytes()))
        await asyncio.sleep(1 / 15)


def colour_of(frame: rtc.VideoFrame) -> tuple[float, float, float]:
    rgba = np.frombuffer(frame.convert(rtc.VideoBufferType.RGBA).data, np.uint8).reshape(-1, 4)
    red, green, blue = rgba[:, :3].mean(axis=0)
    return float(red), float(green), float(blue)


def is_colour(frame: rtc.VideoFrame, colour: tuple[int, int, int]) -> bool:
    return all(abs(seen - sent) < 25 for seen, sent in zip(colour_of(frame), colour, strict=True))


async def wait_for_picture(
    stream: rtc.VideoStream,
    colour: tuple[int, int, int] | None = None,
    size: tuple[int, int] | None = None,
    limit_s: float = LIMIT_S,
) -> rtc.VideoFrame:
    """The first frame of that colour and size."""
    seen: list[Any] = []

    async def look() -> rtc.VideoFrame:
        async for event in stream:
            frame = event.frame
            seen.append((frame.width, frame.height, *map(round, colour_of(frame))))
            if (colour is None or is_colour(frame, colour)) and (
                size is None or size == (frame.width, frame.height)
            ):
                return frame
        raise AssertionError(f"the stream ended without {colour} {size}; frames: {seen[-5:]}")

    try:
        return await asyncio.wait_for(look(), limit_s)
    except asyncio.TimeoutError:
        raise AssertionError(
            f"no picture of {colour} {size}; {len(seen)} frames, last: {seen[-5:]}"
        ) from None


async def watch(stream: rtc.VideoStream, seconds: float) -> tuple[int, float]:
    """How many frames come in that time, and the longest time without one."""
    loop = asyncio.get_running_loop()
    frames, longest_s = 0, 0.0
    last = begun = loop.time()
    while last < begun + seconds:
        await within(stream.__anext__())
        now = loop.time()
        frames, longest_s, last = frames + 1, max(longest_s, now - last), now
    return frames, longest_s


class Ear:
    """Judges the last 200 ms of an audio stream."""

    def __init__(self, stream: rtc.AudioStream, rate: int = RATE_HZ, channels: int = 1) -> None:
        self._stream, self._rate, self._channels = stream, rate, channels
        self._window = np.zeros((rate // 5, channels))

    async def _hear(self) -> None:
        event = await self._stream.__anext__()
        # A frame that is there already comes at once: on a busy machine nothing else would ever run.
        await asyncio.sleep(0)
        block = np.frombuffer(event.frame.data, np.int16).reshape(-1, self._channels)
        self._window = np.concatenate([self._window, block])[len(block) :]

    def level(self) -> float:
        return float(np.sqrt((self._window**2).mean()))

    def pitch_hz(self, channel: int = 0) -> float:
        wave = self._window[:, channel]
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
        return float(spectrum.argmax() * self._rate / len(wave))

    async def wait_for_tone(self, hz: float, amplitude: int = 10_000) -> None:
        """Until the window holds that tone at about that level on all channels."""
        level = amplitude / 2**0.5
        await self._until(
            lambda: (
                abs(self.level() - level) < level / 4
                and all(abs(self.pitch_hz(c) - hz) <= 10 for c in range(self._channels))
            ),
            f"{hz} Hz",
        )

    async def wait_for_tones(self, *hz: float) -> None:
        """Until each channel holds its own tone, and no more than a trace of another."""

        def pure(channel: int) -> bool:
            wave = self._window[:, channel]
            spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
            peak = round(hz[channel] * len(wave) / self._rate)
            return bool(spectrum[peak - 4 : peak + 5].sum() > 0.95 * spectrum.sum() > 0)

        await self._until(lambda: all(pure(c) for c in range(self._channels)), f"{hz} Hz")

    async def wait_for_silence(self) -> None:
        await self._until(lambda: self.level() < 30, "silence")

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        async def hear() -> None:
            while not condition():
                await self._hear()

        try:
            await asyncio.wait_for(hear(), LIMIT_S)
        except (asyncio.TimeoutError, StopAsyncIteration) as error:
            raise AssertionError(
                f"{what} was never heard ({type(error).__name__}); last: level {self.level():.0f}, {self.pitch_hz():.0f} Hz"
            ) from None


class Rooms:
    """Joins rooms on one server and leaves them all at the end."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.name = f"room-{os.urandom(4).hex()}"
        self._joined: list[rtc.Room] = []

    def token(self, identity: str, **grants: Any) -> str:
        return str(self.server.token(identity=identity, room=self.name, **grants))

    async def join(
        self, identity: str, options: rtc.RoomOptions | None = None, **grants: Any
    ) -> tuple[rtc.Room, Events]:
        """A connected room and its events, `connected` and later."""
        room = rtc.Room()
        events = Events(room)
        await within(
            room.connect(self.server.url, self.token(identity, **grants), options or rtc.RoomOptions())
        )
        self._joined.append(room)
        await events.wait("connected")
        return room, events

    async def leave(self) -> None:
        await asyncio.gather(*(room.disconnect() for room in self._joined))


@contextlib.asynccontextmanager
async def microphone(
    room: rtc.Room, hz: float = 1000, rate: int = RATE_HZ, channels: int = 1
) -> AsyncIterator[tuple[rtc.LocalTrackPublication, rtc.LocalAudioTrack]]:
    """A published tone."""
    source = rtc.AudioSource(rate, channels, 200)
    try:
        async with running(play(source, hz)):
            track = rtc.LocalAudioTrack.create_audio_track("tone", source)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            yield await within(room.local_participant.publish_track(track, options)), track
    finally:
        await source.aclose()


@contextlib.asynccontextmanager
async def camera(
    room: rtc.Room,
    colour: tuple[int, int, int] = RED,
    size: tuple[int, int] = (320, 240),
    codec: str = "VP8",
    simulcast: bool = False,
) -> AsyncIterator[tuple[rtc.LocalTrackPublication, rtc.LocalVideoTrack]]:
    """A published picture of one colour."""
    source = rtc.VideoSource(*size)
    try:
        async with running(show(source, *size, colour)):
            track = rtc.LocalVideoTrack.create_video_track("card", source)
            options = rtc.TrackPublishOptions(
                source=rtc.TrackSource.SOURCE_CAMERA,
                simulcast=simulcast,
                video_codec=rtc.VideoCodec.Value(codec),
            )
            yield await within(room.local_participant.publish_track(track, options)), track
    finally:
        await source.aclose()


@contextlib.asynccontextmanager
async def noise(room: rtc.Room, size: tuple[int, int]) -> AsyncIterator[rtc.LocalVideoTrack]:
    """A published picture in layers that takes all the bits it may have."""
    source = rtc.VideoSource(*size)
    try:
        async with running(_show_noise(source, *size)):
            track = rtc.LocalVideoTrack.create_video_track("noise", source)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=True)
            await within(room.local_participant.publish_track(track, options))
            yield track
    finally:
        await source.aclose()

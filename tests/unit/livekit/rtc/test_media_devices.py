"""Audio devices, with a stand-in for the sounddevice package."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from livekit import rtc

LIMIT_S = 5
RATE = 48_000


class _Stream:
    """A device: a test calls its callback."""

    def __init__(self, **options: Any) -> None:
        self.options, self.running, self.closed = options, False, False

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made: list[_Stream] = []

    def make(**options: Any) -> _Stream:
        made.append(_Stream(**options))
        return made[-1]

    module = SimpleNamespace(
        InputStream=make,
        OutputStream=make,
        query_devices=lambda: [
            {"name": "mic", "max_input_channels": 2, "max_output_channels": 0},
            {"name": "speaker", "max_input_channels": 0, "max_output_channels": 2},
        ],
        default=SimpleNamespace(device=[0, -1]),
        made=made,
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


async def test_devices_are_listed_with_their_index(devices: SimpleNamespace) -> None:
    media = rtc.MediaDevices()
    assert [(d["index"], d["name"]) for d in media.list_input_devices()] == [(0, "mic")]
    assert [(d["index"], d["name"]) for d in media.list_output_devices()] == [(1, "speaker")]
    assert (media.default_input_device(), media.default_output_device()) == (0, None)


async def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ImportError, match="pip install sounddevice"):
        rtc.MediaDevices().list_input_devices()


async def test_a_microphone_is_captured(devices: SimpleNamespace) -> None:
    capture = rtc.MediaDevices(blocksize=480).open_input(input_device=3, input_channel_index=1)
    (device,) = devices.made
    assert device.running
    assert (device.options["channels"], device.options["device"], device.options["samplerate"]) == (
        2,
        3,
        RATE,
    )
    both = np.stack([np.full(480, 1, np.int16), np.full(480, 2, np.int16)], axis=1)
    captured: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue()
    capture.source.capture_frame = captured.put  # type: ignore[method-assign]
    device.options["callback"](both, 480, None, None)
    frame = await asyncio.wait_for(captured.get(), LIMIT_S)
    assert np.frombuffer(frame.data, np.int16).tolist() == [2] * 480
    await capture.aclose()
    assert device.closed
    await capture.source.aclose()


async def test_a_full_queue_drops_blocks_and_counts_them(devices: SimpleNamespace) -> None:
    capture = rtc.MediaDevices(blocksize=10).open_input(queue_capacity=2)
    for _ in range(5):
        devices.made[0].options["callback"](np.zeros((10, 1), np.int16), 10, None, None)
    capture.task.cancel()
    await asyncio.wait([capture.task])
    assert capture.dropped_frames >= 3
    await capture.aclose()
    await capture.source.aclose()


async def test_tracks_are_played(devices: SimpleNamespace) -> None:
    player = rtc.MediaDevices().open_output()
    (device,) = devices.made
    source = rtc.AudioSource(RATE, 1)
    track = rtc.LocalAudioTrack.create_audio_track("tone", source)
    await player.add_track(track)
    with pytest.raises(ValueError, match="already"):
        await player.add_track(track)
    await player.start()
    with pytest.raises(RuntimeError, match="already"):
        await player.start()
    loud = rtc.AudioFrame(np.full(4800, 9000, np.int16).tobytes(), RATE, 1, 4800)
    heard = np.zeros((480, 1), np.int16)

    async def until_heard() -> None:
        while not (heard > 5000).all():
            await source.capture_frame(loud)
            device.options["callback"](heard, 480, None, None)

    await asyncio.wait_for(until_heard(), LIMIT_S)
    await player.remove_track(track)
    await player.remove_track(track)
    await player.aclose()
    assert device.closed
    silence = np.ones((480, 1), np.int16)
    for _ in range(100):
        device.options["callback"](silence, 480, None, None)
    assert not silence.any()
    await source.aclose()

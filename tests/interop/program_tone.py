"""A tone for the programs that either SDK's interpreter runs; it uses only what both SDKs have."""

from __future__ import annotations

import numpy as np

from livekit import rtc

RATE_HZ = 48_000


async def play(source: rtc.AudioSource) -> None:
    """600 Hz, for ever."""
    position, block = 0, RATE_HZ // 100
    while True:
        wave = np.sin((np.arange(block) + position) * (2 * np.pi * 600 / RATE_HZ)) * 10_000
        await source.capture_frame(rtc.AudioFrame(wave.astype(np.int16).tobytes(), RATE_HZ, 1, block))
        position += block

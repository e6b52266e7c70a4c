"""A number written into the top rows of a picture, so that the receiver can tell how old it is.

16 blocks, dark or light, across the top of the luma plane: robust to scaling and compression.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from livekit import rtc

_BITS = 16
_MODULUS_MS = 1 << (_BITS - 1)
"""The highest block is the complement of its neighbour, a check that this is a strip at all."""


def stamp(frame: rtc.VideoFrame) -> None:
    """Write the time in milliseconds into an I420 frame, whose buffer must be writable."""
    luma = _luma(frame)
    value = _now_ms()
    bits = [(value >> bit) & 1 for bit in range(_BITS - 1)]
    bits.append(1 - bits[-1])
    height, width = _block(frame)
    for bit, is_set in enumerate(bits):
        luma[:height, bit * width : (bit + 1) * width] = 220 if is_set else 30


def age_ms(frame: rtc.VideoFrame) -> int | None:
    """How long ago the frame was stamped, by this machine's clock; None when it carries no strip."""
    luma = _luma(frame.convert(rtc.VideoBufferType.I420))
    height, width = _block(frame)
    bits = []
    for bit in range(_BITS):
        block = luma[height // 4 : height * 3 // 4, bit * width + width // 4 : bit * width + width * 3 // 4]
        mean = float(block.mean()) if block.size else 128.0
        if 90 < mean < 160:
            return None
        bits.append(int(mean > 125))
    if bits[-1] == bits[-2]:
        return None
    sent = sum(bit << index for index, bit in enumerate(bits[:-1]))
    return (_now_ms() - sent) % _MODULUS_MS


def _now_ms() -> int:
    return int(time.monotonic() * 1000) % _MODULUS_MS


def _block(frame: rtc.VideoFrame) -> tuple[int, int]:
    return max(4, frame.height // 24), frame.width // _BITS


def _luma(frame: rtc.VideoFrame) -> npt.NDArray[np.uint8]:
    plane = np.frombuffer(frame.data, np.uint8, count=frame.width * frame.height)
    return plane.reshape(frame.height, frame.width)

"""What Chromium's fake camera and microphone play."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from ..room_program import QUARTERS_RGB

CAMERA_SIZE = (960, 540)
CAMERA_FPS = 15
MICROPHONE_HZ = 800
_FRAMES = 4
_RATE_HZ = 48_000


def write_camera(file: Path) -> None:
    """A card of coloured quarters as YUV4MPEG2, with a corner that changes."""
    width, height = CAMERA_SIZE
    red, green, blue = np.array(QUARTERS_RGB).T
    planes = (
        16 + 0.2568 * red + 0.5041 * green + 0.0979 * blue,
        128 - 0.1482 * red - 0.2910 * green + 0.4392 * blue,
        128 + 0.4392 * red - 0.3678 * green - 0.0714 * blue,
    )  # BT.601
    with file.open("wb") as out:
        out.write(f"YUV4MPEG2 W{width} H{height} F{CAMERA_FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in range(_FRAMES):
            out.write(b"FRAME\n")
            for index, quarters in enumerate(planes):
                across, down = (width, height) if index == 0 else (width // 2, height // 2)
                plane = np.kron(quarters.reshape(2, 2), np.ones((down // 2, across // 2)))
                if index == 0:
                    plane[:16, :16] = 40 + 50 * frame
                out.write(plane.round().astype(np.uint8).tobytes())


def write_microphone(file: Path) -> None:
    """A tone that goes on when the file begins anew."""
    samples = np.sin(np.arange(_RATE_HZ) * (2 * np.pi * MICROPHONE_HZ / _RATE_HZ)) * 10_000
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(_RATE_HZ)
        out.writeframes(samples.astype(np.int16).tobytes())

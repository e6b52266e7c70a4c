"""Make the sample files that the demo plays: speech by espeak-ng, and a moving test card. Needs espeak-ng and PyAV."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import av
import numpy as np

SAMPLES = Path(__file__).resolve().parent.parent / "python" / "greenroom" / "samples"
SENTENCES = (
    "Welcome to Greenroom. This voice left one participant as sound, crossed a room server as packets, "
    "and reached another participant as sound again. The picture beside it took the same way."
)
WIDTH, HEIGHT, FRAMES_PER_SECOND, SECONDS = 640, 360, 30, 8
BARS_RGB = [
    (235, 235, 235),
    (225, 225, 30),
    (30, 225, 225),
    (30, 210, 30),
    (210, 30, 210),
    (210, 30, 30),
    (30, 30, 220),
]


def make_speech(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        subprocess.run(["espeak-ng", "-v", "en-gb", "-s", "155", "-w", str(wav), SENTENCES], check=True)
        with av.open(str(wav)) as source, av.open(str(path), "w") as target:
            stream = target.add_stream("libopus", rate=48000, layout="mono")
            stream.bit_rate = 32_000
            resampler = av.AudioResampler(format="s16", layout="mono", rate=48000, frame_size=960)
            for frame in (*source.decode(audio=0), None):
                for resampled in resampler.resample(frame):
                    target.mux(stream.encode(resampled))
            target.mux(stream.encode(None))


def test_card(index: int) -> np.ndarray:
    """Colour bars, a grey ramp below, a disc that circles and a bar that sweeps: every frame differs."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for bar, colour in enumerate(BARS_RGB):
        picture[: HEIGHT * 3 // 4, bar * WIDTH // 7 : (bar + 1) * WIDTH // 7] = colour
    picture[HEIGHT * 3 // 4 :] = np.linspace(16, 235, WIDTH, dtype=np.uint8)[None, :, None]
    angle = 2 * np.pi * index / (FRAMES_PER_SECOND * 4)
    centre_x, centre_y = WIDTH / 2 + np.cos(angle) * WIDTH / 4, HEIGHT * 0.38 + np.sin(angle) * HEIGHT / 5
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(x - centre_x, y - centre_y)
    picture[distance < 40] = (20, 20, 20)
    picture[distance < 32] = (240, 140, 40)
    sweep = index * 6 % WIDTH
    picture[HEIGHT * 3 // 4 :, sweep : sweep + 8] = (240, 60, 60)
    return picture


def make_test_card(path: Path) -> None:
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libvpx", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 500_000
        for index in range(FRAMES_PER_SECOND * SECONDS):
            frame = av.VideoFrame.from_ndarray(test_card(index), format="rgb24")
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


if __name__ == "__main__":
    SAMPLES.mkdir(parents=True, exist_ok=True)
    make_speech(SAMPLES / "speech.ogg")
    make_test_card(SAMPLES / "testcard.webm")

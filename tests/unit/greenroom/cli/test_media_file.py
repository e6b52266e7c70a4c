"""Reading media files: what comes out, and what is said of files that are none."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from greenroom.cli.media_file import SAMPLE_RATE_HZ, MediaFile, MediaFileError, _upright

RED, BLUE = (220, 30, 30), (30, 30, 220)


def write_sound(path: Path, codec: str, rate: int, seconds: float = 1.0) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        tone = np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate) * 8000
        resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=rate)
        for start in range(0, tone.size, 1024):
            block = tone[None, start : start + 1024].astype(np.int16)
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            for part in resampler.resample(frame):
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def write_pictures(path: Path, width: int, height: int, count: int = 10) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p"
        container.mux([p for _ in range(count) for p in stream.encode(red_above_blue(width, height))])
        container.mux(stream.encode(None))


def red_above_blue(width: int, height: int) -> av.VideoFrame:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2], pixels[height // 2 :] = RED, BLUE
    return av.VideoFrame.from_ndarray(pixels, format="rgb24")


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [("a.wav", "pcm_s16le", 8000), ("a.mp3", "libmp3lame", 44100), ("a.mkv", "aac", 48000)],
)
async def test_sound_comes_as_48_khz_mono(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    write_sound(tmp_path / name, codec, rate)
    file = MediaFile.probe(tmp_path / name)
    assert (file.has_audio, file.has_video) == (True, False)
    frames = [frame async for frame in file.audio()]
    assert {(f.sample_rate, f.num_channels) for f in frames} == {(SAMPLE_RATE_HZ, 1)}
    assert {f.samples_per_channel for f in frames[:-1]} == {960}
    sound = np.concatenate([np.frombuffer(f.data, np.int16) for f in frames])
    assert sound.size == pytest.approx(SAMPLE_RATE_HZ, rel=0.1)
    middle = sound[SAMPLE_RATE_HZ // 4 : SAMPLE_RATE_HZ * 3 // 4].astype(float)
    assert np.abs(np.fft.rfft(middle)).argmax() * 2 == pytest.approx(440, abs=4)
    assert middle.std() == pytest.approx(8000 / 2**0.5, rel=0.1)


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 49), (48, 64)])
async def test_pictures_come_in_even_sizes_with_their_times(tmp_path: Path, width: int, height: int) -> None:
    write_pictures(tmp_path / "a.mkv", width, height)
    file = MediaFile.probe(tmp_path / "a.mkv")
    assert (file.has_audio, file.has_video) == (False, True)
    assert (file.width, file.height) == (width & ~1, height & ~1)
    pictures = [picture async for picture in file.video()]
    assert [round(p.seconds, 2) for p in pictures] == [n / 10 for n in range(10)]
    assert {(p.frame.width, p.frame.height) for p in pictures} == {(width & ~1, height & ~1)}


class Turned:
    """A decoded frame whose file says how it is to be turned (degrees counterclockwise)."""

    def __init__(self, frame: av.VideoFrame, rotation: int) -> None:
        self._frame = frame
        self.rotation = rotation
        self.width, self.height = frame.width, frame.height

    def reformat(self, **options: object) -> av.VideoFrame:
        return self._frame.reformat(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rotation", "shape", "red_at"),
    [
        (0, (48, 64), (0.25, 0.5)),
        (90, (64, 48), (0.5, 0.25)),
        (-90, (64, 48), (0.5, 0.75)),
        (180, (48, 64), (0.75, 0.5)),
    ],
)
def test_a_turned_picture_is_put_upright(
    rotation: int, shape: tuple[int, int], red_at: tuple[float, float]
) -> None:
    planes = _upright(Turned(red_above_blue(64, 48), rotation))
    assert planes.shape == (shape[0] * 3 // 2, shape[1])
    pixels = av.VideoFrame.from_ndarray(planes, format="yuv420p").to_ndarray(format="rgb24")
    y, x = int(red_at[0] * shape[0]), int(red_at[1] * shape[1])
    assert np.abs(pixels[y, x].astype(int) - RED).max() < 40
    assert np.abs(pixels[shape[0] - 1 - y, shape[1] - 1 - x].astype(int) - BLUE).max() < 40


async def test_the_rest_of_a_damaged_file_is_played(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.mp3", "libmp3lame", 44100, seconds=2.0)
    data = bytearray((tmp_path / "a.mp3").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1000] = bytes(1000)
    (tmp_path / "b.mp3").write_bytes(data)
    frames = [frame async for frame in MediaFile.probe(tmp_path / "b.mp3").audio()]
    assert 1.5 < sum(frame.duration for frame in frames) <= 2.1


async def test_a_file_that_was_cut_off_is_played_as_far_as_it_goes(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.mkv", "pcm_s16le", 8000, seconds=2.0)
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    frames = [frame async for frame in MediaFile.probe(tmp_path / "cut.mkv").audio()]
    assert 0.5 < sum(frame.duration for frame in frames) < 1.5


@pytest.mark.parametrize("content", [b"", b"plain text, and nothing else\n", bytes(range(256)) * 40])
@pytest.mark.parametrize("name", ["a.txt", "a.mp3", "a.mp4", "a.wav", "a"])
def test_what_is_no_media_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaFileError, match=f"{name} "):
        MediaFile.probe(tmp_path / name)


def test_a_missing_file_and_a_folder_are_called_that(tmp_path: Path) -> None:
    with pytest.raises(MediaFileError, match=r"there is no file .*gone\.mp3"):
        MediaFile.probe(tmp_path / "gone.mp3")
    with pytest.raises(MediaFileError, match="is a folder"):
        MediaFile.probe(tmp_path)


def test_a_colon_in_a_name_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_sound(Path("b.wav"), "pcm_s16le", 8000)
    Path("b.wav").rename("http:b.wav")
    assert MediaFile.probe(Path("http:b.wav")).has_audio

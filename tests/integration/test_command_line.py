"""The `greenroom` command as its users run it: processes, real signals, real files."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

_GREENROOM = [sys.executable, "-m", "greenroom"]
_SAMPLES = Path(__file__).resolve().parents[2] / "python" / "greenroom" / "samples"
_ANY_PORTS = ["--port", "0", "--udp-port", "0", "--tcp-port", "0"]
_START_LIMIT_S = 30.0
_END_LIMIT_S = 1.0

Start = Callable[..., "Command"]


class Command:
    """A running `greenroom` whose output can be waited for."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self._log = folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LIVEKIT_")}
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [*_GREENROOM, *arguments],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment, "COLUMNS": "100"},
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first match in the output; fails when the process ends or half a minute passes without one."""
        deadline = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            if found := re.search(pattern, self.output, re.MULTILINE):
                return found
            assert not ended, f"ended with {self.process.returncode} before {pattern!r}:\n{self.output}"
            time.sleep(0.02)
        raise AssertionError(f"{pattern!r} never came:\n{self.output}")

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> float:
        """Send the signal; the seconds until the process was gone."""
        sent = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(10)
        return time.monotonic() - sent


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Command] = []

    def start_one(*arguments: str) -> Command:
        started.append(Command(list(arguments), tmp_path))
        return started[-1]

    yield start_one
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
            command.process.wait()


@pytest.fixture
def server(start: Start) -> tuple[Command, str]:
    """A running `greenroom serve` and its URL."""
    command = start("serve", "--dev", *_ANY_PORTS)
    return command, command.wait_for(r"serving (ws://\S+)")[1]


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LIVEKIT_")}
    return subprocess.run(
        [*_GREENROOM, *arguments],
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=50,
    )


def token(folder: Path, *arguments: str) -> str:
    return run("token", *arguments, folder=folder).stdout.strip()


def error_line(ran: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failing command says."""
    lines = ran.stderr.splitlines()
    assert len(lines) == 1, ran.stderr
    return lines[0]


def samples_of(path: Path) -> npt.NDArray[np.int16]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 48_000)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def sound_of(path: Path) -> npt.NDArray[np.int16]:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000)
        parts = [p.to_ndarray().ravel() for f in container.decode(audio=0) for p in resampler.resample(f)]
    return np.concatenate(parts)


def pictures_of(path: Path) -> list[npt.NDArray[Any]]:
    """Up to the first that is damaged."""
    pictures = []
    with av.open(str(path)) as container, contextlib.suppress(av.error.InvalidDataError):
        for frame in container.decode(video=0):
            pictures.append(frame.to_ndarray(format="rgb24"))
    return pictures


def loudness(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """RMS of each 50 ms."""
    blocks = samples[: samples.size // 2400 * 2400].reshape(-1, 2400).astype(np.float64)
    return np.sqrt((blocks**2).mean(axis=1))


def best_correlation(heard: npt.NDArray[np.int16], played: npt.NDArray[np.int16]) -> float:
    """Of the loudness over time, at the best delay up to a second: robust against stretching by a jitter buffer."""
    a, b = loudness(heard), loudness(played)
    fits = []
    for delay in range(20):
        length = min(a.size - delay, b.size)
        fits.append(float(np.corrcoef(a[delay : delay + length], b[:length])[0, 1]))
    return max(fits)


def is_test_card(picture: npt.NDArray[Any]) -> bool:
    """Six of its seven colour bars, just below the latency strip, are where they belong (the disc may hide one)."""
    height, width = picture.shape[:2]
    bars = [
        (235, 235, 235),
        (225, 225, 30),
        (30, 225, 225),
        (30, 210, 30),
        (210, 30, 210),
        (210, 30, 30),
        (30, 30, 220),
    ]
    y = height * 68 // 100
    seen = [picture[y, (2 * bar + 1) * width // 14].astype(int) for bar in range(7)]
    return sum(np.abs(colour - bar).max() < 40 for colour, bar in zip(seen, bars, strict=True)) >= 6


# ---- serve ----


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_within_a_second_of_a_signal(server: tuple[Command, str], number: signal.Signals) -> None:
    command, _ = server
    assert command.interrupt(number) < _END_LIMIT_S
    assert command.process.returncode == 0
    assert "Traceback" not in command.output


def test_the_line_that_serve_prints_joins_it(server: tuple[Command, str], start: Start) -> None:
    command, url = server
    line = command.wait_for(r"^join it: \S+ -m greenroom join (\S+) (\S+)$")
    guest = start("join", line[1], line[2])
    guest.wait_for("joined demo as guest")
    assert guest.interrupt() < _END_LIMIT_S
    assert guest.process.returncode == 0
    assert line[1] == url
    assert command.interrupt() < _END_LIMIT_S


def test_serve_ends_quickly_with_participants_and_they_say_why_they_left(
    server: tuple[Command, str], start: Start, tmp_path: Path
) -> None:
    command, url = server
    guest = start(
        "join", url, token(tmp_path), "--publish", str(_SAMPLES / "testcard.webm"), "--record", "out"
    )
    guest.wait_for("joined")
    assert command.interrupt() < _END_LIMIT_S
    assert guest.process.wait(5) == 1
    assert "SERVER_SHUTDOWN" in guest.output
    assert "Traceback" not in guest.output


def test_serve_refuses_to_start_without_keys(tmp_path: Path) -> None:
    ran = run("serve", *_ANY_PORTS, folder=tmp_path)
    assert ran.returncode == 1
    assert "--keys" in error_line(ran)
    assert "--dev" in error_line(ran)


def test_serve_takes_keys_from_the_environment(tmp_path: Path) -> None:
    ran = run("serve", *_ANY_PORTS, folder=tmp_path, LIVEKIT_KEYS="no colon in what is here")
    assert ran.returncode == 1
    assert "'key: secret'" in error_line(ran)
    assert "here" not in error_line(ran)  # it may be a secret


@pytest.mark.parametrize(
    ("option", "kind"),
    [("--port", socket.SOCK_STREAM), ("--udp-port", socket.SOCK_DGRAM), ("--tcp-port", socket.SOCK_STREAM)],
)
def test_serve_names_the_address_and_port_that_are_in_use(
    option: str, kind: socket.SocketKind, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        ports = dict(zip(_ANY_PORTS[::2], _ANY_PORTS[1::2], strict=True)) | {option: str(port)}
        ran = run("serve", "--dev", *(part for pair in ports.items() for part in pair), folder=tmp_path)
    assert ran.returncode == 1
    assert f"127.0.0.1:{port}" in error_line(ran)
    assert "in use" in error_line(ran).lower()


# ---- join ----


def test_join_publishes_a_file_that_another_records(
    server: tuple[Command, str], start: Start, tmp_path: Path
) -> None:
    _, url = server
    recorder = start("join", url, token(tmp_path, "--identity", "ear"), "--record", "heard")
    recorder.wait_for("joined")
    files = [f"--publish={_SAMPLES / name}" for name in ("speech.ogg", "testcard.webm")]
    speaker = start("join", url, token(tmp_path, "--identity", "../mouth"), *files, "--seconds", "5")
    assert speaker.process.wait(30) == 0, speaker.output
    recorder.wait_for(r"- \.\./mouth")
    assert recorder.interrupt() < _END_LIMIT_S
    assert recorder.process.returncode == 0
    sound, video = sorted((tmp_path / "heard").iterdir(), key=lambda path: path.suffix, reverse=True)
    assert (sound.suffix, video.suffix) == (".wav", ".mp4")
    heard, played = samples_of(sound), sound_of(_SAMPLES / "speech.ogg")
    assert 3.5 * 48_000 < heard.size < 6 * 48_000
    assert best_correlation(heard, played[: 48_000 * 5]) > 0.8
    pictures = pictures_of(video)
    assert len(pictures) > 40
    assert is_test_card(pictures[-1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_recordings_can_be_played_however_the_recorder_ends(
    server: tuple[Command, str], start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    _, url = server
    recorder = start("join", url, token(tmp_path, "--identity", "ear"), "--record", "heard")
    recorder.wait_for("joined")
    files = [f"--publish={_SAMPLES / name}" for name in ("speech.ogg", "testcard.webm")]
    speaker = start("join", url, token(tmp_path, "--identity", "mouth"), *files)
    speaker.wait_for("joined")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        sizes = {p.suffix: p.stat().st_size for p in (tmp_path / "heard").glob("*")}
        if sizes.get(".wav", 0) > 200_000 and sizes.get(".mp4", 0) > 100_000:
            break
        time.sleep(0.05)
    assert recorder.interrupt(number) < _END_LIMIT_S
    assert speaker.interrupt() < _END_LIMIT_S
    for path in (tmp_path / "heard").glob("*"):
        if path.suffix == ".wav":
            assert samples_of(path).size > 90_000
        else:
            assert len(pictures_of(path)) >= 10
    assert {p.suffix for p in (tmp_path / "heard").glob("*")} == {".wav", ".mp4"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["not a url", "TOKEN"], "not a url"),
        (["ws://127.0.0.1:1", "TOKEN"], "127.0.0.1:1"),
        (["URL", "nonsense"], "token"),
        (["URL", "WRONG"], "secret"),
        (["URL", "TOKEN", "--publish", "nothing.mp3"], "nothing.mp3"),
        (["URL", "TOKEN", "--record", "a-file"], "a-file"),
    ],
)
def test_join_says_in_one_line_why_it_can_not(
    server: tuple[Command, str], tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "a-file").touch()
    words = {"URL": server[1], "TOKEN": token(tmp_path), "WRONG": token(tmp_path, "--api-secret", "other")}
    ran = run("join", *(words.get(a, a) for a in arguments), folder=tmp_path)
    assert ran.returncode == 1
    assert says in error_line(ran)


def test_join_notices_that_the_server_is_gone(
    server: tuple[Command, str], start: Start, tmp_path: Path
) -> None:
    command, url = server
    guest = start("join", url, token(tmp_path))
    guest.wait_for("joined")
    command.process.kill()
    guest.wait_for("the connection is lost; trying|without our doing")
    assert guest.interrupt() < _END_LIMIT_S
    assert "Traceback" not in guest.output


# ---- demo ----


def test_the_demo_delivers_sound_and_pictures(tmp_path: Path) -> None:
    ran = run("demo", "--seconds", "3", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "what arrived" in ran.stdout
    assert "\x1b" not in ran.stdout + ran.stderr
    heard, played = samples_of(tmp_path / "demo-output/received.wav"), sound_of(_SAMPLES / "speech.ogg")
    assert 2.5 * 48_000 < heard.size < 4 * 48_000
    assert best_correlation(heard, played[: 48_000 * 3]) > 0.8
    [picture] = pictures_of(tmp_path / "demo-output/received.png")
    assert picture.shape == (360, 640, 3)
    assert is_test_card(picture)


_SABOTAGE = {
    "sound": "from livekit.rtc.audio_source import AudioSource\n"
    "capture = AudioSource.capture_frame\n"
    "silence = lambda f: rtc.AudioFrame(bytes(len(f.data) * 2), f.sample_rate, 1, f.samples_per_channel)\n"
    "AudioSource.capture_frame = lambda self, frame: capture(self, silence(frame))",
    "pictures": "rtc.VideoSource.capture_frame = lambda self, frame: None",
    "reliable data": "from livekit.rtc.participant import LocalParticipant, PublishDataError\n"
    "async def refuse(*_a, **_k): raise PublishDataError('sabotage')\n"
    "LocalParticipant.publish_data = refuse",
}


@pytest.mark.parametrize("what", sorted(_SABOTAGE))
def test_the_demo_fails_with_the_reason_when_something_does_not_arrive(what: str, tmp_path: Path) -> None:
    program = f"from livekit import rtc\n{_SABOTAGE[what]}\nfrom greenroom.cli import main\nmain()\n"
    ran = subprocess.run(
        [sys.executable, "-c", program, "demo", "--seconds", "2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ran.returncode == 1, ran.stdout
    assert f"did not arrive: {what}" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_ctrl_c_ends_the_demo_within_a_second(start: Start, tmp_path: Path) -> None:
    demo = start("demo")
    demo.wait_for("playing")
    time.sleep(0.5)  # somewhere in the middle
    assert demo.interrupt() < _END_LIMIT_S
    assert demo.process.returncode == 130
    assert "Traceback" not in demo.output
    assert not any((tmp_path / "demo-output").iterdir())


# ---- the rest ----


def test_the_command_alone_shows_what_there_is(tmp_path: Path) -> None:
    ran = run(folder=tmp_path)
    assert ran.returncode == 0
    for word in ("serve", "token", "join", "demo"):
        assert word in ran.stdout


def test_version(tmp_path: Path) -> None:
    assert re.fullmatch(r"greenroom \d+\.\d+\.\d+\n", run("--version", folder=tmp_path).stdout)


def test_a_token_of_an_empty_secret_is_refused(tmp_path: Path) -> None:
    ran = run("token", folder=tmp_path, LIVEKIT_API_SECRET=" ")
    assert ran.returncode == 1
    assert "API secret is empty" in error_line(ran)


def test_tokens_are_printed_without_a_warning(tmp_path: Path) -> None:
    ran = run("token", folder=tmp_path)
    assert ran.stderr == ""
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", ran.stdout)

"""`greenroom serve` as operators run it: a configuration, a check, logs, and going out of service."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from room_tools import Events, within

from livekit import api, rtc

_GREENROOM = [sys.executable, "-m", "greenroom", "serve"]
_KEY, _SECRET = "opkey", "a-secret-of-at-least-thirty-two-characters"
_CONFIG = f"""
port: 0
bind_addresses: [127.0.0.1]
rtc: {{udp_port: 0, tcp_port: 0}}
keys: {{{_KEY}: {_SECRET}}}
logging: {{json: true}}
redis: {{address: "localhost:6379"}}
drain_timeout: 20s
"""


def _environment(**more: str) -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if not k.startswith("LIVEKIT_")}, **more}


def _ran(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_GREENROOM, *arguments], env=_environment(**environment), capture_output=True, text=True, timeout=50
    )


Start = Callable[..., "Served"]


class Served:
    """A running server; `url` once it serves."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*_GREENROOM, *arguments],
            env=_environment(PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.match(r"serving (wss?://\S+)", line)
        assert found, f"{line}{self.process.stderr and self.process.stderr.read()}"
        self.url = found[1]

    def ended(self) -> tuple[int, list[str]]:
        """Exit code, and the lines of the log."""
        _, log = self.process.communicate(timeout=20)
        return self.process.returncode, log.splitlines()

    def token(self, identity: str) -> str:
        grants = api.VideoGrants(room_join=True, room="room")
        return api.AccessToken(_KEY, _SECRET).with_identity(identity).with_grants(grants).to_jwt()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Served] = []

    def start_one(body: str, *arguments: str) -> Served:
        file = tmp_path / "config.yaml"
        file.write_text(body)
        running.append(Served("--config", str(file), *arguments))
        return running[-1]

    yield start_one
    for served in running:
        if served.process.poll() is None:
            served.process.kill()
            served.process.communicate()


# ---- before it runs ----


def test_a_good_configuration_is_said_to_be_good() -> None:
    ran = _ran(
        *("--check", "--config-body", _CONFIG),
        *("--room.empty_timeout", "60", "--room.playout_delay.min", "100"),
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "redis has no effect: this server is one node" in ran.stdout
    assert "warning: playout_delay.min: set without playout_delay.enabled" in ran.stdout
    assert "the configuration is good: 127.0.0.1:0" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dev", "--config", "/nowhere.yaml"), "/nowhere.yaml can't be read: No such file"),
        (("--dev", "--room.empty_timeuot", "60"), "did you mean room.empty_timeout?"),
        (("--dev", "--tls-cert", "/nowhere.pem"), "tls lacks key_file"),
        (("--dev", "--tls-cert", "/no.pem", "--tls-key", "/no.pem"), "TLS can't use certificate /no.pem"),
        (("--dev", "--port", "7000", "--tcp-port", "7000"), "port and tcp_port are both 7000"),
        (("--dev", "more"), "unexpected argument 'more'"),
    ],
    ids=["file", "key", "half of TLS", "certificate", "same port", "argument"],
)
def test_a_bad_configuration_is_refused_in_one_line(arguments: tuple[str, ...], message: str) -> None:
    ran = _ran("--check", *arguments)
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert message in line


def test_the_environment_is_read() -> None:
    ran = _ran("--check", "--dev", LIVEKIT_PORT="many")
    assert "LIVEKIT_PORT must be a whole number" in ran.stderr
    ran = _ran("--check", LIVEKIT_CONFIG=_CONFIG, UDP_PORT="7000", NODE_IP="127.0.0.1")
    assert "media UDP 7000" in ran.stdout


# ---- while it runs ----


async def test_it_drains_at_sigterm(start: Start) -> None:
    served = start(_CONFIG)
    room = rtc.Room()
    events = Events(room)
    await room.connect(served.url, served.token("anna"))
    health = served.url.replace("ws", "http", 1)

    served.process.send_signal(signal.SIGTERM)
    while await asyncio.to_thread(_status, health) == 200:
        pass
    assert await asyncio.to_thread(_status, health) == 406
    with pytest.raises(rtc.ConnectError, match="503"):
        await within(rtc.Room().connect(served.url, served.token("bob")))
    assert room.isconnected()
    assert events.names("disconnected", "reconnecting") == []

    await room.disconnect()
    code, log = await asyncio.to_thread(served.ended)
    assert code == 0
    lines = [json.loads(line) for line in log]
    assert [line["msg"] for line in lines if "redis" in line["msg"]]
    said = [line["msg"] for line in lines if line.get("participant") == "anna"]
    assert (said[0], said[-1]) == ("room room: anna joined", "room room: anna left: CLIENT_INITIATED")


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_the_drain(start: Start, second: signal.Signals) -> None:
    served = start(_CONFIG)
    room = rtc.Room()
    events = Events(room)
    await room.connect(served.url, served.token("anna"))
    served.process.send_signal(signal.SIGTERM)
    while await asyncio.to_thread(_status, served.url.replace("ws", "http", 1)) == 200:
        pass
    served.process.send_signal(second)
    assert await events.wait("disconnected") == (rtc.DisconnectReason.SERVER_SHUTDOWN,)
    code, _ = await asyncio.to_thread(served.ended)
    assert code == 0


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_metrics_have_a_port_of_their_own(start: Start, unused_tcp_port: int) -> None:
    start(_CONFIG, "--prometheus.port", str(unused_tcp_port))
    with urllib.request.urlopen(f"http://127.0.0.1:{unused_tcp_port}/metrics", timeout=5) as response:
        assert b"livekit_room_total{" in response.read()

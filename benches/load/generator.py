"""Builds and runs the generator."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.interop.servers import RoomServer

from .scenarios import Scenario

_ROOT = Path(__file__).resolve().parents[2]
_LIMIT_S = 300.0

Figures = dict[str, float]


class GeneratorError(Exception):
    """The generator gave up; the text says why."""


def build() -> Path:
    """The generator's executable, built when its sources have changed."""
    command = ["cargo", "build", "--release", "--quiet", "--workspace", "--bin", "greenroom-load"]
    subprocess.run(command, cwd=_ROOT, check=True)
    return _ROOT / "target" / "release" / "greenroom-load"


def run(
    generator: Path, server: RoomServer, scenario: Scenario, seconds: float, room: str = "load"
) -> Figures:
    """The figures of one load on one server, measured for so long after everybody has joined.

    Raises GeneratorError when a participant fails or streams are missing: figures are of equal loads or not at all.
    """
    options = {
        "server": server.url.removeprefix("ws://"),
        "key": server.api_key,
        "secret": server.api_secret,
        "pid": str(server.pid),
        "room": room,
        "scenario": scenario.name,
        "publishers": str(scenario.publishers),
        "others": str(scenario.others),
        "seconds": str(seconds),
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
    ran = subprocess.run([generator, *arguments], capture_output=True, text=True, timeout=_LIMIT_S)
    if ran.returncode != 0:
        raise GeneratorError(f"{scenario.title()}, on {server.name}: {ran.stderr.strip()}")
    figures: Figures = json.loads(ran.stdout)
    return figures

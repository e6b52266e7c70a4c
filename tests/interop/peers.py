"""The real peers, pinned by version, built or installed once and cached below `.cache/`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

LIVEKIT_SERVER_VERSION = "v1.13.4"
OFFICIAL_SDK_VERSION = "1.2.1"

_CACHE = Path(__file__).resolve().parents[2] / ".cache"


def _unavailable(reason: str) -> None:
    """Skip with the reason; in CI the real peers are not optional."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def livekit_server_binary() -> Path:
    """The livekit-server executable; builds it with the Go toolchain when it is not cached."""
    directory = _CACHE / f"livekit-server-{LIVEKIT_SERVER_VERSION}"
    binary = directory / "server"
    if binary.exists():
        return binary
    if shutil.which("go") is None:
        _unavailable("livekit-server can't be built: no Go toolchain on PATH (apt-get install golang)")
    directory.mkdir(parents=True, exist_ok=True)
    package = f"github.com/livekit/livekit-server/cmd/server@{LIVEKIT_SERVER_VERSION}"
    environment = {**os.environ, "GOBIN": str(directory), "GOSUMDB": "off"}
    built = subprocess.run(
        ["go", "install", package], env=environment, capture_output=True, text=True, timeout=1500
    )
    if built.returncode != 0:
        _unavailable(f"go install {package} failed:\n{built.stderr[-2000:]}")
    return binary


def official_sdk_python() -> Path:
    """The interpreter of a virtual environment that holds the official SDK; makes it when it is not cached."""
    directory = _CACHE / f"official-livekit-{OFFICIAL_SDK_VERSION}"
    python = directory / "bin" / "python"
    complete = directory / "complete"
    if complete.exists():
        return python
    shutil.rmtree(directory, ignore_errors=True)
    venv.create(directory, with_pip=True)
    packages = [f"livekit=={OFFICIAL_SDK_VERSION}", "livekit-api", "numpy"]
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", *packages], capture_output=True, text=True, timeout=900
    )
    if installed.returncode != 0:
        _unavailable(f"pip install {' '.join(packages)} failed:\n{installed.stderr[-2000:]}")
    complete.touch()
    return python


def sdk_python(name: str) -> Path:
    """The interpreter whose `livekit.rtc` is ours ("greenroom") or the official one ("official")."""
    return official_sdk_python() if name == "official" else Path(sys.executable)

"""The real peers, pinned by version, built or installed once and cached below `.cache/`."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest

LIVEKIT_SERVER_VERSION = "v1.13.4"
OFFICIAL_SDK_VERSION = "1.2.1"
LIVEKIT_CLIENT_VERSION = "2.23.0"
PLAYWRIGHT_VERSION = "1.65.1"
AGENTS_VERSION = "1.8.9"
NODE_SDK_VERSION = "1.1.0"

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
    packages = [f"livekit=={OFFICIAL_SDK_VERSION}", "livekit-api", "numpy"]
    return _environment(f"official-livekit-{OFFICIAL_SDK_VERSION}", packages)


def _environment(name: str, packages: list[str]) -> Path:
    directory = _CACHE / name
    python = directory / "bin" / "python"
    complete = directory / "complete"
    if complete.exists():
        return python
    shutil.rmtree(directory, ignore_errors=True)
    venv.create(directory, with_pip=True)
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", *packages], capture_output=True, text=True, timeout=900
    )
    if installed.returncode != 0:
        _unavailable(f"pip install {' '.join(packages)} failed:\n{installed.stderr[-2000:]}")
    complete.touch()
    return python


def agents_environment(sdk: str) -> tuple[Path, dict[str, str]]:
    """Interpreter and environment variables that run livekit-agents with the SDK of that name below it."""
    python = _environment(f"livekit-agents-{AGENTS_VERSION}", [f"livekit-agents=={AGENTS_VERSION}"])
    if sdk == "official":
        return python, {}
    return Path(sys.executable), {"PYTHONPATH": str(_agents_without_sdk(python))}


def _agents_without_sdk(python: Path) -> Path:
    """A folder of links to all that livekit-agents needs, but for the official `livekit.rtc`: ours takes its place."""
    (packages,) = (python.parents[1] / "lib").glob("python*/site-packages")
    folder = python.parents[1] / "without-livekit-rtc"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "livekit").mkdir(parents=True)
    for entry in packages.iterdir():
        if entry.name != "livekit" and not entry.name.startswith("livekit-1."):
            (folder / entry.name).symlink_to(entry)
    for entry in (packages / "livekit").iterdir():
        if entry.name not in ("rtc", "__pycache__"):
            (folder / "livekit" / entry.name).symlink_to(entry)
    return folder


def _node_modules(name: str, *packages: str) -> Path:
    """A folder with these packages installed; makes it when it is not cached."""
    directory = _CACHE / name
    complete = directory / "complete"
    if complete.exists():
        return directory
    if shutil.which("npm") is None:
        _unavailable(f"{packages[0]} can't be installed: no npm on PATH (apt-get install npm)")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "package.json").write_text('{"private": true}')
    installed = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", *packages],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=900,
    )
    if installed.returncode != 0:
        _unavailable(f"npm install {' '.join(packages)} failed:\n{installed.stderr[-2000:]}")
    complete.touch()
    return directory


def node_sdk_folder() -> Path:
    """A folder with the official SDK for Node installed."""
    return _node_modules(f"rtc-node-{NODE_SDK_VERSION}", f"@livekit/rtc-node@{NODE_SDK_VERSION}")


def go_peer_binary() -> Path:
    """Our small program on the official SDK for Go; builds it when this version of it is not cached."""
    source = Path(__file__).with_name("go_peer")
    digest = hashlib.sha256(b"".join(f.read_bytes() for f in sorted(source.iterdir()))).hexdigest()[:12]
    binary = _CACHE / f"go-peer-{digest}"
    if binary.exists():
        return binary
    if shutil.which("go") is None:
        _unavailable("the peer in Go can't be built: no Go toolchain on PATH (apt-get install golang)")
    built = subprocess.run(
        ["go", "build", "-o", str(binary), "."],
        cwd=source,
        env={**os.environ, "GOSUMDB": "off", "GOFLAGS": "-mod=mod"},
        capture_output=True,
        text=True,
        timeout=1500,
    )
    if built.returncode != 0:
        _unavailable(f"go build of {source} failed:\n{built.stderr[-2000:]}")
    return binary


def sdk_python(name: str) -> Path:
    """The interpreter whose `livekit.rtc` is ours ("greenroom") or the official one ("official")."""
    return official_sdk_python() if name == "official" else Path(sys.executable)


def ended_well(sdk: str, code: int) -> bool:
    """The official SDK now and then aborts on a thread of its own while its process ends, when all has been said."""
    return code == 0 or (sdk in ("official", "python") and code == -signal.SIGABRT)


def chromium_binary() -> Path:
    """Debian's Chromium; installed when it is missing and this user may."""
    found = shutil.which("chromium")
    if found is None:
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            _unavailable("Chromium is missing; type: sudo apt-get install -y chromium")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
            if ran.returncode != 0:
                _unavailable(f"{' '.join(command)} failed:\n{ran.stderr[-2000:]}")
        found = shutil.which("chromium") or "/usr/bin/chromium"
    return Path(found)


def livekit_client_modules() -> Path:
    """A node_modules folder with livekit-client, and playwright-core to drive a browser."""
    packages = f"livekit-client@{LIVEKIT_CLIENT_VERSION}", f"playwright-core@{PLAYWRIGHT_VERSION}"
    return _node_modules(f"livekit-client-{LIVEKIT_CLIENT_VERSION}", *packages) / "node_modules"
